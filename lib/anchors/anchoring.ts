/**
 * The task beside an open ledger that has its checkpoints vouched for: at an interval, and once more after the closing
 * seal, each witness is given the published checkpoint; what it answers is kept and recorded. A witness that is down
 * harms nothing: it is told, and asked again.
 */
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import type { Cosigner } from '../format/cosignature.ts'
import { consistencyProof, type Hash } from '../format/merkle.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { checkpointIn } from '../ledger/published.ts'
import { storedHashes } from '../ledger/stored-tiles.ts'
import { type AnchorPlace, keepAnchor, recordAnchors } from './kept.ts'
import { submit } from './submit.ts'

export interface WitnessPlace {
  readonly cosigner: Cosigner
  readonly url: string
}

/** What the operator is told; none of it stops the ledger. */
export type AnchorNews =
  | { readonly what: 'cosigned'; readonly witness: string; readonly size: number }
  | { readonly what: 'not-cosigned'; readonly witness: string; readonly error: unknown }
  | { readonly what: 'not-asked'; readonly error: unknown }
  | { readonly what: 'below-quorum'; readonly cosigned: number; readonly quorum: number }
  | { readonly what: 'not-recorded'; readonly error: unknown }

export interface AnchoringOptions {
  readonly place: AnchorPlace
  readonly ledger: Pick<Ledger, 'append'>
  readonly witnesses: readonly WitnessPlace[]
  /** How many of them should have cosigned each time; fewer is told. */
  readonly quorum: number
  readonly everyMs: number
  /** Within which a witness must have answered. 10 s unless said otherwise. */
  readonly answerMs?: number
  readonly tell?: (news: AnchorNews) => void
}

export class Anchoring {
  readonly #options: AnchoringOptions
  /** Size that each witness is known to have cosigned last. */
  readonly #seen = new Map<WitnessPlace, number>()
  readonly #ending = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<unknown> = Promise.resolve()
  /** A round that has not begun: whoever wants one meanwhile gets this one. */
  #next: Promise<void> | undefined

  constructor(options: AnchoringOptions) {
    this.#options = options
  }

  start(): this {
    this.#timer = setInterval(() => void this.round(), this.#options.everyMs).unref()
    return this
  }

  /**
   * One round, after any that is under way: asks each witness, and records what was kept since; at an interval, and for every seal.
   * Seals that come faster than witnesses answer share a round. Never rejects; once the end has begun, it does nothing.
   */
  round(): Promise<void> {
    if (this.#ending.signal.aborted) return this.#turn.then(() => undefined)
    this.#next ??= this.#queue()
    return this.#next
  }

  #queue(): Promise<void> {
    const turn = this.#turn.then(async () => {
      this.#next = undefined
      await this.#ask(this.#ending.signal)
      await this.#record()
    })
    this.#turn = turn
    return turn
  }

  /** Ends the interval, and waits for a round that is under way; the witnesses are waited for no longer. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#ending.abort()
    await this.#turn
    await this.#record()
  }

  /** After the ledger has closed: its last seal is vouched for too. The entry of that is appended when it is next opened. */
  async last(): Promise<void> {
    await this.#turn
    await this.#ask()
  }

  async #ask(ending?: AbortSignal): Promise<void> {
    const { witnesses, quorum, tell } = this.#options
    if (witnesses.length === 0) return
    const checkpoint = await this.#checkpoint()
    if (checkpoint === undefined) return
    const answered = await Promise.all(witnesses.map(witness => this.#askOne(witness, checkpoint, ending)))
    const cosigned = answered.filter(Boolean).length
    if (cosigned < quorum && ending?.aborted !== true) tell?.({ what: 'below-quorum', cosigned, quorum })
  }

  async #askOne(witness: WitnessPlace, checkpoint: SignedCheckpoint, ending?: AbortSignal): Promise<boolean> {
    const { place, answerMs = 10_000, tell } = this.#options
    const { cosigner, url } = witness
    const seen = this.#seen.get(witness) ?? 0
    if (seen === checkpoint.size) return true
    const late = AbortSignal.timeout(answerMs)
    try {
      const { cosignature, note } = await submit({
        url,
        cosigner,
        checkpoint,
        old: seen,
        prove: old => this.#prove(old, checkpoint.size),
        signal: ending === undefined ? late : AbortSignal.any([late, ending]),
      })
      const { size, root } = checkpoint
      const at = cosignature.time * 1000
      await keepAnchor(place, { anchor: 'witness', by: cosigner.name, size, root, at, bytes: Buffer.from(note) })
      this.#seen.set(witness, size)
      tell?.({ what: 'cosigned', witness: cosigner.name, size })
      return true
    } catch (error) {
      if (ending?.aborted !== true) tell?.({ what: 'not-cosigned', witness: cosigner.name, error })
      return false
    }
  }

  async #record(): Promise<void> {
    const { place, ledger, tell } = this.#options
    try {
      await recordAnchors(place, ledger)
    } catch (error) {
      // What cannot be appended now is still noted, and appended another time.
      tell?.({ what: 'not-recorded', error })
    }
  }

  async #checkpoint(): Promise<SignedCheckpoint | undefined> {
    try {
      return await checkpointIn(this.#options.place.directory)
    } catch (error) {
      // Too many open files, a disk that fails for a moment: the next round reads it again.
      this.#options.tell?.({ what: 'not-asked', error })
      return undefined
    }
  }

  #prove(old: number, size: number): Promise<Hash[]> {
    return consistencyProof(old, size, storedHashes(this.#options.place.directory, size))
  }
}
