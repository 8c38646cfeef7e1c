/**
 * Frames between a ledger's leader and those who append through it: four bytes of length, one of type, then what the type says.
 * Whatever is longer than agreed, or of no type, ends the connection before it is held.
 */
import { LedgerError } from '../../errors.ts'
import { longestFrame } from '../../format/frame.ts'

/** Types, as the byte that stands for each. JSON but for `entries` and `piece`, which begin with a number in eight bytes. */
// biome-ignore format: a table
const types = {
  hello:    1,  // client: who it is, and from where on it wants entries
  welcome:  2,  // leader: it may append
  refused:  3,  // leader: it may not, and the connection ends
  append:   4,  // client: drafts, with the ids that their entries shall have
  declined: 5,  // leader: those drafts are no entries
  entries:  6,  // leader: durable entries in order; an append is acknowledged by its own among them
  ask:      7,  // client: a question or an errand
  answer:   8,  // leader
  failure:  9,  // leader: an error in place of an answer
  piece:   10,  // both: bytes of an attachment
} as const

export type FrameType = keyof typeof types

const names = new Map<number, FrameType>(Object.entries(types).map(([name, byte]) => [byte, name as FrameType]))

/** Drafts are longer than the entries that are made of them, but not by much. */
export const longestMessage = 2 * longestFrame
/** Before it is known who speaks. */
export const longestHello = 16 * 1024

export interface Message {
  readonly type: FrameType
  readonly body: Buffer
}

const headBytes = 5
/** Bytes from which on a piece is held as it came. */
const longPiece = 65_536

export function encodeMessage(type: FrameType, ...parts: readonly Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const head = Buffer.allocUnsafe(headBytes)
  head.writeUInt32BE(length, 0)
  head[4] = types[type]
  return Buffer.concat([head, ...parts], headBytes + length)
}

export const encodeJson = (type: FrameType, value: unknown): Buffer =>
  encodeMessage(type, Buffer.from(JSON.stringify(value)))

/** Cuts a stream of bytes into messages; holds one message at most, and what came behind it in the same read. */
export class MessageReader {
  #longest: number
  #held: Buffer[] = []
  #bytes = 0

  constructor(longest: number) {
    this.#longest = longest
  }

  /** From now on. */
  allow(longest: number): void {
    this.#longest = longest
  }

  /** @throws LedgerError ERR_ENTRY_MALFORMED: the stream is worth nothing from there on */
  *read(bytes: Buffer): Generator<Message> {
    this.#hold(bytes)
    this.#bytes += bytes.length
    for (;;) {
      if (this.#bytes < headBytes) return
      const start = this.#first(headBytes)
      const length = start.readUInt32BE(0)
      const type = names.get(start[4]!)
      if (type === undefined || length > this.#longest) throw unreadable()
      if (this.#bytes < headBytes + length) return
      const whole = this.#first(headBytes + length)
      this.#held = whole.length === headBytes + length ? [] : [whole.subarray(headBytes + length)]
      this.#bytes -= headBytes + length
      yield { type, body: whole.subarray(headBytes, headBytes + length) }
    }
  }

  /**
   * Small pieces are put together, each of them a few times at most: what comes a byte at a time would be held at hundreds of bytes for
   * each. So no piece is less than twice as long as the next, but for those that are long.
   */
  #hold(bytes: Buffer): void {
    let last = bytes
    for (let before = this.#held.at(-1); before !== undefined; before = this.#held.at(-1)) {
      if (last.length >= longPiece || before.length >= 2 * last.length) break
      this.#held.pop()
      last = Buffer.concat([before, last])
    }
    this.#held.push(last)
  }

  /** @returns a buffer that begins with all that is held, at least `count` bytes of it in one piece */
  #first(count: number): Buffer {
    if (this.#held[0]!.length < count) this.#held = [Buffer.concat(this.#held)]
    return this.#held[0]!
  }
}

/** What came is not quoted: it may be anything. */
export const unreadable = () =>
  new LedgerError('ERR_ENTRY_MALFORMED', 'what came over a connection to a shared ledger is no message of it')
