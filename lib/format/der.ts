/** Reads DER (X.690) strictly, as far as time stamps and certificates need it: one spelling of each value, nothing behind it. */
import { LedgerError } from '../errors.ts'

export interface Der {
  /** The identifier octet. */
  readonly tag: number
  readonly content: Buffer
  /** With identifier and length. */
  readonly bytes: Buffer
}

export const derTag = {
  integer: 0x02,
  octets: 0x04,
  oid: 0x06,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  boolean: 0x01,
} as const

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE unless the bytes are exactly one value */
export function readDer(bytes: Uint8Array): Der {
  const [one, ...rest] = valuesOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  if (one === undefined || rest.length > 0) throw malformed('not one value')
  return one
}

/** The values within a constructed one, in order. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function within(der: Der | undefined, tag: number): Der[] {
  if (der === undefined || der.tag !== tag) throw malformed('another value than expected')
  return valuesOf(der.content)
}

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE unless it is there, with that tag */
export function expectDer(der: Der | undefined, tag: number): Der {
  if (der === undefined || der.tag !== tag) throw malformed('another value than expected')
  return der
}

function valuesOf(bytes: Buffer): Der[] {
  const values: Der[] = []
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at]!
    if ((tag & 0x1f) === 0x1f) throw malformed('a tag of several octets')
    const { length, from } = lengthAt(bytes, at + 1)
    if (from + length > bytes.length) throw malformed('a value cut short')
    values.push({ tag, content: bytes.subarray(from, from + length), bytes: bytes.subarray(at, from + length) })
    at = from + length
  }
  return values
}

/** X.690, 10.1: definite, in the fewest octets. */
function lengthAt(bytes: Buffer, at: number): { length: number; from: number } {
  const first = bytes[at]
  if (first === undefined) throw malformed('a value cut short')
  if (first < 0x80) return { length: first, from: at + 1 }
  const octets = first & 0x7f
  if (octets === 0 || octets > 3 || at + 1 + octets > bytes.length) throw malformed('an indefinite or too large length')
  const length = bytes.readUIntBE(at + 1, octets)
  if (length < 0x80 || length < 2 ** (8 * (octets - 1))) throw malformed('a length not in the fewest octets')
  return { length, from: at + 1 + octets }
}

/** As `1.2.840.113549.1.7.2`. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function oidOf(der: Der | undefined): string {
  const { content } = expectDer(der, derTag.oid)
  const arcs: number[] = []
  let arc = 0
  for (const [i, byte] of content.entries()) {
    arc = arc * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(arc)) throw malformed('an object identifier too large')
    if (byte < 0x80) {
      arcs.push(arc)
      arc = 0
    } else if (i === content.length - 1) throw malformed('an object identifier cut short')
  }
  const [first] = arcs
  if (first === undefined) throw malformed('an empty object identifier')
  const top = Math.min(2, Math.floor(first / 40))
  return [top, first - top * 40, ...arcs.slice(1)].join('.')
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', `malformed DER: ${what}`)
