/**
 * What entries say was erased, and whether that was theirs to do: asked for by one person and approved by another,
 * neither of them whom it is about, on whose behalf that acted or who is accountable for it, under no hold, and not by
 * who released one. It needs no key: all of that stands in clear. With the vault's key, an erasure is an alibi for the
 * disclosures that are gone of its own scope and slots, and for no others.
 */
import { actorsOf, Comings, concernIn, coveredBy, holdOn } from '../lib/format/concerned.ts'
import type { Entry, EntryOf, Kind } from '../lib/format/entry.ts'
import { type ScopeName, Scopes, scopeName } from '../lib/format/scope.ts'
import type { Finding } from './finding.ts'
import { askedOver, type Hold, StandingHolds } from './standing-holds.ts'

export interface ErasedScope {
  /** Of the `erasure` entry. */
  readonly index: number
  readonly entry: EntryOf<'erasure'>
}

/** An erasure in a ledger that was concluded: which holds stood by then, the later ledgers of its series say. */
export interface LateErasure extends ErasedScope {
  readonly origin: string
  /** Pseudonyms of whom it concerns, as that ledger tells. */
  readonly concerned: readonly string[]
}

/** A principal that was erased while its ledger was not concluded: whoever comes back under that name has another pseudonym. */
export interface GonePrincipal {
  /** A pseudonym. */
  readonly of: string
  /** RFC 3339. */
  readonly time: string
}

/** Milliseconds that a hold may come to stand in the newest ledger between the last look at it and an erasure in another. */
const betweenMs = 5_000

/** Milliseconds before an erasure within which what comes may not be found any more: all of the ledger is read for it. */
const meanwhileMs = 60_000

/** Entries that are kept of one slot's destruction. */
const mostOfSlot = 16
const mostOfScope = 16

/**
 * The kinds that say something of erasures. Decisions and sessions are many: they are told
 * of for the sake of the erasures that there are.
 */
export const toldOf: ReadonlySet<Kind> = new Set<Kind>([
  ...(['principal', 'session-opened', 'hold-placed', 'hold-released', 'erasure'] as const),
  ...(['decision', 'approval-requested', 'grant-requested', 'continued', 'concluded', 'disposed'] as const),
])

const asked = ({ writer, exchange }: EntryOf<'approval-requested' | 'decision'>) => `${exchange} ${writer}`

/** Of entries that are all at hand, in order: told twice, so that it can be asked what erased whatever each of them disclosed. */
export function erasuresIn(entries: readonly { readonly index: number; readonly entry: Entry }[]): Erasures {
  const first = new Erasures()
  for (const { index, entry } of entries) first.add(index, entry)
  const erasures = new Erasures(first.ofSessions, first.names)
  for (const { index, entry } of entries) erasures.add(index, entry)
  return erasures
}

export class Erasures {
  readonly all: ErasedScope[] = []
  /** Those of them behind the ledger's conclusion. */
  readonly late: ErasedScope[] = []
  readonly findings: Finding[] = []
  /** Sessions that were erased. */
  readonly ofSessions = new Set<string>()
  /** What was erased. */
  readonly names = new Set<ScopeName>()
  /** Of these alone it is kept who acted in them. */
  readonly #wanted: ReadonlySet<string>
  /** Of these alone it is kept which exchanges are theirs, and whom they acted for. */
  readonly #erased: ReadonlySet<ScopeName>
  readonly #types = new Map<string, string>()
  /** By pseudonym, the last entry that says here who it is; and the first by which it was erased. Neither behind the conclusion. */
  readonly #named = new Map<string, { readonly index: number; readonly writer: string; readonly time: string }>()
  readonly #gone = new Map<string, { readonly index: number; readonly time: string }>()
  /** On whose behalf an erased principal acted, and who is accountable for it, by its pseudonym. */
  readonly #concerned = new Map<string, Set<string>>()
  /** Who acted in a session, by its id: whoever it was said to be opened for, however often. */
  readonly #sessions = new Map<string, Set<string>>()
  /** The same of those that no entry opened: who acted in what was decided first. */
  readonly #decidedIn = new Map<string, readonly string[]>()
  readonly #comings = new Comings()
  readonly #holds = new Map<string, Hold>()
  readonly #standing = new StandingHolds()
  readonly #bySlot = new Map<number, ErasedScope[]>()
  readonly #byScope = new Map<ScopeName, readonly ErasedScope[]>()
  readonly #scopes = new Scopes()
  /** Exchanges for which an approval was asked, and which who asked has not decided. */
  readonly #asked = new Set<string>()
  /** Index of the first decision of an exchange by who wrote it. */
  readonly #decided = new Map<string, number>()
  #others = 0
  /** The ledger before, and who was known there when it was concluded: what is carried says so. */
  #follows: string | undefined
  readonly #before: string[] = []
  /** What stands up to here is said again of another ledger, and was judged there. */
  #carried = 0
  /** Unix milliseconds. */
  #concluded: number | undefined

  /**
   * What an erasure needs of decisions and sessions is known after a first time through the entries; a second tells it.
   * @param wanted sessions that were erased. @param erased what was erased: needed for
   * alibis, and for whom a principal's erasure concerns
   */
  constructor(wanted: ReadonlySet<string> = new Set(), erased: ReadonlySet<ScopeName> = new Set()) {
    this.#wanted = wanted
    this.#erased = erased
  }

  /** Whether there is an erasure, a hold was placed or released, or a ledger disposed of. */
  get isAny(): boolean {
    return this.all.length > 0 || this.#others > 0
  }

  /** Holds that stand at the end. */
  get holds(): number {
    return [...this.#holds.values()].filter(({ released }) => released === undefined).length
  }

  /** In index order. */
  add(index: number, entry: Entry): void {
    this.#learnConcern(entry)
    if (entry.kind === 'principal') this.#comings.learn({ index, time: 0 }, entry)
    switch (entry.kind) {
      case 'principal':
        this.#types.set(entry.subject, entry.type)
        if (index <= this.#carried) this.#before.push(entry.subject)
        else if (this.#concluded === undefined)
          this.#named.set(entry.subject, { index, writer: entry.writer, time: entry.time })
        return
      case 'session-opened':
        if (this.#wanted.has(entry.session)) this.#learnSession(entry)
        return
      case 'approval-requested':
        if (this.#erased.size > 0) this.#asked.add(asked(entry))
        return
      case 'decision':
        this.#learn(index, entry)
        return
      case 'continued':
        this.#carried = index + entry.carried
        this.#follows = entry.of
        return
      case 'concluded':
        this.#concluded ??= Date.parse(entry.time)
        return
      case 'disposed': {
        if (index <= this.#carried) return
        this.#others += 1
        const why = this.#objectionTo(entry, []) ?? this.#heldBefore(entry)
        if (why !== undefined) this.#invalid(index, `disposes of ${entry.of}, ${why}`)
        return
      }
      case 'hold-placed': {
        this.#others += 1
        const { hold } = entry
        if (this.#holds.has(hold)) this.#invalid(index, `places the hold ${hold} again`)
        else this.#place({ id: hold, on: holdOn(entry), placed: this.#timeOf(index, entry) })
        return
      }
      case 'hold-released': {
        this.#others += 1
        const hold = this.#holds.get(entry.hold)
        if (hold === undefined || hold.released !== undefined)
          this.#invalid(index, 'releases a hold that does not stand')
        else this.#release(hold, { by: entry.by, at: this.#timeOf(index, entry) })
        return
      }
      case 'erasure': {
        const why = this.#objection(entry)
        if (why !== undefined) this.#invalid(index, `erases ${entry.scope} ${entry.of}, ${why}`)
        this.#comings.learn({ index, time: 0 }, entry)
        if (entry.scope === 'principal') this.#standing.erase(entry.of, { index, time: 0 })
        const erased = { index, entry }
        this.all.push(erased)
        if (this.#concluded !== undefined) this.late.push(erased)
        else if (entry.scope === 'principal' && !this.#gone.has(entry.of))
          this.#gone.set(entry.of, { index, time: entry.time })
        this.names.add(scopeName(entry))
        this.#remember(erased)
        if (entry.scope === 'session') this.ofSessions.add(entry.of)
        for (const slot of new Set(entry.slots)) this.#destroyedBy(slot).push(erased)
        return
      }
      default:
    }
  }

  /** A key is destroyed once: of more entries that say so than a few, the first are as good as all. */
  #destroyedBy(slot: number): ErasedScope[] {
    const found = this.#bySlot.get(slot) ?? []
    this.#bySlot.set(slot, found)
    return found.length < mostOfSlot ? found : []
  }

  /** Of more than a few of one scope, the first and the last are as good as all. */
  #remember(erased: ErasedScope): void {
    const scope = scopeName(erased.entry)
    const found = this.#byScope.get(scope) ?? []
    this.#byScope.set(scope, [...found.slice(0, mostOfScope - 1), erased])
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

  /** An approval's exchange that was decided is not anybody's, whoever's it is. */
  #learn(index: number, entry: EntryOf<'decision'>): void {
    const { session } = entry
    if (session !== undefined && this.#wanted.has(session) && !this.#decidedIn.has(session)) {
      this.#decidedIn.set(session, actorsOf(entry))
    }
    if (this.#erased.size === 0) return
    const scope = this.#scopes.of(entry)
    const isErased = scope !== undefined && this.#erased.has(scope)
    if (!this.#asked.delete(asked(entry)) && !isErased) return
    this.#scopes.learn(entry)
    if (!this.#decided.has(asked(entry))) this.#decided.set(asked(entry), index)
  }

  /**
   * To be asked after a second time through the entries, of one that discloses something still.
   * @returns the index of the entry by which all of it was to be erased; undefined where it came later, or whose it is was known later
   */
  undone(index: number, entry: Entry): number | undefined {
    const time = Date.parse(entry.time)
    const known = this.#knownFrom(index, entry)
    const scope = this.#scopes.of(entry)
    const of = scope === undefined ? [] : (this.#byScope.get(scope) ?? [])
    return of.find(({ index: at, entry: { time: then } }) => at > known && Date.parse(then) - time > meanwhileMs)?.index
  }

  /** Behind which entry it is known whose something is. */
  #knownFrom(index: number, entry: Entry): number {
    switch (entry.kind) {
      case 'outcome':
      case 'approval-requested':
      case 'attachment':
        if (entry.kind === 'attachment' && entry.session !== undefined) return index
        return Math.max(index, this.#decided.get(`${entry.exchange} ${entry.writer}`) ?? Number.POSITIVE_INFINITY)
      default:
        return index
    }
  }

  /**
   * To be asked after a second time through the entries. @returns the index of the entry that says that what this one
   * disclosed under that slot was erased
   */
  by(index: number, entry: Entry, slot: number): number | undefined {
    const of = this.#bySlot.get(slot) ?? []
    return of.find(erased => erased.index > index && this.#scopes.mayBe(entry, scopeName(erased.entry)))?.index
  }

  /** Slots that entries say were erased, each with the first that does, ascending. */
  slots(): readonly (readonly [slot: number, by: number])[] {
    return [...this.#bySlot].map(([slot, [first]]) => [slot, first!.index] as const).sort(([a], [b]) => a - b)
  }

  /** Whether an entry says that this slot was erased. */
  isErased(slot: number): boolean {
    return this.#bySlot.has(slot)
  }

  /** @returns the index of the entry that says that whatever this one disclosed was erased, for who has no vault to look into */
  byScope(index: number, entry: Entry): number | undefined {
    const scope = this.#scopes.of(entry)
    const of = scope === undefined ? [] : (this.#byScope.get(scope) ?? [])
    return of.find(erased => erased.index > index)?.index
  }

  /** Whether an entry may say so: of an approval that nobody decided it cannot be told whose it was. */
  mayBeErased(index: number, entry: Entry): boolean {
    if (this.byScope(index, entry) !== undefined) return true
    const mayBe = ({ index: at, entry: one }: ErasedScope) => at > index && this.#scopes.mayBe(entry, scopeName(one))
    return entry.kind === 'approval-requested' && this.all.some(mayBe)
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

  get gone(): readonly GonePrincipal[] {
    return [...this.#gone].map(([of, { time }]) => ({ of, time }))
  }

  /**
   * Who was erased is named no more under that pseudonym: what they did would be another's. What was
   * on its way may come behind the erasure, and behind a conclusion it is not told: an erasure of
   * before may not have come to all ledgers by then.
   * @param before of the ledgers before it in its series
   */
  *namedAgain(before: readonly GonePrincipal[]): Generator<Finding> {
    const earlier = new Map(before.map(({ of, time }) => [of, time]))
    for (const [subject, { index, writer, time }] of this.#named) {
      const own = this.#gone.get(subject)
      const since = own !== undefined && own.index < index ? own.time : earlier.get(subject)
      if (since === undefined || Date.parse(time) - Date.parse(since) <= meanwhileMs) continue
      const by = since === own?.time ? `by entry ${own.index}` : 'in an earlier ledger of the series'
      const what = `entry ${index}, by ${writer}, names ${subject} again, who was erased ${by}`
      yield { code: 'ENTRY_REPEATED', what, index }
    }
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
