/**
 * Who was erased by name, and whom entries name again. Neither is told behind a conclusion: people are named there when
 * they do something, and an erasure of before may not have come to all ledgers by then.
 */
import type { EntryOf } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'

/** A principal that was erased while its ledger was not concluded: whoever comes back under that name has another pseudonym. */
export interface GonePrincipal {
  /** A pseudonym. */
  readonly of: string
  /** RFC 3339. */
  readonly time: string
}

/** Milliseconds in which what was on its way may come behind an erasure. */
const onItsWayMs = 60_000

export class Returns {
  /** By pseudonym, the last entry that says here who it is; and the first by which it was erased. */
  readonly #named = new Map<string, { readonly index: number; readonly writer: string; readonly time: string }>()
  readonly #gone = new Map<string, { readonly index: number; readonly time: string }>()

  name(index: number, { subject, writer, time }: EntryOf<'principal'>): void {
    this.#named.set(subject, { index, writer, time })
  }

  erase(index: number, { of, time }: EntryOf<'erasure'>): void {
    if (!this.#gone.has(of)) this.#gone.set(of, { index, time })
  }

  get gone(): readonly GonePrincipal[] {
    return [...this.#gone].map(([of, { time }]) => ({ of, time }))
  }

  /** Who was erased is named no more under that pseudonym: what they did would be another's. @param before of the ledgers before it in its series */
  *namedAgain(before: readonly GonePrincipal[]): Generator<Finding> {
    const earlier = new Map(before.map(({ of, time }) => [of, time]))
    for (const [subject, { index, writer, time }] of this.#named) {
      const own = this.#gone.get(subject)
      const since = own !== undefined && own.index < index ? own.time : earlier.get(subject)
      if (since === undefined || Date.parse(time) - Date.parse(since) <= onItsWayMs) continue
      const by = since === own?.time ? `by entry ${own.index}` : 'in an earlier ledger of the series'
      const what = `entry ${index}, by ${writer}, names ${subject} again, who was erased ${by}`
      yield { code: 'ENTRY_REPEATED', what, index }
    }
  }
}
