/** By whose word from outside a ledger's anchors count (cosignatures, time stamps, tags), those that hold, and what follows from them. */
import type { X509Certificate } from 'node:crypto'
import { isOurs, Misuse } from '../lib/errors.ts'
import type { AnchorKind } from '../lib/format/anchor.ts'
import { type Cosigner, parseCosignerKey } from '../lib/format/cosignature.ts'
import { readAuthorities } from '../lib/format/timestamp.ts'

/** From outside the ledger, all of it. */
export interface AnchorOptions {
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[]
  /** How many of them must have cosigned for it to count. Default: one. */
  readonly quorum?: number
  /** PEM: certificates of timestamping authorities, or of what certifies them. */
  readonly authorities?: string
  /** A git repository outside, in which checkpoints were tagged. */
  readonly git?: string
  /**
   * Milliseconds: a quorum of the witnesses must have cosigned this ledger within so long before now, and
   * every entry that is older. Who shows somebody else a history of its own has the beginning of it cosigned
   * too, anew if they ask for it, and nothing newer.
   */
  readonly cosignedWithinMs?: number
}

/** That a tree of `size` entries was there, by somebody else's word. */
export interface Anchor {
  readonly anchor: AnchorKind
  readonly by: string
  readonly size: number
  /** RFC 3339, by the clock of whoever vouches; a tag's is whatever its maker wrote. */
  readonly time: string
}

export interface AnchorKeys {
  readonly cosigners: readonly Cosigner[]
  readonly quorum: number
  readonly authorities: readonly X509Certificate[]
  readonly git: string | undefined
  readonly cosignedWithinMs: number | undefined
}

/** @throws Misuse ERR_OPTION_INVALID where a key is none, or more witnesses must have signed than are given */
export function readAnchorKeys(options: AnchorOptions): AnchorKeys {
  const { witnesses = [], quorum, authorities, git, cosignedWithinMs } = options
  const most = witnesses.length
  if (cosignedWithinMs !== undefined && (most === 0 || !(cosignedWithinMs > 0))) {
    throw new Misuse('ERR_OPTION_INVALID', 'how old cosignatures may be takes a duration, and the key of a witness')
  }
  if (quorum !== undefined && (quorum < 1 || quorum > most)) {
    throw new Misuse('ERR_OPTION_INVALID', `a quorum of ${quorum} of ${most} witnesses can never be reached`)
  }
  try {
    return {
      cosigners: witnesses.map(parseCosignerKey),
      quorum: quorum ?? Math.min(1, most),
      authorities: authorities === undefined ? [] : readAuthorities(authorities),
      ...{ git, cosignedWithinMs },
    }
  } catch (error) {
    if (isOurs(error) && error.name === 'LedgerError') throw new Misuse('ERR_OPTION_INVALID', error.message, {}, error)
    throw error
  }
}

/** The anchors that hold, and what follows from them. */
export class Anchors {
  readonly #quorum: number
  readonly #list: Anchor[] = []

  constructor(quorum: number) {
    this.#quorum = quorum
  }

  add(anchor: Anchor): void {
    this.#list.push(anchor)
  }

  /** The newest of each who vouches, largest size first. */
  get newest(): readonly Anchor[] {
    const of = new Map<string, Anchor>()
    for (const one of this.#list) {
      const key = `${one.anchor} ${one.by}`
      const before = of.get(key)
      const isNewer = one.size > (before?.size ?? -1) || (one.size === before?.size && one.time < before.time)
      if (isNewer) of.set(key, one)
    }
    return [...of.values()].sort((a, b) => b.size - a.size)
  }

  /** What fixes most of the ledger: of witnesses, the one with which their quorum is reached. */
  get last(): Anchor | undefined {
    const witness = this.newest.filter(({ anchor }) => anchor === 'witness')[Math.max(0, this.#quorum - 1)]
    const others = this.newest.filter(({ anchor }) => anchor !== 'witness')
    return [...(witness === undefined ? [] : [witness]), ...others].sort((a, b) => b.size - a.size)[0]
  }

  /**
   * Since when a quorum of witnesses, each by its own clock, is known to have cosigned, whatever the size.
   * @param until RFC 3339: what is later says nothing, so that one whose clock was ahead once
   * does not outweigh the others, or itself, since
   * @returns RFC 3339; undefined where there is no such quorum
   */
  cosignedAt(until?: string): string | undefined {
    const latest = new Map<string, string>()
    for (const { by, time } of this.#cosigned(until)) if (time > (latest.get(by) ?? '')) latest.set(by, time)
    return [...latest.values()].sort().at(-Math.max(1, this.#quorum))
  }

  /**
   * How many entries a quorum of witnesses has cosigned from a time on, each by its own clock. Whoever has an old
   * checkpoint cosigned again has had no more entries cosigned.
   * @param from RFC 3339. @param until as of cosignedAt. @returns 0 where there is no such quorum
   */
  cosignedSince(from: string, until?: string): number {
    const largest = new Map<string, number>()
    for (const { by, size, time } of this.#cosigned(until)) {
      if (time >= from) largest.set(by, Math.max(size, largest.get(by) ?? 0))
    }
    return [...largest.values()].sort((a, b) => b - a)[Math.max(1, this.#quorum) - 1] ?? 0
  }

  /** The witnesses of whom a cosignature is later than that. */
  cosignedAfter(time: string): readonly string[] {
    return [...new Set(this.#cosigned().flatMap(one => (one.time > time ? [one.by] : [])))]
  }

  #cosigned(until?: string): readonly Anchor[] {
    return this.#list.filter(one => one.anchor === 'witness' && (until === undefined || one.time <= until))
  }

  /**
   * By when entries 0 to `size` - 1 are known to have stood here: the earliest time that is vouched for, by a quorum of witnesses or by a
   * timestamping authority. Tags do not count, since their time is whatever their maker wrote.
   * @returns RFC 3339; undefined where nobody vouches for so many
   */
  anchoredBefore(size: number): string | undefined {
    const covering = this.#list.filter(one => one.size >= size)
    const stamps = covering.filter(({ anchor }) => anchor === 'timestamp').map(({ time }) => time)
    const first = new Map<string, string>()
    for (const { anchor, by, time } of covering) {
      const before = first.get(by)
      if (anchor === 'witness' && (before === undefined || time < before)) first.set(by, time)
    }
    const reached = [...first.values()].sort()[Math.max(0, this.#quorum - 1)]
    return [...stamps, ...(reached === undefined ? [] : [reached])].sort()[0]
  }
}
