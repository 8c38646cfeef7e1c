/**
 * The entries of a ledger: every kind as a table of its members in clear. Whatever could name a person or quote
 * data is disclosed by salted digest (`sd`) instead; who acts stands here only as a pseudonym.
 */
import { randomFillSync } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { type Json, parseCanonical } from './canonical.ts'
import { order } from './order.ts'
import { check, type Field, type FieldsOf, jsonSchema, list, oneOf, optional, record, type Shape } from './shape.ts'
import { longestEntry } from './tile.ts'
import { type Written, writtenAs } from './written.ts'

export const formatVersion = 1

/** Kinds that came later. An entry's version is the one that its kind came with: whoever knows version 1 only reads none of them. */
const laterKinds: Readonly<Record<string, number>> = {
  ...{ attachment: 2, event: 2, 'events-lost': 2 },
  ...{ erasure: 3, 'custody-refused': 3, 'hold-placed': 3, 'hold-released': 3, 'vault-rewrapped': 3 },
  ...{ 'key-rotated': 3, 'key-revoked': 3, anchored: 3, 'attachment-cut': 3 },
  ...{ concluded: 3, continued: 3, disposed: 3 },
}

export const versionOf = (kind: string): number => laterKinds[kind] ?? formatVersion

const access = record({ action: 'word', resource: 'word' })

/** Who acts. `principal`: on whose behalf an agent acts now. `owner`: who is accountable for the agent. */
const actors = {
  subject: 'pseudonym',
  principal: optional('pseudonym'),
  owner: optional('pseudonym'),
} as const

/** What is asked, alike in a decision and in an approval for it. */
const asked = {
  /** Commitment to the exact action: see disclosure.ts, actionCommitment. */
  action: 'digest',
  accesses: list(access, 256),
  controls: list('word', 256),
} as const

const head = {
  v: 'count',
  id: 'uuid',
  time: 'time',
  /** Who appended: a writer's name, and its own gap-free counter from 1. */
  writer: 'word',
  seq: 'count',
  /** Digests of the entry's disclosures, sorted. */
  sd: optional(list('digest', 64)),
} as const

// Table: kind -> members in clear, beside those of `head`. Disclosed names are listed behind each kind.
// biome-ignore format: a table
export const kinds = {
  /** Entry 0. The note key is certified by the OpenPGP key, whose certificate travels out of band. */
  opened: { origin: 'word', format: 'count', noteKey: 'word', sealKey: optional('word'), certification: optional('text') },
  /** `certificate`: SHA-256 of keys/seal.pub.asc as written then. `interval`: seconds between heartbeats; 0: none. */
  started: { software: 'word', placement: oneOf('gateway', 'embedded'), epoch: 'count', interval: 'count', certificate: optional('digest') },
  /** `open`: exchanges in flight. `interval`: seconds until the next one is due. */
  heartbeat: { open: 'count', interval: 'count' },
  stopped: {},
  /** A torn tail of `torn` bytes was set aside; what was open before is closed as unknown. */
  recovered: { epoch: 'count', torn: 'count' },
  /** disclosed: name, issuer */
  principal: { subject: 'pseudonym', type: oneOf('person', 'agent', 'service'), owner: optional('pseudonym') },
  /** disclosed: model, rules, controls (the texts) */
  policy: { digest: 'digest', model: 'digest', rules: 'digest', controls: 'digest', by: optional('pseudonym') },
  /** disclosed: address, client, issuer */
  'session-opened': {
    session: 'uuid', ...actors, protocol: 'word', target: 'word', method: 'word', strength: optional('word'), credential: optional('word'), tls: 'flag',
  },
  'session-closed': { session: 'uuid', reason: 'word', grant: optional('grant') },
  /** disclosed: action, actionSalt, address, reason; within: the exchange on whose behalf it was asked */
  decision: {
    exchange: 'uuid', session: optional('uuid'), subject: optional('pseudonym'), principal: optional('pseudonym'), owner: optional('pseudonym'),
    protocol: 'word', target: 'word', method: optional('word'), ...asked, risk: oneOf('low', 'high'), read: 'flag',
    verdict: oneOf('permit', 'deny'), code: optional('word'), policy: optional('digest'),
    /** Controls in observe mode that would have refused. */
    observed: optional(list('word', 256)), grant: optional('grant'), approval: optional('approval'),
    durability: oneOf('durable', 'written'),
  },
  /** `offered`: commitment to the bytes given to the client, after masking. disclosed: offeredSalt */
  outcome: {
    exchange: 'uuid', result: oneOf('completed', 'failed', 'aborted', 'unknown'), code: optional('word'),
    /** Rows, lines or body parts; and bytes, as offered. */
    items: 'count', bytes: 'count', offered: optional('digest'), masked: optional(list('word', 1024)),
    settled: optional(oneOf('committed', 'rolled-back', 'unknown', 'nothing')),
  },
  /** What became of changes whose outcome could not know it. */
  settled: { exchanges: list('uuid', 512), result: oneOf('committed', 'rolled-back', 'unknown') },
  /** `longest`: seconds that the controls allow. `roles`: every one of which the approver must hold. disclosed: reason */
  'grant-requested': {
    grant: 'grant', ...actors, resource: 'word', actions: list('word', 64), seconds: 'count', longest: 'count',
    roles: list('word', 64), controls: list('word', 256),
  },
  'grant-decided': { grant: 'grant', approver: 'pseudonym', verdict: oneOf('approve', 'deny'), from: optional('time'), until: optional('time') },
  /** disclosed: reason */
  'grant-revoked': { grant: 'grant', by: 'pseudonym' },
  /** `people`: distinct approvers needed. `roles`: every one of which each approver must hold. disclosed: action, actionSalt */
  'approval-requested': { approval: 'approval', exchange: 'uuid', ...actors, ...asked, people: 'count', roles: list('word', 64), until: 'time' },
  'approval-decided': { approval: 'approval', approver: 'pseudonym', verdict: oneOf('approve', 'deny') },
  /** An attempt to approve, deny or revoke that was refused. `of`: the grant's or approval's id. */
  'attempt-refused': { verb: oneOf('approve', 'deny', 'revoke'), of: 'word', subject: 'pseudonym', code: 'word', why: 'word' },
  /**
   * What was recorded of an exchange, encrypted in the vault: `bytes` in `chunks`, and a commitment to them. It stands before the
   * exchange's outcome. disclosed: contentSalt
   */
  attachment: {
    attachment: 'uuid', exchange: 'uuid', session: optional('uuid'), part: oneOf('request', 'response', 'terminal'),
    type: 'word', bytes: 'count', chunks: 'count', content: 'digest',
  },
  /** An application's own event; `subject` and `exchange` where it happened on behalf of one. disclosed: message, details */
  event: { source: 'word', event: 'word', level: 'word', exchange: optional('uuid'), subject: optional('pseudonym') },
  /** Events that came faster than they could be written. */
  'events-lost': { source: 'word', lost: 'count' },
  /**
   * The keys of whatever is disclosed of one principal or session (`scope.ts`) are destroyed: those of `slots`, and of no other. `of`: a
   * pseudonym or a session's id. `ground`: a word for why, as `art-17`. disclosed: basis
   */
  erasure: {
    scope: oneOf('principal', 'session'), of: 'word', ground: 'word', by: 'pseudonym', approvers: list('pseudonym', 16), slots: list('count', 4096),
  },
  /**
   * Of the vault, an attempt that was refused. `of`: a pseudonym, a session's or a hold's id,
   * `ledger`, or an origin. `hold`: the one in the way.
   */
  'custody-refused': {
    verb: oneOf('erase', 'place', 'release', 'dispose'), of: 'word', by: 'pseudonym', approvers: list('pseudonym', 16), code: 'word', why: 'word',
    hold: optional('word'),
  },
  /** Nothing in the scope may be erased while it stands. disclosed: reason */
  'hold-placed': { hold: 'word', scope: oneOf('ledger', 'principal', 'session'), of: optional('word'), by: 'pseudonym' },
  /** disclosed: reason */
  'hold-released': { hold: 'word', by: 'pseudonym' },
  /** Every slot is wrapped under another key now. `from`, `to`: ids of the two; `slots`: how many there are, `erased` among them. */
  'vault-rewrapped': { from: 'word', to: 'word', slots: 'count', erased: 'count' },
  /**
   * From here on another key speaks. `turn`: this rotation's number in the ledger, from 1. Keys are a verifier key
   * (note) or a fingerprint (seal). All sign one text, which names the origin, the turn, and both keys before and
   * after: `signature` by the note key before, base64; `certification` by the OpenPGP key after, armored; `endorsement`
   * by the OpenPGP key before, where it is the one that is replaced and can still be trusted. `certificate`: SHA-256 of
   * keys/seal.pub.asc as written then, of a seal key.
   */
  'key-rotated': {
    key: oneOf('note', 'seal'), turn: 'count', old: 'word', new: 'word', signature: 'word', certification: 'text', endorsement: optional('text'),
    certificate: optional('digest'),
  },
  /**
   * A key that spoke once is no longer to be trusted: `compromised`, whatever nothing outside shows to be older than `at`; else, what it
   * signs from `at` on. `certification`: by the OpenPGP key in force, armored. `certificate`: SHA-256 of keys/FINGERPRINT.asc, revoked.
   */
  'key-revoked': {
    key: oneOf('note', 'seal'), revoked: 'word', reason: oneOf('compromised', 'superseded', 'retired'), at: 'time', certification: 'text',
    certificate: optional('digest'),
  },
  /**
   * Somebody else's word for the tree of `size` entries, kept under anchors/: `file` is its
   * SHA-256. `by`: the witness's name, the SHA-256 of the authority's certificate in hex, or the
   * tag's name; `at`: by the clock of whoever that is.
   */
  anchored: { anchor: oneOf('witness', 'timestamp', 'git'), by: 'word', size: 'count', root: 'digest', file: 'digest', at: 'time' },
  /**
   * What is there of an attachment whose end was never written, as the next opening of the ledger found it: `bytes` in
   * its `chunks` whole chunks. `file`: SHA-256 of them as they lie encrypted, head and all; `under`: the slot under
   * which it is erased. Both are absent where nothing is left.
   */
  'attachment-cut': {
    attachment: 'uuid', exchange: 'uuid', session: optional('uuid'), part: oneOf('request', 'response', 'terminal'), type: 'word', bytes: 'count',
    chunks: 'count', file: optional('digest'), under: optional('count'),
  },
  /** The series goes on in another ledger, of the origin `next`: behind this there is only what concerns the keys and the vault. */
  concluded: { next: 'word' },
  /**
   * Entry 1 of a ledger that follows another in its series: `of` that origin, at `size` entries
   * with that root. The next `carried` entries say again what was still in force there
   * (carried.ts), and `state` is the digest of what they say.
   */
  continued: { of: 'word', size: 'count', root: 'digest', carried: 'count', state: 'digest' },
  /**
   * An earlier ledger of the series was disposed of, all but its last checkpoint: `of` that origin, at `size` entries with that root.
   * `ground`: a word for why. disclosed: basis
   */
  disposed: { of: 'word', size: 'count', root: 'digest', ground: 'word', by: 'pseudonym', approvers: list('pseudonym', 16) },
} as const satisfies Record<string, Record<string, Field>>

export type Kind = keyof typeof kinds
export const kindNames = Object.keys(kinds) as readonly Kind[]

type Head = FieldsOf<typeof head>
export type Clear<K extends Kind> = FieldsOf<(typeof kinds)[K]>
export type EntryOf<K extends Kind> = { readonly kind: K } & Head & Clear<K>
export type Entry = { [K in Kind]: EntryOf<K> }[Kind]
export interface Access {
  readonly action: string
  readonly resource: string
}

const shapeOf = (kind: Kind) => record({ kind: oneOf(kind), ...head, ...kinds[kind] })
const shapes = new Map<string, ReturnType<typeof shapeOf>>(kindNames.map(kind => [kind, shapeOf(kind)]))

/** What a reader of many entries wants of each: where they begin in the bytes is found while the bytes are checked. */
const wanted = [
  ...(['v', 'id', 'time', 'writer', 'seq', 'sd', 'exchange', 'interval', 'verdict', 'result', 'exchanges'] as const),
] as const
/** By which number a member stands among the places that are found. */
export const place = Object.fromEntries(wanted.map((name, i) => [name, i])) as Readonly<
  Record<(typeof wanted)[number], number>
>

interface Pattern {
  readonly kind: Kind
  readonly written: Written
}

const patterns = new Map<string, Pattern>(
  kindNames.map(kind => [kind, { kind, written: writtenAs(shapeOf(kind), wanted) }]),
)

/** @returns the entry's canonical bytes. @throws LedgerError ERR_ENTRY_MALFORMED: another kind, version, member or size */
export const encodeEntry = (entry: Entry): Buffer => composeEntry(entry).bytes

/** @returns a frozen copy of the entry, in canonical order, and its bytes. @throws LedgerError ERR_ENTRY_MALFORMED */
export function composeEntry(entry: Entry): { readonly entry: Entry; readonly bytes: Buffer } {
  const value = entry as unknown as Json
  const ordered = order(shapeFor(value), value) as unknown as Entry
  requireSorted(ordered.sd)
  const bytes = Buffer.from(JSON.stringify(ordered))
  if (bytes.length > longestEntry) {
    throw new LedgerError('ERR_ENTRY_MALFORMED', `an entry of ${bytes.length} bytes, over ${longestEntry}`)
  }
  return { entry: Object.freeze(ordered), bytes }
}

/** Reads stored bytes strictly. @throws LedgerError ERR_ENTRY_MALFORMED */
export function parseEntry(bytes: Uint8Array): Entry {
  const view = viewOf(bytes)
  const kind = locate(view, 0, view.length, places)
  const value = kind === undefined ? lookedAtClosely(bytes) : (JSON.parse(view.toString('latin1')) as Json)
  if (kind === undefined) requireSorted((value as { sd?: readonly string[] }).sd)
  return Object.freeze(value) as unknown as Entry
}

/** The few members of an entry that tell whether a ledger is continuous, and says nothing twice. Every `Entry` is one. */
export interface EntrySummary {
  readonly kind: Kind
  readonly id: string
  readonly time: string
  readonly writer: string
  readonly seq: number
  readonly exchange?: string | undefined
  readonly interval?: number | undefined
  readonly verdict?: string | undefined
  readonly result?: string | undefined
  readonly exchanges?: readonly string[] | undefined
}

/** As strict as `parseEntry`, at a fraction of its cost. @throws LedgerError ERR_ENTRY_MALFORMED */
export function summarise(bytes: Uint8Array): EntrySummary {
  const view = viewOf(bytes)
  const kind = locate(view, 0, view.length, places)
  if (kind === undefined) return parseEntry(bytes)
  const exchange = places[place.exchange]!
  const interval = places[place.interval]!
  const verdict = places[place.verdict]!
  const result = places[place.result]!
  const exchanges = places[place.exchanges]!
  return {
    kind,
    id: view.toString('latin1', places[place.id]! + 1, places[place.id]! + 37),
    time: view.toString('latin1', places[place.time]! + 1, places[place.time]! + 25),
    writer: wordAt(view, places[place.writer]!),
    seq: countAt(view, places[place.seq]!),
    ...(exchange < 0 ? {} : { exchange: view.toString('latin1', exchange + 1, exchange + 37) }),
    ...(interval < 0 ? {} : { interval: countAt(view, interval) }),
    ...(verdict < 0 ? {} : { verdict: wordAt(view, verdict) }),
    ...(result < 0 ? {} : { result: wordAt(view, result) }),
    ...(exchanges < 0 ? {} : { exchanges: uuidsAt(view, exchanges) }),
  }
}

const viewOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Places of the members that are wanted, of one entry at a time. */
export const newPlaces = (): Int32Array => new Int32Array(wanted.length)
// Synchronous, so one of them serves every call.
const places = newPlaces()
const kindMember = Buffer.from('"kind":"')

/** The last kinds that were met: the next one is mostly of these, and one that is not is seen to be none within some bytes. */
const likely: Pattern[] = []
const mostLikely = 3

/**
 * The kind of what is as entries are written, and so right in every respect; anything else is undefined, without a word of why.
 * @param found where the value of each member begins that `place` numbers; -1 where it is absent
 */
export function locate(view: Buffer, from: number, end: number, found: Int32Array): Kind | undefined {
  for (const pattern of likely) {
    if (pattern.written(view, found, from, end)) return isSound(view, pattern.kind, found) ? pattern.kind : undefined
  }
  // In a string its quotes would be escaped: where the bytes are JSON this is the member, and else no pattern matches.
  const bytes = view.subarray(from, end)
  const at = bytes.indexOf(kindMember) + kindMember.length
  const pattern = patterns.get(bytes.toString('latin1', at, bytes.indexOf(0x22, at)))
  if (pattern === undefined || likely.includes(pattern)) return undefined
  if (!pattern.written(view, found, from, end) || !isSound(view, pattern.kind, found)) return undefined
  likely.unshift(pattern)
  likely.length = Math.min(likely.length, mostLikely)
  return pattern.kind
}

/** What a pattern does not tell. */
const isSound = (view: Buffer, kind: Kind, found: Int32Array): boolean =>
  sortedAt(view, found[place.sd]!) && countAt(view, found[place.v]!) === versionOf(kind)

export function wordAt(view: Buffer, at: number): string {
  let end = at + 1
  while (view[end] !== 0x22) end += view[end] === 0x5c ? 2 : 1
  const word = view.toString('latin1', at + 1, end)
  return word.includes('\\') ? (JSON.parse(`"${word}"`) as string) : word
}

export function countAt(view: Buffer, at: number): number {
  let count = 0
  for (let i = at; view[i]! >= 0x30 && view[i]! <= 0x39; i += 1) count = count * 10 + view[i]! - 0x30
  return count
}

/** @param at of the opening bracket: 36 characters each, in quotes, behind that or a comma */
export function uuidsAt(view: Buffer, at: number): string[] {
  const found: string[] = []
  for (let next = at; view[next + 1] === 0x22; next += 39) found.push(view.toString('latin1', next + 2, next + 38))
  return found
}

/** Digests of 43 characters, each in quotes and behind a comma. */
function sortedAt(view: Buffer, at: number): boolean {
  if (at < 0) return true
  const step = 46
  for (let next = at + 2 + step; view[next - 2] === 0x2c; next += step) {
    let i = 0
    while (i < 43 && view[next - step + i] === view[next + i]) i += 1
    if (i === 43 || view[next - step + i]! > view[next + i]!) return false
  }
  return true
}

function lookedAtClosely(bytes: Uint8Array): Json {
  const value = parseCanonical(bytes)
  check(shapeFor(value), value)
  return value
}

function shapeFor(value: Json): Shape {
  const { kind, v } = (value ?? {}) as { kind?: string; v?: number }
  const shape = shapes.get(String(kind))
  if (shape === undefined) throw new LedgerError('ERR_ENTRY_MALFORMED', 'an entry of an unknown kind')
  if (v !== versionOf(String(kind)))
    throw new LedgerError('ERR_ENTRY_MALFORMED', 'an entry of another version than its kind')
  return shape
}

function requireSorted(sd: readonly string[] | undefined): void {
  if (sd?.some((digest, i) => i > 0 && sd[i - 1]! >= digest)) {
    throw new LedgerError('ERR_ENTRY_MALFORMED', '/sd must be sorted, without repeats')
  }
}

/** JSON Schema (2020-12) of every entry kind. */
export function entrySchema(): { [name: string]: Json } {
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'A Counterfoil ledger entry',
    oneOf: kindNames.map(kind => {
      const schema = jsonSchema(shapeOf(kind)) as { properties: { [name: string]: Json } }
      return { title: kind, ...schema, properties: { ...schema.properties, v: { const: versionOf(kind) } } }
    }),
  }
}

// Drawn ahead: one call for each id costs as much as the rest of an entry.
const random = Buffer.alloc(16 * 256)
let drawn = random.length

/** RFC 9562, 5.7: 48 bits of Unix milliseconds, then random bits. */
export function uuidv7(now: number): string {
  if (drawn === random.length) {
    randomFillSync(random)
    drawn = 0
  }
  const bytes = random.subarray(drawn, drawn + 16)
  drawn += 16
  bytes.writeUIntBE(now, 0, 6)
  bytes[6] = (bytes[6]! & 0x0f) | 0x70
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** RFC 3339, UTC, milliseconds. @param now Unix milliseconds */
export const timestamp = (now: number): string => new Date(now).toISOString()
