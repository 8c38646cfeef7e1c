/**
 * What a ledger's bundles and leaf tiles hold, a bundle at a time: leaves hashed and compared with the tile,
 * entries checked and summed up. Says nothing that the bundle alone cannot tell, so that bundles can be
 * examined in any order, and by several threads.
 */
import { setImmediate } from 'node:timers/promises'
import { isOurs } from '../lib/errors.ts'
import type { Kind } from '../lib/format/entry.ts'
import { entryBundle, hashTile, tileFill, tileWidth } from '../lib/format/layout.ts'
import { sameHash, subtreeHash, writeLeafHash } from '../lib/format/merkle.ts'
import { type Finding, unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { type Summaries, Summing, summariesIn } from './summaries.ts'

/** What is asked about the bundles `from` to `to` (exclusive). Plain data: it goes to threads. */
export interface Task {
  readonly from: number
  readonly to: number
  /** Entries in the ledger. */
  readonly size: number
  /** Bundles whose leaf hashes are wanted one by one, though they agree with the tile. */
  readonly leaves: ReadonlySet<number>
  /** Whether every entry's bytes are wanted; else only those of kinds that are rare. */
  readonly bytes: 'all' | 'rare'
}

/** What a bundle holds. Plain data: it comes from threads. */
export interface Stored {
  readonly n: number
  readonly file: string
  readonly tile: string
  /** Entries that could be cut out of the bundle, and hashes that its tile holds. */
  readonly entries: number
  readonly hashes: number
  readonly findings: readonly Finding[]
  readonly malformed: readonly Finding[]
  /** Hash over a full bundle whose entries and tile agree: its leaves are then not told, unless asked for. */
  readonly subtree: Uint8Array | undefined
  /** 32 bytes each: of the entries, and as the tile has them. */
  readonly leaves: Uint8Array
  readonly stored: Uint8Array
  readonly summaries: Summaries
  /** Bytes of entries, by their place in the bundle. */
  readonly bytes: ReadonlyMap<number, Uint8Array>
}

/** What happens with every operation: of these a summary tells enough. Every other kind is handed over whole, whatever comes to be. */
const frequent: ReadonlySet<Kind> = new Set<Kind>([
  ...(['decision', 'outcome', 'settled', 'heartbeat', 'attachment', 'event', 'events-lost'] as const),
  ...(['session-opened', 'session-closed'] as const),
])

const approvalMember = Buffer.from('"approval":"')

/** Approvals are used once: that one was is known from the decision alone. In a string its quotes would be escaped. */
const usesApproval = (kind: Kind, entry: Buffer): boolean => kind === 'decision' && entry.includes(approvalMember)

const readAhead = 8
/** After so many bundles whoever else has something to do is let to it. */
const breath = 16

/**
 * In order. Of a directory each is read when it is come to, which costs a fraction of reading
 * ahead; at an address some are asked for ahead.
 */
export async function* storedIn(files: LedgerFiles, task: Task): AsyncGenerator<Stored> {
  const { from, to, size } = task
  const ahead: Promise<readonly [Read, Read]>[] = []
  let next = from
  const begin = () => {
    const both = Promise.all([readBundle(files, next, size), readTile(files, 0, next, size)])
    // Whoever stops early has no more use for what was read ahead, nor for why it failed.
    both.catch(() => undefined)
    ahead.push(both)
    next += 1
  }
  for (let n = from; n < to; n += 1) {
    const now = ahead.length === 0 ? readNow(files, n, size) : undefined
    if (now === undefined) {
      next = Math.max(next, n)
      while (next < Math.min(to, n + (files.directory === undefined ? readAhead : 1))) begin()
    }
    const [bundle, tile] = now ?? (await ahead.shift()!)
    if (n % breath === 0) await setImmediate()
    yield examine(n, bundle, tile, task)
  }
}

interface Read {
  readonly file: string
  readonly bytes: Buffer
  readonly finding: Finding | undefined
}

function examine(n: number, bundle: Read, tile: Read, { size, leaves: wanted, bytes: kept }: Task): Stored {
  const fill = tileFill(size, 0, n)
  const { ends, finding } = cutOut(n, bundle, fill)
  const { hashes, finding: wrong } = hashesIn(tile, 0, n, fill)
  const leaves = Buffer.alloc(ends.length * 32)
  const malformed: Finding[] = []
  const summing = new Summing(ends.length)
  const bytes = new Map<number, Uint8Array>()
  let from = 0
  for (let place = 0; place < ends.length; place += 1) {
    const end = ends[place]!
    from += lengthBytes
    writeLeafHash(leaves, place * 32, bundle.bytes, from, end)
    try {
      const kind = summing.add(place, bundle.bytes, from, end)
      // A copy: a view would hold, and hand over, all that it is a part of.
      const entry = bundle.bytes.subarray(from, end)
      if (kept === 'all' || !frequent.has(kind) || usesApproval(kind, entry)) bytes.set(place, Uint8Array.from(entry))
    } catch (error) {
      if (!isOurs(error)) throw error
      const index = n * tileWidth + place
      malformed.push({ code: 'ENTRY_MALFORMED', what: `entry ${index}: ${error.message}`, index, file: bundle.file })
    }
    from = end
  }
  const agree = ends.length === tileWidth && sameHash(leaves, hashes)
  const told = !agree || wanted.has(n)
  return {
    n,
    file: bundle.file,
    tile: tile.file,
    entries: ends.length,
    hashes: hashes.length / 32,
    findings: [finding, wrong].filter(one => one !== undefined),
    malformed,
    subtree: agree ? subtreeHash(leaves) : undefined,
    leaves: told ? leaves : nothing,
    stored: told ? Uint8Array.from(hashes) : nothing,
    summaries: summing.summaries,
    bytes,
  }
}

const nothing = new Uint8Array()

/** The well-formed entries of a bundle, in order. */
export const summariesOf = ({ n, summaries }: Stored) => summariesIn(summaries, n * tileWidth)

/** A tile's hashes, one behind the other; fewer where the file is cut short or cannot be read, which the finding says. */
export async function readHashes(files: LedgerFiles, level: number, n: number, size: number) {
  const read = await readTile(files, level, n, size)
  return { file: read.file, ...hashesIn(read, level, n, tileFill(size, level, n)) }
}

function hashesIn({ file, bytes, finding }: Read, level: number, n: number, fill: number) {
  const there = Math.min(fill, Math.floor(bytes.length / 32))
  const hashes = bytes.subarray(0, there * 32)
  const exact = file === hashTile(level, n, fill)
  if (finding !== undefined || (bytes.length >= fill * 32 && !(exact && bytes.length !== fill * 32))) {
    return { hashes, finding }
  }
  const what = `a tile of ${fill} hashes has ${bytes.length} bytes`
  const [expected, actual] = [String(fill * 32), String(bytes.length)]
  return { hashes, finding: { code: 'TILE_ALTERED', what, expected, actual, file } as Finding }
}

function cutOut(n: number, { file, bytes, finding }: Read, fill: number) {
  const ends = endsIn(bytes, fill)
  const rest = bytes.length - (ends.at(-1) ?? 0)
  if (finding !== undefined || (ends.length === fill && !(file === entryBundle(n, fill) && rest > 0))) {
    return { ends, finding }
  }
  const index = n * tileWidth + ends.length
  const what = ends.length < fill ? `a bundle is cut short at entry ${index}` : `${rest} bytes too many in a bundle`
  const [expected, actual] = [`${fill} entries`, `${ends.length} entries`]
  return { ends, finding: { code: 'ENTRY_ALTERED', what, index, expected, actual, file } as Finding }
}

const readTile = (files: LedgerFiles, level: number, n: number, size: number) =>
  tryRead(() => files.hashes(level, n, size), hashTile(level, n, tileFill(size, level, n)))

const readBundle = (files: LedgerFiles, n: number, size: number) =>
  tryRead(() => files.entries(n, size), entryBundle(n, tileFill(size, 0, n)))

async function tryRead(read: () => Promise<{ file: string; bytes: Buffer }>, expected: string): Promise<Read> {
  try {
    return { ...(await read()), finding: undefined }
  } catch (error) {
    return { file: expected, bytes: Buffer.alloc(0), finding: unreadable(error, expected) }
  }
}

/** @returns undefined where that is to be read as whatever may be missing or wrong is */
function readNow(files: LedgerFiles, n: number, size: number): readonly [Read, Read] | undefined {
  const bundle = files.entriesNow(n, size)
  const tile = bundle === undefined ? undefined : files.hashesNow(0, n, size)
  if (bundle === undefined || tile === undefined) return undefined
  return [
    { ...bundle, finding: undefined },
    { ...tile, finding: undefined },
  ]
}

/** Each entry stands behind its length. */
const lengthBytes = 2

/** Where each entry ends, up to `count` of them, or to a fault. */
function endsIn(bytes: Buffer, count: number): number[] {
  const ends: number[] = []
  let at = 0
  while (ends.length < count && at + lengthBytes <= bytes.length) {
    const end = at + lengthBytes + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    ends.push(end)
    at = end
  }
  return ends
}

/** As lib/format's decodeBundle, but keeps what comes before a fault, so that the fault can be placed. */
export function cut(bytes: Buffer, count: number): { entries: Uint8Array[]; rest: number } {
  const ends = endsIn(bytes, count)
  const entries = ends.map((end, i) => bytes.subarray((ends[i - 1] ?? 0) + lengthBytes, end))
  return { entries, rest: bytes.length - (ends.at(-1) ?? 0) }
}
