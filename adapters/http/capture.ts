/**
 * The handlers' side of a response: what they write fills a bounded queue, and is pulled from it as the frames of a reply. To
 * them it behaves as node's own does; a reply that is refused looks like a client that has gone.
 */
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onBehalfOf } from '../../lib/current.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Form, Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import { formOf, type Head, shownHead, untrueOnceMasked } from './head.ts'
import { putInFront, type Real } from './layer.ts'

const highWater = 64 * 1024

type Callback = (error?: Error | null) => void
interface Part {
  readonly bytes: Uint8Array
  readonly done: Callback | undefined
}

export class Capture {
  /** The methods as they were before, for whoever gives out what was captured. */
  readonly real: Real
  readonly #response: ServerResponse
  readonly #parts: Part[] = []
  /** Handlers hear of the queue's own room only, neither of the socket's nor of a compressor's. */
  readonly #room = new EventEmitter()
  #exchange: Exchange | undefined
  #inner: Capture | undefined
  #queued = 0
  #head: Head | undefined
  #started = false
  #ended = false
  #closed = false
  #flushed = false
  #cut = false
  #trailers: readonly unknown[] = []
  #wake: () => void = () => undefined

  constructor(response: ServerResponse) {
    this.#response = response
    this.real = putInFront(response, this)
    if (this.real.outer !== undefined) this.real.outer.#inner = this
  }

  get headersSent(): boolean {
    return this.#head !== undefined && !this.#closed
  }

  get writableEnded(): boolean {
    return this.#ended
  }

  get writableNeedDrain(): boolean {
    return this.#queued >= highWater
  }

  /** Status and headers as the handlers left them when they began to answer. */
  get head(): Head {
    return this.#head!
  }

  /** The handlers want the head to leave before there is a body. */
  get flushed(): boolean {
    return this.#flushed
  }

  /** The handlers have destroyed the response while its client was there. */
  get cut(): boolean {
    return this.#cut
  }

  get trailers(): readonly unknown[] {
    return this.#trailers
  }

  /** Whose handlers these are: a guard within this one knows them better. Undefined until they are started. */
  get exchange(): Exchange | undefined {
    return this.#inner?.exchange ?? this.#exchange
  }

  /** What was captured and not released is gone, and whatever the handlers still do has no effect. */
  close(): void {
    this.#closed = true
    for (const { done } of this.#parts.splice(0)) done?.(gone())
  }

  /** The reply: starts the handlers when it is pulled. */
  async *reply(exchange: Exchange, start: () => void): AsyncGenerator<Frame> {
    this.#exchange = exchange
    start()
    while (!this.#started) await this.#change(exchange)
    yield this.#headFrame(exchange)
    for (;;) {
      const part = this.#parts.shift()
      if (part !== undefined) {
        yield { type: 'data', channel: 'body', bytes: part.bytes, items: 1 }
        const full = this.#queued >= highWater
        this.#queued -= part.bytes.length
        // The handlers' own, whoever pulls: within another guard that is another exchange.
        if (part.done !== undefined) onBehalfOf(exchange, part.done)
        if (full && this.#queued < highWater) onBehalfOf(exchange, () => this.#room.emit('drain'))
      } else if (this.#ended) {
        yield { type: 'end', result: this.#hasFailed ? 'failed' : 'completed', settled: 'nothing' }
        return
      } else {
        await this.#change(exchange)
      }
    }
  }

  async #change(exchange: Exchange): Promise<void> {
    await race(new Promise<void>(resolve => { this.#wake = resolve }), exchange.signal) // biome-ignore format: one step
  }

  /** Written out only for a recording. */
  #headFrame(exchange: Exchange): Frame {
    const obligations = exchange.perhaps('obligations')
    const head: Frame = { type: 'head', form: this.#form(), ...(this.#hasFailed ? { failed: true } : {}) }
    if (obligations?.record.response !== 'masked') return head
    const without = obligations.masks.length > 0 ? untrueOnceMasked : []
    return { ...head, bytes: shownHead(this.#response, this.head, without) }
  }

  get #hasFailed(): boolean {
    return this.head.status >= 500
  }

  #form(): Form {
    if (this.#ended && this.#parts.length === 0) return { kind: 'empty' }
    return formOf(this.#response, this.head)
  }

  /** Fixes the head through whatever wraps `writeHead`, as node's own first write does. */
  #begin(): void {
    if (this.#head === undefined) this.#response.writeHead(this.#response.statusCode)
    this.#started = true
  }

  #push(bytes: Uint8Array | undefined, done: Callback | undefined): boolean {
    this.#begin()
    if (bytes !== undefined && bytes.length > 0 && this.head.hasBody) {
      this.#parts.push({ bytes, done })
      this.#queued += bytes.length
    } else if (done !== undefined) {
      process.nextTick(done)
    }
    this.#wake()
    return this.#queued < highWater
  }

  write(chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
    const done = callbackIn(encoding, callback)
    if (this.#closed || this.#ended) {
      if (done !== undefined) process.nextTick(done, gone())
      return false
    }
    return this.#push(bytesOf(chunk, encoding), done)
  }

  end(chunk?: unknown, encoding?: unknown, callback?: unknown): void {
    const done = callbackIn(chunk, encoding, callback)
    if (this.#closed || this.#ended) {
      if (done !== undefined) process.nextTick(done, gone())
      return
    }
    const none = chunk === undefined || chunk === null || typeof chunk === 'function'
    const bytes = none ? undefined : bytesOf(chunk, encoding)
    if (done !== undefined) this.real.on('finish', () => done())
    this.#begin()
    this.#ended = true
    this.#push(bytes, undefined)
  }

  destroy(error?: Error): void {
    // What destroys the reply of a client that has gone already cuts nothing.
    if (!hasGone(this.#response.req.socket)) this.#cut = true
    this.real.destroy(error)
  }

  /** Once the head is fixed nothing of it changes; once the reply is refused, nothing is heard. @returns whether it may change */
  mayChangeHead(): boolean {
    if (this.real.leaving) return true
    if (this.#head !== undefined && !this.#closed) throw alreadySent()
    return !this.#closed
  }

  writeHead(status: number, message?: unknown, headers?: unknown): void {
    if (this.#closed) return
    const given = typeof message === 'string' ? headers : message
    if (this.#head !== undefined) {
      // Compressors call it before every write, by node's `_implicitHeader`.
      if (given === undefined && status === this.#head.status) return
      throw alreadySent()
    }
    const response = this.#response
    applyHeaders(response, given)
    response.statusCode = status
    if (typeof message === 'string') response.statusMessage = message
    const hasBody = response.req.method !== 'HEAD' && status !== 204 && status !== 304
    this.#head = { status, message: response.statusMessage as string | undefined, hasBody }
  }

  flushHeaders(): void {
    if (this.#closed) return
    this.#begin()
    this.#flushed = true
    this.#wake()
  }

  addTrailers(trailers: unknown): void {
    this.#trailers = [...this.#trailers, trailers]
  }

  /** @returns where listeners for an event belong; undefined where that is the response itself */
  emitterOf(event: unknown): EventEmitter | undefined {
    return event === 'drain' ? this.#room : undefined
  }
}

/** Whether the client has left this connection, as far as has been heard. */
export const hasGone = (socket: Socket): boolean => socket.readableEnded || socket.errored !== null

const callbackIn = (...given: unknown[]) => given.find(one => typeof one === 'function') as Callback | undefined

/** Copied: handlers may use their buffer again. @throws TypeError as node does */
function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (typeof chunk === 'string') {
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  }
  if (chunk instanceof Uint8Array) return Buffer.from(chunk)
  throw withCode(new TypeError('a chunk must be a string or bytes'), 'ERR_INVALID_ARG_TYPE')
}

/** `writeHead` takes an object, a flat list of names and values, or a list of pairs. */
function applyHeaders(response: ServerResponse, headers: unknown): void {
  if (Array.isArray(headers)) {
    const flat = headers.flat() as string[]
    for (let i = 0; i < flat.length; i += 2) response.removeHeader(flat[i]!)
    for (let i = 0; i + 1 < flat.length; i += 2) response.appendHeader(flat[i]!, flat[i + 1]!)
  } else if (typeof headers === 'object' && headers !== null) {
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) response.setHeader(name, value as string)
    }
  }
}

const withCode = <E extends Error>(error: E, code: string): E => Object.assign(error, { code })
const gone = () => withCode(new Error('the reply is over'), 'ERR_STREAM_DESTROYED')
const alreadySent = () => withCode(new Error('the head of the reply is fixed already'), 'ERR_HTTP_HEADERS_SENT')
