/** What a rollover says again, of a ledger that follows another: with its own time, though it was said before that. */
import type { LedgerRecord } from '../evidence/index.ts'

/** Index of the last entry that was said in the ledger before; -1 where this is the first. */
export function lastCarried(records: readonly LedgerRecord[]): number {
  for (const { index, entry } of records) if (entry.kind === 'continued') return index + entry.carried
  return -1
}
