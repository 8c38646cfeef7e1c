/**
 * Of an entry that was asked for by its number: what else the ledger tells of its exchange, the decision, its outcome
 * and what became of that, a line each.
 */
import type { LedgerRecord } from '../evidence/index.ts'
import type { Entry } from '../lib/format/entry.ts'
import { counted } from '../lib/format/words.ts'

export interface SameExchange {
  readonly exchange: string
  /** In order, without the entry itself. */
  readonly others: readonly Pick<LedgerRecord, 'index' | 'entry'>[]
  /** It was permitted, and nothing that is published says how it ended. */
  readonly open: boolean
}

/** @returns undefined for an entry that is of no exchange. @param records all that the ledger holds. @param found what is shown itself */
export function sameExchange(
  of: LedgerRecord,
  records: readonly LedgerRecord[],
  found: readonly LedgerRecord[],
): SameExchange | undefined {
  const exchange = 'exchange' in of.entry ? of.entry.exchange : undefined
  if (exchange === undefined) return undefined
  const turns = records.filter(({ entry }) => isTurnOf(entry, exchange))
  const permitted = turns.some(({ entry }) => entry.kind === 'decision' && entry.verdict === 'permit')
  return {
    exchange,
    others: turns.filter(turn => !found.includes(turn)).map(({ index, entry }) => ({ index, entry })),
    open: permitted && !turns.some(({ entry }) => entry.kind === 'outcome'),
  }
}

/**
 * What is recorded of it, an application's events and what it waited for are left out: they may
 * be many, and the exchange's id finds them all.
 */
function isTurnOf(entry: Entry, exchange: string): boolean {
  if (entry.kind === 'settled') return entry.exchanges.includes(exchange)
  return (entry.kind === 'decision' || entry.kind === 'outcome') && entry.exchange === exchange
}

/** What an entry of it came to, in a few words. */
export function resultOf(entry: Entry): string {
  switch (entry.kind) {
    case 'decision':
      return [entry.verdict, entry.code].filter(Boolean).join(' ')
    case 'outcome': {
      const result = [entry.result, entry.code].filter(Boolean).join(' ')
      const settled = entry.settled === undefined || entry.settled === 'nothing' ? [] : [entry.settled]
      return [result, ...settled, counted(entry.items, 'item'), counted(entry.bytes, 'byte')].join(', ')
    }
    case 'settled':
      return entry.result
    default:
      return ''
  }
}
