/**
 * What a ledger says of its place in a series: which one it follows and what it says again of
 * that, where it was concluded, and which were disposed of. Each ledger of a series is
 * verified by itself; here is what holds between them.
 */
import { CarriedDigest, isCarried } from '../lib/format/carried.ts'
import type { Entry, EntryOf, EntrySummary, Kind } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'

/** Where what is carried begins. */
const first = 2

/**
 * What may follow in a ledger that was concluded: what concerns its keys, its vault and who
 * vouches for it, and that it was opened for that.
 */
const custody: ReadonlySet<Kind> = new Set<Kind>([
  ...(['started', 'heartbeat', 'stopped', 'recovered', 'attachment-cut'] as const),
  ...(['principal', 'erasure', 'vault-rewrapped', 'key-rotated', 'key-revoked', 'anchored'] as const),
])

export const mayFollowConclusion = (kind: Kind): boolean => custody.has(kind)

/** @returns the index of the entry by which a ledger was concluded; undefined where there is none among these */
export const conclusionIn = (
  records: readonly { readonly index: number; readonly entry: Entry }[],
): number | undefined => records.find(({ entry }) => entry.kind === 'concluded')?.index

export class Succession {
  readonly findings = new Findings<Finding>()
  readonly disposed: EntryOf<'disposed'>[] = []
  continued: EntryOf<'continued'> | undefined
  concluded: { readonly index: number; readonly entry: EntryOf<'concluded'> } | undefined
  readonly #said = new CarriedDigest()

  /** Every entry, in index order. */
  sum(index: number, { kind }: EntrySummary): void {
    if (this.concluded !== undefined && !mayFollowConclusion(kind))
      this.#invalid(index, `a ${kind} in a ledger that was concluded by entry ${this.concluded.index}`)
  }

  /** Behind its summary, where it is of a kind that is rare. */
  add(index: number, entry: Entry): void {
    const { continued } = this
    if (continued !== undefined && index < first + continued.carried && isCarried(entry)) this.#said.add(entry)
    if (entry.kind === 'concluded') this.concluded ??= { index, entry }
    else if (entry.kind === 'disposed') this.disposed.push(entry)
    else if (entry.kind === 'continued' && index === 1) this.continued = entry
    else if (entry.kind === 'continued') this.#invalid(index, 'continues another ledger, and is not its first word')
  }

  /** Once all entries were added. */
  conclude(): void {
    if (this.continued === undefined) return
    const { carried, state } = this.continued
    const [expected, actual] = [`${carried} ${state}`, `${this.#said.count} ${this.#said.digest()}`]
    if (expected === actual) return
    const what = 'what is said again of the ledger before is not what entry 1 says it is'
    this.findings.add({ code: 'SUCCESSION_INVALID', what, index: 1, expected, actual })
  }

  #invalid(index: number, what: string): void {
    this.findings.add({ code: 'SUCCESSION_INVALID', what: `entry ${index}: ${what}`, index })
  }
}
