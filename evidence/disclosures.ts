/**
 * Opens the disclosures of a ledger's vault, and matches each with the digest in its entry's `sd`: one that does not match is a failure,
 * and so is one that is missing, unless an entry says that it was erased.
 */
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../lib/errors.ts'
import type { Json } from '../lib/format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../lib/format/disclosure.ts'
import type { Entry } from '../lib/format/entry.ts'
import { erasingFile, slotsInFile, tileFill, tileWidth, vaultBundle } from '../lib/format/layout.ts'
import {
  decodeSealed,
  isErased,
  openDisclosure,
  openSlot,
  type SealedDisclosure,
  slotBytes,
} from '../lib/format/vault.ts'
import type { Alibis } from './alibis.ts'
import { type Finding, unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

/** What an entry committed to, opened: name to value, and the encoded disclosure that proves it. */
export interface Opened {
  readonly values: Readonly<Record<string, Json>>
  readonly encoded: Readonly<Record<string, string>>
  /** How many of its disclosures were erased, and the index of the entry that says so. */
  readonly erased?: { readonly count: number; readonly by: number }
}

export const nothingOpened: Opened = Object.freeze({ values: Object.freeze({}), encoded: Object.freeze({}) })

interface Bundle {
  readonly file: string
  /** By position in the bundle; shorter where the file is cut. */
  readonly sealed: readonly (readonly SealedDisclosure[])[]
}

/** What would be explained by an erasure that came after the checkpoint: of a ledger that is being written meanwhile. */
interface Doubt {
  readonly finding: Finding
  readonly index: number
  readonly entry: Entry
  /** What the entry disclosed under these does not open any more. */
  readonly slots: readonly number[]
}

export class Vault {
  #findings: Finding[] = []
  readonly #doubts: Doubt[] = []
  /** Slots that are no keys, and what was found so. */
  readonly #torn: { readonly slot: number; readonly finding: Finding }[] = []
  readonly #files: LedgerFiles
  readonly #wrapping: Uint8Array
  readonly #origin: string
  readonly #size: number
  readonly #alibis: Alibis | undefined
  readonly #keys = new Map<number, Promise<Uint8Array | undefined>>()
  /** Slots found to be erased. */
  readonly #erased = new Set<number>()
  /** What opened under these slots, and is said to be erased. */
  readonly #undone: { readonly slot: number; readonly finding: Finding }[] = []
  #bundle: { n: number; bundle: Promise<Bundle> } | undefined

  /** @param wrapping 32 bytes, from configuration. @param size of the ledger. @param alibis that have learnt of all of its entries */
  constructor(files: LedgerFiles, wrapping: Uint8Array, origin: string, size: number, alibis?: Alibis) {
    this.#alibis = alibis
    this.#files = files
    this.#wrapping = wrapping
    this.#origin = origin
    this.#size = size
  }

  get findings(): readonly Finding[] {
    return this.#findings
  }

  /** Takes back what erasures explain that came while the vault was read. @param later of the ledger as it is now, verified */
  settle(later: Alibis): void {
    const explained = new Set<Finding>()
    const places = new Map<number, number>()
    for (const { finding, index, entry, slots } of this.#doubts) {
      const alibis = slots.filter(slot => later.by(index, entry, slot) !== undefined).length
      const used = places.get(index) ?? 0
      if (finding.code === 'DISCLOSURE_MISSING') places.set(index, used + 1)
      if (alibis > (finding.code === 'DISCLOSURE_MISSING' ? used : 0)) explained.add(finding)
    }
    for (const { slot, finding } of this.#torn) if (later.isErased(slot)) explained.add(finding)
    this.#findings = this.#findings.filter(finding => !explained.has(finding))
  }

  /** In index order, for the sake of the one bundle kept. */
  async open(index: number, entry: Entry): Promise<Opened> {
    const n = Math.floor(index / tileWidth)
    if (this.#bundle?.n !== n) this.#bundle = { n, bundle: this.#read(n) }
    const { file, sealed } = await this.#bundle.bundle
    const values: Record<string, Json> = {}
    const encoded: Record<string, string> = {}
    const wanted = new Set(entry.sd ?? [])
    const alibis: number[] = []
    const unopened: number[] = []
    const doubt = (finding: Finding, slots: readonly number[]) => {
      this.#findings.push(finding)
      this.#doubts.push({ finding, index, entry, slots })
    }
    for (const one of sealed[index % tileWidth] ?? []) {
      try {
        const text = await this.#openOne(one, entry.id, index)
        if (text === undefined) {
          const by = this.erasedBy(index, entry, one.slot)
          if (by !== undefined) alibis.push(by)
          else unopened.push(one.slot)
          continue
        }
        const digest = disclosureDigest(text)
        const { name, value } = decodeDisclosure(text)
        if (!wanted.delete(digest) || Object.hasOwn(values, name)) {
          const what = `entry ${index} has a disclosure that it never committed to`
          this.#findings.push({ code: 'DISCLOSURE_MISMATCH', what, index, actual: digest, file })
          continue
        }
        define(values, name, value)
        define(encoded, name, text)
        const by = this.#alibis?.undone(index, entry)
        if (by === undefined) continue
        const what = `entry ${by} says that all of it was erased, and a disclosure of entry ${index} still opens`
        this.#undone.push({ slot: one.slot, finding: { code: 'ERASURE_UNDONE', what, index, file } })
      } catch (error) {
        if (!isOurs(error)) throw error
        const what = `a disclosure of entry ${index}: ${error.message}`
        unopened.push(one.slot)
        doubt({ code: 'DISCLOSURE_MISMATCH', what, index, file }, [one.slot])
      }
    }
    // Which of them is which, nobody can tell any more; that there were no more than that, the places in the vault do.
    const count = Math.min(alibis.length, wanted.size)
    for (const digest of [...wanted].slice(count)) {
      const what = `a disclosure of entry ${index} is missing, and no entry says that it was erased`
      doubt({ code: 'DISCLOSURE_MISSING', what, index, expected: digest, file }, unopened)
    }
    return { values, encoded, ...(count === 0 ? {} : { erased: { count, by: alibis[0]! } }) }
  }

  /**
   * What an entry says was erased must be: a key that still opens is no erased one, nor is an erasure that was begun and not finished.
   */
  async examineErasures(): Promise<void> {
    if (await isStalled(() => this.#files.erasing())) {
      const what = 'an erasure was begun and is not finished: opening the ledger for writing finishes it'
      this.#findings.push({ code: 'ERASURE_UNDONE', what, file: erasingFile })
    }
    for (const { slot, finding } of this.#undone) {
      // Told below, as that slot's.
      if (this.#alibis?.isErased(slot) === true) continue
      const { bytes } = await this.#files.slot(slot)
      if (bytes !== undefined && !isErased(bytes)) this.#findings.push(finding)
    }
    let read = -1
    let batch: Awaited<ReturnType<LedgerFiles['slots']>> | undefined
    for (const [slot, index] of this.#alibis?.slots() ?? []) {
      const n = Math.floor(slot / slotsInFile)
      if (batch === undefined || n !== read) batch = await this.#files.slots(slot)
      read = n
      const at = (slot % slotsInFile) * slotBytes
      const bytes = batch.bytes?.subarray(at, at + slotBytes)
      if (bytes === undefined || bytes.length < slotBytes || isErased(bytes)) continue
      const what = `entry ${index} says that slot ${slot} was erased, and it is not`
      this.#findings.push({ code: 'ERASURE_UNDONE', what, index, file: batch.file })
    }
  }

  /** Every slot there is, those not used yet too: each must open, or have been erased. */
  async examineSlots(): Promise<void> {
    for (let first = 0; ; first += slotsInFile) {
      const { file, bytes } = await this.#files.slots(first)
      if (bytes === undefined) return
      if (bytes.length !== slotsInFile * slotBytes) {
        this.#findings.push({ code: 'DISCLOSURE_MISMATCH', what: `${file} is not ${slotsInFile} slots`, file })
      }
      for (let i = 0; (i + 1) * slotBytes <= bytes.length; i += 1) {
        if (this.#keys.has(first + i)) continue
        try {
          openSlot(this.#wrapping, this.#origin, first + i, bytes.subarray(i * slotBytes, (i + 1) * slotBytes))
        } catch (error) {
          if (!isOurs(error)) throw error
          this.#tear(first + i, { code: 'DISCLOSURE_MISMATCH', what: `slot ${first + i}: ${error.message}`, file })
        }
      }
    }
  }

  /** @returns the index of the entry that says that what this one attached under that slot was erased; undefined where it was not */
  erasedBy(index: number, entry: Entry, slot: number): number | undefined {
    return this.#erased.has(slot) ? this.#alibis?.by(index, entry, slot) : undefined
  }

  /** The key of a slot; undefined where it was erased. */
  key(slot: number, index: number): Promise<Uint8Array | undefined> {
    let key = this.#keys.get(slot)
    if (key === undefined) {
      key = this.#key(slot, index)
      this.#keys.set(slot, key)
    }
    return key
  }

  async #openOne({ slot, box }: SealedDisclosure, entry: string, index: number): Promise<string | undefined> {
    const opened = await this.key(slot, index)
    return opened === undefined ? undefined : openDisclosure(opened, this.#origin, entry, box)
  }

  async #key(slot: number, index: number): Promise<Uint8Array | undefined> {
    const { file, bytes } = await this.#files.slot(slot)
    try {
      if (bytes !== undefined && isErased(bytes)) this.#erased.add(slot)
      return bytes === undefined ? undefined : openSlot(this.#wrapping, this.#origin, slot, bytes)
    } catch (error) {
      if (!isOurs(error)) throw error
      const what = `slot ${slot}, first used by entry ${index}: ${error.message}`
      this.#tear(slot, { code: 'DISCLOSURE_MISMATCH', what, index, file })
      return undefined
    }
  }

  /** It may have been read while it was overwritten. */
  #tear(slot: number, finding: Finding): void {
    this.#findings.push(finding)
    this.#torn.push({ slot, finding })
  }

  async #read(n: number): Promise<Bundle> {
    const fill = tileFill(this.#size, 0, n)
    const expected = vaultBundle(n, fill)
    const sealed: SealedDisclosure[][] = []
    try {
      const { file, bytes } = await this.#files.vault(n, this.#size)
      try {
        let at = 0
        for (let i = 0; i < fill; i += 1) {
          const one = decodeSealed(bytes, at)
          sealed.push(one.sealed)
          at = one.end
        }
        if (file === expected && at !== bytes.length) {
          this.#findings.push({ code: 'DISCLOSURE_MISMATCH', what: `${bytes.length - at} bytes too many`, file })
        }
      } catch (error) {
        if (!isOurs(error)) throw error
        const index = n * tileWidth + sealed.length
        this.#findings.push({
          code: 'DISCLOSURE_MISMATCH',
          what: `from entry ${index} on: ${error.message}`,
          index,
          file,
        })
      }
      return { file, sealed }
    } catch (error) {
      this.#findings.push(unreadable(error, expected))
      return { file: expected, sealed }
    }
  }
}

/** An erasure that is under way goes on; one that nobody finishes is noted still, after a second. */
async function isStalled(note: () => Promise<Buffer | undefined>): Promise<boolean> {
  const first = await note()
  for (let left = 20; left > 0; left -= 1) {
    const now = await note()
    if (first === undefined || now === undefined || !now.equals(first)) return false
    await setTimeout(50)
  }
  return true
}

// A name is chosen by who wrote the vault: `__proto__` must become a member like any other.
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true })
}
