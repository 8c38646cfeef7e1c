/**
 * A shape as a matcher of the one text that its values are written as: RFC 8785, members in order, nothing escaped but what must be.
 * Bytes that match need no second writing to compare with; bytes that do not may still be right, and are looked at closely.
 * By bytes and not by a regular expression: that took most of the time of reading an entry.
 */
import { type Field, isOptional, type Shape, type scalars } from './shape.ts'

/**
 * @param from, end which of the bytes; default: all of them
 * @returns whether these are the text of a value. `places`: where the value of each wanted member begins; -1 where it is absent.
 */
export type Written = (bytes: Uint8Array, places?: Int32Array, from?: number, end?: number) => boolean

/**
 * @returns the index behind what matches at `at`; -1 where nothing does. What lies behind the end may be looked at, and matches nothing:
 * there is nothing, or a match that runs on into it is longer than it may be.
 */
type Matcher = (bytes: Uint8Array, at: number, places: Int32Array) => number

/** Matches only what is the canonical text of a value of the shape: of printable ASCII, so that its bytes are its characters. */
export function writtenAs(shape: Shape, wanted: readonly string[] = []): Written {
  const match = matcher(shape, wanted)
  const unasked = new Int32Array(wanted.length)
  return (bytes, places = unasked, from = 0, end = bytes.length) => {
    places.fill(-1)
    return match(bytes, from, places) === end
  }
}

function matcher(shape: Shape, wanted: readonly string[] = []): Matcher {
  if (typeof shape === 'string') return written[shape]
  if ('oneOf' in shape) return either(shape.oneOf.map(word => literal(`"${word}"`)))
  if ('list' in shape) return list(matcher(shape.list), shape.most)
  return record(shape.record, wanted)
}

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const zero = 0x30

// Which sets a byte is in, as bits.
const [decimal, hex, alphanumeric, base64url, letter, line] = [1, 2, 4, 8, 16, 32]
const sets = new Uint8Array(256)
for (let byte = 0x20; byte < 0x7f; byte += 1) {
  const character = String.fromCharCode(byte)
  if (/[0-9]/.test(character)) sets[byte]! |= decimal
  if (/[0-9a-f]/.test(character)) sets[byte]! |= hex
  if (/[0-9a-z]/.test(character)) sets[byte]! |= alphanumeric
  if (/[A-Za-z0-9_-]/.test(character)) sets[byte]! |= base64url
  // Of the characters that strings of shapes may have, only `"`, `\` and a newline are escaped.
  if (/[!#-[\]-~]/.test(character)) sets[byte]! |= letter
  if (/[ !#-[\]-~]/.test(character)) sets[byte]! |= line
}

function literal(text: string): Matcher {
  const codes = Buffer.from(text, 'latin1')
  return (bytes, at) => {
    for (let i = 0; i < codes.length; i += 1) if (bytes[at + i] !== codes[i]) return -1
    return at + codes.length
  }
}

function either(choices: readonly Matcher[]): Matcher {
  return (bytes, at, places) => {
    for (const choice of choices) {
      const end = choice(bytes, at, places)
      if (end >= 0) return end
    }
    return -1
  }
}

/** A string of one set, and nothing escaped. */
function run(set: number, least: number, most: number, prefix = ''): Matcher {
  const before = literal(`"${prefix}`)
  return (bytes, at, places) => {
    const begin = before(bytes, at, places)
    if (begin < 0) return -1
    let end = begin
    while (end - begin <= most && (sets[bytes[end]!]! & set) !== 0) end += 1
    return end - begin >= least && end - begin <= most && bytes[end] === quote ? end + 1 : -1
  }
}

/** A string whose every place has its own set, or its own character. */
function places(pattern: string): Matcher {
  const named: Readonly<Record<string, number>> = { d: decimal, x: hex }
  const masks = Uint8Array.from(pattern, character => named[character] ?? 0)
  const codes = Buffer.from(pattern, 'latin1')
  return (bytes, at) => {
    if (bytes[at] !== quote) return -1
    for (let i = 0; i < codes.length; i += 1) {
      const byte = bytes[at + 1 + i]!
      if (masks[i] === 0 ? byte !== codes[i] : (sets[byte]! & masks[i]!) === 0) return -1
    }
    return bytes[at + 1 + codes.length] === quote ? at + codes.length + 2 : -1
  }
}

const uuidPlaces = places('xxxxxxxx-xxxx-7xxx-xxxx-xxxxxxxxxxxx')
const timePlaces = places('dddd-dd-ddTdd:dd:dd.dddZ')

const uuid: Matcher = (bytes, at, found) => {
  const variant = bytes[at + 20]
  // 8, 9, a or b.
  if (variant !== 0x38 && variant !== 0x39 && variant !== 0x61 && variant !== 0x62) return -1
  return uuidPlaces(bytes, at, found)
}

const time: Matcher = (bytes, at, found) => {
  const end = timePlaces(bytes, at, found)
  if (end < 0) return -1
  const two = (place: number) => (bytes[at + place]! - zero) * 10 + bytes[at + place + 1]! - zero
  const [month, day] = [two(6), two(9)]
  return month >= 1 && month <= 12 && day <= 31 && two(12) <= 23 && two(15) <= 59 && two(18) <= 59 ? end : -1
}

/** A string with `\"` and `\\` in it, or whatever else may be escaped: each counts as one character. */
function text(set: number, least: number, most: number, escaped: string): Matcher {
  const codes = Buffer.from(escaped, 'latin1')
  return (bytes, at) => {
    if (bytes[at] !== quote) return -1
    let end = at + 1
    for (let characters = 0; ; characters += 1) {
      const byte = bytes[end]
      if (byte === quote) return characters >= least ? end + 1 : -1
      if (characters === most) return -1
      if (byte === backslash) {
        if (!codes.includes(bytes[end + 1]!)) return -1
        end += 2
      } else {
        if ((sets[byte!]! & set) === 0) return -1
        end += 1
      }
    }
  }
}

/** Up to 15 digits: every one of them is a safe integer, and is written so. */
const count: Matcher = (bytes, at) => {
  let end = at
  while (end - at < 15 && (sets[bytes[end]!]! & decimal) !== 0) end += 1
  return end > at && (bytes[at] !== zero || end === at + 1) ? end : -1
}

// Table: how each scalar stands in JSON.
// biome-ignore format: a table
const written: Readonly<Record<keyof typeof scalars | 'count' | 'flag', Matcher>> = {
  uuid,
  time,
  pseudonym: run(base64url, 22, 22),
  digest:    run(base64url, 43, 43),
  grant:     run(alphanumeric, 8, 26, 'g-'),
  approval:  run(alphanumeric, 8, 26, 'a-'),
  word:      text(letter, 1, 512, '"\\'),
  text:      text(line, 0, 8192, '"\\n'),
  count,
  flag:      either([literal('true'), literal('false')]),
}

function list(item: Matcher, most: number): Matcher {
  return (bytes, at, found) => {
    if (bytes[at] !== 0x5b) return -1
    if (bytes[at + 1] === 0x5d) return at + 2
    let end = at
    for (let i = 0; i < most; i += 1) {
      end = item(bytes, end + 1, found)
      if (end < 0) return -1
      if (bytes[end] !== comma) break
    }
    return bytes[end] === 0x5d ? end + 1 : -1
  }
}

function record(fields: Readonly<Record<string, Field>>, wanted: readonly string[]): Matcher {
  // RFC 8785, 3.2.3: by UTF-16 code units.
  const sorted = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  const members = sorted.map(([name, field]) => {
    const optional = isOptional(field)
    return {
      named: literal(`"${name}":`),
      value: matcher(optional ? field.optional : field),
      optional,
      slot: wanted.indexOf(name),
    }
  })
  return (bytes, at, found) => {
    if (bytes[at] !== 0x7b) return -1
    let end = at + 1
    let first = true
    for (const { named, value, optional, slot } of members) {
      // Each member brings the comma before it; the first has none.
      const begin = first ? named(bytes, end, found) : bytes[end] === comma ? named(bytes, end + 1, found) : -1
      if (begin < 0) {
        if (optional) continue
        return -1
      }
      end = value(bytes, begin, found)
      if (end < 0) return -1
      if (slot >= 0) found[slot] = begin
      first = false
    }
    return bytes[end] === 0x7d ? end + 1 : -1
  }
}
