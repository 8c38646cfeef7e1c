/**
 * What a ledger's bundles and leaf tiles hold, a bundle at a time: leaves hashed and compared with the tile, entries checked and summed up.
 * Says nothing that the bundle alone cannot tell, so that bundles can be examined in any order, and by several threads.
 */
import { isOurs } from '../lib/errors.ts'
import { type EntrySummary, type Kind, kindNames, summarise } from '../lib/format/entry.ts'
import { entryBundle, hashTile, tileFill, tileWidth } from '../lib/format/layout.ts'
import { leafHash, nodeHash, sameHash } from '../lib/format/merkle.ts'
import { type Finding, unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

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

/** Summaries in columns: as objects they would take longer to hand over than to make. */
interface Summaries {
  readonly places: Uint8Array
  readonly kinds: Uint8Array
  readonly seqs: Float64Array
  /** NaN where there is none. */
  readonly intervals: Float64Array
  /** 36 and 24 characters each; exchanges as ids, blank where there is none. */
  readonly ids: string
  readonly times: string
  readonly exchanges: string
  readonly writers: readonly string[]
  readonly verdicts: readonly (string | undefined)[]
}

/** What happens with every operation: of these a summary tells enough. Every other kind is handed over whole, whatever comes to be. */
const frequent: ReadonlySet<Kind> = new Set<Kind>([
  ...(['decision', 'outcome', 'settled', 'heartbeat', 'attachment', 'event', 'events-lost'] as const),
  ...(['session-opened', 'session-closed'] as const),
])

const approvalMember = Buffer.from('"approval":"')

/** Approvals are used once: that one was is known from the decision alone. In a string its quotes would be escaped. */
const usesApproval = ({ kind }: EntrySummary, entry: Uint8Array): boolean =>
  kind === 'decision' && Buffer.from(entry.buffer, entry.byteOffset, entry.byteLength).includes(approvalMember)

const readAhead = 8

/** In order. Reads some bundles ahead. */
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
    while (next < Math.min(to, n + readAhead)) begin()
    const [bundle, tile] = await ahead.shift()!
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
  const { entries, finding } = cutOut(n, bundle, fill)
  const { hashes, finding: wrong } = hashesIn(tile, 0, n, fill)
  const leaves = Buffer.alloc(entries.length * 32)
  const malformed: Finding[] = []
  const summed: { place: number; summary: EntrySummary }[] = []
  const bytes = new Map<number, Uint8Array>()
  for (const [place, entry] of entries.entries()) {
    leaves.set(leafHash(entry), place * 32)
    try {
      const summary = summarise(entry)
      summed.push({ place, summary })
      // A copy: a view would hold, and hand over, all that it is a part of.
      if (kept === 'all' || !frequent.has(summary.kind) || usesApproval(summary, entry)) {
        bytes.set(place, Uint8Array.from(entry))
      }
    } catch (error) {
      if (!isOurs(error)) throw error
      const index = n * tileWidth + place
      malformed.push({ code: 'ENTRY_MALFORMED', what: `entry ${index}: ${error.message}`, index, file: bundle.file })
    }
  }
  const agree = entries.length === tileWidth && sameHash(leaves, hashes)
  const told = !agree || wanted.has(n)
  return {
    n,
    file: bundle.file,
    tile: tile.file,
    entries: entries.length,
    hashes: hashes.length / 32,
    findings: [finding, wrong].filter(one => one !== undefined),
    malformed,
    subtree: agree ? Uint8Array.from(rootOf(leaves)) : undefined,
    leaves: told ? leaves : nothing,
    stored: told ? Uint8Array.from(hashes) : nothing,
    summaries: columns(summed),
    bytes,
  }
}

const nothing = new Uint8Array()

/** Over a power of two of leaves, 32 bytes each. */
function rootOf(leaves: Buffer): Uint8Array {
  const row = Buffer.from(leaves)
  for (let count = row.length / 64; count >= 1; count /= 2) {
    for (let i = 0; i < count; i += 1) {
      row.set(nodeHash(row.subarray(i * 64, i * 64 + 32), row.subarray(i * 64 + 32, i * 64 + 64)), i * 32)
    }
  }
  return row.subarray(0, 32)
}

const numberOf = new Map(kindNames.map((kind, i) => [kind, i]))
const blank = ' '.repeat(36)

function columns(summed: readonly { place: number; summary: EntrySummary }[]): Summaries {
  const of = <T>(take: (summary: EntrySummary) => T): T[] => summed.map(({ summary }) => take(summary))
  return {
    places: Uint8Array.from(summed, ({ place }) => place),
    kinds: Uint8Array.from(of(({ kind }) => numberOf.get(kind)!)),
    seqs: Float64Array.from(of(({ seq }) => seq)),
    intervals: Float64Array.from(of(({ interval }) => interval ?? Number.NaN)),
    ids: of(({ id }) => id).join(''),
    times: of(({ time }) => time).join(''),
    exchanges: of(({ exchange }) => exchange ?? blank).join(''),
    writers: of(({ writer }) => writer),
    verdicts: of(({ verdict }) => verdict),
  }
}

/** The well-formed entries of a bundle, in order. */
export function* summariesOf({
  n,
  summaries,
}: Stored): Generator<{ index: number; place: number; summary: EntrySummary }> {
  const { places, kinds, seqs, intervals, ids, times, exchanges, writers, verdicts } = summaries
  for (const [i, place] of places.entries()) {
    const exchange = exchanges.slice(i * 36, i * 36 + 36)
    const interval = intervals[i]!
    const summary = {
      kind: kindNames[kinds[i]!]!,
      id: ids.slice(i * 36, i * 36 + 36),
      time: times.slice(i * 24, i * 24 + 24),
      writer: writers[i]!,
      seq: seqs[i]!,
      exchange: exchange === blank ? undefined : exchange,
      interval: Number.isNaN(interval) ? undefined : interval,
      verdict: verdicts[i],
    }
    yield { index: n * tileWidth + place, place, summary }
  }
}

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
  const { entries, rest } = cut(bytes, fill)
  if (finding !== undefined || (entries.length === fill && !(file === entryBundle(n, fill) && rest > 0))) {
    return { entries, finding }
  }
  const index = n * tileWidth + entries.length
  const what = entries.length < fill ? `a bundle is cut short at entry ${index}` : `${rest} bytes too many in a bundle`
  const [expected, actual] = [`${fill} entries`, `${entries.length} entries`]
  return { entries, finding: { code: 'ENTRY_ALTERED', what, index, expected, actual, file } as Finding }
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

/** As lib/format's decodeBundle, but keeps what comes before a fault, so that the fault can be placed. */
export function cut(bytes: Buffer, count: number): { entries: Uint8Array[]; rest: number } {
  const entries: Uint8Array[] = []
  let at = 0
  while (entries.length < count && at + 2 <= bytes.length) {
    const end = at + 2 + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
  return { entries, rest: bytes.length - at }
}
