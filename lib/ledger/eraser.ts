/** Erases of an open directory ledger: one scope at a time, in the order of `erasure.ts`; and finishes what a kill left half done. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Fault, isOurs, LedgerError, Refusal } from '../errors.ts'
import { openAttachment } from '../format/attachment.ts'
import { Concerned, coveredBy, holdOn } from '../format/concerned.ts'
import type { Entry } from '../format/entry.ts'
import { attachmentFile, tileWidth } from '../format/layout.ts'
import { type ScopeName, scopeName } from '../format/scope.ts'
import { openDisclosure } from '../format/vault.ts'
import type { Begun } from './attaching.ts'
import { readAttachmentFile } from './attachment-file.ts'
import {
  type BegunErasure,
  destroy,
  notedErasure,
  noteErasure,
  removeNote,
  requireInPlace,
  slotOfAttachment,
  slotsInEntry,
} from './erasure.ts'
import type { AttachedOf, DraftOf, Erasure, Stored } from './ledger.ts'
import type { Publisher } from './publisher.ts'
import type { Recent } from './recent.ts'
import { beingWritten, SlotSearch, type Unspoken, type WithSealed } from './slot-search.ts'
import { readVaultBundle } from './stored-tiles.ts'
import type { Vault } from './vault.ts'

interface Parts {
  readonly directory: string
  readonly origin: string
  readonly vault: Vault
  readonly recent: Recent
  readonly publisher: Publisher
  readonly entries: (from: number) => AsyncIterable<Stored>
  /** Durable entries. */
  readonly size: () => number
  /** Resolves when all that was appended by now is durable. @returns how many entries that is */
  readonly settled: () => Promise<number>
  readonly mayDecide: (writer: string) => boolean
  /** Attachments that were noted before they were written, and that no entry speaks of. */
  readonly noted: () => Promise<readonly Begun[]>
  readonly append: (drafts: readonly DraftOf<'erasure'>[]) => Promise<readonly Stored[]>
  readonly publish: () => Promise<unknown>
  /** Runs what writes: an error of it stops the ledger. */
  readonly guarded: <T>(work: () => Promise<T>) => Promise<T>
}

interface Attached {
  /** The name that it is sealed under. */
  readonly name: string
  /** Undefined where whoever attaches it does not say. */
  readonly of: AttachedOf | undefined
  readonly writer: string
}

/** What came while it was looked for what is to be erased is looked through too, until it is but this little; so often at the most. */
const fewEntries = 4096
const mostLooks = 8

export class Eraser {
  readonly #parts: Parts
  /** Attachments that are being written, or that no entry speaks of yet though whoever wrote them is there. */
  readonly #attaching = new Map<string, Attached>()
  /** Of the erasure that is judged just now: to be told of what comes meanwhile. */
  #judgement: Judgement | undefined
  /** Decisions that came while it was looked for what is to be erased. */
  #decided: Entry[] | undefined
  #closed = false
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** From now on nothing of what it is of is erased, until an entry speaks of the attachment. @returns a function that takes it back */
  attaching(id: string, attached: Attached): () => void {
    this.#attaching.set(id, attached)
    return () => this.forget(id)
  }

  /** No entry will speak of it. */
  forget(id: string): void {
    this.#attaching.delete(id)
  }

  /** To be told of every entry when it takes its place, before it is durable. */
  coming(entry: Entry): void {
    this.#judgement?.see(entry)
    if (entry.kind === 'decision') this.#decided?.push(entry)
  }

  /** To be told of every entry that becomes durable. */
  see(entry: Entry): void {
    if (entry.kind === 'attachment') this.#attaching.delete(entry.attachment)
  }

  /** @param isHeld whether it is held from elsewhere: asked last, before anything is done. @throws as Ledger.erase */
  erase(erasure: Erasure, isHeld = async () => false): Promise<readonly Stored[]> {
    const erased = this.#turn
      .then(() => this.#erase(erasure, isHeld))
      .finally(() => {
        this.#judgement = undefined
        this.#decided = undefined
      })
    this.#turn = erased.catch(() => undefined)
    return erased
  }

  /**
   * What is being looked for is erased no more; what was said to be erased is, first. Resolves when nothing is touched by it any more.
   */
  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
  }

  /** Runs what may not go on while something is erased. */
  apart<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }

  /** What was being erased when the ledger was last open is, where an entry came to say so; else nothing of it was done. */
  async finish(): Promise<void> {
    const { directory, entries } = this.#parts
    const begun = await notedErasure(directory)
    if (begun === undefined) return
    const said = new Set<number>()
    for await (const { entry } of entries(begun.size)) {
      if (entry.kind === 'erasure') for (const slot of entry.slots) said.add(slot)
    }
    if (begun.slots.every(slot => said.has(slot))) await this.#destroy(begun)
    else await removeNote(directory)
  }

  async #erase({ basis, judgedAt, ...clear }: Erasure, isHeld: () => Promise<boolean>): Promise<readonly Stored[]> {
    const { directory, vault, size, append, publish, guarded } = this.#parts
    // Before what is read stumbles over it, with no word of where.
    await requireInPlace(directory)
    const judgement = judgedAt === undefined ? undefined : await this.#judge(clear, judgedAt)
    this.#decided = []
    const { slots, search } = await this.#slots(clear)
    const begun = { slots, size: size() }
    const drafts: DraftOf<'erasure'>[] = []
    for (let at = 0; at < slots.length; at += slotsInEntry) {
      drafts.push({ kind: 'erasure', ...clear, slots: slots.slice(at, at + slotsInEntry), disclose: { basis } })
    }
    if (await isHeld()) throw underHold()
    const requireStill = () => {
      judgement?.require()
      for (const entry of this.#decided?.splice(0) ?? []) search.learn(entry)
      this.#requireNone(scopeName(clear), search)
      this.#requireOpen()
    }
    requireStill()
    await guarded(() => noteErasure(directory, begun))
    // From here to the append nothing is awaited: a hold, or a recording under one of these keys,
    // stands before these entries, or comes too late.
    try {
      requireStill()
    } catch (error) {
      await guarded(() => removeNote(directory))
      throw error
    }
    // Whatever goes by these keys still, under whatever name, stands before these entries too, and what follows has others.
    vault.names.forgetSlots(new Set(slots))
    const stored = await append(drafts)
    await publish()
    await guarded(() => this.#destroy(begun))
    return stored
  }

  /** @returns what has come since it was judged, and is told of what comes from now on. @throws Refusal as Judgement.require */
  async #judge(scope: Pick<Erasure, 'scope' | 'of'>, judgedAt: number): Promise<Judgement> {
    const judgement = new Judgement(scope)
    this.#judgement = judgement
    // What took its place before this looked is durable by then; of what comes later this is told.
    await this.#parts.settled()
    for await (const { index, entry } of this.#parts.entries(0)) {
      this.#requireOpen()
      if (index < judgedAt) judgement.before.learn(entry)
      else judgement.see(entry)
    }
    judgement.require()
    return judgement
  }

  /** @returns those of the scope that are not erased yet, ascending */
  async #slots(
    clear: Pick<Erasure, 'scope' | 'of'>,
  ): Promise<{ readonly slots: readonly number[]; readonly search: SlotSearch }> {
    const { vault, settled } = this.#parts
    const name = scopeName(clear)
    this.#requireNone(name)
    const latest = vault.names.forget(name)
    const search = this.#searchOf(name)
    // What is sealed under keys of before, and is still on its way, is found once it is durable; what comes from now on
    // has a key of its own, but for what other hosts say, which has keys of its own: of that all is looked through but
    // the little that comes during the last look.
    let end = 0
    for (let from = 0, looks = 0; looks === 0 || (end - from > fewEntries && looks < mostLooks); looks += 1) {
      from = end
      const until = await settled()
      const begin = from
      await search.look(() => this.#withSealed(begin, until))
      end = until
    }
    const found = await search.conclude(() => this.#withSealed(0, end))
    // What came meanwhile stands before what says that it is erased, too.
    for (const one of [latest, vault.names.slotOf(name)]) if (one !== undefined) found.add(one)
    const slots: number[] = []
    for (const slot of [...found].sort((a, b) => a - b)) if ((await vault.key(slot)) !== undefined) slots.push(slot)
    if (slots.length > 0) return { slots, search }
    throw new LedgerError(
      'ERR_LEDGER_MISSING',
      'nothing of it is there to erase: none was recorded, or all was erased before',
      { of: clear.of },
    )
  }

  #searchOf(name: ScopeName): SlotSearch {
    const { directory, origin, vault, mayDecide, noted } = this.#parts
    return new SlotSearch(name, {
      open: async (entry, { slot, box }) => {
        const key = await vault.key(slot)
        return key === undefined ? undefined : openDisclosure(key, origin, entry.id, box)
      },
      attached: id => slotOfAttachment(join(directory, attachmentFile(id))),
      isUnder: (id, slot, sealed) => this.#isUnder(id, slot, sealed),
      isInUse: slot => vault.names.has(slot),
      mayDecide,
      written: () => this.#written(),
      begun: noted,
    })
  }

  /** An attachment that is empty holds nothing that is to be erased. */
  async #isUnder(id: string, slot: number, sealed: string | undefined): Promise<boolean> {
    const { directory, origin, vault } = this.#parts
    const key = await vault.key(slot)
    if (key === undefined) return true
    if (sealed !== undefined) {
      const digest = createHash('sha256')
      for await (const piece of readAttachmentFile(directory, id)) digest.update(piece)
      return digest.digest('base64url') === sealed
    }
    try {
      for await (const _ of openAttachment({ origin, id }, readAttachmentFile(directory, id), async () => key)) break
      return true
    } catch (error) {
      if (!isOurs(error) || error.code !== 'ERR_DISCLOSURE_MISMATCH') throw error
      return false
    }
  }

  *#written(): Generator<Unspoken> {
    for (const { of, writer } of this.#attaching.values()) if (of !== undefined) yield { of, writer }
  }

  /**
   * That no recording of it is being written. Whose one is outside of sessions, the decision of its exchange says;
   * where none came yet, all that will tell stands behind what says that this was erased.
   * @throws LedgerError ERR_LEDGER_MISSING
   */
  #requireNone(name: ScopeName, search?: SlotSearch): void {
    for (const { name: under, of, writer } of this.#attaching.values()) {
      const isOwn =
        of?.session === undefined ? of !== undefined && search?.isOwn({ of, writer }) : name === `session:${of.session}`
      if (under === name || isOwn === true) throw beingWritten(name, writer)
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  #requireOpen(): void {
    if (this.#closed) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed, and nothing of this was erased')
  }

  async #destroy({ slots }: BegunErasure): Promise<void> {
    const { directory, recent, publisher } = this.#parts
    const all = new Set(slots)
    recent.erase(all)
    // One that is under way may still write what was held a moment ago; one that came meanwhile would remove what is being rewritten.
    await publisher.alone(() => destroy(directory, all))
    await removeNote(directory)
  }

  /** @param end index behind the last one */
  async *#withSealed(from: number, end: number): AsyncGenerator<WithSealed> {
    const { directory, recent, entries } = this.#parts
    let read: { readonly n: number; readonly sealed: readonly Uint8Array[] } | undefined
    for await (const { index, entry } of entries(from)) {
      this.#requireOpen()
      if (index >= end) return
      const held = recent.get(index)
      const n = Math.floor(index / tileWidth)
      if (held === undefined && read?.n !== n) read = { n, sealed: await readVaultBundle(directory, n, tileWidth) }
      yield { index, entry, sealed: (held ?? { sealed: read!.sealed[index % tileWidth]! }).sealed }
    }
  }
}

/** What has come since somebody judged that something may be erased: two that share a ledger may be asked for both at once. */
class Judgement {
  readonly before: Concerned
  readonly #since: Concerned
  readonly #name: ScopeName
  /** What holds were placed on. */
  readonly #held = new Set<ScopeName | 'ledger'>()

  constructor(scope: Pick<Erasure, 'scope' | 'of'>) {
    this.before = new Concerned(scope)
    this.#since = new Concerned(scope)
    this.#name = scopeName(scope)
  }

  see(entry: Entry): void {
    if (entry.kind === 'hold-placed') this.#held.add(holdOn(entry))
    this.#since.learn(entry)
  }

  /** @throws Refusal ERR_OBLIGATION_UNMET for a hold, ERR_ACCESS_DENIED where it has come to concern somebody who was not asked about */
  require(): void {
    const [before, since] = [this.before.people, this.#since.people]
    const covered = coveredBy(this.#name, [...before, ...since])
    for (const on of this.#held) if (covered.has(on)) throw underHold()
    for (const one of since) {
      if (before.has(one)) continue
      throw new Refusal('ERR_ACCESS_DENIED', 'meanwhile this has come to concern somebody else too')
    }
  }
}

const underHold = () =>
  new Refusal('ERR_OBLIGATION_UNMET', 'a legal hold was placed on this meanwhile: it must be released first')
