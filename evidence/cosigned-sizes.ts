/**
 * Which of a ledger's checkpoints witnesses have cosigned, by its own entries: each says so within the tree that is
 * published, and names the note that was kept. What else lies among the anchors, anybody may have put there, with lines
 * of anybody's: that chooses nothing.
 */
import { isOurs } from '../lib/errors.ts'
import { anchorFile } from '../lib/format/anchor.ts'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { tileWidth } from '../lib/format/layout.ts'
import { type HashReader, inclusionProof, leafHash, verifyInclusion } from '../lib/format/merkle.ts'
import { isUnreachable, unlessUnreachable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { isMarked, markOf } from './marked.ts'

export interface CosignedSize {
  readonly size: number
  /** One for each witness, under anchors/. */
  readonly files: readonly string[]
}

/** So many of the newest are looked at for the one that most have cosigned. */
const mostSizes = 64

/** Entries are appended once a checkpoint is vouched for: so many bundles are looked through for them at an address. */
const mostLookedThrough = 4

const mark = markOf('anchored')

/**
 * Those that most witnesses have cosigned first, of these the newest; at an address as the newest entries say.
 * @param index of the entry that they are wanted for: all others may be left out. @throws Fault ERR_LEDGER_UNAVAILABLE
 */
export async function cosignedSizes(
  files: LedgerFiles,
  published: Checkpoint,
  index: number,
): Promise<readonly CosignedSize[]> {
  const found = new Map<number, Map<string, string>>()
  const tree = { ...published, read: files.hashReader(published.size) }
  const last = Math.ceil(published.size / tileWidth)
  // What says that a tree was cosigned stands behind it.
  const begin = files.directory === undefined ? Math.max(0, last - mostLookedThrough) : Math.floor(index / tileWidth)
  for (let n = last - 1; n >= begin && found.size < mostSizes; n -= 1) {
    for (const { at, bytes, entry } of await anchoredIn(files, n, published.size)) {
      const { size, by, file } = entry
      if (size > published.size || !(await isWithin(tree, at, bytes))) continue
      found.set(size, (found.get(size) ?? new Map()).set(by, anchorFile('witness', size, file)))
    }
  }
  const sizes = [...found].map(([size, of]) => ({ size, files: [...of.values()] }))
  return sizes.sort((a, b) => b.files.length - a.files.length || b.size - a.size)
}

/** Files of the notes of one checkpoint, as entries from it on name them. @throws Fault ERR_LEDGER_UNAVAILABLE */
export async function namedNotes(files: LedgerFiles, size: number, published: Checkpoint): Promise<readonly string[]> {
  const named = new Set<string>()
  const first = Math.floor(size / tileWidth)
  for (let n = first; n < first + mostLookedThrough && n * tileWidth < published.size; n += 1) {
    for (const { entry } of await anchoredIn(files, n, published.size))
      if (entry.size === size) named.add(anchorFile('witness', size, entry.file))
  }
  return [...named]
}

interface Anchored {
  readonly at: number
  readonly bytes: Uint8Array
  readonly entry: EntryOf<'anchored'>
}

/** What cannot be read names nothing: that is for verify to tell. */
async function anchoredIn(files: LedgerFiles, n: number, size: number): Promise<Anchored[]> {
  const bundle = (await files.entriesOf(n, size).catch(unlessUnreachable)) ?? []
  return bundle.flatMap((bytes, i) => {
    const entry = isMarked(bytes, mark) ? readable(bytes) : undefined
    return entry?.kind === 'anchored' && entry.anchor === 'witness' ? [{ at: n * tileWidth + i, bytes, entry }] : []
  })
}

function readable(bytes: Uint8Array) {
  try {
    return parseEntry(bytes)
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}

async function isWithin({ size, root, read }: Checkpoint & { read: HashReader }, index: number, bytes: Uint8Array) {
  try {
    verifyInclusion(leafHash(bytes), index, size, await inclusionProof(index, size, read), root)
    return true
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    return false
  }
}
