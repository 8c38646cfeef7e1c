/** What entries must not say, however well they are signed: an id or a decision twice, an outcome of nothing, a second opening. */
import type { Entry } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'

export function examineMeaning(records: Iterable<{ readonly index: number; readonly entry: Entry }>): Finding[] {
  const findings: Finding[] = []
  const ids = new Set<string>()
  const decided = new Set<string>()
  for (const { index, entry } of records) {
    if (ids.has(entry.id)) {
      findings.push({
        code: 'ENTRY_REPEATED',
        what: `entry ${index} has the id of an earlier one`,
        index,
        actual: entry.id,
      })
    }
    ids.add(entry.id)
    if (entry.kind === 'opened' && index > 0) {
      findings.push({ code: 'ENTRY_MALFORMED', what: `entry ${index} opens a ledger that is open`, index })
    }
    if (entry.kind === 'decision') {
      if (decided.has(entry.exchange)) {
        const what = `entry ${index} decides an exchange again`
        findings.push({ code: 'ENTRY_REPEATED', what, index, actual: entry.exchange })
      }
      decided.add(entry.exchange)
    }
    if (entry.kind === 'outcome' && !decided.has(entry.exchange)) {
      const what = `entry ${index} is the outcome of nothing decided`
      findings.push({ code: 'OUTCOME_ORPHAN', what, index, actual: entry.exchange })
    }
  }
  return findings
}
