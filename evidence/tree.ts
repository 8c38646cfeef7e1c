/**
 * Recomputes the whole tree from the stored entries, and compares every hash tile with it: what differs is named by file and
 * index, and it is told from the signed root which of the two was altered.
 */
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { entryBundle, hashTile, tileFill, tileWidth } from '../lib/format/layout.ts'
import { Frontier, type Hash, leafHash, sameHash } from '../lib/format/merkle.ts'
import { type Finding, unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

export interface TreeExamination {
  readonly findings: readonly Finding[]
  /** Entries read, however many of them hold. */
  readonly entries: number
  /** Root of the stored entries alone at each size asked for; absent where entries before it are missing. */
  readonly rootAt: ReadonlyMap<number, Hash>
}

/** Called with each entry whose bytes could be cut out of its bundle, in order. */
export type EntryVisitor = (index: number, bytes: Uint8Array, file: string) => void

const hex = (hash: Hash) => Buffer.from(hash).toString('hex')
const most = 20
/** The size is the checkpoint's word, and may be anybody's: after so many files in a row that hold nothing, no more are looked for. */
const mostAbsent = 20
const nothingMore = (file: string, size: number): Finding => ({
  code: 'FILE_MISSING',
  what: `nothing was found from here on, of a ledger said to have ${size} entries: the rest was not looked for`,
  file,
})

/** Two ways to the root, which must agree: from the entries, and from the stored leaf hashes. */
interface Course {
  readonly frontier: Frontier
  /** Hashes that belong into tiles of level 1 and up: uppers[level][index]. */
  readonly uppers: Hash[][]
  whole: boolean
}

const course = (): Course => ({ frontier: new Frontier(), uppers: [], whole: true })
const fork = ({ frontier, uppers, whole }: Course): Course => ({
  frontier: frontier.clone(),
  uppers: uppers.map(row => [...row]),
  whole,
})

function advance({ frontier, uppers }: Course, leaf: Hash): void {
  frontier.append(leaf, (level, index, hash) => {
    if (level === 0 || level % 8 !== 0) return
    const row = level / 8
    uppers[row] ??= []
    uppers[row][index] = hash
  })
}

/** @param sizes at which the root of the stored entries is wanted. Never throws over what a file holds. */
export async function examineTree(
  files: LedgerFiles,
  checkpoint: Checkpoint,
  sizes: ReadonlySet<number>,
  visit: EntryVisitor,
): Promise<TreeExamination> {
  const { size } = checkpoint
  const byEntries = course()
  // The same one, as long as both agree: most ledgers are whole, and half the hashing is saved.
  let byTiles = byEntries
  const rootAt = new Map<number, Hash>()
  const differing: Difference[] = []
  const findings: Finding[] = []
  let entries = 0
  let absent = 0
  if (sizes.has(0)) rootAt.set(0, byEntries.frontier.root())
  for (let n = 0; n * tileWidth < size; n += 1) {
    const fill = tileFill(size, 0, n)
    const bundle = await readEntries(files, n, size, findings)
    const tile = await readTile(files, 0, n, size, findings)
    absent = bundle.entries.length + tile.hashes.length > 0 ? 0 : absent + 1
    if (absent === mostAbsent) {
      byEntries.whole = false
      byTiles.whole = false
      findings.push(nothingMore(bundle.file, size))
      break
    }
    for (let i = 0; i < fill; i += 1) {
      const index = n * tileWidth + i
      const bytes = bundle.entries[i]
      const stored = tile.hashes[i]
      const leaf = bytes === undefined ? undefined : leafHash(bytes)
      if (bytes !== undefined) {
        entries += 1
        visit(index, bytes, bundle.file)
      }
      const agree = leaf !== undefined && stored !== undefined && sameHash(leaf, stored)
      if (!agree && byTiles === byEntries) byTiles = fork(byEntries)
      if (leaf === undefined) byEntries.whole = false
      if (stored === undefined) byTiles.whole = false
      if (byEntries.whole) advance(byEntries, leaf!)
      if (byTiles !== byEntries && byTiles.whole) advance(byTiles, stored!)
      if (!agree && leaf !== undefined && stored !== undefined) {
        differing.push({ index, leaf, stored, bundle: bundle.file, tile: tile.file })
      }
      if (byEntries.whole && sizes.has(index + 1)) rootAt.set(index + 1, byEntries.frontier.root())
    }
  }
  const right = (c: Course) => c.whole && sameHash(c.frontier.root(), checkpoint.root)
  const entriesRight = right(byEntries)
  const tilesRight = right(byTiles)
  findings.push(...tellDifferences(differing, entriesRight, tilesRight))
  if (!entriesRight && byEntries.whole) {
    findings.push({
      code: 'LEDGER_ROOT',
      what: 'the stored entries do not give the root that the checkpoint signs',
      expected: hex(checkpoint.root),
      actual: hex(byEntries.frontier.root()),
    })
  }
  const trusted = entriesRight ? byEntries : tilesRight ? byTiles : undefined
  await examineUpperTiles(files, size, trusted, findings)
  return { findings, entries, rootAt }
}

interface Difference {
  readonly index: number
  readonly leaf: Hash
  readonly stored: Hash
  readonly bundle: string
  readonly tile: string
}

function tellDifferences(differing: readonly Difference[], entriesRight: boolean, tilesRight: boolean): Finding[] {
  const places = new Map(differing.map(d => [hex(d.stored), d.index]))
  const told = differing.slice(0, most).map((d): Finding => {
    const [expected, actual] = [hex(d.stored), hex(d.leaf)]
    if (entriesRight) {
      const what = `the leaf hash of entry ${d.index} was altered in its tile`
      return { code: 'TILE_ALTERED', what, index: d.index, expected: actual, actual: expected, file: d.tile }
    }
    const place = places.get(actual)
    if (place !== undefined) {
      const what = `entry ${place} stands where entry ${d.index} was`
      return { code: 'ENTRY_MOVED', what, index: d.index, expected, actual, file: d.bundle }
    }
    const sure = tilesRight ? '' : ' (or its leaf hash was: neither leads to the signed root)'
    return {
      code: 'ENTRY_ALTERED',
      what: `entry ${d.index} was altered${sure}`,
      index: d.index,
      expected,
      actual,
      file: d.bundle,
    }
  })
  const rest = differing.length - told.length
  const last = differing.at(-1)
  if (rest > 0 && last !== undefined) {
    told.push({
      code: entriesRight ? 'TILE_ALTERED' : 'ENTRY_ALTERED',
      what: `and ${rest} more, up to entry ${last.index}`,
    })
  }
  return told
}

async function examineUpperTiles(
  files: LedgerFiles,
  size: number,
  trusted: Course | undefined,
  findings: Finding[],
): Promise<void> {
  for (let level = 1; Math.floor(size / tileWidth ** level) > 0; level += 1) {
    let absent = 0
    for (let n = 0; tileFill(size, level, n) > 0; n += 1) {
      const { file, hashes } = await readTile(files, level, n, size, findings)
      absent = hashes.length > 0 ? 0 : absent + 1
      if (absent === mostAbsent) {
        findings.push(nothingMore(file, size))
        break
      }
      for (const [i, stored] of hashes.entries()) {
        const computed = trusted?.uppers[level]?.[n * tileWidth + i]
        if (computed === undefined || sameHash(computed, stored)) continue
        const what = `hash ${i} of a tile of level ${level} was altered`
        findings.push({ code: 'TILE_ALTERED', what, expected: hex(computed), actual: hex(stored), file })
      }
    }
  }
}

async function readTile(files: LedgerFiles, level: number, n: number, size: number, findings: Finding[]) {
  const fill = tileFill(size, level, n)
  const expected = hashTile(level, n, fill)
  try {
    const { file, bytes } = await files.hashes(level, n, size)
    if (bytes.length < fill * 32 || (file === expected && bytes.length !== fill * 32)) {
      const what = `a tile of ${fill} hashes has ${bytes.length} bytes`
      findings.push({ code: 'TILE_ALTERED', what, expected: String(fill * 32), actual: String(bytes.length), file })
    }
    const there = Math.min(fill, Math.floor(bytes.length / 32))
    return { file, hashes: Array.from({ length: there }, (_, i): Hash => bytes.subarray(i * 32, i * 32 + 32)) }
  } catch (error) {
    findings.push(unreadable(error, expected))
    return { file: expected, hashes: [] }
  }
}

async function readEntries(files: LedgerFiles, n: number, size: number, findings: Finding[]) {
  const fill = tileFill(size, 0, n)
  const expected = entryBundle(n, fill)
  try {
    const { file, bytes } = await files.entries(n, size)
    const { entries, rest } = cut(bytes, fill)
    if (entries.length < fill || (file === expected && rest > 0)) {
      const index = n * tileWidth + entries.length
      const what =
        entries.length < fill ? `a bundle is cut short at entry ${index}` : `${rest} bytes too many in a bundle`
      findings.push({
        code: 'ENTRY_ALTERED',
        what,
        index,
        expected: `${fill} entries`,
        actual: `${entries.length} entries`,
        file,
      })
    }
    return { file, entries }
  } catch (error) {
    findings.push(unreadable(error, expected))
    return { file: expected, entries: [] }
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
