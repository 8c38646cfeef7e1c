/** Turns what handlers write into a reply: `write` and `end` fill a bounded queue of frames, and the real ones are kept for the sink. */
import type { ServerResponse } from 'node:http'
import { Fault } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Form, Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'

const highWater = 64 * 1024

type Callback = (error?: Error | null) => void
interface Part {
  readonly bytes: Uint8Array
  readonly done: Callback | undefined
}

export class Capture {
  readonly #response: ServerResponse
  readonly #real: Pick<ServerResponse, 'write' | 'end'>
  readonly #parts: Part[] = []
  #queued = 0
  #started = false
  #ended = false
  #failure: unknown
  #wake: () => void = () => undefined

  constructor(response: ServerResponse) {
    this.#response = response
    this.#real = { write: response.write.bind(response), end: response.end.bind(response) }
    const override = { ...this.#overrides() }
    Object.assign(response, override)
    Object.defineProperty(response, 'headersSent', { configurable: true, get: () => this.#started })
  }

  /** Gives the real methods back; what was captured and not released is gone, and headers that handlers set with it. */
  restore(): void {
    const response = this.#response as unknown as Record<string, unknown>
    for (const name of ['write', 'end', 'writeHead', 'flushHeaders', 'headersSent']) delete response[name]
  }

  fail(error: unknown): void {
    this.#failure = error
    this.#wake()
  }

  /** The reply: starts the handlers when it is pulled. */
  async *reply(exchange: Exchange, start: () => void): AsyncGenerator<Frame> {
    start()
    while (!this.#started) await this.#change(exchange)
    yield { type: 'head', form: this.#form() }
    for (;;) {
      const part = this.#parts.shift()
      if (part !== undefined) {
        yield { type: 'data', channel: 'body', bytes: part.bytes, items: 1 }
        this.#queued -= part.bytes.length
        part.done?.()
        if (this.#queued < highWater) this.#response.emit('drain')
      } else if (this.#ended) {
        yield { type: 'end', result: this.#response.statusCode < 500 ? 'completed' : 'failed', settled: 'nothing' }
        return
      } else {
        await this.#change(exchange)
      }
    }
  }

  /** The sink: frames go out on the real response. */
  async release(frame: Frame, masked: boolean, signal: AbortSignal): Promise<void> {
    if (frame.type === 'head') {
      // What these say of the whole is no longer true of what is shown, or would let it be guessed.
      if (masked)
        for (const name of ['content-length', 'etag', 'last-modified', 'accept-ranges', 'content-md5', 'digest'])
          this.#response.removeHeader(name)
    } else if (frame.type === 'data') {
      if (!this.#real.write(frame.bytes)) {
        await race(new Promise<void>(resolve => this.#onRealDrain(resolve)), signal)
      }
    } else {
      await new Promise<void>(resolve => this.#real.end(() => resolve()))
    }
  }

  /** Node emits `drain` on the response; handlers hear it too, which is harmless. */
  #onRealDrain(resolve: () => void): void {
    if (this.#response.writableNeedDrain) this.#response.once('drain', () => this.#onRealDrain(resolve))
    else resolve()
  }

  async #change(exchange: Exchange): Promise<void> {
    if (this.#failure === undefined) {
      await race(new Promise<void>(resolve => { this.#wake = resolve }), exchange.signal) // biome-ignore format: one step
    }
    if (this.#failure !== undefined) throw new Fault('ERR_UPSTREAM', 'a handler failed', {}, this.#failure)
  }

  #form(): Form {
    const type = String(this.#response.getHeader('content-type') ?? '')
    const encoding = this.#response.getHeader('content-encoding')
    const status = this.#response.statusCode
    if ((this.#ended && this.#parts.length === 0) || status === 204 || status === 304) return { kind: 'empty' }
    if (encoding !== undefined && encoding !== 'identity') return { kind: 'opaque' }
    return /^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type) ? { kind: 'json' } : { kind: 'opaque' }
  }

  #overrides() {
    const take = (chunk: unknown, encoding: unknown, callback: unknown): { bytes?: Uint8Array; done?: Callback } => {
      const done = [chunk, encoding, callback].find(x => typeof x === 'function') as Callback | undefined
      const given = done === undefined ? {} : { done }
      if (typeof chunk === 'string')
        return {
          bytes: Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8'),
          ...given,
        }
      if (chunk instanceof Uint8Array) return { bytes: Buffer.from(chunk), ...given }
      return given
    }
    const push = (bytes: Uint8Array | undefined, done: Callback | undefined) => {
      this.#started = true
      if (bytes !== undefined && bytes.length > 0) {
        this.#parts.push({ bytes, done })
        this.#queued += bytes.length
      } else {
        done?.()
      }
      this.#wake()
      return this.#queued < highWater
    }
    return {
      write: (chunk: unknown, encoding?: unknown, callback?: unknown): boolean => {
        const { bytes, done } = take(chunk, encoding, callback)
        return push(bytes, done)
      },
      end: (chunk?: unknown, encoding?: unknown, callback?: unknown): ServerResponse => {
        const { bytes, done } = take(chunk, encoding, callback)
        if (done !== undefined) this.#response.once('finish', () => done())
        if (!this.#ended) {
          this.#ended = true
          push(bytes, undefined)
        }
        return this.#response
      },
      writeHead: (status: number, message?: unknown, headers?: unknown): ServerResponse => {
        this.#response.statusCode = status
        if (typeof message === 'string') this.#response.statusMessage = message
        setHeaders(this.#response, typeof message === 'string' ? headers : message)
        return this.#response
      },
      flushHeaders: (): void => {
        this.#started = true
        this.#wake()
      },
    }
  }
}

/** `writeHead` takes an object, a flat list of names and values, or a list of pairs. */
function setHeaders(response: ServerResponse, headers: unknown): void {
  if (Array.isArray(headers)) {
    const flat = headers.flat() as string[]
    for (let i = 0; i + 1 < flat.length; i += 2) response.appendHeader(flat[i]!, flat[i + 1]!)
  } else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) response.setHeader(name, value as string)
  }
}
