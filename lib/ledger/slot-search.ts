/**
 * Under which slots anything of a scope is sealed, in whatever opening of the ledger. What the
 * vault says of that is no word of the ledger's: a slot counts where its key opens what the entry
 * commits to, and each disclosure is to have one.
 */
import { isOurs, LedgerError } from '../errors.ts'
import type { Json } from '../format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../format/disclosure.ts'
import type { Entry } from '../format/entry.ts'
import { type ScopeName, Scopes, scopeName } from '../format/scope.ts'
import { decodeSealed, type SealedDisclosure } from '../format/vault.ts'
import type { Begun } from './attaching.ts'

export interface WithSealed {
  readonly index: number
  readonly entry: Entry
  readonly sealed: Uint8Array
}

/** An attachment that is being written, or that no entry speaks of yet. */
export type Unspoken = Pick<Begun, 'of' | 'writer'>

export interface SearchParts {
  /** What an entry discloses in one place, encoded; undefined where its key is gone. @throws LedgerError where it does not open */
  readonly open: (entry: Entry, place: SealedDisclosure) => Promise<string | undefined>
  /** The slot of an attachment; undefined where its file is gone. */
  readonly attached: (id: string) => Promise<number | undefined>
  /**
   * Whether an attachment opens under the key of a slot, or that is gone. @param sealed digest of the
   * whole file, where its key is with its readers
   */
  readonly isUnder: (id: string, slot: number, sealed: string | undefined) => Promise<boolean>
  /** Whether a slot is the one that another name has now: it is that name's alone, whatever its entries leave open. */
  readonly isInUse: (slot: number) => boolean
  /** Whether a writer may still decide what it asked an approval for: until then it cannot be told whose that is. */
  readonly mayDecide: (writer: string) => boolean
  /** Attachments that are being written. */
  readonly written: () => Iterable<Unspoken>
  /** Those that were noted, and that no entry speaks of. */
  readonly begun: () => Promise<readonly Begun[]>
}

export class SlotSearch {
  readonly #name: ScopeName
  readonly #parts: SearchParts
  readonly #scopes = new Scopes()
  readonly #destroyed = new Destroyed(this.#scopes)
  readonly #own = new Set<number>()
  readonly #others = new Set<number>()
  readonly #perhaps = new Set<number>()
  /** Of which it cannot be told yet whose it is: who asked may still decide. */
  #open: WithSealed[] = []

  constructor(name: ScopeName, parts: SearchParts) {
    this.#name = name
    this.#parts = parts
  }

  /**
   * Looks through entries, in order; what came since they were read, another time.
   * @param entries read twice. @throws LedgerError ERR_LEDGER_CORRUPT where the vault holds something else
   */
  async look(entries: () => AsyncIterable<WithSealed>): Promise<void> {
    for await (const { index, entry } of entries()) {
      this.#scopes.learn(entry)
      this.#destroyed.learn(index, entry)
    }
    for (const one of this.#open.splice(0)) await this.#sort(one)
    for await (const one of entries()) await this.#sort(one)
  }

  /** Of entries that were not looked through yet: whose exchanges are. */
  learn(entry: Entry): void {
    this.#scopes.learn(entry)
  }

  /** Whether an attachment is of this scope, as far as was learned. */
  isOwn({ of, writer }: Unspoken): boolean {
    return this.#scopes.of({ kind: 'attachment', ...of, writer } as Entry) === this.#name
  }

  /**
   * @param entries all that were looked through
   * @throws LedgerError ERR_LEDGER_MISSING where an attachment of that scope is being written
   * @throws LedgerError ERR_LEDGER_INCONSISTENT where a slot is shared with what is of another scope: it cannot be erased alone
   */
  async conclude(entries: () => AsyncIterable<WithSealed>): Promise<Set<number>> {
    const { open, isInUse, written, begun } = this.#parts
    // That others are under one of these too is to be as true.
    const shared = new Set([...this.#own, ...this.#perhaps].filter(slot => this.#others.has(slot)))
    if (shared.size > 0) {
      for await (const one of entries()) {
        const isShared = decodeSealed(one.sealed).sealed.some(({ slot }) => shared.has(slot))
        if (isShared) await placesOf(one, this.#destroyed, open)
      }
    }
    const unspoken = await begun()
    for (const one of written()) if (this.isOwn(one)) throw beingWritten(this.#name, one.writer)
    // Whoever wrote these is gone: the next opening would tell of them.
    for (const one of unspoken) if (this.isOwn(one)) this.#own.add(one.slot)
    for (const slot of this.#perhaps) if (!this.#others.has(slot) && !isInUse(slot)) this.#own.add(slot)
    if ([...this.#own].some(slot => this.#others.has(slot))) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'what is to be erased is sealed under a key that others share', {
        of: this.#name,
      })
    }
    return this.#own
  }

  async #sort(one: WithSealed): Promise<void> {
    const { open, attached, isUnder, mayDecide } = this.#parts
    const { index, entry, sealed } = one
    const belongs = this.#scopes.of(entry) === this.#name
    const isOpen = !belongs && this.#scopes.mayBe(entry, this.#name)
    if (isOpen && mayDecide(entry.writer)) {
      this.#open.push(one)
      return
    }
    if (!belongs && !isOpen) {
      for (const { slot } of decodeSealed(sealed).sealed) this.#others.add(slot)
      return
    }
    const { slots, values } = await placesOf(one, this.#destroyed, open)
    for (const slot of slots) (belongs ? this.#own : this.#perhaps).add(slot)
    if (belongs && entry.kind === 'attachment-cut' && entry.under !== undefined) this.#own.add(entry.under)
    if (!belongs || entry.kind !== 'attachment') return
    const slot = await attached(entry.attachment)
    if (slot === undefined || slots.includes(slot)) return
    const digest = values.get('sealed')
    if (!(await isUnder(entry.attachment, slot, typeof digest === 'string' ? digest : undefined))) throw altered(index)
    this.#own.add(slot)
  }
}

/** Which slots entries say were erased, so that their keys are missed by nobody. */
class Destroyed {
  readonly #scopes: Scopes
  readonly #bySlot = new Map<number, { readonly index: number; readonly name: ScopeName }[]>()
  #carried = 0

  constructor(scopes: Scopes) {
    this.#scopes = scopes
  }

  learn(index: number, entry: Entry): void {
    if (entry.kind === 'continued') this.#carried = index + entry.carried
    if (entry.kind !== 'erasure') return
    for (const slot of entry.slots) {
      const by = this.#bySlot.get(slot) ?? []
      this.#bySlot.set(slot, by)
      by.push({ index, name: scopeName(entry) })
    }
  }

  /** Whether what an entry disclosed under that slot was erased. */
  has(index: number, entry: Entry, slot: number): boolean {
    return this.#bySlot.get(slot)?.some(by => by.index > index && this.#scopes.mayBe(entry, by.name)) === true
  }

  /** Whether what it discloses may have been lost when it was said again; who somebody is was not. */
  mayBeLost(index: number, { kind }: Entry): boolean {
    return index <= this.#carried && kind !== 'principal'
  }
}

/** @throws LedgerError ERR_LEDGER_CORRUPT where that is not what the entry commits to, less what was erased */
async function placesOf(
  { index, entry, sealed }: WithSealed,
  destroyed: Destroyed,
  open: SearchParts['open'],
): Promise<{ readonly slots: readonly number[]; readonly values: ReadonlyMap<string, Json> }> {
  const wanted = new Set(entry.sd ?? [])
  const places = decodeSealed(sealed).sealed
  const values = new Map<string, Json>()
  for (const place of places) {
    const encoded = await open(entry, place).catch(error => {
      if (!isOurs(error) || error.code !== 'ERR_DISCLOSURE_MISMATCH') throw error
      throw altered(index)
    })
    if (encoded === undefined && destroyed.has(index, entry, place.slot)) continue
    if (encoded === undefined || !wanted.delete(disclosureDigest(encoded))) throw altered(index)
    const { name, value } = decodeDisclosure(encoded)
    values.set(name, value)
  }
  const isWhole = places.length === (entry.sd?.length ?? 0)
  if (!isWhole && !(places.length === 0 && destroyed.mayBeLost(index, entry))) throw altered(index)
  return { slots: places.map(({ slot }) => slot), values }
}

const altered = (index: number) =>
  new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `the vault does not hold what entry ${index} commits to, and nothing was erased: bring vault/ back from a copy, and erase then`,
    { index },
  )

export const beingWritten = (of: ScopeName, writer: string): LedgerError =>
  new LedgerError(
    'ERR_LEDGER_MISSING',
    `a recording of what is to be erased is being written by ${writer}, or was and nothing spoke of it yet: wait for that, or stop that process`,
    { of },
  )
