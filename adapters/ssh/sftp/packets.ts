/** SFTP version 3 (draft-ietf-secsh-filexfer-02) as bytes: packets cut out of a stream, their fields, and those that we make. */
import type { Inlet } from '../streams.ts'

// biome-ignore format: a table
export const type = {
  init: 1, version: 2, open: 3, close: 4, read: 5, write: 6, lstat: 7, fstat: 8, setstat: 9, fsetstat: 10, opendir: 11, readdir: 12,
  remove: 13, mkdir: 14, rmdir: 15, realpath: 16, stat: 17, rename: 18, readlink: 19, symlink: 20,
  status: 101, handle: 102, data: 103, name: 104, attrs: 105, extended: 200, extendedReply: 201,
} as const

/** OPEN's pflags. */
export const flag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const

/** As long as OpenSSH takes them, and a header. */
const longest = 256 * 1024 + 1024

/** What cannot be read as SFTP: the session ends. */
export class Garbled extends Error {
  override readonly name = 'Garbled'
}

export interface Packet {
  readonly type: number
  /** All behind the type. */
  readonly body: Buffer
}

/** Cuts a stream into packets. What a packet arrives in is joined once: OpenSSH's are eight pieces long. */
export class Packets {
  readonly #inlet: Inlet
  #pieces: Buffer[] = []
  #length = 0

  constructor(inlet: Inlet) {
    this.#inlet = inlet
  }

  /** @returns undefined at the end of the stream. @throws Garbled; the signal's reason */
  async next(signal: AbortSignal): Promise<Packet | undefined> {
    for (;;) {
      const packet = this.#cut()
      if (packet !== undefined) return packet
      const piece = await this.#inlet.next(signal)
      if (piece === undefined) {
        if (this.#length > 0) throw new Garbled('a packet that breaks off')
        return undefined
      }
      this.#pieces.push(piece.bytes)
      this.#length += piece.bytes.length
    }
  }

  #cut(): Packet | undefined {
    if (this.#length < 4) return undefined
    if (this.#pieces[0]!.length < 4) this.#pieces = [Buffer.concat(this.#pieces)]
    const length = this.#pieces[0]!.readUInt32BE()
    if (length < 1 || length > longest) throw new Garbled('a packet of an impossible length')
    if (this.#length < 4 + length) return undefined
    const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
    const rest = all.subarray(4 + length)
    this.#pieces = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
    return { type: all[4]!, body: all.subarray(5, 4 + length) }
  }
}

/** Reads fields in order. @throws Garbled where there are fewer */
export class Fields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  uint32(): number {
    if (this.#at + 4 > this.#bytes.length) throw new Garbled('a field is missing')
    this.#at += 4
    return this.#bytes.readUInt32BE(this.#at - 4)
  }

  string(): Buffer {
    const length = this.uint32()
    if (this.#at + length > this.#bytes.length) throw new Garbled('a field is cut')
    this.#at += length
    return this.#bytes.subarray(this.#at - length, this.#at)
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export const string = (bytes: Uint8Array | string): Buffer => {
  const of = typeof bytes === 'string' ? Buffer.from(bytes) : bytes
  return Buffer.concat([uint32(of.length), of])
}

export function packet(of: number, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 1)
  return Buffer.concat([uint32(length), Buffer.from([of]), ...parts])
}

export const status = (id: number, code: number, text: string): Buffer =>
  packet(type.status, uint32(id), uint32(code), string(text), string('en'))
