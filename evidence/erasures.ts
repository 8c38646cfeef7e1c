/**
 * What entries say was erased, and whether that was theirs to do: asked for by one person and approved by another, neither of them whom it
 * is about, under no hold, and not by who released one. It needs no key: all of that stands in clear. With the vault's key, an erasure
 * is an alibi for the disclosures that are gone of its own scope and slots, and for no others.
 */
import type { Entry, EntryOf, Kind } from '../lib/format/entry.ts'
import { type ScopeName, Scopes, scopeName } from '../lib/format/scope.ts'
import type { Finding } from './finding.ts'

export interface ErasedScope {
  /** Of the `erasure` entry. */
  readonly index: number
  readonly entry: EntryOf<'erasure'>
}

interface Hold {
  readonly scope: ScopeName | 'ledger'
  releasedBy?: string
}

/** The kinds that say something of erasures. Decisions and sessions are many: they are told of for the sake of the erasures that there are. */
export const toldOf: ReadonlySet<Kind> = new Set<Kind>([
  ...(['principal', 'session-opened', 'hold-placed', 'hold-released', 'erasure'] as const),
  ...(['decision', 'approval-requested', 'continued', 'disposed'] as const),
])

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
  readonly findings: Finding[] = []
  /** Sessions that were erased. */
  readonly ofSessions = new Set<string>()
  /** What was erased. */
  readonly names = new Set<ScopeName>()
  /** Of these alone it is kept who acted in them. */
  readonly #wanted: ReadonlySet<string>
  /** Of these alone it is kept which exchanges are theirs. */
  readonly #erased: ReadonlySet<ScopeName>
  readonly #types = new Map<string, string>()
  /** Who acted in a session, by its id. */
  readonly #sessions = new Map<string, readonly (string | undefined)[]>()
  readonly #holds = new Map<string, Hold>()
  readonly #bySlot = new Map<number, ErasedScope[]>()
  readonly #scopes = new Scopes()
  /** Exchanges for which an approval was asked, and which have not been decided. */
  readonly #asked = new Set<string>()
  #others = 0
  /** What stands up to here is said again of another ledger, and was judged there. */
  #carried = 0

  /**
   * What an erasure needs of decisions and sessions is known after a first time through the entries; a second tells it.
   * @param wanted sessions that were erased. @param erased what was erased: needed for alibis
   */
  constructor(wanted: ReadonlySet<string> = new Set(), erased: ReadonlySet<ScopeName> = new Set()) {
    this.#wanted = wanted
    this.#erased = erased
  }

  /** Whether there is an erasure, or a hold was placed or released. */
  get isAny(): boolean {
    return this.all.length > 0 || this.#others > 0
  }

  /** Holds that stand at the end. */
  get holds(): number {
    return [...this.#holds.values()].filter(({ releasedBy }) => releasedBy === undefined).length
  }

  /** In index order. */
  add(index: number, entry: Entry): void {
    switch (entry.kind) {
      case 'principal':
        this.#types.set(entry.subject, entry.type)
        return
      case 'session-opened':
        if (this.#wanted.has(entry.session)) {
          this.#sessions.set(entry.session, [entry.subject, entry.principal, entry.owner])
        }
        return
      case 'approval-requested':
        if (this.#erased.size > 0) this.#asked.add(entry.exchange)
        return
      case 'decision':
        this.#learn(entry)
        return
      case 'continued':
        this.#carried = index + entry.carried
        return
      case 'disposed': {
        const why = index <= this.#carried ? undefined : this.#objectionTo(entry, [], 'ledger')
        if (why !== undefined) this.#invalid(index, `disposes of ${entry.of}, ${why}`)
        return
      }
      case 'hold-placed': {
        this.#others += 1
        const { hold, scope, of = '' } = entry
        if (this.#holds.has(hold)) this.#invalid(index, `places the hold ${hold} again`)
        else this.#holds.set(hold, { scope: scope === 'ledger' ? scope : scopeName({ scope, of }) })
        return
      }
      case 'hold-released': {
        this.#others += 1
        const hold = this.#holds.get(entry.hold)
        if (hold === undefined || hold.releasedBy !== undefined)
          this.#invalid(index, 'releases a hold that does not stand')
        else hold.releasedBy = entry.by
        return
      }
      case 'erasure': {
        const why = this.#objection(entry)
        if (why !== undefined) this.#invalid(index, `erases ${entry.scope} ${entry.of}, ${why}`)
        const erased = { index, entry }
        this.all.push(erased)
        this.names.add(scopeName(entry))
        if (entry.scope === 'session') this.ofSessions.add(entry.of)
        for (const slot of entry.slots) this.#bySlot.set(slot, [...(this.#bySlot.get(slot) ?? []), erased])
        return
      }
      default:
    }
  }

  /** An approval's exchange that was decided is not anybody's, whoever's it is. */
  #learn(entry: EntryOf<'decision'>): void {
    if (this.#erased.size === 0) return
    const scope = this.#scopes.of(entry)
    const isErased = scope !== undefined && this.#erased.has(scope)
    if (this.#asked.delete(entry.exchange) || isErased) this.#scopes.learn(entry)
  }

  /** To be asked after a second time through the entries. @returns the index of the entry that says that what this one disclosed under that slot was erased */
  by(index: number, entry: Entry, slot: number): number | undefined {
    const of = this.#bySlot.get(slot) ?? []
    return of.find(erased => erased.index > index && this.#scopes.mayBe(entry, scopeName(erased.entry)))?.index
  }

  /** Whether an entry says that this slot was erased. */
  isErased(slot: number): boolean {
    return this.#bySlot.has(slot)
  }

  /** @returns the index of the entry that says that whatever this one disclosed was erased, for who has no vault to look into */
  byScope(index: number, entry: Entry): number | undefined {
    return this.all.find(erased => erased.index > index && this.#scopes.of(entry) === scopeName(erased.entry))?.index
  }

  /** Whether an entry may say so: of an approval that nobody decided it cannot be told whose it was. */
  mayBeErased(index: number, entry: Entry): boolean {
    return this.all.some(erased => erased.index > index && this.#scopes.mayBe(entry, scopeName(erased.entry)))
  }

  #objection({ scope, of, by, approvers }: EntryOf<'erasure'>): string | undefined {
    const concerned = scope === 'principal' ? [of] : this.#sessions.get(of)
    if (concerned === undefined) return 'a session that no entry opened'
    if (scope === 'principal' && !this.#types.has(of)) return 'whom no entry names'
    return this.#objectionTo({ by, approvers }, concerned, scopeName({ scope, of }))
  }

  #objectionTo(
    { by, approvers }: Pick<EntryOf<'erasure'>, 'by' | 'approvers'>,
    concerned: readonly (string | undefined)[],
    what: ScopeName | 'ledger',
  ): string | undefined {
    const people = [by, ...approvers]
    if (approvers.length === 0) return 'and nobody has approved it'
    if (new Set(people).size !== people.length) return 'approved by who asked for it, or twice by one person'
    if (people.some(one => this.#types.get(one) !== 'person')) return 'by or with the approval of what is no person'
    if (people.some(one => concerned.includes(one))) return 'by or with the approval of whom it is about'
    for (const { scope: held, releasedBy } of this.#holds.values()) {
      if (held !== 'ledger' && held !== what) continue
      if (releasedBy === undefined) return 'under a hold'
      if (releasedBy === by) return 'by who released the hold on it'
    }
    return undefined
  }

  #invalid(index: number, what: string): void {
    this.findings.push({ code: 'ERASURE_UNAUTHORISED', what: `entry ${index} ${what}`, index })
  }
}
