/** Under which key the disclosures of another host are sealed: it follows from the entry in clear, whatever that host says. */
import type { Entry } from '../../format/entry.ts'
import { Scopes } from '../../format/scope.ts'
import { ownSlot } from '../attaching.ts'
import type { Draft } from '../ledger.ts'

/**
 * What is of somebody by an exchange alone goes under a key of that exchange and writer, and an attachment
 * under one of its own: whatever comes to be said of the exchange, no key is shared by what is to be erased
 * apart, and nobody can be made impossible to erase.
 * @returns the draft, sealed under what follows from it
 */
export function underItsOwn({ slot: _, ...draft }: Draft, writer: string): Draft {
  const slot = slotFor(draft as Draft, writer)
  return { ...(draft as Draft), ...(slot === undefined ? {} : { slot }) }
}

/** @returns undefined where it is of nobody */
function slotFor(draft: Draft, writer: string): string | undefined {
  switch (draft.kind) {
    case 'outcome':
    case 'approval-requested':
      return `exchange:${draft.exchange} ${writer}`
    case 'attachment':
      return ownSlot(draft.attachment)
    default:
      return new Scopes().of(draft as unknown as Entry)
  }
}
