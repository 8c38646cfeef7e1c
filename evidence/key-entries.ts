/** The entries that say which keys speak, found before anything else is: no checkpoint can be judged without them. */
import { hash } from 'node:crypto'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { type Entry, type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { tileFill, tileWidth } from '../lib/format/layout.ts'
import { isUnreachable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { isMarked, markOf } from './marked.ts'
import { cut } from './stored.ts'

export interface KeyEntry {
  readonly index: number
  readonly entry: EntryOf<'key-rotated'> | EntryOf<'key-revoked'>
}

export interface FoundKeyEntry extends KeyEntry {
  /** SHA-256 of its bytes, base64url. */
  readonly digest: string
}

/** Where an entry about keys stands, and what it was, as a verifier keeps it. */
export type KnownKeyEntry = Pick<FoundKeyEntry, 'index' | 'digest'>

export const isKeyEntry = (entry: Entry): entry is KeyEntry['entry'] =>
  entry.kind === 'key-rotated' || entry.kind === 'key-revoked'

/** Each costs an OpenPGP signature or two. Of a ledger with more the others are not found, and so it is told to have strange ones. */
export const mostKeyEntries = 1024

/** Of both kinds. */
const mark = markOf('key-r')
/** As the tree step has it: the size is the checkpoint's word. */
const mostAbsent = 20
const readAhead = 8

/**
 * In order. What cannot be read is left to the step that reads everything: it tells where the two differ.
 * @param begin index of the first entry that is looked at. @param end of the first that is not; that of its bundle may be
 * @throws Fault ERR_LEDGER_UNAVAILABLE
 */
export async function findKeyEntries(
  files: LedgerFiles,
  { size }: Checkpoint,
  begin = 0,
  end = size,
): Promise<FoundKeyEntry[]> {
  const found: FoundKeyEntry[] = []
  const ahead: Promise<Buffer | undefined>[] = []
  const first = Math.floor(begin / tileWidth)
  const last = Math.min(size, end)
  let absent = 0
  for (let n = first; n * tileWidth < last && absent < mostAbsent && found.length < mostKeyEntries; n += 1) {
    while (ahead.length < readAhead && (n + ahead.length) * tileWidth < last) {
      const bytes = bytesOf(files, n + ahead.length, size)
      // Whoever stops early has no more use for it, nor for why it failed.
      bytes.catch(() => undefined)
      ahead.push(bytes)
    }
    const bytes = await ahead.shift()!
    absent = bytes === undefined ? absent + 1 : 0
    if (bytes === undefined || !isMarked(bytes, mark)) continue
    for (const [i, one] of cut(bytes, tileFill(size, 0, n)).entries.entries()) {
      const index = n * tileWidth + i
      const entry = index >= begin && index < last && isMarked(one, mark) ? readable(one) : undefined
      if (entry !== undefined && isKeyEntry(entry)) found.push({ index, entry, digest: digestOf(one) })
    }
  }
  return found.slice(0, mostKeyEntries)
}

/** Those that a verifier knows of, as they were then; undefined where one of them is not there, or another. @throws Fault */
export async function readKeyEntries(
  files: LedgerFiles,
  { size }: Checkpoint,
  known: readonly KnownKeyEntry[],
): Promise<FoundKeyEntry[] | undefined> {
  const read: FoundKeyEntry[] = []
  for (const { index, digest } of known) {
    const n = Math.floor(index / tileWidth)
    const bytes = index < size ? await bytesOf(files, n, size) : undefined
    const one = bytes === undefined ? undefined : cut(bytes, tileFill(size, 0, n)).entries[index % tileWidth]
    const entry = one === undefined || digestOf(one) !== digest ? undefined : readable(one)
    if (entry === undefined || !isKeyEntry(entry)) return undefined
    read.push({ index, entry, digest })
  }
  return read
}

export const digestOf = (bytes: Uint8Array): string => hash('sha256', bytes, 'base64url' as 'hex')

async function bytesOf(files: LedgerFiles, n: number, size: number): Promise<Buffer | undefined> {
  try {
    return (await files.entries(n, size)).bytes
  } catch (error) {
    if (isUnreachable(error)) throw error
    return undefined
  }
}

function readable(bytes: Uint8Array): Entry | undefined {
  try {
    return parseEntry(bytes)
  } catch {
    return undefined
  }
}
