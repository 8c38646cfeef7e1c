/** Who the pseudonyms of a ledger are, of entries that were verified and opened. */
import type { LedgerRecord } from '../evidence/index.ts'

/** By pseudonym. */
export function namesOf(records: readonly LedgerRecord[]): ReadonlyMap<string, string> {
  return new Map(
    records.flatMap(({ entry, opened }) =>
      entry.kind === 'principal' && typeof opened.values.name === 'string' ? [[entry.subject, opened.values.name]] : [],
    ),
  )
}
