/** A ledger in memory, behind the same port: the same entries and tree, and nothing that survives the process. For tests, and to try. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { type Clock, systemClock } from '../clock.ts'
import { Fault, LedgerError } from '../errors.ts'
import { type AttachmentHead, decodeAttachmentHead, openAttachment } from '../format/attachment.ts'
import type { Json } from '../format/canonical.ts'
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import { formatVersion, uuidv7 } from '../format/entry.ts'
import { Living } from '../format/living.ts'
import { scopeName } from '../format/scope.ts'
import { openDisclosure } from '../format/vault.ts'
import { SealedWriter } from './attachment.ts'
import { type NoteKey, noteKeyOf, sealCheckpoint, signCheckpoint } from './checkpoint.ts'
import { Followers } from './followers.ts'
import type { AttachmentWriter, AttachParts, Draft, Erasure, Ledger, Stored } from './ledger.ts'
import { type Prepared, Scribe } from './scribe.ts'
import { certifyNoteKey, type Sealer } from './sealer.ts'
import { SlotSearch } from './slot-search.ts'
import { Tree } from './tree.ts'
import { openDisclosures, SlotNames } from './vault.ts'

export interface MemoryOptions {
  readonly origin: string
  readonly writer: string
  /** Ed25519, private; a fresh one unless given. */
  readonly noteKey?: KeyObject
  readonly sealer?: Sealer
  readonly software?: string
  readonly placement?: 'gateway' | 'embedded'
  readonly clock?: Clock
}

/** Opens with the same entries as a directory does: `opened`, `started`. */
export async function openMemoryLedger(options: MemoryOptions): Promise<Ledger> {
  const { origin, sealer, software = 'counterfoil/memory', placement = 'embedded' } = options
  const noteKey = noteKeyOf(options.noteKey ?? generateKeyPairSync('ed25519').privateKey, origin)
  const ledger = new MemoryLedger(options, noteKey)
  const opened = { kind: 'opened', origin, format: formatVersion, noteKey: noteKey.verifierKey } as const
  const certified =
    sealer === undefined
      ? {}
      : { sealKey: sealer.fingerprint, certification: await certifyNoteKey(sealer, origin, noteKey.verifierKey) }
  await ledger.append([
    { ...opened, ...certified },
    { kind: 'started', software, placement, epoch: 1, interval: 0 },
  ])
  return ledger
}

class MemoryLedger implements Ledger {
  readonly origin: string
  readonly #noteKey: NoteKey
  readonly #sealer: Sealer | undefined
  readonly #scribe: Scribe
  readonly #tree = new Tree()
  readonly #items: Prepared[] = []
  /** Undefined once it was erased. */
  readonly #keys: (Uint8Array | undefined)[] = []
  readonly #attachments = new Map<string, Uint8Array[]>()
  readonly #names: SlotNames
  readonly #followers = new Followers()
  #closed: Promise<void> | undefined
  #fault: Fault | undefined

  constructor({ origin, writer, sealer, clock = systemClock }: MemoryOptions, noteKey: NoteKey) {
    this.origin = origin
    this.#noteKey = noteKey
    this.#sealer = sealer
    this.#names = new SlotNames(() => {
      const key = randomBytes(32)
      return { slot: this.#keys.push(key) - 1, key }
    })
    this.#scribe = new Scribe({ origin, writer, clock, seq: 0, slot: name => this.#names.get(name) })
  }

  get size(): number {
    return this.#items.length
  }

  async append(drafts: readonly Draft[]): Promise<readonly Stored[]> {
    if (this.#closed !== undefined) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
    return this.#append(drafts)
  }

  async *entries(from = 0): AsyncGenerator<Stored> {
    const end = this.size
    for (let index = from; index < end; index += 1) yield { index, entry: this.#items[index]!.entry }
  }

  async *state(): AsyncGenerator<Stored> {
    const living = new Living()
    for await (const stored of this.entries()) living.add(stored)
    yield* living.entries()
  }

  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    const item = this.#items[index]
    if (item === undefined) {
      throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} in a ledger of ${this.size}`)
    }
    return openDisclosures(this.origin, item.entry, item.sealed, slot => this.#keys[slot])
  }

  async attach({ slot: name }: AttachParts): Promise<AttachmentWriter> {
    if (this.#closed !== undefined) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
    const id = uuidv7(Date.now())
    const pieces: Uint8Array[] = []
    this.#attachments.set(id, pieces)
    const medium = {
      append: async (bytes: Uint8Array) => void pieces.push(bytes),
      finish: async () => undefined,
      abandon: async () => undefined,
    }
    return new SealedWriter({ ...this.#names.get(name), origin: this.origin, id, medium })
  }

  async *attachment(id: string): AsyncGenerator<Uint8Array> {
    const pieces = this.#attachments.get(id)
    if (pieces === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment')
    const key = async ({ slot }: AttachmentHead) => {
      const found = this.#keys[slot]
      if (found === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'the attachment was erased')
      return found
    }
    yield* openAttachment({ origin: this.origin, id }, Readable.from(pieces), key)
  }

  async erase({ basis, judgedAt: _, ...clear }: Erasure): Promise<readonly Stored[]> {
    if (this.#closed !== undefined) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
    const name = scopeName(clear)
    const items = this.#items
    const attached = async (id: string) => {
      const [head] = this.#attachments.get(id) ?? []
      return head === undefined ? undefined : decodeAttachmentHead(head)
    }
    const all = async function* () {
      for (const [index, { entry, sealed }] of items.entries()) yield { index, entry, sealed }
    }
    const search = new SlotSearch(name, {
      open: async ({ id }, { slot, box }) => {
        const key = this.#keys[slot]
        return key === undefined ? undefined : openDisclosure(key, this.origin, id, box)
      },
      attached,
      isUnder: async () => true,
      isInUse: slot => this.#names.has(slot),
      mayDecide: () => false,
      written: () => [],
      begun: async () => [],
    })
    await search.look(all)
    const found = await search.conclude(all)
    const latest = this.#names.forget(name)
    if (latest !== undefined) found.add(latest)
    const slots = [...found].filter(slot => this.#keys[slot] !== undefined).sort((a, b) => a - b)
    if (slots.length === 0)
      throw new LedgerError('ERR_LEDGER_MISSING', 'nothing of it is there to erase', { of: clear.of })
    const stored = this.#append([{ kind: 'erasure', ...clear, slots, disclose: { basis } }])
    for (const slot of slots) this.#keys[slot] = undefined
    return stored
  }

  follow(listener: (stored: Stored) => void): () => void {
    return this.#followers.add(listener)
  }

  async publish(): Promise<SignedCheckpoint> {
    return signCheckpoint({ origin: this.origin, size: this.size, root: this.#tree.root() }, this.#noteKey)
  }

  async seal(): Promise<SignedCheckpoint> {
    const published = await this.publish()
    return this.#sealer === undefined ? published : sealCheckpoint(published, this.#sealer)
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      if (this.#fault === undefined) this.#append([{ kind: 'stopped' }])
    })()
    return this.#closed
  }

  #append(drafts: readonly Draft[]): Stored[] {
    if (this.#fault !== undefined) throw this.#fault
    const items = this.#scribe.prepare(drafts)
    const stored = items.map((item, i) => ({ index: this.size + i, entry: item.entry }))
    for (const item of items) {
      this.#tree.append(item.leaf)
      this.#items.push(item)
    }
    try {
      for (const each of stored) this.#followers.tell(each)
    } catch (error) {
      this.#fault = new Fault('ERR_LEDGER_UNAVAILABLE', 'what follows the ledger failed', {}, error)
    }
    return stored
  }
}
