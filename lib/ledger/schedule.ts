/** When what became durable is published, and when that is sealed. */
import { type Clock, systemClock } from '../clock.ts'
import { Fault } from '../errors.ts'

export interface ScheduleParts {
  /** Milliseconds from an entry to a checkpoint that covers it. 1,000 unless said otherwise. */
  readonly publishMs?: number | undefined
  /** Milliseconds between seals. 3,600,000 unless said otherwise. */
  readonly sealMs?: number | undefined
  readonly clock?: Clock | undefined
  /** Durable entries. */
  readonly size: () => number
  /** Whether the write-ahead log has grown enough since the last seal. */
  readonly isBehind: () => boolean
  /** Closing, or stopped by a fault: nothing more is published by itself. */
  readonly isOver: () => boolean
  readonly publish: () => Promise<unknown>
  readonly seal: () => Promise<unknown>
}

export class Schedule {
  readonly #parts: ScheduleParts
  readonly #clock: Clock
  /** Unix milliseconds. */
  #sealedAt: number
  #timer: NodeJS.Timeout | undefined
  #atWork = false
  /** A seal that was due failed, and none has succeeded since: it is tried again with the next publication, and no sooner. */
  #failed = false

  constructor(parts: ScheduleParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? systemClock
    this.#sealedAt = this.#clock.now()
  }

  /**
   * One publication at a time, however long it takes: what becomes durable meanwhile is the next one's. Where the log
   * has grown enough, it is sealed at once: what is not sealed is replayed after a crash.
   */
  soon(): void {
    const { publishMs = 1000, isBehind, isOver } = this.#parts
    if (this.#atWork || isOver()) return
    if (isBehind() && !this.#failed) void this.#run()
    else this.#timer ??= setTimeout(() => void this.#run(), publishMs).unref()
  }

  sealed(): void {
    this.#sealedAt = this.#clock.now()
    this.#failed = false
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  async #run(): Promise<void> {
    this.#atWork = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    const { size } = this.#parts
    const before = size()
    await this.#publishOrSeal().catch(() => undefined)
    this.#atWork = false
    if (size() > before) this.soon()
  }

  /** A key that does not sign is asked again next time. */
  async #publishOrSeal(): Promise<void> {
    const { sealMs = 3_600_000, isBehind, isOver, publish, seal } = this.#parts
    if (!isBehind() && this.#clock.now() - this.#sealedAt < sealMs) return void (await publish())
    try {
      await seal()
    } catch (error) {
      this.#failed = true
      if (!(error instanceof Fault) || isOver()) throw error
      await publish()
    }
  }
}
