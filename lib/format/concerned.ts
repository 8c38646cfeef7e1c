/**
 * Whom it concerns that what is of a pseudonym is erased, as the entries in clear tell it: on whose behalf it acted,
 * and who is accountable for it. Pure.
 */
import type { Entry, EntryOf } from './entry.ts'
import { type ScopeName, scopeName } from './scope.ts'

export interface Concern {
  /** Pseudonyms. */
  readonly subject: string
  readonly people: readonly string[]
}

/** @returns undefined where an entry says of nobody on whose behalf they acted, or who is accountable for them */
export function concernIn(entry: Entry): Concern | undefined {
  switch (entry.kind) {
    case 'principal':
      return concern(entry.subject, [entry.owner])
    case 'decision':
    case 'session-opened':
    case 'grant-requested':
    case 'approval-requested':
      return concern(entry.subject, [entry.principal, entry.owner])
    default:
      return undefined
  }
}

function concern(subject: string | undefined, all: readonly (string | undefined)[]): Concern | undefined {
  const people = all.filter(one => one !== undefined)
  return subject === undefined || people.length === 0 ? undefined : { subject, people }
}

/**
 * Who acts in a session, by what opened it, or by the first that was decided in it where nothing
 * did: whatever else is said of it adds nobody.
 */
export const actorsOf = ({
  subject,
  principal,
  owner,
}: Pick<EntryOf<'decision'>, 'subject' | 'principal' | 'owner'>): readonly string[] =>
  [subject, principal, owner].filter(one => one !== undefined)

/**
 * Whom it concerns that one principal or session is erased, as far as the entries tell that were
 * learned: in whatever order, ledger by ledger.
 */
export class Concerned {
  readonly #scope: Pick<EntryOf<'erasure'>, 'scope' | 'of'>
  readonly #decisions: boolean
  /** Pseudonyms. */
  readonly #people = new Set<string>()
  #isOpened = false
  #decided: readonly string[] | undefined

  /** @param decisions whether who acts in a session that no entry of a ledger opened is told by what was decided in it */
  constructor(scope: Pick<EntryOf<'erasure'>, 'scope' | 'of'>, { decisions = false } = {}) {
    this.#scope = scope
    this.#decisions = decisions
    if (scope.scope === 'principal') this.#people.add(scope.of)
  }

  /** Pseudonyms. */
  get people(): ReadonlySet<string> {
    return new Set([...this.#people, ...(this.#isOpened ? [] : (this.#decided ?? []))])
  }

  learn(entry: Entry): void {
    const { scope, of } = this.#scope
    if (scope === 'principal') {
      const concern = concernIn(entry)
      if (concern?.subject === of) for (const one of concern.people) this.#people.add(one)
    } else if (entry.kind === 'session-opened' && entry.session === of) {
      this.#isOpened = true
      for (const one of actorsOf(entry)) this.#people.add(one)
    } else if (entry.kind === 'decision' && entry.session === of && this.#decisions) {
      this.#decided ??= actorsOf(entry)
    } else if (entry.kind === 'opened') this.#begin()
  }

  /** Each ledger is verified by itself. */
  #begin(): void {
    if (!this.#isOpened) for (const one of this.#decided ?? []) this.#people.add(one)
    this.#isOpened = false
    this.#decided = undefined
  }
}

/** Where an entry stands among others: of one ledger by its index, of several by its time, and by its index within a millisecond. */
export interface Moment {
  readonly index: number
  /** Unix milliseconds, which never go back within a ledger, as `Moments` has them; 0 for all where they are of one ledger. */
  readonly time: number
}

/**
 * When each entry came, of ledgers that follow one another: clocks step back, and what comes
 * behind something else came later all the same.
 */
export class Moments {
  #latest = Number.NEGATIVE_INFINITY
  /** Of the one that follows. */
  #begins = Number.NEGATIVE_INFINITY

  /** To be asked in index order, ledger by ledger, of all entries. */
  of(index: number, entry: Entry): Moment {
    if (index === 0) this.#latest = this.#begins
    this.#latest = Math.max(this.#latest, Date.parse(entry.time))
    // What is said behind a conclusion may come long after the next ledger began.
    if (entry.kind === 'concluded') this.#begins = this.#latest + 1
    return { index, time: this.#latest }
  }
}

const isBefore = (one: Moment, other: Moment): boolean =>
  one.time === other.time ? one.index < other.index : one.time < other.time

/**
 * When pseudonyms were named first, and when erased: who was erased comes back under
 * another, so that whoever was named since may be they.
 */
export class Comings {
  readonly #named = new Map<string, Moment>()
  readonly #erased = new Map<string, Moment>()

  learn(at: Moment, entry: Entry): void {
    if (entry.kind === 'principal') learnFirst(this.#named, entry.subject, at)
    else if (entry.kind === 'erasure' && entry.scope === 'principal') learnFirst(this.#erased, entry.of, at)
  }

  /** Whether one of these people was named since, or not at all. */
  isAnyNamedAfter(people: readonly string[], at: Moment): boolean {
    return people.some(one => {
      const named = this.#named.get(one)
      return named === undefined || isBefore(at, named)
    })
  }

  /**
   * @param people pseudonyms of who does something. @param others pseudonyms. @returns whether one of these people may
   * be one of the others, come back
   */
  mayHaveReturned(people: readonly string[], others: Iterable<string>): boolean {
    let first: Moment | undefined
    for (const one of others) {
      const at = this.#erased.get(one)
      if (at !== undefined && (first === undefined || isBefore(at, first))) first = at
    }
    return first !== undefined && this.isAnyNamedAfter(people, first)
  }
}

function learnFirst(known: Map<string, Moment>, pseudonym: string, at: Moment): void {
  const before = known.get(pseudonym)
  if (before === undefined || isBefore(at, before)) known.set(pseudonym, at)
}

/** What a hold may be on that covers a scope: all, just this, or one of whom it concerns. @param concerned pseudonyms */
export const coveredBy = (name: ScopeName | 'ledger', concerned: Iterable<string>): ReadonlySet<ScopeName | 'ledger'> =>
  new Set<ScopeName | 'ledger'>(['ledger', name, ...[...concerned].map(one => `principal:${one}` as const)])

/** What a hold is on. */
export const holdOn = ({ scope, of = '' }: Pick<EntryOf<'hold-placed'>, 'scope' | 'of'>): ScopeName | 'ledger' =>
  scope === 'ledger' ? scope : scopeName({ scope, of })
