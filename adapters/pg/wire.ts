/** PostgreSQL's messages, version 3.0: the few that we make, and a bounded reader for the fields of those that we read. */
import { ProtocolViolation } from './violation.ts'

/** The type byte of a message, by name. Frontend and backend share letters: they are told apart by who sends. */
// biome-ignore format: a table
export const type = {
  // no message of PostgreSQL's: in process, who asks from here on
  turn: 0x00,
  // from the client
  bind: 0x42, close: 0x43, describe: 0x44, execute: 0x45, functionCall: 0x46, flush: 0x48, parse: 0x50, password: 0x70,
  query: 0x51, sync: 0x53, terminate: 0x58,
  // from both
  copyData: 0x64, copyDone: 0x63, copyFail: 0x66,
  // from the server
  authentication: 0x52, backendKeyData: 0x4b, bindComplete: 0x32, closeComplete: 0x33, commandComplete: 0x43, copyBoth: 0x57,
  copyIn: 0x47, copyOut: 0x48, dataRow: 0x44, emptyQuery: 0x49, error: 0x45, negotiate: 0x76, noData: 0x6e, notice: 0x4e,
  notification: 0x41, parameterDescription: 0x74, parameterStatus: 0x53, parseComplete: 0x31, portalSuspended: 0x73,
  ready: 0x5a, rowDescription: 0x54,
} as const

/** A message: its type, its length, then the parts. Strings get their terminating NUL. */
export function message(of: number, ...parts: readonly (string | Uint8Array)[]): Buffer {
  const bodies = parts.map(part => (typeof part === 'string' ? Buffer.from(`${part}\0`) : part))
  const length = bodies.reduce((sum, body) => sum + body.length, 4)
  const bytes = Buffer.allocUnsafe(length + 1)
  bytes[0] = of
  bytes.writeInt32BE(length, 1)
  let at = 5
  for (const body of bodies) {
    bytes.set(body, at)
    at += body.length
  }
  return bytes
}

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeInt32BE(value)
  return bytes
}

export const int16 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2)
  bytes.writeInt16BE(value)
  return bytes
}

export const flush = message(type.flush)
export const sync = message(type.sync)
export const terminate = message(type.terminate)
export const query = (text: string): Buffer => message(type.query, text)
/** Execute of a portal, all rows. */
export const execute = (portal: string): Buffer => message(type.execute, portal, int32(0))
export const describePortal = (portal: string): Buffer => message(type.describe, Buffer.from('P'), portal)
export const closeStatement = (name: string): Buffer => message(type.close, Buffer.from('S'), name)
export const ready = (status: TransactionStatus): Buffer => message(type.ready, Buffer.from(status))
export const parameterStatus = (name: string, value: string): Buffer => message(type.parameterStatus, name, value)

/** Idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws ProtocolViolation 22021 where the bytes are no UTF-8 */
export function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new ProtocolViolation('22021', 'invalid byte sequence for encoding "UTF8"')
  }
}

/** Reads the fields of one message, after its header, and nothing beyond it. */
export class Fields {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, from = 5) {
    this.#bytes = bytes
    this.#at = from
  }

  #take(length: number): number {
    const at = this.#at
    if (length < 0 || at + length > this.#bytes.length)
      throw new ProtocolViolation('08P01', 'a message cut inside a field')
    this.#at += length
    return at
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    return this.#bytes[this.#take(1)]!
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  bytes(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  string(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new ProtocolViolation('08P01', 'a string without its end')
    const value = text(this.#bytes.subarray(this.#at, end))
    this.#at = end + 1
    return value
  }

  /** @throws ProtocolViolation where something follows: we and the server would read the message differently */
  end(): void {
    if (this.left !== 0) throw new ProtocolViolation('08P01', 'a message with bytes after its last field')
  }
}
