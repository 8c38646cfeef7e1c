/** Where disclosures' keys live: slots, generated and synced ahead in batches of one small file, erasable in place. */
import { closeSync, constants, existsSync, fsyncSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Fault, LedgerError } from '../errors.ts'
import type { Json } from '../format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../format/disclosure.ts'
import type { Entry } from '../format/entry.ts'
import { slotFile, slotsInFile } from '../format/layout.ts'
import { createSlot, decodeSealed, openDisclosure, openSlot, slotBytes } from '../format/vault.ts'
import { readIfThere, replaceFiles, requireOwnFolder } from './files.ts'

export interface SlotKey {
  readonly slot: number
  readonly key: Uint8Array
}

/** Gives each name a slot, and remembers the latest. An evicted name gets a new one: entries name their slots themselves. */
export class SlotNames {
  readonly #names = new Map<string, SlotKey>()
  readonly #take: () => SlotKey
  static readonly most = 10_000

  constructor(take: () => SlotKey) {
    this.#take = take
  }

  get(name: string): SlotKey {
    let found = this.#names.get(name)
    if (found === undefined) {
      if (this.#names.size >= SlotNames.most) this.#names.delete(this.#names.keys().next().value!)
      found = this.#take()
      this.#names.set(name, found)
    }
    return found
  }

  /** The one that a name has now. */
  slotOf(name: string): number | undefined {
    return this.#names.get(name)?.slot
  }

  /** Whoever comes under that name gets another slot. @returns the one that it had, which is still to be erased */
  forget(name: string): number | undefined {
    const found = this.#names.get(name)
    this.#names.delete(name)
    return found?.slot
  }

  /** As forget, for whoever has one of these now. */
  forgetSlots(slots: ReadonlySet<number>): void {
    for (const [name, { slot }] of this.#names) if (slots.has(slot)) this.#names.delete(name)
  }

  /** Whether a scope has this slot now. What is of one exchange (`exchange:ID`) is of no scope by itself. */
  has(slot: number): boolean {
    return [...this.#names].some(([name, one]) => one.slot === slot && !name.startsWith('exchange:'))
  }
}

export interface VaultParts {
  readonly directory: string
  readonly origin: string
  readonly wrappingKey: Uint8Array
  /** A batch could not be written: the ledger must stop. */
  readonly onFault: (error: unknown) => void
}

interface Batch {
  readonly path: string
  readonly bytes: Buffer
  readonly slots: readonly SlotKey[]
}

/** The slots of one directory. Each opening starts at a fresh batch, so that no slot is ever given out twice. */
export class Vault {
  readonly #parts: VaultParts
  readonly #free: SlotKey[] = []
  #next: number
  /** A batch that is being written ahead, and is not durable yet. */
  #coming: Batch | undefined
  #ahead: Promise<void> | undefined
  #closed = false
  readonly names = new SlotNames(() => this.#take())

  private constructor(parts: VaultParts, next: number) {
    this.#parts = parts
    this.#next = next
  }

  static async open(parts: VaultParts): Promise<Vault> {
    const vault = new Vault(parts, firstUnused(parts.directory) * slotsInFile)
    await vault.#generate()
    return vault
  }

  /** @returns the key, or undefined where the slot was erased. @throws LedgerError ERR_DISCLOSURE_MISMATCH */
  async key(slot: number): Promise<Uint8Array | undefined> {
    const { directory, origin, wrappingKey } = this.#parts
    const file = await readIfThere(join(directory, slotFile(slot)))
    const at = (slot % slotsInFile) * slotBytes
    if (file === undefined || file.length < at + slotBytes) throw mismatch('a slot of the vault is missing')
    return openSlot(wrappingKey, origin, slot, file.subarray(at, at + slotBytes))
  }

  /**
   * No slot is given out from then on: who opens the ledger next begins a batch where this one
   * would. Waits for a batch that is being written.
   */
  async close(): Promise<void> {
    this.#closed = true
    await this.#ahead
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  #take(): SlotKey {
    if (this.#closed) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
    // Seldom: names came faster than a batch could be synced. An append may not wait here, or it would lose its place.
    if (this.#free.length === 0) this.#generateNow()
    const taken = this.#free.shift()!
    if (this.#free.length < slotsInFile / 2 && this.#ahead === undefined) {
      this.#ahead = this.#generate()
        .catch(this.#parts.onFault)
        .finally(() => {
          this.#ahead = undefined
        })
    }
    return taken
  }

  #batch(): Batch {
    const { directory, origin, wrappingKey } = this.#parts
    const first = this.#next
    // Writing over keys would erase what they opened.
    if (existsSync(join(directory, slotFile(first)))) {
      throw new LedgerError('ERR_LEDGER_CORRUPT', 'the vault holds a batch of slots that was to be made')
    }
    this.#next += slotsInFile
    const made = Array.from({ length: slotsInFile }, (_, i) => createSlot(wrappingKey, origin, first + i))
    return {
      path: slotFile(first),
      bytes: Buffer.concat(made.map(({ bytes }) => bytes)),
      slots: made.map(({ key }, i) => ({ slot: first + i, key })),
    }
  }

  async #generate(): Promise<void> {
    const batch = this.#batch()
    this.#coming = batch
    await replaceFiles(this.#parts.directory, [[batch.path, batch.bytes]], 'closed')
    this.#arrive(batch)
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE: the ledger must stop, as after any write that failed */
  #generateNow(): void {
    try {
      // A batch that is on its way is not passed by: were it never to arrive, a gap would stay, and the next opening begin within it.
      const batch = this.#coming ?? this.#batch()
      requireOwnFolder(this.#parts.directory, dirname(batch.path))
      writeNow(join(this.#parts.directory, batch.path), batch.bytes)
      this.#coming = batch
      this.#arrive(batch)
    } catch (error) {
      this.#parts.onFault(error)
      throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the keys of disclosures could not be written', {}, error)
    }
  }

  #arrive(batch: Batch): void {
    if (this.#coming !== batch) return
    this.#coming = undefined
    this.#free.push(...batch.slots)
  }
}

/** Writes a file, its folder made where there is none; all of it durable on return. */
function writeNow(path: string, bytes: Uint8Array): void {
  const first = mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  syncNow(path, writing, bytes)
  for (let made = dirname(path); ; made = dirname(made)) {
    syncNow(made, constants.O_RDONLY)
    if (first === undefined || made === dirname(first)) return
  }
}

/** Not waiting: a named pipe laid there meanwhile would hold the process. */
const writing = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW | constants.O_NONBLOCK

function syncNow(path: string, flags: number, bytes?: Uint8Array): void {
  const descriptor = openSync(path, flags, 0o600)
  try {
    // All of it: one write may take less than it is given.
    if (bytes !== undefined) writeFileSync(descriptor, bytes)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** The first batch with no file: found by doubling, then halving, since batches leave no gap. */
function firstUnused(directory: string): number {
  const used = (batch: number) => existsSync(join(directory, slotFile(batch * slotsInFile)))
  let above = 1
  if (!used(0)) return 0
  while (used(above)) above *= 2
  let below = above / 2
  while (above - below > 1) {
    const middle = Math.floor((above + below) / 2)
    if (used(middle)) below = middle
    else above = middle
  }
  return above
}

type KeyOf = (slot: number) => Promise<Uint8Array | undefined> | Uint8Array | undefined

/** One entry's disclosures, opened: names whose slot was erased are absent. @throws as encodedDisclosures */
export async function openDisclosures(
  origin: string,
  entry: Entry,
  sealed: Uint8Array,
  key: KeyOf,
): Promise<Record<string, Json>> {
  const opened: Record<string, Json> = {}
  for (const encoded of await encodedDisclosures(origin, entry, sealed, key)) {
    const { name, value } = decodeDisclosure(encoded)
    Object.defineProperty(opened, name, { value, enumerable: true, configurable: true, writable: true })
  }
  return opened
}

/**
 * As they are committed to, salts and all; without those whose slot was erased.
 * @throws LedgerError ERR_DISCLOSURE_MISMATCH: not what the entry committed to
 */
export async function encodedDisclosures(
  origin: string,
  entry: Entry,
  sealed: Uint8Array,
  key: KeyOf,
): Promise<readonly string[]> {
  const all: string[] = []
  for (const { slot, box } of decodeSealed(sealed).sealed) {
    const slotKey = await key(slot)
    if (slotKey === undefined) continue
    const encoded = openDisclosure(slotKey, origin, entry.id, box)
    if (!entry.sd?.includes(disclosureDigest(encoded))) throw mismatch('a disclosure that its entry does not commit to')
    all.push(encoded)
  }
  return all
}

const mismatch = (what: string) => new LedgerError('ERR_DISCLOSURE_MISMATCH', what)
