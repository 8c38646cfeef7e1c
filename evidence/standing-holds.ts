/**
 * Which legal holds stand on what, as they are placed and released: whoever wrote the ledger may have placed as many as it has entries.
 */
import type { Moment } from '../lib/format/concerned.ts'
import type { ScopeName } from '../lib/format/scope.ts'

export interface Hold {
  readonly id: string
  readonly on: ScopeName | 'ledger'
  /** Unix milliseconds; what is carried from the ledger before was placed before anything here. */
  readonly placed: number
  released?: { readonly by: string; readonly at: number }
}

interface On {
  readonly standing: Set<Hold>
  /** One that each has released. */
  readonly releasedBy: Map<string, Hold>
  /** When the first of those was erased who released one of these. */
  gone?: Moment
}

export class StandingHolds {
  readonly #on = new Map<Hold['on'], On>()
  /** By who released them: what they were on. */
  readonly #released = new Map<string, Set<On>>()
  readonly #erased = new Map<string, Moment>()

  place(hold: Hold): void {
    const on: On = this.#on.get(hold.on) ?? { standing: new Set(), releasedBy: new Map() }
    this.#on.set(hold.on, on)
    on.standing.add(hold)
  }

  /** One that was placed. @param by a pseudonym */
  release(hold: Hold, by: string): void {
    const on = this.#on.get(hold.on)!
    on.standing.delete(hold)
    if (!on.releasedBy.has(by)) on.releasedBy.set(by, hold)
    this.#released.set(by, (this.#released.get(by) ?? new Set()).add(on))
    const erased = this.#erased.get(by)
    if (erased !== undefined && (on.gone === undefined || erased.index < on.gone.index)) on.gone = erased
  }

  /** In order. @param of a pseudonym */
  erase(of: string, at: Moment): void {
    if (this.#erased.has(of)) return
    this.#erased.set(of, at)
    for (const on of this.#released.get(of) ?? []) on.gone ??= at
  }

  /** @param covered what a hold may be on. @returns why somebody may not have done what these cover */
  objection(by: string, covered: Iterable<Hold['on']>): string | undefined {
    for (const scope of covered) {
      const on = this.#on.get(scope)
      const [first] = on?.standing ?? []
      if (first !== undefined) return `under the hold ${first.id}`
      const released = on?.releasedBy.get(by)
      if (released !== undefined) return `by who released the hold ${released.id} on it`
    }
    return undefined
  }

  /** @returns when the first of those was erased who released any of these; undefined where none was */
  firstGone(covered: Iterable<Hold['on']>): Moment | undefined {
    let first: Moment | undefined
    for (const scope of covered) {
      const gone = this.#on.get(scope)?.gone
      if (gone !== undefined && (first === undefined || gone.index < first.index)) first = gone
    }
    return first
  }
}

/** What is asked of the holds of a ledger from its outside, by its times. */
export interface Asked<T> {
  readonly one: T
  /** Unix milliseconds. */
  readonly at: number
}

/**
 * Asks something of the holds as they stood at each of several times: each hold is come to once, however many times there are.
 * @param lateMs a hold stands from so many milliseconds behind its placing on. @returns the answers, in the order of the times
 */
export function askedOver<T, R>(
  holds: Iterable<Hold>,
  asked: readonly Asked<T>[],
  lateMs: number,
  ask: (standing: StandingHolds, one: T) => R,
): R[] {
  const standing = new StandingHolds()
  const steps = [...holds].flatMap(hold => {
    const from = hold.placed + lateMs
    const placed = { at: from, take: () => standing.place(hold) }
    const { released } = hold
    if (released === undefined) return [placed]
    return [placed, { at: Math.max(from, released.at), take: () => standing.release(hold, released.by) }]
  })
  // Stable: a hold is placed before it is released.
  steps.sort((one, other) => (one.at === other.at ? 0 : one.at - other.at))
  let next = 0
  return [...asked]
    .sort((one, other) => one.at - other.at)
    .map(({ one, at }) => {
      for (; next < steps.length && steps[next]!.at <= at; next += 1) steps[next]!.take()
      return ask(standing, one)
    })
}
