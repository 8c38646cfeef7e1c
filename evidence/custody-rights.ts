/**
 * Whether what was done in custody of a ledger was theirs to do: an erasure or a disposal asked for by one person and
 * approved by another, neither of them whom it is about, on whose behalf that acted or who is accountable for it, under
 * no hold, and not by who released one. It needs no key: all of that stands in clear.
 */
import { actorsOf, Comings, concernIn, coveredBy, holdOn } from '../lib/format/concerned.ts'
import type { Entry, EntryOf } from '../lib/format/entry.ts'
import { type ScopeName, scopeName } from '../lib/format/scope.ts'
import type { ErasedScope } from './alibis.ts'
import type { Finding } from './finding.ts'
import { askedOver, type Hold, StandingHolds } from './standing-holds.ts'

/** An erasure in a ledger that was concluded: which holds stood by then, the later ledgers of its series say. */
export interface LateErasure extends ErasedScope {
  readonly origin: string
  /** Pseudonyms of whom it concerns, as that ledger tells. */
  readonly concerned: readonly string[]
}

/** Milliseconds that a hold may come to stand in the newest ledger between the last look at it and an erasure in another. */
const betweenMs = 5_000

export class CustodyRights {
  readonly findings: Finding[] = []
  /** Of these sessions alone it is kept who acted in them. */
  readonly #sessionsWanted: ReadonlySet<string>
  /** Of these alone it is kept whom they acted for. */
  readonly #erased: ReadonlySet<ScopeName>
  readonly #types = new Map<string, string>()
  /** On whose behalf an erased principal acted, and who is accountable for it, by its pseudonym. */
  readonly #concerned = new Map<string, Set<string>>()
  /** Who acted in a session, by its id: whoever it was said to be opened for, however often. */
  readonly #sessions = new Map<string, Set<string>>()
  /** The same of those that no entry opened: who acted in what was decided first. */
  readonly #decidedIn = new Map<string, readonly string[]>()
  readonly #comings = new Comings()
  readonly #holds = new Map<string, Hold>()
  readonly #standing = new StandingHolds()
  #others = 0
  /** The ledger before, and who was known there when it was concluded: what is carried says so. */
  #follows: string | undefined
  readonly #before: string[] = []
  /** What stands up to here is said again of another ledger, and was judged there. */
  #carried = 0
  /** Unix milliseconds. */
  #concluded: number | undefined

  constructor(sessions: ReadonlySet<string>, erased: ReadonlySet<ScopeName>) {
    this.#sessionsWanted = sessions
    this.#erased = erased
  }

  /** Whether a hold was placed or released, or a ledger disposed of. */
  get isAny(): boolean {
    return this.#others > 0
  }

  /** Holds that stand at the end. */
  get holds(): number {
    return [...this.#holds.values()].filter(({ released }) => released === undefined).length
  }

  get isConcluded(): boolean {
    return this.#concluded !== undefined
  }

  isCarried(index: number): boolean {
    return index <= this.#carried
  }

  /** In index order. */
  add(index: number, entry: Entry): void {
    this.#learnConcern(entry)
    switch (entry.kind) {
      case 'principal':
        this.#comings.learn({ index, time: 0 }, entry)
        this.#types.set(entry.subject, entry.type)
        if (this.isCarried(index)) this.#before.push(entry.subject)
        return
      case 'session-opened':
        if (this.#sessionsWanted.has(entry.session)) this.#learnSession(entry)
        return
      case 'decision':
        if (entry.session !== undefined) this.#learnDecided(entry.session, entry)
        return
      case 'continued':
        this.#carried = index + entry.carried
        this.#follows = entry.of
        return
      case 'concluded':
        this.#concluded ??= Date.parse(entry.time)
        return
      case 'disposed':
        if (!this.isCarried(index)) this.#dispose(index, entry)
        return
      case 'hold-placed':
        this.#others += 1
        if (this.#holds.has(entry.hold)) this.#invalid(index, `places the hold ${entry.hold} again`)
        else this.#place({ id: entry.hold, on: holdOn(entry), placed: this.#timeOf(index, entry) })
        return
      case 'hold-released': {
        this.#others += 1
        const hold = this.#holds.get(entry.hold)
        if (hold === undefined || hold.released !== undefined)
          this.#invalid(index, 'releases a hold that does not stand')
        else this.#release(hold, { by: entry.by, at: this.#timeOf(index, entry) })
        return
      }
      case 'erasure':
        this.#erase(index, entry)
        return
      default:
    }
  }

  #learnConcern(entry: Entry): void {
    const concern = this.#erased.size === 0 ? undefined : concernIn(entry)
    if (concern === undefined || !this.#erased.has(`principal:${concern.subject}`)) return
    const known = this.#concerned.get(concern.subject) ?? new Set()
    for (const one of concern.people) known.add(one)
    this.#concerned.set(concern.subject, known)
  }

  #learnSession(entry: EntryOf<'session-opened'>): void {
    const known = this.#sessions.get(entry.session) ?? new Set()
    for (const one of actorsOf(entry)) known.add(one)
    this.#sessions.set(entry.session, known)
  }

  #learnDecided(session: string, entry: EntryOf<'decision'>): void {
    if (!this.#sessionsWanted.has(session) || this.#decidedIn.has(session)) return
    this.#decidedIn.set(session, actorsOf(entry))
  }

  #dispose(index: number, entry: EntryOf<'disposed'>): void {
    this.#others += 1
    const why = this.#objectionTo(entry, []) ?? this.#heldBefore(entry)
    if (why !== undefined) this.#invalid(index, `disposes of ${entry.of}, ${why}`)
  }

  #erase(index: number, entry: EntryOf<'erasure'>): void {
    const why = this.#objection(entry)
    if (why !== undefined) this.#invalid(index, `erases ${entry.scope} ${entry.of}, ${why}`)
    this.#comings.learn({ index, time: 0 }, entry)
    if (entry.scope === 'principal') this.#standing.erase(entry.of, { index, time: 0 })
  }

  /**
   * Judges what was erased in an earlier ledger of the series, by the holds that stood here when it was.
   * @param late what the one before gives on. @returns what is to be given on to the next: what
   * was erased once this ledger was concluded too
   */
  judge(late: readonly LateErasure[]): readonly LateErasure[] {
    const end = this.#concluded ?? Number.POSITIVE_INFINITY
    const here = late.flatMap(one => (timeOf(one) < end ? [{ one, at: timeOf(one) }] : []))
    const findings = askedOver(
      this.#holds.values(),
      here,
      betweenMs,
      (standing, { origin, index, entry, concerned }) => {
        const why = standing.objection(entry.by, coveredBy(scopeName(entry), concerned))
        const what = `entry ${index} of ${origin} erases ${entry.scope} ${entry.of}, ${why}`
        return why === undefined ? [] : [{ code: 'ERASURE_UNAUTHORISED' as const, what }]
      },
    )
    this.findings.push(...findings.flat())
    return late.filter(one => timeOf(one) >= end)
  }

  #timeOf(index: number, { time }: Entry): number {
    return index <= this.#carried ? Number.NEGATIVE_INFINITY : Date.parse(time)
  }

  /** Pseudonyms of whom an erasure concerns, as far as this ledger tells; undefined of a session that it does not tell of. */
  concernedBy({ scope, of }: Pick<EntryOf<'erasure'>, 'scope' | 'of'>): readonly string[] | undefined {
    if (scope === 'principal') return [of, ...(this.#concerned.get(of) ?? [])]
    const known = this.#sessions.get(of) ?? this.#decidedIn.get(of)
    return known === undefined ? undefined : [...known]
  }

  #objection(entry: EntryOf<'erasure'>): string | undefined {
    const { scope, of, by } = entry
    const concerned = this.concernedBy(entry)
    if (concerned === undefined) return 'a session that no entry opened, and in which nothing was decided'
    if (scope === 'principal' && !this.#types.has(of)) return 'whom no entry names'
    const why = this.#objectionTo(entry, concerned)
    // What was held when a ledger was concluded may have been released in the next.
    if (why !== undefined || this.#concluded !== undefined) return why
    const covered = coveredBy(scopeName(entry), concerned)
    return this.#standing.objection(by, covered) ?? this.#returned(entry, concerned, covered)
  }

  /** Behind a conclusion it is not told: people are named there when they do something, whenever the series came to know them. */
  #returned(
    { by, approvers }: EntryOf<'erasure'>,
    concerned: readonly string[],
    covered: Iterable<Hold['on']>,
  ): string | undefined {
    const people = [by, ...approvers]
    const gone = this.#standing.firstGone(covered)
    const mayBe =
      this.#comings.mayHaveReturned(people, concerned) ||
      (gone !== undefined && this.#comings.isAnyNamedAfter(people, gone))
    if (!mayBe) return undefined
    return 'by or with the approval of who was named after somebody was erased whom it concerns, or who released a hold on it'
  }

  #objectionTo(
    { by, approvers }: Pick<EntryOf<'erasure'>, 'by' | 'approvers'>,
    concerned: readonly string[],
  ): string | undefined {
    const people = [by, ...approvers]
    if (approvers.length === 0) return 'and nobody has approved it'
    if (new Set(people).size !== people.length) return 'approved by who asked for it, or twice by one person'
    if (people.some(one => this.#types.get(one) !== 'person')) return 'by or with the approval of what is no person'
    return people.some(one => concerned.includes(one)) ? 'by or with the approval of whom it is about' : undefined
  }

  /** Of the ledger just before this one it is known who was in it: of those before that, and of sessions, it is not. */
  #heldBefore({ of, by }: EntryOf<'disposed'>): string | undefined {
    if (this.#concluded !== undefined) return undefined
    const people = of === this.#follows ? this.#before : []
    return this.#standing.objection(by, coveredBy('ledger', people))
  }

  #place(hold: Hold): void {
    this.#holds.set(hold.id, hold)
    this.#standing.place(hold)
  }

  #release(hold: Hold, released: NonNullable<Hold['released']>): void {
    hold.released = released
    this.#standing.release(hold, released.by)
  }

  #invalid(index: number, what: string): void {
    this.findings.push({ code: 'ERASURE_UNAUTHORISED', what: `entry ${index} ${what}`, index })
  }
}

const timeOf = ({ entry }: LateErasure): number => Date.parse(entry.time)
