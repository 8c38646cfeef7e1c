/**
 * The bundles of a ledger under examination, in order: by several threads where there are
 * many, and a second time where a step needs that.
 */
import { availableParallelism } from 'node:os'
import { type Entry, type Kind, parseEntry } from '../lib/format/entry.ts'
import { tileWidth } from '../lib/format/layout.ts'
import { Frontier, sameHash } from '../lib/format/merkle.ts'
import type { Examination } from './examination.ts'
import { type Stored, storedIn, summariesOf, type Task } from './stored.ts'
import { storedByThreads } from './threads.ts'

/** A thread takes as long to start as some thousand entries to read, and the size may be anybody's word: so many bundles come first. */
const fewBundles = 32
const mostThreads = 8

export interface Wanted {
  /** First bundle. Default: 0. */
  readonly from?: number
  readonly leaves?: ReadonlySet<number>
  readonly bytes?: Task['bytes']
}

export async function* bundlesOf(
  x: Examination,
  { from = 0, leaves = new Set(), bytes = 'rare' }: Wanted,
): AsyncGenerator<Stored> {
  const [files, size] = [x.files!, x.checkpoint!.size]
  const task: Task = { from, to: Math.ceil(size / tileWidth), size, leaves, bytes }
  const threads = bytes === 'all' ? 1 : (x.options.threads ?? Math.min(mostThreads, availableParallelism()))
  const few = from + fewBundles
  if (threads === 1 || files.directory === undefined || task.to < few * 2) {
    yield* storedIn(files, task)
  } else {
    yield* storedIn(files, { ...task, to: few })
    yield* storedByThreads(files, files.directory, { ...task, from: few }, threads)
  }
}

/** All of them once more. What is then read must be what was verified, or the step would speak of other entries. */
export async function* bundlesAgain(x: Examination, bytes: Task['bytes']): AsyncGenerator<Stored> {
  const { checkpoint, rootAt } = x
  const frontier = new Frontier()
  let whole = true
  for await (const stored of bundlesOf(x, { bytes })) {
    yield stored
    const { n, subtree, leaves } = stored
    whole &&= frontier.size === n * tileWidth
    if (!whole) continue
    if (subtree !== undefined) frontier.appendSubtree(8, subtree)
    else for (let at = 0; at < leaves.length; at += 32) frontier.append(leaves.subarray(at, at + 32))
  }
  const verified = rootAt.get(checkpoint!.size)
  if (verified === undefined || (whole && sameHash(frontier.root(), verified))) return
  x.fail({ code: 'FILE_UNREADABLE', what: 'the entries changed while they were being verified', file: 'tile/entries' })
}

/** Every well-formed entry, or those of some kinds: as they were kept, or read again. */
export async function* entriesAgain(
  x: Examination,
  kinds?: ReadonlySet<Kind>,
): AsyncGenerator<{ readonly index: number; readonly entry: Entry }> {
  const isWanted = (kind: Kind) => kinds === undefined || kinds.has(kind)
  if (x.keep) {
    for (const record of x.records) if (isWanted(record.entry.kind)) yield record
    return
  }
  for await (const stored of bundlesAgain(x, 'all')) {
    for (const { index, place, summary } of summariesOf(stored)) {
      if (isWanted(summary.kind)) yield { index, entry: parseEntry(stored.bytes.get(place)!) }
    }
  }
}
