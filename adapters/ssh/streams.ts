/** Bytes in and out of channels, with back-pressure: of the channel's window, and of the socket, which ssh2 does not look at. */
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import type { Channel } from 'ssh2'
import { drained } from '../../lib/drained.ts'
import { race } from '../../lib/run.ts'
import { forgetSent } from './internals.ts'

/** Where a channel's bytes go: the channel and its stderr, over one socket. */
export class Outlet {
  readonly #channel: Channel
  readonly #socket: Socket
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(channel: Channel, socket: Socket) {
    this.#channel = channel
    this.#socket = socket
  }

  /** Nothing waits for room. */
  get idle(): boolean {
    return this.#waiting === 0
  }

  /**
   * One write after another, stderr included. Resolves when the window has taken all of it and the socket has room: never, where the
   * channel has closed meanwhile, so the wait races a signal.
   */
  write(bytes: Uint8Array, to: Writable = this.#channel): Promise<void> {
    if (bytes.length === 0) return Promise.resolve()
    this.#waiting += 1
    this.#last = this.#last.then(() => this.#write(bytes, to))
    return this.#last
  }

  async #write(bytes: Uint8Array, to: Writable): Promise<void> {
    await new Promise<void>(resolve => to.write(bytes, () => resolve()))
    forgetSent(this.#channel)
    if (this.#socket.writableNeedDrain) await drained(this.#socket)
    this.#waiting -= 1
  }
}

export interface Piece<Name extends string> {
  readonly from: Name
  readonly bytes: Buffer
}

/** Reads several streams as one, piece by piece, in the order in which they have something. */
export class Inlet<Name extends string = 'in'> {
  readonly #streams: [Name, Readable][]
  #wake: () => void = () => undefined

  constructor(streams: Readonly<Record<Name, Readable>>) {
    this.#streams = Object.entries(streams) as [Name, Readable][]
    const changed = () => this.#wake()
    for (const [, stream] of this.#streams) {
      for (const event of ['readable', 'end', 'close']) stream.on(event, changed)
      stream.on('error', changed)
    }
  }

  /** All that there will be has been read. */
  get ended(): boolean {
    return this.#streams.every(([, stream]) => stream.readableEnded || stream.destroyed)
  }

  /** @returns undefined at the end of all. @throws the signal's reason */
  async next(signal: AbortSignal): Promise<Piece<Name> | undefined> {
    for (;;) {
      signal.throwIfAborted()
      // Whoever waits is heard of whatever comes from here on.
      const change = new Promise<void>(resolve => {
        this.#wake = resolve
      })
      for (const stream of [...this.#streams]) {
        const bytes = take(stream[1])
        if (bytes === null) continue
        // The other one comes first next time.
        this.#streams.push(...this.#streams.splice(this.#streams.indexOf(stream), 1))
        return { from: stream[0], bytes }
      }
      if (this.ended) return undefined
      await race(change, signal)
    }
  }
}

/** As much as is judged, committed to and written at once. All that lies in a window would be one copy more of it. */
const longestPiece = 64 * 1024

/** Asked for more than there is, a stream gives nothing; asked when there is nothing, it looks whether it has ended. */
const take = (stream: Readable): Buffer | null =>
  (stream.readableLength > longestPiece ? stream.read(longestPiece) : stream.read()) as Buffer | null

/**
 * Sends on what comes, and its end, until the signal. Never rejects: what ends it is said elsewhere.
 * @param heard told of each piece before it is sent on; where it throws, nothing more is
 */
export async function pump(
  from: Readable,
  to: Channel,
  socket: Socket,
  signal: AbortSignal,
  heard?: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const inlet = new Inlet({ in: from })
  const outlet = new Outlet(to, socket)
  try {
    for (let piece = await inlet.next(signal); piece !== undefined; piece = await inlet.next(signal)) {
      await heard?.(piece.bytes)
      await race(outlet.write(piece.bytes), signal)
    }
    to.end()
  } catch {
    // The reply that this is the input of is over.
  }
}
