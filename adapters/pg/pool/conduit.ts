/** A connection within the process: what is written at one end is read at the other, with back-pressure, and no socket between. */
import { Duplex } from 'node:stream'

/** How much may wait to be read at either end. */
const highWaterMark = 64 * 1024

class End extends Duplex {
  other: End | undefined
  #room: (() => void) | undefined

  constructor() {
    // As a socket: whose peer has ended it ends, too.
    super({ allowHalfOpen: false, highWaterMark })
  }

  override _read(): void {
    const room = this.#room
    this.#room = undefined
    room?.()
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    // In a turn of its own: what a listener at the other end throws is its own affair, as with a socket.
    process.nextTick(() => this.other!.#take(chunk, done))
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done)
  }

  override _final(done: () => void): void {
    process.nextTick(() => {
      this.other!.#take(null, done)
    })
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this._read()
    process.nextTick(() => this.other?.destroy())
    done(error)
  }

  #take(chunk: Buffer | null, done: () => void): void {
    if (this.destroyed || this.readableEnded || this.push(chunk) || chunk === null) done()
    else this.#room = done
  }
}

/** The end that pg takes for its socket. */
export class NearEnd extends End {
  /** Called when pg connects. */
  opened: (() => void) | undefined
  /** Called when pg says whether this connection should keep the process alive. */
  referenced: ((keeps: boolean) => void) | undefined

  connect(): this {
    this.opened?.()
    process.nextTick(() => this.emit('connect'))
    return this
  }

  ref(): this {
    this.referenced?.(true)
    return this
  }

  unref(): this {
    this.referenced?.(false)
    return this
  }

  // What a socket has, and this needs not.
  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }
}

export function conduit(): { readonly near: NearEnd; readonly far: Duplex } {
  const near = new NearEnd()
  const far = new End()
  near.other = far
  far.other = near
  // What ends here ends there: an error has been told where it happened.
  far.on('error', () => undefined)
  return { near, far }
}
