/** Opens what single entries disclose, and finds who a pseudonym is: in entries seen, else further and further back in the ledger. */
import { isOurs } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../../lib/format/disclosure.ts'
import { tileWidth } from '../../lib/format/layout.ts'
import { openDisclosure, openSlot } from '../../lib/format/vault.ts'
import type { Follower, LiveEntry } from './follower.ts'

/** Keys of slots that are kept: one for each session and principal. */
const mostKeys = 10_000

export class Opener {
  readonly #follower: Follower
  readonly #wrapping: Uint8Array
  readonly #keys = new Map<number, Uint8Array | undefined>()
  readonly #names = new Map<string, string>()
  /** Entries before it have not been searched for names. */
  #searched: number | undefined

  /** @param wrapping the vault's key, 32 bytes */
  constructor(follower: Follower, wrapping: Uint8Array) {
    this.#follower = follower
    this.#wrapping = wrapping
  }

  /**
   * What an entry discloses under a name; undefined where it does not, or it does not open:
   * nothing here is verified but that it is the entry's.
   */
  async value({ entry, sealed }: LiveEntry, wanted: string): Promise<Json | undefined> {
    const { origin } = this.#follower
    if (entry === undefined || origin === undefined) return undefined
    for (const { slot, box } of sealed) {
      try {
        const key = await this.#key(slot, origin)
        if (key === undefined) continue
        const encoded = openDisclosure(key, origin, entry.id, box)
        if (!entry.sd?.includes(disclosureDigest(encoded))) continue
        const { name, value } = decodeDisclosure(encoded)
        if (name === wanted) return value
      } catch (error) {
        if (!isOurs(error)) throw error
      }
    }
    return undefined
  }

  /** To be told of every entry, in order. */
  async see(live: LiveEntry): Promise<void> {
    this.#searched ??= live.index
    if (live.entry?.kind !== 'principal') return
    const name = await this.value(live, 'name')
    if (typeof name === 'string') this.#names.set(live.entry.subject, name)
  }

  /** Looks back as far as it must, each entry once; the first time that it is asked for somebody unknown, that may be all of them. */
  async name(pseudonym: string): Promise<string | undefined> {
    const { published } = this.#follower
    let end = Math.min(this.#searched ?? published, published)
    while (!this.#names.has(pseudonym) && end > 0) {
      const first = Math.floor((end - 1) / tileWidth) * tileWidth
      for (const live of await this.#principals(first, published)) {
        // A later one, where it says the name anew, has been seen already.
        if (live.index >= end || live.entry?.kind !== 'principal' || this.#names.has(live.entry.subject)) continue
        const name = await this.value(live, 'name')
        if (typeof name === 'string') this.#names.set(live.entry.subject, name)
      }
      end = first
      this.#searched = first
    }
    return this.#names.get(pseudonym)
  }

  /** Most bundles name nobody: that is seen without reading their entries one by one. */
  async #principals(first: number, published: number): Promise<readonly LiveEntry[]> {
    const { bytes } = await this.#follower.files.entries(first / tileWidth, published)
    return bytes.includes('"kind":"principal"') ? this.#follower.bundle(first) : []
  }

  async #key(slot: number, origin: string): Promise<Uint8Array | undefined> {
    if (this.#keys.has(slot)) return this.#keys.get(slot)
    const { bytes } = await this.#follower.files.slot(slot)
    if (bytes === undefined) return undefined
    const key = openSlot(this.#wrapping, origin, slot, bytes)
    if (this.#keys.size >= mostKeys) this.#keys.clear()
    this.#keys.set(slot, key)
    return key
  }
}
