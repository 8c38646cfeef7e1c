/** What opening a ledger appends: entry 0 of a new one, and after a crash what closes the exchanges that were in flight. */
import { LedgerError } from '../errors.ts'
import type { Entry, EntryOf } from '../format/entry.ts'
import type { Draft } from './ledger.ts'
import type { Story } from './story.ts'

/** What stands at the end of a ledger that is opened again. */
export interface Standing {
  /** Of every writer that may have been at work when it ended, and of whoever opens it. */
  readonly stories: ReadonlyMap<string, Story>
  /** Whether the last entry says that its writer stopped. */
  readonly stopped: boolean
}

/** What closes a writer's past: it ended without a word, and what it had in flight ended nobody knows how. */
export function endingDrafts(open: Iterable<string>, epoch: number, torn: number): Draft[] {
  return [
    { kind: 'recovered', epoch, torn },
    ...[...open].map((exchange): Draft => ({ kind: 'outcome', exchange, result: 'unknown', items: 0, bytes: 0 })),
  ]
}

/**
 * For who has the ledger alone: whoever was at work before it is gone, and what it had in
 * flight, though the last to write stopped in order.
 */
export function recoveryDrafts({ stories, stopped }: Standing, epoch: number, torn: number): Draft[] {
  const open = [...stories.values()].flatMap(({ open }) => [...open])
  return stopped && torn === 0 && open.length === 0 ? [] : endingDrafts(open, epoch, torn)
}

/** For who shares it: another writer may still be at work, and speaks for itself. */
export function returnDrafts(story: Story | undefined, epoch: number, torn: number): Draft[] {
  return isUnfinished(story) || torn > 0 ? endingDrafts(story?.open ?? [], epoch, torn) : []
}

/** So many of these are well within a frame, however long their words are. */
const together = 4096

/**
 * What an opening, or the giving up of a writer, owes may be more than one append takes. What a
 * crash leaves unsaid of it, the next opening says.
 */
export function* inTurns(drafts: readonly Draft[]): Generator<readonly Draft[]> {
  for (let at = 0; at < drafts.length; at += together) yield drafts.slice(at, at + together)
}

/** Whether its past is still to be closed: it ended without a word, or left something in flight. */
export const isUnfinished = (story: Story | undefined): boolean =>
  story !== undefined && (story.alive || story.open.size > 0)

/** That entry 0 opens this ledger. @throws LedgerError ERR_LEDGER_CORRUPT, ERR_LEDGER_INCONSISTENT */
export function requireOpened(entry: Entry | undefined, origin: string): EntryOf<'opened'> {
  if (entry?.kind !== 'opened') throw new LedgerError('ERR_LEDGER_CORRUPT', 'entry 0 does not open a ledger')
  if (entry.origin !== origin) throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'entry 0 names another origin')
  return entry
}
