/** Erases of an open directory ledger: one scope at a time, in the order of `erasure.ts`; and finishes what a kill left half done. */
import { join } from 'node:path'
import { LedgerError, Refusal } from '../errors.ts'
import type { Entry, EntryOf } from '../format/entry.ts'
import { attachmentFile, tileWidth } from '../format/layout.ts'
import { scopeName } from '../format/scope.ts'
import {
  type Begun,
  destroy,
  notedErasure,
  noteErasure,
  removeNote,
  slotOfAttachment,
  slotsInEntry,
  slotsOf,
  type WithSealed,
} from './erasure.ts'
import type { DraftOf, Erasure, Stored } from './ledger.ts'
import type { Publisher } from './publisher.ts'
import type { Recent } from './recent.ts'
import { readVaultBundle } from './stored-tiles.ts'
import type { Vault } from './vault.ts'

type Hold = EntryOf<'hold-placed'>

interface Parts {
  readonly directory: string
  readonly vault: Vault
  readonly recent: Recent
  readonly publisher: Publisher
  readonly entries: (from: number) => AsyncIterable<Stored>
  /** Durable entries. */
  readonly size: () => number
  /** Resolves when all that was appended by now is durable. @returns how many entries that is */
  readonly settled: () => Promise<number>
  readonly append: (drafts: readonly DraftOf<'erasure'>[]) => Promise<readonly Stored[]>
  readonly publish: () => Promise<unknown>
  /** Runs what writes: an error of it stops the ledger. */
  readonly guarded: <T>(work: () => Promise<T>) => Promise<T>
}

export class Eraser {
  readonly #parts: Parts
  /** Attachments that no entry speaks of yet, and the name that each is sealed under. */
  readonly #attaching = new Map<string, string>()
  /** Placed since this opening. */
  readonly #holds: { readonly index: number; readonly entry: Hold }[] = []
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** From now on nothing under that name is erased, until an entry speaks of the attachment. @returns a function that takes it back */
  attaching(id: string, name: string): () => void {
    this.#attaching.set(id, name)
    return () => void this.#attaching.delete(id)
  }

  /** To be told of every hold when it takes its place, before it is durable. */
  held(index: number, entry: Hold): void {
    this.#holds.push({ index, entry })
  }

  /** To be told of every entry that becomes durable. */
  see(entry: Entry): void {
    if (entry.kind === 'attachment') this.#attaching.delete(entry.attachment)
  }

  /** @throws as Ledger.erase */
  erase(erasure: Erasure): Promise<readonly Stored[]> {
    const erased = this.#turn.then(() => this.#erase(erasure))
    this.#turn = erased.catch(() => undefined)
    return erased
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

  async #erase({ basis, judgedAt, ...clear }: Erasure): Promise<readonly Stored[]> {
    const { directory, vault, size, append, publish, guarded } = this.#parts
    if (judgedAt !== undefined) await this.#requireUnheld(judgedAt, clear)
    const slots = await this.#slots(clear)
    const begun = { slots, size: size() }
    const drafts: DraftOf<'erasure'>[] = []
    for (let at = 0; at < slots.length; at += slotsInEntry) {
      drafts.push({ kind: 'erasure', ...clear, slots: slots.slice(at, at + slotsInEntry), disclose: { basis } })
    }
    await guarded(() => noteErasure(directory, begun))
    // From here to the append nothing is awaited: a hold stands before these entries, or comes too late.
    if (judgedAt !== undefined && this.#holds.some(hold => hold.index >= judgedAt && covers(hold.entry, clear))) {
      await guarded(() => removeNote(directory))
      throw underHold()
    }
    // Whatever goes by these keys still, under whatever name, stands before these entries too, and what follows has others.
    vault.names.forgetSlots(new Set(slots))
    const stored = await append(drafts)
    await publish()
    await guarded(() => this.#destroy(begun))
    return stored
  }

  /** @throws Refusal ERR_OBLIGATION_UNMET: of the openings before, too */
  async #requireUnheld(judgedAt: number, clear: Pick<Erasure, 'scope' | 'of'>): Promise<void> {
    for await (const { entry } of this.#parts.entries(judgedAt)) {
      if (entry.kind === 'hold-placed' && covers(entry, clear)) throw underHold()
    }
  }

  /** Those of the scope that are not erased yet, ascending. */
  async #slots(clear: Pick<Erasure, 'scope' | 'of'>): Promise<number[]> {
    const { directory, vault, settled } = this.#parts
    const name = scopeName(clear)
    const missing = (what: string) => new LedgerError('ERR_LEDGER_MISSING', what, { of: clear.of })
    if ([...this.#attaching.values()].includes(name)) {
      throw missing('a recording of what is to be erased is being written: wait for its end')
    }
    const latest = vault.names.forget(name)
    // What is sealed under keys of before, and is still on its way, is found once it is durable; what comes from now on has a key of its own.
    const end = await settled()
    const found = await slotsOf(name, () => this.#withSealed(end), {
      attached: id => slotOfAttachment(join(directory, attachmentFile(id))),
      isInUse: slot => vault.names.has(slot),
    })
    if (latest !== undefined) found.add(latest)
    const slots: number[] = []
    for (const slot of [...found].sort((a, b) => a - b)) if ((await vault.key(slot)) !== undefined) slots.push(slot)
    if (slots.length === 0) {
      throw missing('nothing of it is there to erase: none was recorded, or all was erased before')
    }
    return slots
  }

  async #destroy({ slots }: Begun): Promise<void> {
    const { directory, recent, publisher } = this.#parts
    const all = new Set(slots)
    recent.erase(all)
    // One that is under way may still write what was held a moment ago.
    await publisher.idle()
    await destroy(directory, all)
    await removeNote(directory)
  }

  /** @param end index behind the last one */
  async *#withSealed(end: number): AsyncGenerator<WithSealed> {
    const { directory, recent, entries } = this.#parts
    let read: { readonly n: number; readonly sealed: readonly Uint8Array[] } | undefined
    for await (const { index, entry } of entries(0)) {
      if (index >= end) return
      const held = recent.get(index)
      const n = Math.floor(index / tileWidth)
      if (held === undefined && read?.n !== n) read = { n, sealed: await readVaultBundle(directory, n, tileWidth) }
      yield { entry, sealed: (held ?? { sealed: read!.sealed[index % tileWidth]! }).sealed }
    }
  }
}

const covers = (hold: Hold, { scope, of }: Pick<Erasure, 'scope' | 'of'>): boolean =>
  hold.scope === 'ledger' || (hold.scope === scope && hold.of === of)

const underHold = () =>
  new Refusal('ERR_OBLIGATION_UNMET', 'a legal hold was placed on this meanwhile: it must be released first')
