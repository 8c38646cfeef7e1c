/**
 * What an erasure explains: of its own scope and slots the disclosures that are gone, and no others. Whose something is
 * may be known only later than it is written, by what its exchange was decided to be: so entries are told twice.
 */
import type { Entry, EntryOf } from '../lib/format/entry.ts'
import { type ScopeName, Scopes, scopeName } from '../lib/format/scope.ts'

export interface ErasedScope {
  /** Of the `erasure` entry. */
  readonly index: number
  readonly entry: EntryOf<'erasure'>
}

/** Milliseconds before an erasure within which what comes may not be found any more: all of the ledger is read for it. */
const meanwhileMs = 60_000

/** Entries that are kept of one slot's destruction. */
const mostOfSlot = 16
const mostOfScope = 16

const asked = ({ writer, exchange }: EntryOf<'approval-requested' | 'decision'>) => `${exchange} ${writer}`

export class Alibis {
  /** Of these alone it is kept which exchanges are theirs. */
  readonly #erased: ReadonlySet<ScopeName>
  readonly #all: ErasedScope[] = []
  readonly #bySlot = new Map<number, ErasedScope[]>()
  readonly #byScope = new Map<ScopeName, readonly ErasedScope[]>()
  readonly #scopes = new Scopes()
  /** Exchanges for which an approval was asked, and which who asked has not decided. */
  readonly #asked = new Set<string>()
  /** Index of the first decision of an exchange by who wrote it. */
  readonly #decided = new Map<string, number>()

  constructor(erased: ReadonlySet<ScopeName>) {
    this.#erased = erased
  }

  /** In index order. */
  add(index: number, entry: Entry): void {
    if (entry.kind === 'erasure') this.#erase({ index, entry })
    else if (this.#erased.size === 0) return
    else if (entry.kind === 'approval-requested') this.#asked.add(asked(entry))
    else if (entry.kind === 'decision') this.#learn(index, entry)
  }

  #erase(erased: ErasedScope): void {
    this.#all.push(erased)
    this.#remember(erased)
    for (const slot of new Set(erased.entry.slots)) this.#destroyedBy(slot).push(erased)
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

  /** An approval's exchange that was decided is not anybody's, whoever's it is. */
  #learn(index: number, entry: EntryOf<'decision'>): void {
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
    return entry.kind === 'approval-requested' && this.#all.some(mayBe)
  }
}
