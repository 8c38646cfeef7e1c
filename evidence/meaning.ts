/** What entries must not say, however well they are signed: an id or a decision twice, an outcome of nothing, a second opening. */
import type { Entry } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'

export class Meaning {
  readonly findings: Finding[] = []
  readonly #ids = new Set<string>()
  readonly #decided = new Set<string>()

  /** In index order. */
  add(index: number, entry: Entry): void {
    if (this.#ids.has(entry.id)) {
      const what = `entry ${index} has the id of an earlier one`
      this.findings.push({ code: 'ENTRY_REPEATED', what, index, actual: entry.id })
    }
    this.#ids.add(entry.id)
    if (entry.kind === 'opened' && index > 0) {
      const what = `entry ${index} opens a ledger that is open`
      this.findings.push({ code: 'ENTRY_MALFORMED', what, index })
    }
    if (entry.kind === 'decision') {
      if (this.#decided.has(entry.exchange)) {
        const what = `entry ${index} decides an exchange again`
        this.findings.push({ code: 'ENTRY_REPEATED', what, index, actual: entry.exchange })
      }
      this.#decided.add(entry.exchange)
    }
    if (entry.kind === 'outcome' && !this.#decided.has(entry.exchange)) {
      const what = `entry ${index} is the outcome of nothing decided`
      this.findings.push({ code: 'OUTCOME_ORPHAN', what, index, actual: entry.exchange })
    }
  }
}
