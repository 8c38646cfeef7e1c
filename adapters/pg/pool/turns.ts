/**
 * Whose turn it is on a connection that many share. Who asks is said in the stream itself, before what they ask, so
 * that it is in order with it however queries are queued or pipelined; and by a word that nobody else knows.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Exchange } from '../../../lib/exchange.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import type { Asker, Askers, Turn } from '../asker.ts'
import { Fields, message, type } from '../wire.ts'

export class Turns implements Askers {
  readonly #gate: Gate
  readonly #announced = new Map<string, Turn>()
  readonly #controller = new AbortController()
  /** Watches on what the changes of an open transaction rest on. */
  readonly #kept = new Map<Subject['withdrawn'], Map<string, () => void>>()
  #current: Asker | undefined

  constructor(gate: Gate) {
    this.#gate = gate
    setMaxListeners(0, this.#controller.signal)
  }

  get current(): Asker | undefined {
    return this.#current
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** @returns what must stand in the stream before whatever is asked in this turn */
  announce(turn: Turn): Buffer {
    const word = randomUUID()
    this.#announced.set(word, turn)
    return message(type.turn, word)
  }

  /** What was never announced is nobody's turn. */
  turn(bytes: Buffer): Turn | undefined {
    const word = new Fields(bytes).string()
    const turn = this.#announced.get(word)
    this.#announced.delete(word)
    this.#current = turn?.asker
    return turn
  }

  answered(): void {
    this.#current = undefined
  }

  keep(exchange: Exchange): void {
    const subject = exchange.perhaps('subject')
    // One person may be identified twice, and the one identification may end before the other.
    const what = JSON.stringify([exchange.perhaps('grant')?.id, subject])
    const kept = this.#kept.get(subject?.withdrawn) ?? new Map<string, () => void>()
    this.#kept.set(subject?.withdrawn, kept)
    if (kept.has(what)) return
    kept.set(what, () => undefined)
    const unwatch = this.#gate.watch(exchange, reason => this.#controller.abort(reason))
    kept.set(what, unwatch)
  }

  release(): void {
    for (const kept of this.#kept.values()) for (const unwatch of kept.values()) unwatch()
    this.#kept.clear()
  }

  async close(): Promise<void> {
    this.release()
    this.#announced.clear()
  }
}
