/**
 * Recomputes the tree from the stored entries, and compares every hash tile with it: what differs is named by file and
 * index, and it is told from the signed root which of the two was altered. Bundle by bundle: nothing is kept but the
 * edge of the tree, and a hash for each bundle.
 */
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { tileFill, tileWidth } from '../lib/format/layout.ts'
import { Frontier, type Hash, sameHash } from '../lib/format/merkle.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { readHashes, type Stored } from './stored.ts'

export interface TreeExamination {
  readonly findings: Findings<Finding>
  /** Entries read, however many of them hold. */
  readonly entries: number
  /** Root of the stored entries alone at each size asked for; absent where entries before it are missing. */
  readonly rootAt: ReadonlyMap<number, Hash>
}

const hex = (hash: Hash) => Buffer.from(hash).toString('hex')
const mostTold = 20
/** Differences among which an entry that moved is looked for. */
const mostKept = 1024
/** The size is the checkpoint's word, and may be anybody's: after so many files in a row that hold nothing, no more are looked for. */
const mostAbsent = 20
const nothingMore = (file: string, size: number): Finding => ({
  code: 'FILE_MISSING',
  what: `nothing was found from here on, of a ledger said to have ${size} entries: the rest was not looked for`,
  file,
})

/** Hashes one behind the other, from `first` on. */
class Row {
  #bytes: Buffer
  #end: number
  readonly #first: number

  constructor(first: number, bytes = Buffer.alloc(0), end = 0) {
    this.#first = first
    this.#bytes = bytes
    this.#end = end
  }

  push(hash: Hash): void {
    if (this.#end === this.#bytes.length) {
      const more = Buffer.alloc(Math.max(256 * 32, this.#end * 2))
      this.#bytes.copy(more)
      this.#bytes = more
    }
    this.#bytes.set(hash, this.#end)
    this.#end += 32
  }

  at(index: number): Hash | undefined {
    const at = (index - this.#first) * 32
    return at < 0 || at >= this.#end ? undefined : this.#bytes.subarray(at, at + 32)
  }

  clone(): Row {
    return new Row(this.#first, Buffer.from(this.#bytes), this.#end)
  }
}

/** Two ways to the root, which must agree: from the entries, and from the stored leaf hashes. */
interface Course {
  readonly frontier: Frontier
  /** Hashes that belong into tiles of level 1 and up: uppers[level], from the first that is computed here. */
  readonly uppers: Row[]
  whole: boolean
}

const fork = ({ frontier, uppers, whole }: Course): Course => ({
  frontier: frontier.clone(),
  uppers: uppers.map(row => row?.clone()),
  whole,
})

function advance({ frontier, uppers }: Course, level: number, subtree: Hash): void {
  frontier.appendSubtree(level, subtree, (above, index, hash) => {
    if (above === 0 || above % 8 !== 0) return
    uppers[above / 8] ??= new Row(index)
    uppers[above / 8]!.push(hash)
  })
}

/**
 * The tree of the first `end` entries of `size`, whole bundles, from the hashes in tiles. @throws LedgerError where these are not there
 */
export async function treeOf(files: LedgerFiles, end: number, size: number): Promise<Frontier> {
  const frontier = new Frontier()
  const hashes = files.hashReader(size)
  for (let level = 52; level >= 8; level -= 1) {
    if (end - frontier.size < 2 ** level) continue
    frontier.appendSubtree(level, await hashes(level, frontier.size / 2 ** level))
  }
  return frontier
}

export interface TreeQuestion {
  readonly files: LedgerFiles
  readonly checkpoint: Checkpoint
  /** Sizes at which the root of the stored entries is wanted. */
  readonly sizes: ReadonlySet<number>
  /** The tree up to a whole bundle, as established otherwise: examined is what comes behind it. Default: nothing. */
  readonly from?: Frontier
  /** Called for each bundle, in order. */
  readonly visit: (stored: Stored) => void
}

/** @param bundles from that of `from` on, in order. Never throws over what a file holds. */
export async function examineTree(
  { files, checkpoint, sizes, from = new Frontier(), visit }: TreeQuestion,
  bundles: AsyncIterable<Stored>,
): Promise<TreeExamination> {
  const { size } = checkpoint
  const first = from.size / tileWidth
  const byEntries: Course = { frontier: from, uppers: [], whole: true }
  // The same one, as long as both agree: most ledgers are whole, and half the hashing is saved.
  let byTiles = byEntries
  const rootAt = new Map<number, Hash>()
  const differences = new Differences()
  const findings = new Findings<Finding>()
  let entries = 0
  let absent = 0
  const note = () => {
    const { frontier, whole } = byEntries
    if (whole && sizes.has(frontier.size)) rootAt.set(frontier.size, frontier.root())
  }
  note()
  for await (const stored of bundles) {
    findings.addAll(stored.findings)
    entries += stored.entries
    visit(stored)
    absent = stored.entries + stored.hashes > 0 ? 0 : absent + 1
    if (absent === mostAbsent) {
      byEntries.whole = false
      byTiles.whole = false
      findings.add(nothingMore(stored.file, size))
      break
    }
    if (stored.subtree !== undefined && stored.leaves.length === 0) {
      if (byEntries.whole) advance(byEntries, 8, stored.subtree)
      if (byTiles !== byEntries && byTiles.whole) advance(byTiles, 8, stored.subtree)
      note()
      continue
    }
    for (let place = 0; place < tileFill(size, 0, stored.n); place += 1) {
      const leaf = hashAt(stored.leaves, place)
      const tiled = hashAt(stored.stored, place)
      const agree = leaf !== undefined && tiled !== undefined && sameHash(leaf, tiled)
      if (!agree && byTiles === byEntries) byTiles = fork(byEntries)
      if (leaf === undefined) byEntries.whole = false
      if (tiled === undefined) byTiles.whole = false
      if (byEntries.whole) advance(byEntries, 0, leaf!)
      if (byTiles !== byEntries && byTiles.whole) advance(byTiles, 0, tiled!)
      if (!agree && leaf !== undefined && tiled !== undefined) {
        differences.add({
          index: stored.n * tileWidth + place,
          leaf,
          stored: tiled,
          bundle: stored.file,
          tile: stored.tile,
        })
      }
      note()
    }
  }
  const right = (c: Course) => c.whole && sameHash(c.frontier.root(), checkpoint.root)
  const entriesRight = right(byEntries)
  const tilesRight = right(byTiles)
  findings.addAll(differences.tell(entriesRight, tilesRight))
  if (!entriesRight && byEntries.whole) {
    findings.add({
      code: 'LEDGER_ROOT',
      what: 'the stored entries do not give the root that the checkpoint signs',
      expected: hex(checkpoint.root),
      actual: hex(byEntries.frontier.root()),
    })
  }
  const trusted = entriesRight ? byEntries : tilesRight ? byTiles : undefined
  await examineUpperTiles(files, size, first, trusted, findings)
  return { findings, entries, rootAt }
}

const hashAt = (hashes: Uint8Array, place: number): Hash | undefined =>
  (place + 1) * 32 > hashes.length ? undefined : hashes.subarray(place * 32, place * 32 + 32)

interface Difference {
  readonly index: number
  readonly leaf: Hash
  readonly stored: Hash
  readonly bundle: string
  readonly tile: string
}

/** Where leaves and their hashes in tiles differ: the first of these, and how many. */
class Differences {
  readonly #kept: Difference[] = []
  #count = 0
  #last = 0

  add(difference: Difference): void {
    if (this.#kept.length < mostKept) this.#kept.push(difference)
    this.#count += 1
    this.#last = difference.index
  }

  tell(entriesRight: boolean, tilesRight: boolean): Finding[] {
    const places = new Map(this.#kept.map(d => [hex(d.stored), d.index]))
    const told = this.#kept.slice(0, mostTold).map((d): Finding => {
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
      const what = `entry ${d.index} was altered${sure}`
      return { code: 'ENTRY_ALTERED', what, index: d.index, expected, actual, file: d.bundle }
    })
    const rest = this.#count - told.length
    if (rest > 0) {
      const code = entriesRight ? 'TILE_ALTERED' : 'ENTRY_ALTERED'
      told.push({ code, what: `and ${rest} more, up to entry ${this.#last}` })
    }
    return told
  }
}

/** @param first bundle that was examined: tiles that end before it are passed over */
async function examineUpperTiles(
  files: LedgerFiles,
  size: number,
  first: number,
  trusted: Course | undefined,
  findings: Findings<Finding>,
): Promise<void> {
  for (let level = 1; Math.floor(size / tileWidth ** level) > 0; level += 1) {
    let absent = 0
    for (let n = Math.floor(first / tileWidth ** level); tileFill(size, level, n) > 0; n += 1) {
      const { file, hashes, finding } = await readHashes(files, level, n, size)
      if (finding !== undefined) findings.add(finding)
      absent = hashes.length > 0 ? 0 : absent + 1
      if (absent === mostAbsent) {
        findings.add(nothingMore(file, size))
        break
      }
      for (let i = 0; i * 32 < hashes.length; i += 1) {
        const stored = hashAt(hashes, i)!
        const computed = trusted?.uppers[level]?.at(n * tileWidth + i)
        if (computed === undefined || sameHash(computed, stored)) continue
        const what = `hash ${i} of a tile of level ${level} was altered`
        findings.add({ code: 'TILE_ALTERED', what, expected: hex(computed), actual: hex(stored), file })
      }
    }
  }
}
