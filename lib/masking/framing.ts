/**
 * Where one record of a stream ends and the next begins, in pieces that break anywhere. A
 * record is held until it is whole, and no longer.
 */
import { Fault } from '../errors.ts'

/** As of a document: a record is masked whole, so it is held in memory. */
export const longestRecord = 8 * 1024 * 1024

export interface Framing {
  /** Records that are whole by now, as they stand, with what ends them. */
  push(bytes: Uint8Array): Iterable<Uint8Array>
  /** What is left at the end of the stream. */
  end(): Iterable<Uint8Array>
}

/** Pieces of one record. @throws Fault ERR_MASK_FAILED where it is too long to be held */
class Held {
  readonly #pieces: Uint8Array[] = []
  #length = 0

  add(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#length += piece.length
    if (this.#length > longestRecord) throw tooLong()
    this.#pieces.push(piece)
  }

  /** All of it, and nothing is held any more. */
  take(last: Uint8Array): Uint8Array {
    this.add(last)
    const pieces = this.#pieces.splice(0)
    this.#length = 0
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }
}

const tooLong = () => new Fault('ERR_MASK_FAILED', `a record of over ${longestRecord} bytes is too long to be masked`)
const lf = 0x0a
const cr = 0x0d

/** Up to a line feed each: JSON as it is written on one line has none within. */
export class Lines implements Framing {
  readonly #held = new Held()

  end(): Uint8Array[] {
    const rest = this.#held.take(none)
    return rest.length > 0 ? [rest] : []
  }

  *push(bytes: Uint8Array): Generator<Uint8Array> {
    let from = 0
    for (let at = bytes.indexOf(lf); at >= 0; at = bytes.indexOf(lf, from)) {
      yield this.#held.take(bytes.subarray(from, at + 1))
      from = at + 1
    }
    this.#held.add(bytes.subarray(from))
  }
}

/**
 * Lines that end with CR, LF or both, without their ends (WHATWG HTML, 9.2.5). One that ends with CR is whole at once: a line feed
 * that follows belongs to it, however late it comes.
 */
export class AnyLines implements Framing {
  readonly #held = new Held()
  #afterReturn = false

  end(): Uint8Array[] {
    const rest = this.#held.take(none)
    return rest.length > 0 ? [rest] : []
  }

  *push(bytes: Uint8Array): Generator<Uint8Array> {
    let from = this.#afterReturn && bytes[0] === lf ? 1 : 0
    if (bytes.length > 0) this.#afterReturn = false
    for (let at = from; at < bytes.length; at += 1) {
      if (bytes[at] !== cr && bytes[at] !== lf) continue
      yield this.#held.take(bytes.subarray(from, at))
      if (bytes[at] === cr) {
        if (bytes[at + 1] === lf) at += 1
        else this.#afterReturn = at + 1 === bytes.length
      }
      from = at + 1
    }
    this.#held.add(bytes.subarray(from))
  }
}

/** RFC 7464, 2.2: RS, a JSON text, LF. The text may have line feeds within, so that one ends it only where nothing in it is open. */
export class Sequence implements Framing {
  readonly #held = new Held()
  #depth = 0
  #quoted = false
  #escaped = false
  #blank = true

  end(): Uint8Array[] {
    const rest = this.#take(none)
    return rest.length > 0 ? [rest] : []
  }

  *push(bytes: Uint8Array): Generator<Uint8Array> {
    let from = 0
    for (let at = 0; at < bytes.length; at += 1) {
      const byte = bytes[at]!
      if (byte === separator) {
        // Whatever came before is over, whole or not: it cannot stand within a JSON text.
        if (!this.#blank) yield this.#take(bytes.subarray(from, at))
        else this.#held.add(bytes.subarray(from, at))
        from = at
      } else if (byte === lf && this.#depth === 0 && !this.#quoted && !this.#blank) {
        yield this.#take(bytes.subarray(from, at + 1))
        from = at + 1
      } else this.#read(byte)
    }
    this.#held.add(bytes.subarray(from))
  }

  #read(byte: number): void {
    if (this.#quoted) {
      if (this.#escaped) this.#escaped = false
      else if (byte === 0x5c) this.#escaped = true
      else if (byte === 0x22) this.#quoted = false
    } else if (byte === 0x22) this.#quoted = true
    else if (byte === 0x7b || byte === 0x5b) this.#depth += 1
    else if (byte === 0x7d || byte === 0x5d) this.#depth -= 1
    if (!isSpace(byte)) this.#blank = false
  }

  #take(last: Uint8Array): Uint8Array {
    this.#depth = 0
    this.#quoted = false
    this.#escaped = false
    this.#blank = true
    return this.#held.take(last)
  }
}

export const separator = 0x1e
const isSpace = (byte: number) => byte === 0x20 || byte === 0x09 || byte === lf || byte === cr
const none = new Uint8Array()
