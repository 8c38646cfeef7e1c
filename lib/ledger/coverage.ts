/** Waiting until something covers so many entries: whoever comes while it is being made waits for the next one, together. */
import { Fault, isOurs, Misuse } from '../errors.ts'
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import type { Level } from './ledger.ts'

interface Covering {
  readonly size: number
}

class Coverage {
  readonly #make: () => Promise<Covering>
  #covered = 0
  #current: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined

  /** @param make makes what covers all entries of the moment when it begins */
  constructor(make: () => Promise<Covering>) {
    this.#make = make
  }

  async reach(size: number): Promise<void> {
    if (size <= this.#covered) return
    this.#next ??= this.#after(this.#current)
    await this.#next
  }

  async #after(current: Promise<void>): Promise<void> {
    await current.catch(() => undefined)
    this.#current = this.#next ?? Promise.resolve()
    this.#next = undefined
    this.#covered = Math.max(this.#covered, (await this.#make()).size)
  }
}

export interface LevelsParts {
  readonly publish: () => Promise<SignedCheckpoint>
  /** Resolves when as many witnesses as are wanted have cosigned. */
  readonly witness: ((checkpoint: SignedCheckpoint) => Promise<unknown>) | undefined
}

/** The levels of acknowledgement behind `durable`. */
export class Levels {
  readonly #parts: LevelsParts
  readonly #signed: Coverage
  readonly #witnessed: Coverage

  constructor(parts: LevelsParts) {
    this.#parts = parts
    this.#signed = new Coverage(parts.publish)
    this.#witnessed = new Coverage(() => this.#witness())
  }

  /** @throws Misuse ERR_OPTION_INVALID where it cannot be reached */
  require(level: Level): void {
    if (level === 'witnessed' && this.#parts.witness === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', 'an append is to be witnessed, and no witness is configured')
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  async reach(size: number, level: 'signed' | 'witnessed'): Promise<void> {
    this.require(level)
    await (level === 'signed' ? this.#signed : this.#witnessed).reach(size)
  }

  async #witness(): Promise<SignedCheckpoint> {
    const checkpoint = await this.#parts.publish()
    await this.#parts.witness!(checkpoint).catch(error => {
      if (isOurs(error)) throw error
      throw new Fault(
        'ERR_LEDGER_UNAVAILABLE',
        'the witnesses did not cosign: the entries stand all the same',
        {},
        error,
      )
    })
    return checkpoint
  }
}
