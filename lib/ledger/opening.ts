/** What opening a ledger appends: entry 0 of a new one, and after a crash what closes the exchanges that were in flight. */
import { LedgerError } from '../errors.ts'
import type { Entry, EntryOf } from '../format/entry.ts'
import type { Draft } from './ledger.ts'
import { OpenExchanges } from './open-exchanges.ts'

/** What stands at the end of a ledger that is opened again. */
export interface Standing {
  /** The last sequence number of the writer that opens it; 0 for a new writer. */
  readonly seq: number
  /** Whether the last writer said that it stopped. */
  readonly stopped: boolean
  /** Exchanges without an outcome. Every opening closes those before it, so only the last one's entries count. */
  readonly open: readonly string[]
}

/** @param backwards entries from the last one on: read no further than the last opening, and the writer's last entry */
export async function standing(backwards: AsyncIterable<Entry>, writer: string): Promise<Standing> {
  const sinceOpening: Entry[] = []
  let opening = false
  let seq: number | undefined
  for await (const entry of backwards) {
    if (!opening) sinceOpening.push(entry)
    if (entry.kind === 'started') opening = true
    if (seq === undefined && entry.writer === writer) seq = entry.seq
    if (opening && seq !== undefined) break
  }
  const exchanges = new OpenExchanges()
  for (const entry of sinceOpening.toReversed()) exchanges.see(entry)
  return { seq: seq ?? 0, stopped: sinceOpening[0]?.kind === 'stopped', open: exchanges.ids() }
}

export function recoveryDrafts({ open, stopped }: Standing, epoch: number, torn: number): Draft[] {
  if (stopped && torn === 0) return []
  return [
    { kind: 'recovered', epoch, torn },
    ...open.map((exchange): Draft => ({ kind: 'outcome', exchange, result: 'unknown', items: 0, bytes: 0 })),
  ]
}

/** That entry 0 is of this ledger, and names the keys that it is opened with. @throws LedgerError ERR_LEDGER_INCONSISTENT */
export function requireOpened(
  entry: Entry | undefined,
  expected: { readonly origin: string; readonly noteKey: string; readonly sealKey: string | undefined },
): EntryOf<'opened'> {
  const differs = (what: string) => new LedgerError('ERR_LEDGER_INCONSISTENT', `entry 0 names another ${what}`)
  if (entry?.kind !== 'opened') throw new LedgerError('ERR_LEDGER_CORRUPT', 'entry 0 does not open a ledger')
  if (entry.origin !== expected.origin) throw differs('origin')
  if (entry.noteKey !== expected.noteKey) throw differs('note key')
  if (expected.sealKey !== undefined && entry.sealKey !== expected.sealKey) throw differs('OpenPGP key')
  return entry
}
