/** Makes entries of drafts: id, time, writer and sequence, salted digests of what is disclosed, and the disclosures sealed. */
import type { Clock } from '../clock.ts'
import { LedgerError } from '../errors.ts'
import type { Json } from '../format/canonical.ts'
import { isCarried } from '../format/carried.ts'
import { disclosureDigest, encodeDisclosure, randomSalt } from '../format/disclosure.ts'
import { composeEntry, type Entry, timestamp, uuidv7, versionOf } from '../format/entry.ts'
import { longestFrame } from '../format/frame.ts'
import { type Hash, leafHash } from '../format/merkle.ts'
import { longestEntry } from '../format/tile.ts'
import { encodeSealed, longestSealed, type SealedDisclosure, sealDisclosure } from '../format/vault.ts'
import type { Draft } from './ledger.ts'
import type { SlotKey } from './vault.ts'

/** An entry with everything that a store keeps of it. */
export interface Prepared {
  readonly entry: Entry
  readonly bytes: Uint8Array
  readonly leaf: Hash
  /** Its sealed disclosures, encoded. */
  readonly sealed: Uint8Array
}

/** Under this symbol, which no message from another process can hold, a draft has its disclosures encoded already. */
export const encoded = Symbol('encoded disclosures')

interface Said {
  /** Digests of what it disclosed when it was first said; none where it disclosed nothing. */
  readonly sd: readonly string[]
  /** What of that is still there. */
  readonly disclosed: readonly string[]
}

/** An entry of another ledger, to be said again: the salts of its disclosures, and so their digests, stay. */
export type Restated = Draft & { readonly [encoded]: Said }

export interface ScribeParts {
  readonly origin: string
  readonly writer: string
  readonly clock: Clock
  /** The writer's last sequence number; 0 for a new writer. */
  readonly seq: number
  /** The key that disclosures of that name are sealed under. */
  readonly slot: (name: string) => SlotKey
}

/** Where a draft that names no slot puts its disclosures: what concerns nobody in particular, as the texts of a policy. */
const commonSlot = 'ledger'
const noDisclosures = encodeSealed([])
const frameOverhead = 4096
/** What the next ledger says again, another writer says, who has a longer name and counter: bytes that are left for these. */
const sparedBytes = 2048

export class Scribe {
  readonly #parts: ScribeParts
  #seq: number
  /** The last millisecond and its text: many entries share one. */
  #now = Number.NaN
  #time = ''

  constructor(parts: ScribeParts) {
    this.#parts = parts
    this.#seq = parts.seq
  }

  /** The last sequence number that was used. */
  get seq(): number {
    return this.#seq
  }

  /**
   * All of the drafts or none: a sequence number is used only when every draft is an entry.
   * @param ids of the entries, where whoever appends made them: by these it knows its entries again
   * @throws LedgerError ERR_ENTRY_MALFORMED
   */
  prepare(drafts: readonly Draft[], ids?: readonly string[]): Prepared[] {
    let seq = this.#seq
    const prepared = drafts.map((draft, i) => {
      seq += 1
      return this.#entry(draft, seq, ids?.[i])
    })
    const bytes = prepared.reduce((sum, { bytes, sealed }) => sum + 2 + bytes.length + sealed.length, frameOverhead)
    if (bytes > longestFrame) throw new LedgerError('ERR_ENTRY_MALFORMED', `an append of over ${longestFrame} bytes`)
    this.#seq = seq
    return prepared
  }

  #entry(draft: Draft, seq: number, given: string | undefined): Prepared {
    const { disclose, slot } = draft
    const said = (draft as Partial<Restated>)[encoded]
    const { origin, writer, clock } = this.#parts
    const now = clock.now()
    const id = given ?? uuidv7(now)
    const disclosed = said?.disclosed ?? (disclose === undefined ? [] : encodeAll(disclose))
    const sd = said?.sd ?? disclosed.map(disclosureDigest).sort()
    const value: Record<string, unknown> = {}
    // Member by member: spreading a draft here costs more than all the rest of an entry.
    for (const name in draft) if (name !== 'disclose' && name !== 'slot') value[name] = draft[name as keyof Draft]
    // What the ledger says comes last: no draft can set it.
    value.v = versionOf(draft.kind)
    value.id = id
    value.time = this.#timeOf(now)
    value.writer = writer
    value.seq = seq
    value.sd = sd.length === 0 ? undefined : sd
    const { entry, bytes } = composeEntry(value as unknown as Entry)
    if (said === undefined && bytes.length > longestEntry - sparedBytes && isCarried(entry)) {
      const what = `an entry of ${bytes.length} bytes, over ${longestEntry - sparedBytes}: it could not be said again by another writer`
      throw new LedgerError('ERR_ENTRY_MALFORMED', what)
    }
    const sealed = disclosed.length === 0 ? noDisclosures : this.#seal(origin, id, slot ?? commonSlot, disclosed)
    if (sealed.length > longestSealed) {
      const what = `an entry that discloses ${sealed.length} bytes, over ${longestSealed}: what is longer goes into an attachment`
      throw new LedgerError('ERR_ENTRY_MALFORMED', what)
    }
    return { entry, bytes, leaf: leafHash(bytes), sealed }
  }

  #timeOf(now: number): string {
    if (now !== this.#now) {
      this.#now = now
      this.#time = timestamp(now)
    }
    return this.#time
  }

  #seal(origin: string, id: string, name: string, disclosed: readonly string[]): Buffer {
    const { slot, key } = this.#parts.slot(name)
    return encodeSealed(
      disclosed.map((encoded): SealedDisclosure => ({ slot, box: sealDisclosure(key, origin, id, encoded) })),
    )
  }
}

function encodeAll(disclose: Readonly<Record<string, Json | undefined>>): string[] {
  return Object.entries(disclose).flatMap(([name, value]) =>
    value === undefined ? [] : [encodeDisclosure({ salt: randomSalt(), name, value })],
  )
}
