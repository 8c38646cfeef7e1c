/**
 * Who may say how an exchange ended: the writer that permitted it. Where that one was gone, it is given up: by whoever
 * takes the ledger up in its name, or by who opens the ledger alone under its own name, with no more than that nobody
 * knows, right behind `recovered`. An end by anybody else is what another writer says of what it did not do.
 */
import type { EntrySummary } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'

/** Of so many exchanges, and up to twice as many, it is remembered who permitted them; what is older is not judged. */
const remembered = 65_536

export class Speakers {
  readonly findings = new Findings<Finding>()
  readonly #most: number
  /** Exchange -> writer that permitted it. */
  #newer = new Map<string, string>()
  #older = new Map<string, string>()
  /** Who says since its `recovered`, without a break, what became of the exchanges of others. */
  #recovering: string | undefined

  constructor(most = remembered) {
    this.#most = most
  }

  /** In index order. */
  add(index: number, entry: EntrySummary): void {
    const { kind, writer, exchange } = entry
    if (kind === 'recovered') this.#recovering = writer
    else if (this.#recovering !== undefined && !this.#recovers(entry)) this.#recovering = undefined
    if (kind === 'decision' && entry.verdict === 'permit') this.#permit(exchange!, writer)
    else if (kind === 'outcome' && this.#recovering === undefined) this.#judge(index, entry, exchange!)
    else if (kind === 'settled') for (const one of entry.exchanges ?? []) this.#judge(index, entry, one)
  }

  #recovers({ kind, writer, result }: EntrySummary): boolean {
    return writer === this.#recovering && (kind === 'attachment-cut' || (kind === 'outcome' && result === 'unknown'))
  }

  #permit(exchange: string, writer: string): void {
    // That one was decided twice, by whomever, is a finding of its own.
    this.#newer.set(exchange, writer)
    if (this.#newer.size < this.#most) return
    this.#older = this.#newer
    this.#newer = new Map()
  }

  #judge(index: number, { kind, writer }: EntrySummary, exchange: string): void {
    const expected = this.#newer.get(exchange) ?? this.#older.get(exchange)
    if (expected === undefined || expected === writer) return
    const end = kind === 'outcome' ? 'how an exchange ended' : 'what became of an exchange'
    const what = `entry ${index}: ${writer} says ${end} that ${expected} permitted, and nobody had given that one up`
    this.findings.add({ code: 'OUTCOME_BY_ANOTHER', what, index, expected, actual: writer })
  }
}
