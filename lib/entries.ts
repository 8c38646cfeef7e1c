/** How an exchange becomes entries: the decision, with what is disclosed of it, and the outcome. */
import type { Obligations } from './control.ts'
import { describe, isOurs } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Json } from './format/canonical.ts'
import { actionCommitment, randomSalt } from './format/disclosure.ts'
import type { DraftOf, Ledger } from './ledger/ledger.ts'
import type { Operation } from './operation.ts'

type Verdict = { readonly verdict: 'permit' } | { readonly verdict: 'deny'; readonly error: unknown }

/** A decision as far as the exchange got: a refusal may come before anything is known. */
export function decisionDraft(exchange: Exchange, verdict: Verdict): DraftOf<'decision'> {
  const { operation, session } = exchange
  const obligations = exchange.perhaps('obligations')
  const actors = exchange.perhaps('actors')
  const subject = exchange.perhaps('subject')
  const observed = exchange.perhaps('observed') ?? []
  const salt = exchange.perhaps('commitment')?.salt ?? randomSalt()
  const action = exchange.perhaps('commitment')?.action ?? actionCommitment(salt, operation.action)
  return {
    kind: 'decision',
    exchange: exchange.id,
    session: session?.id,
    subject: actors?.subject,
    principal: actors?.principal,
    owner: actors?.owner,
    protocol: operation.protocol,
    target: operation.target,
    method: subject?.method,
    action,
    accesses: operation.accesses,
    controls: obligations?.controls ?? [],
    risk: operation.risk,
    read: operation.read,
    verdict: verdict.verdict,
    code: verdict.verdict === 'deny' ? codeOf(verdict.error) : undefined,
    policy: exchange.perhaps('policy'),
    observed: observed.length > 0 ? observed : undefined,
    grant: exchange.perhaps('grant')?.id,
    approval: exchange.perhaps('approval')?.id,
    durability: durabilityOf(exchange),
    disclose: {
      action: shownOf(exchange, obligations),
      actionSalt: salt,
      address: exchange.address,
      within: exchange.within,
    },
    slot: slotOf(exchange),
  }
}

/**
 * Appends a denial. Where what was asked cannot be written as an entry (a name too long, a text that is no Unicode), the denial of
 * it still can: without what was asked.
 */
export async function appendDenial(ledger: Ledger, exchange: Exchange, error: unknown): Promise<void> {
  try {
    await ledger.append([decisionDraft(exchange, { verdict: 'deny', error })])
  } catch (unwritable) {
    if (!isMalformed(unwritable)) throw unwritable
    await ledger.append([bareDenial(exchange, error)])
  }
}

export const isMalformed = (error: unknown): boolean => isOurs(error) && error.code === 'ERR_ENTRY_MALFORMED'

function bareDenial(exchange: Exchange, error: unknown): DraftOf<'decision'> {
  const { operation, session } = exchange
  const actors = exchange.perhaps('actors')
  return {
    kind: 'decision',
    exchange: exchange.id,
    session: session?.id,
    ...actors,
    protocol: operation.protocol,
    target: operation.target,
    method: exchange.perhaps('subject')?.method,
    action: actionCommitment(randomSalt(), null),
    accesses: [],
    controls: [],
    risk: operation.risk,
    read: operation.read,
    verdict: 'deny',
    code: codeOf(error),
    policy: exchange.perhaps('policy'),
    durability: 'durable',
  }
}

/** What is disclosed of the action: nothing where every control that says so wants no more than its digest. */
function shownOf({ operation }: Exchange, obligations: Obligations | undefined): Json | undefined {
  return obligations?.record.request === 'digest' ? undefined : (operation.shown ?? operation.action)
}

/** What is asked of the guard itself and goes to no upstream: a login, a request at the desk. */
export const askedOfUs = (asked: Pick<Operation, 'protocol' | 'target' | 'action' | 'accesses'>): Operation => ({
  ...asked,
  ...{ reaches: [], opaque: false, risk: 'low', read: false, holdable: false },
})

/** Reads alone may be released before the sync, and only where a control says so. */
export function durabilityOf(exchange: Exchange): 'durable' | 'written' {
  return exchange.operation.read ? (exchange.perhaps('obligations')?.durability ?? 'durable') : 'durable'
}

/** Statements and arguments are erased by session, names by principal: erasing a customer is not erasing who asked. */
export function slotOf(exchange: Exchange): string {
  if (exchange.session !== undefined) return `session:${exchange.session.id}`
  const subject = exchange.perhaps('actors')?.subject
  return subject === undefined ? 'unidentified' : `principal:${subject}`
}

/** A word for the record: our stable code, else the class of the error, never its text. */
export function codeOf(error: unknown): string {
  if (isOurs(error)) return error.code
  return wordOf(describe(error))
}

/** Any text as a word of an entry. */
export const wordOf = (text: string): string => text.replaceAll(/[^\x21-\x7e]+/g, '-').slice(0, 64) || '-'
