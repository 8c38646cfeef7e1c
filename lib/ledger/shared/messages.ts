/** What the messages say, read strictly: no member more, none less. */
import { type AnyError, describe, Fault, isOurs, LedgerError, Misuse, Refusal } from '../../errors.ts'
import { type Json, parseJson, utf8 } from '../../format/canonical.ts'
import { parseEntry } from '../../format/entry.ts'
import { check, list, oneOf, optional, record, type Shape, scalars, type TypeOf } from '../../format/shape.ts'
import { decodeBundle, encodeBundle } from '../../format/tile.ts'
import type { Draft, Erasure, Stored } from '../ledger.ts'
import { encodeJson, type FrameType, type Message, unreadable } from './frames.ts'

/** Both sides must speak the same. */
export const protocolVersion = 2

/** Where an entry stands, so that it can be found and known again. */
const place = record({ index: 'count', id: 'uuid' })

const shapes = {
  hello: record({
    version: 'count',
    origin: 'word',
    writer: 'word',
    software: 'word',
    placement: oneOf('gateway', 'embedded'),
    /** Milliseconds between signs of life. */
    heartbeatMs: 'count',
    /** Of one that was here before: its own `started`, and the last entry that it was told of. */
    back: optional(record({ started: place, last: place })),
  }),
  welcome: record({
    version: 'count',
    started: place,
    /** Index of the first entry that it is told of. */
    next: 'count',
    /** Entries there are: once told of these, it knows which of its own are among them. */
    size: 'count',
  }),
} as const

const questions = {
  entries: record({ what: oneOf('entries'), number: 'count', from: 'count', to: 'count' }),
  /** A page of those that what is known rests on, from an index on. */
  state: record({ what: oneOf('state'), number: 'count', from: 'count' }),
  disclosures: record({ what: oneOf('disclosures'), number: 'count', index: 'count' }),
  attach: record({
    ...{ what: oneOf('attach'), number: 'count', slot: 'word' },
    of: optional(
      record({
        ...{
          exchange: 'uuid',
          session: optional('uuid'),
          part: oneOf('request', 'response', 'terminal'),
          type: 'word',
        },
      }),
    ),
  }),
  attached: record({ what: oneOf('attached'), number: 'count', attachment: 'uuid' }),
  attachment: record({ what: oneOf('attachment'), number: 'count', attachment: 'word' }),
  /** The next piece of an attachment that is being read, by the number that asked for it. */
  more: record({ what: oneOf('more'), number: 'count', of: 'count' }),
  /** A sign of life. */
  alive: record({ what: oneOf('alive'), number: 'count' }),
  publish: record({ what: oneOf('publish'), number: 'count' }),
  seal: record({ what: oneOf('seal'), number: 'count' }),
  covered: record({ what: oneOf('covered'), number: 'count', size: 'count', level: oneOf('signed', 'witnessed') }),
  erase: record({
    ...{ what: oneOf('erase'), number: 'count', scope: oneOf('principal', 'session'), of: 'word', ground: 'word' },
    ...{ by: 'pseudonym', approvers: list('pseudonym', 16), judgedAt: optional('count') },
    /** UTF-8 in base64url. */
    basis: 'text',
  }),
} as const

export type Hello = TypeOf<(typeof shapes)['hello']>
export type Welcome = TypeOf<(typeof shapes)['welcome']>
export type Question = { [K in keyof typeof questions]: TypeOf<(typeof questions)[K]> }[keyof typeof questions]
export type Asked = Question extends infer Q ? (Q extends Question ? Omit<Q, 'number'> : never) : never

/** @throws LedgerError ERR_ENTRY_MALFORMED */
export function readHello(message: Message): Hello {
  return read(message, 'hello', shapes.hello) as unknown as Hello
}

/** @throws LedgerError ERR_ENTRY_MALFORMED */
export function readWelcome(message: Message): Welcome {
  return read(message, 'welcome', shapes.welcome) as unknown as Welcome
}

/** @throws LedgerError ERR_ENTRY_MALFORMED: it would not be answered otherwise */
export function encodeQuestion(asked: Asked, number: number): Buffer {
  const question = { ...asked, number }
  check(questions[asked.what], question)
  return encodeJson('ask', question)
}

/**
 * @returns `malformed` where it is none of ours to answer, but can be answered so
 * @throws LedgerError ERR_ENTRY_MALFORMED where it is nothing that was ever asked
 */
export function readQuestion({ body }: Message): Question | { readonly number: number; readonly malformed: AnyError } {
  const value = parseJson(utf8(body)) as { readonly what?: string; readonly number?: number } | null
  const shape = Object.hasOwn(questions, String(value?.what))
    ? questions[String(value?.what) as keyof typeof questions]
    : undefined
  const number = value?.number
  if (shape === undefined || !Number.isSafeInteger(number) || number! < 0) throw unreadable()
  try {
    check(shape, value as Json)
  } catch (error) {
    if (!isOurs(error)) throw error
    return { number: number!, malformed: error }
  }
  return value as unknown as Question
}

function read({ type, body }: Message, expected: FrameType, shape: Shape): Json {
  if (type !== expected) throw unreadable()
  const value = parseJson(utf8(body))
  check(shape, value)
  return value
}

export interface Batch {
  /** One for each draft, made by whoever appends: by these it knows its entries again. */
  readonly ids: readonly string[]
  readonly drafts: readonly Draft[]
}

const idList = list('uuid', 100_000)

/** The drafts themselves are judged by who makes entries of them. @throws LedgerError ERR_ENTRY_MALFORMED */
export function readBatch({ body }: Message): Batch {
  const value = parseJson(utf8(body)) as { readonly ids?: Json; readonly drafts?: Json } | null
  const { ids, drafts } = value ?? {}
  check(idList, ids)
  const list = Array.isArray(drafts) ? (drafts as readonly Json[]) : []
  const plain = (draft: Json) => typeof draft === 'object' && draft !== null && !Object.hasOwn(draft, '__proto__')
  if (list.length === 0 || list.length !== (ids as readonly string[]).length || !list.every(plain)) throw unreadable()
  return value as unknown as Batch
}

/** An entry as it is told: its members are in canonical order already, and this is what was hashed. */
export const toldOf = ({ entry }: Stored): Buffer => Buffer.from(JSON.stringify(entry))

/** Index of the first in eight bytes, how many in four, then they as a bundle has them. */
export function encodeTold(first: number, told: readonly Buffer[]): Buffer[] {
  const head = Buffer.allocUnsafe(12)
  head.writeBigUInt64BE(BigInt(first), 0)
  head.writeUInt32BE(told.length, 8)
  return [head, encodeBundle(told)]
}

export const encodeEntries = (stored: readonly Stored[]): Buffer[] =>
  encodeTold(stored[0]?.index ?? 0, stored.map(toldOf))

/** @throws LedgerError ERR_ENTRY_MALFORMED */
export function decodeEntries(body: Buffer): Stored[] {
  if (body.length < 12) throw unreadable()
  const first = Number(body.readBigUInt64BE(0))
  const bundle = decodeBundle(body.subarray(12), body.readUInt32BE(8))
  return bundle.map((bytes, i) => ({ index: first + i, entry: parseEntry(bytes) }))
}

/** A number before the bytes that it is about. */
export function numbered(number: number): Buffer {
  const head = Buffer.allocUnsafe(8)
  head.writeBigUInt64BE(BigInt(number), 0)
  return head
}

/** @throws LedgerError ERR_ENTRY_MALFORMED */
export function readNumbered(body: Buffer): { readonly number: number; readonly bytes: Buffer } {
  if (body.length < 8) throw unreadable()
  return { number: Number(body.readBigUInt64BE(0)), bytes: body.subarray(8) }
}

/** @throws LedgerError ERR_ENTRY_MALFORMED where the basis is too long to be sent */
export function erasureAsked({ basis, ...rest }: Erasure): Asked {
  const encoded = Buffer.from(basis).toString('base64url')
  if (!scalars.text.test(encoded)) throw new LedgerError('ERR_ENTRY_MALFORMED', 'the basis of an erasure is too long')
  const { scope, of, ground, by, approvers, judgedAt } = rest
  return { what: 'erase', scope, of, ground, by, approvers, judgedAt, basis: encoded }
}

export function erasureOf(asked: Extract<Question, { what: 'erase' }>): Erasure {
  const { what: _, number: __, basis, ...rest } = asked
  return { ...rest, basis: Buffer.from(basis, 'base64url').toString() }
}

interface Failure {
  readonly family: string
  readonly code: string
  readonly message: string
}

/** Our own errors say nothing that must not be told; of others, the class. */
export const failureOf = (error: unknown): Failure =>
  isOurs(error)
    ? { family: error.name, code: error.code, message: error.message }
    : { family: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE', message: describe(error) }

const families = { Refusal, Fault, LedgerError, Misuse } as const

export function errorOf(value: unknown): AnyError {
  const { family, code, message } = (value ?? {}) as Partial<Failure>
  const Family = Object.hasOwn(families, String(family)) ? families[family as keyof typeof families] : undefined
  if (Family === undefined || !/^ERR_[A-Z_]{1,40}$/.test(String(code))) throw unreadable()
  return new Family(code as never, String(message).slice(0, 500))
}
