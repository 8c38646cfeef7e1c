/** Cuts a socket's bytes into whole messages by their headers alone; rows and copied data come as runs, one for each read. */
import type { Duplex } from 'node:stream'
import { ProtocolViolation } from './violation.ts'
import { type } from './wire.ts'

/** One whole message, or a run of adjacent DataRow or CopyData messages. */
export interface Message {
  readonly type: number
  /** With its header, or headers. */
  readonly bytes: Buffer
  readonly count: number
}

/** How much may wait to be taken before the socket is paused. */
const highWater = 256 * 1024

export class Messages {
  readonly #socket: Duplex
  readonly #limit: (type: number) => number
  readonly #queue: Message[] = []
  #queued = 0
  #parts: Buffer[] = []
  #size = 0
  /** Bytes without which nothing more can be cut. */
  #need = 5
  #ended = false
  #error: Error | undefined
  #wake: (() => void) | undefined
  #waiting: Promise<void> | undefined

  /** @param limit the longest message of a type, in bytes with its header */
  constructor(socket: Duplex, limit: (type: number) => number) {
    this.#socket = socket
    this.#limit = limit
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => this.#end())
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  /** No more messages will come. */
  get over(): boolean {
    return this.#ended && this.#queue.length === 0
  }

  /** The peer has closed, or broken the protocol; messages that came before may still wait. */
  get ended(): boolean {
    return this.#ended
  }

  /** The next message, left where it is. @throws ProtocolViolation once all before the malformed one are taken */
  peek(): Message | undefined {
    if (this.#queue.length === 0 && this.#error !== undefined) throw this.#error
    return this.#queue[0]
  }

  take(): Message | undefined {
    const next = this.peek()
    if (next === undefined) return undefined
    this.#queue.shift()
    this.#queued -= next.bytes.length
    if (this.#queued < highWater && !this.#ended && this.#socket.isPaused()) this.#socket.resume()
    return next
  }

  /** Resolves when there is something to take, or nothing more to come. The same promise for all who wait. */
  wait(): Promise<void> {
    if (this.#queue.length > 0 || this.#ended) return Promise.resolve()
    this.#waiting ??= new Promise(resolve => {
      this.#wake = resolve
    })
    return this.#waiting
  }

  #take(chunk: Buffer): void {
    if (this.#ended) return
    this.#parts.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#need) return
    this.#cut(this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#size))
    if (this.#queued >= highWater) this.#socket.pause()
    if (this.#queue.length > 0) this.#notify()
  }

  #cut(bytes: Buffer): void {
    let at = 0
    let run: { type: number; from: number; count: number } | undefined
    const close = () => {
      if (run !== undefined) this.#push({ type: run.type, bytes: bytes.subarray(run.from, at), count: run.count })
      run = undefined
    }
    this.#need = 5
    while (bytes.length - at >= 5) {
      const of = bytes[at]!
      const length = bytes.readInt32BE(at + 1) + 1
      if (length < 5 || length > this.#limit(of)) {
        close()
        this.#error = new ProtocolViolation('08P01', 'a message of an impossible length')
        this.#end()
        return
      }
      if (bytes.length - at < length) {
        this.#need = length
        break
      }
      if (run !== undefined && run.type !== of) close()
      if (of === type.dataRow || of === type.copyData) {
        run ??= { type: of, from: at, count: 0 }
        run.count++
        at += length
      } else {
        this.#push({ type: of, bytes: bytes.subarray(at, at + length), count: 1 })
        at += length
      }
    }
    close()
    const rest = bytes.subarray(at)
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
  }

  #push(message: Message): void {
    this.#queue.push(message)
    this.#queued += message.bytes.length
  }

  #end(): void {
    this.#ended = true
    this.#parts = []
    this.#size = 0
    this.#notify()
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
    this.#waiting = undefined
  }
}
