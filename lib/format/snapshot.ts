/**
 * A snapshot: the entries that what is known at a seal still rests on (living.ts), and where each writer stands (standing.ts), so that
 * opening a ledger need not read all of it. A cache: whoever verifies derives it again. It is a signed note of six lines (a title
 * that is no origin's, origin, size, root, the latest time, and how many entries follow with the SHA-256 of all that follows), and
 * that behind it. Pure. Integers are big-endian.
 *
 *   at 0  length of the note (uint32), the note; length of the writers (uint32), the writers as canonical JSON;
 *         then of each entry: index (uint64), length (uint16), canonical bytes
 */
import { createHash } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { canonical, parseCanonical } from './canonical.ts'
import type { Checkpoint } from './checkpoint.ts'
import { encodeEntry, parseEntry, timestamp } from './entry.ts'
import { Living, type LivingEntry } from './living.ts'
import { formatNote, type Note, type NoteSignature, parseNote } from './note.ts'
import { Standing } from './standing.ts'
import { longestEntry } from './tile.ts'

/** The number is of the rules of living.ts: whoever has others can neither go on from it nor derive it again. */
const title = 'counterfoil snapshot 2'
const anyTitle = /^counterfoil snapshot \d{1,9}\n/

export interface Snapshot {
  readonly note: Note
  readonly checkpoint: Checkpoint
  readonly living: Living
}

/** What is signed, and what follows it. @param checkpoint of the size that `living` stands for */
export function snapshotOf({ origin, size, root }: Checkpoint, living: Living): { text: string; body: Buffer } {
  const entries = living.entries()
  const writers = Buffer.from(canonical(living.writers.toJson()))
  const body = Buffer.concat([lengthOf(writers), writers, encodeRecords(entries)])
  const digest = createHash('sha256').update(body).digest('base64')
  const lines = [title, origin, size, Buffer.from(root).toString('base64'), timestamp(living.latest)]
  return { text: `${[...lines, `${entries.length} ${digest}`].join('\n')}\n`, body }
}

/** Entries that do not stand side by side, each with its index. */
export const encodeRecords = (entries: readonly LivingEntry[]): Buffer => Buffer.concat(entries.flatMap(recordOf))

function recordOf({ index, entry }: LivingEntry): Buffer[] {
  const bytes = encodeEntry(entry)
  const head = Buffer.alloc(10)
  head.writeBigUInt64BE(BigInt(index))
  head.writeUInt16BE(bytes.length, 8)
  return [head, bytes]
}

export function encodeSnapshot(text: string, signature: NoteSignature, body: Uint8Array): Buffer {
  const note = Buffer.from(formatNote({ text, signatures: [signature] }))
  return Buffer.concat([lengthOf(note), note, body])
}

function lengthOf({ length }: Uint8Array): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}

/** A file begins with its note, which is no longer than this. */
export const longestSnapshotNote = 64 * 1024
const longestWriters = 64 * 1024 * 1024

/** How long a file with this note may be, in bytes: by how many entries it says that it holds. */
export function longestSnapshot({ text }: Note): number {
  const count = Number(/^(\d{1,9}) /.exec(text.split('\n').at(-2) ?? '')?.[1] ?? 0)
  return longestSnapshotNote + longestWriters + count * (10 + longestEntry)
}

/** What is signed of a snapshot, by whatever rules it was made. @throws LedgerError ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_SIGNATURE */
export const noteOfSnapshot = (bytes: Buffer): Note => parseNote(split(bytes).part)

/** Whether a snapshot was made by other rules than this version has: nothing can be said of it then. */
export const isOfOtherRules = ({ text }: Note): boolean => anyTitle.test(text) && !text.startsWith(`${title}\n`)

/**
 * The signature is not verified here: see requireSignature. @throws LedgerError ERR_LEDGER_CORRUPT,
 * ERR_CHECKPOINT_SIGNATURE, ERR_ENTRY_MALFORMED
 */
export function parseSnapshot(bytes: Buffer): Snapshot {
  const { part, rest: body } = split(bytes)
  const note = parseNote(part)
  const [name, origin, size, root, latest, last, ...rest] = note.text.split('\n')
  const [, count, digest] = /^(\d{1,9}) ([A-Za-z0-9+/]{43}=)$/.exec(last ?? '') ?? []
  // Of no entry at all there is none: nothing has a latest time then.
  if (name !== title || rest.join() !== '' || !/^[1-9]\d{0,15}$/.test(size ?? '') || digest === undefined)
    throw malformed('has another head')
  if (Number.isNaN(Date.parse(latest!))) throw malformed('is of a time that never was')
  if (createHash('sha256').update(body).digest('base64') !== digest) throw malformed('is not what its head says')
  const { part: writers, rest: records } = split(body)
  const entries = decodeRecords(records)
  const at = Number(size)
  const ascending = entries.every(({ index }, i) => index < at && (i === 0 || index > entries[i - 1]!.index))
  if (entries.length !== Number(count) || !ascending) throw malformed('holds other entries than its head says')
  return {
    note,
    checkpoint: { origin: origin!, size: at, root: Buffer.from(root!, 'base64') },
    living: Living.resume(at, Date.parse(latest!), Standing.from(parseCanonical(writers)), entries),
  }
}

function split(bytes: Buffer): { part: Buffer; rest: Buffer } {
  const end = bytes.length < 4 ? Number.POSITIVE_INFINITY : 4 + bytes.readUInt32BE(0)
  if (end > bytes.length) throw malformed('is cut short')
  return { part: bytes.subarray(4, end), rest: bytes.subarray(end) }
}

/** @throws LedgerError ERR_LEDGER_CORRUPT, ERR_ENTRY_MALFORMED */
export function decodeRecords(records: Buffer): LivingEntry[] {
  const entries: LivingEntry[] = []
  for (let at = 0; at < records.length; ) {
    const start = at + 10
    const end = start > records.length ? Number.POSITIVE_INFINITY : start + records.readUInt16BE(at + 8)
    if (end > records.length) throw malformed('is cut short')
    entries.push({ index: Number(records.readBigUInt64BE(at)), entry: parseEntry(records.subarray(start, end)) })
    at = end
  }
  return entries
}

const malformed = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', `a snapshot ${what}`)
