/** One authenticated connection as its channels see it: what they ask goes through the gate under one session, to one host. */
import type { Socket } from 'node:net'
import type { Channel, Connection } from 'ssh2'
import type { Origin } from '../../lib/compose.ts'
import { Refusal } from '../../lib/errors.ts'
import type { Held } from '../../lib/exchange.ts'
import type { Gate, OpenSession } from '../../lib/gate.ts'
import type { Operation } from '../../lib/operation.ts'
import type { End } from '../../lib/reply.ts'
import type { Sink } from '../../lib/run.ts'
import type { Destination } from './hosts.ts'
import { isClosed, unread } from './internals.ts'
import { baseOf } from './operation.ts'
import { Link } from './upstream.ts'

export interface LiveParts {
  readonly gate: Gate
  readonly target: string
  readonly address: string
  readonly connection: Connection
  readonly socket: Socket
  readonly destination: Destination
  /** Rejects where the session could not be recorded: then nothing is done on this connection. */
  readonly session: Promise<OpenSession>
  /** Aborts when the connection is over. */
  readonly gone: AbortSignal
  readonly holdNotice: (approval: string) => string
  readonly environment: readonly RegExp[]
}

export type Result =
  | { readonly end: End }
  | { readonly error: unknown /** Under which the ledger can be searched. */; readonly exchange: string | undefined }

/** As much as a peer may send beyond what it was told it may: nothing, but ssh2 counts by packets. */
const mostUnread = 4 * 1024 * 1024

/** Refusals that are being recorded, of one connection. */
const mostRefusing = 256

export class Live {
  readonly parts: LiveParts
  /** `TARGET/HOST/LOGIN` */
  readonly base: string
  readonly #link: Link | undefined
  readonly #work = new Set<Promise<unknown>>()
  readonly #lingering = new Set<Promise<void>>()
  #refusing = 0
  readonly #watched = new Map<Channel, () => void>()

  constructor(parts: LiveParts) {
    this.parts = parts
    const { destination } = parts
    this.base = baseOf(parts.target, destination)
    this.#link = destination.at === undefined ? undefined : new Link({ ...destination, at: destination.at })
    parts.session.catch(() => undefined)
    parts.socket.on('data', this.#look)
  }

  /** There is one wherever an origin runs. */
  get link(): Link {
    return this.#link!
  }

  /** Runs an operation through the gate; never rejects. What goes to a host or login that there is not is refused before it is judged. */
  async run(
    operation: Operation,
    { signal, onHeld }: { readonly signal: AbortSignal; readonly onHeld?: (held: Held) => void },
    origin: Origin,
    sink: Sink,
  ): Promise<Result> {
    const work = this.#run(operation, signal, onHeld, origin, sink)
    this.#work.add(work)
    try {
      return await work
    } finally {
      this.#work.delete(work)
    }
  }

  async #run(
    operation: Operation,
    signal: AbortSignal,
    onHeld: ((held: Held) => void) | undefined,
    origin: Origin,
    sink: Sink,
  ): Promise<Result> {
    const { gate, address } = this.parts
    let exchange: string | undefined
    try {
      const session = await this.parts.session
      const made = gate.exchange({ operation, session, address, signal, ...(onHeld === undefined ? {} : { onHeld }) })
      exchange = made.id
      if (this.#link === undefined) {
        const error = new Refusal('ERR_ACCESS_DENIED', 'there is no such host, or no such login at it')
        await gate.refuse(made, error)
        throw error
      }
      return { end: await gate.handle(made, origin, sink) }
    } catch (error) {
      return { error, exchange }
    }
  }

  /** Records a refusal of what is not done here, whoever asks. Resolves with the result to be told; never rejects. */
  refuse(operation: Operation, error: Error): Promise<Result> {
    this.#refusing += 1
    // What is refused is recorded, which takes its time: who asks faster than that is not let ask on.
    if (this.#refusing > mostRefusing) this.parts.socket.destroy()
    const work = (async (): Promise<Result> => {
      const { gate, address, session } = this.parts
      try {
        const exchange = gate.exchange({ operation, session: await session, address })
        await gate.refuse(exchange, error)
        return { error, exchange: exchange.id }
      } catch (failure) {
        return { error: failure, exchange: undefined }
      }
    })()
    this.#work.add(work)
    void work.finally(() => {
      this.#refusing -= 1
      this.#work.delete(work)
    })
    return work
  }

  /** @param closed called once, when the client has closed the channel or the connection is over. @returns ends the watch */
  watch(channel: Channel, closed: () => void): () => void {
    const { gone } = this.parts
    const over = () => {
      stop()
      closed()
    }
    const stop = () => {
      this.#watched.delete(channel)
      gone.removeEventListener('abort', over)
    }
    this.#watched.set(channel, over)
    gone.addEventListener('abort', over, { once: true })
    return stop
  }

  /** The connection to the host stays until then, though the client has gone. */
  linger(until: AbortSignal): void {
    if (until.aborted) return
    const over = new Promise<void>(resolve => until.addEventListener('abort', () => resolve(), { once: true }))
    this.#lingering.add(over)
    void over.then(() => this.#lingering.delete(over))
  }

  /** After each piece that the client has sent. */
  #look = () => {
    for (const [channel, over] of this.#watched) {
      if (isClosed(channel)) over()
      // It pays no heed to the window: all that it sends would be kept here.
      else if (unread(channel) > mostUnread) this.parts.socket.destroy()
    }
  }

  /** Ends the connection to the host, and resolves when everything in flight has ended and is recorded. */
  async end(): Promise<void> {
    this.parts.socket.off('data', this.#look)
    while (this.#lingering.size > 0) await Promise.all(this.#lingering)
    this.#link?.end()
    while (this.#work.size > 0) await Promise.allSettled(this.#work)
  }
}
