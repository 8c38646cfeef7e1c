/**
 * The snapshots of a ledger (lib/format/snapshot.ts), from which its writer takes up what is known: each derived again
 * from the entries, and held against what it says. A cache is worth what it says: one that lets somebody in whom the
 * entries do not is how a ledger would lie.
 */
import { createHash } from 'node:crypto'
import { isOurs } from '../lib/errors.ts'
import { CarriedDigest, carriedOf } from '../lib/format/carried.ts'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import type { Entry, EntrySummary } from '../lib/format/entry.ts'
import { snapshotFile } from '../lib/format/layout.ts'
import { Living } from '../lib/format/living.ts'
import { type Hash, sameHash } from '../lib/format/merkle.ts'
import type { Note } from '../lib/format/note.ts'
import { isOfOtherRules, longestSnapshot, noteOfSnapshot, parseSnapshot, snapshotOf } from '../lib/format/snapshot.ts'
import { type Finding, isUnreachable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { requireOwnSignature, type Trust } from './trust.ts'
import { base64 } from './verification.ts'

/** More are kept by no version: the rest is only counted. */
const mostSnapshots = 16

export interface FoundSnapshot {
  readonly file: string
  readonly checkpoint: Checkpoint
  readonly note: Note
}

export interface Found {
  readonly snapshots: readonly FoundSnapshot[]
  /** Made by rules that this version does not know. */
  readonly others: number
  readonly findings: readonly Finding[]
}

/**
 * Of what was found no more is kept than was signed: that covers the rest by its digest.
 * @param laterSize how many entries there are by now, where these are at least so many, and verified too
 */
export async function findSnapshots(
  files: LedgerFiles,
  trust: Trust,
  checkpoint: Checkpoint,
  laterSize: (size: number) => Promise<number | undefined>,
): Promise<Found> {
  const { sizes, strange } = await files.snapshotSizes()
  const invalid = (what: string, name: string | number): Finding => ({
    ...{ code: 'SNAPSHOT_INVALID', what, file: `snapshot/${name}` },
  })
  const findings = strange.slice(0, mostSnapshots).map(name => invalid('a file among the snapshots that is none', name))
  const snapshots: FoundSnapshot[] = []
  let others = 0
  for (const size of sizes.slice(-mostSnapshots)) {
    try {
      const head = await files.snapshotHead(size)
      // A writer that is at work replaces the older one.
      if (head === undefined) continue
      const note = noteOfSnapshot(head)
      // Before any more of it is read: whoever has no key says nothing of how long it is.
      requireOwnSignature({ note, size }, trust)
      if (isOfOtherRules(note)) {
        others += 1
        continue
      }
      const bytes = await files.snapshot(size, longestSnapshot(note))
      if (bytes === undefined) continue
      const { checkpoint: of } = parseSnapshot(bytes)
      if (of.size !== size || of.origin !== trust.origin) findings.push(invalid('a snapshot of another tree', size))
      else if (size <= checkpoint.size) snapshots.push({ file: snapshotFile(size), checkpoint: of, note })
      // Sealed since the checkpoint was read; or the checkpoint was put back.
      else if ((await laterSize(size)) === undefined) findings.push(invalid('a snapshot of more than is signed', size))
    } catch (error) {
      if (!isOurs(error) || isUnreachable(error)) throw error
      findings.push(invalid(error.message, size))
    }
  }
  return { snapshots, others, findings }
}

/** Folds the entries again, in index order. */
export class Refold {
  readonly #snapshots: ReadonlyMap<number, FoundSnapshot>
  readonly #living = new Living()
  readonly #derived = new Map<number, string>()
  readonly #last: number
  readonly #followedAt: number | undefined
  /** What the ledger that follows at that size must say again. */
  carried: CarriedDigest | undefined

  /** @param followedAt the size at which another ledger follows this one */
  constructor(snapshots: readonly FoundSnapshot[], followedAt?: number) {
    this.#snapshots = new Map(snapshots.map(one => [one.checkpoint.size, one]))
    this.#followedAt = followedAt
    this.#last = Math.max(-1, followedAt ?? -1, ...this.#snapshots.keys())
  }

  /** @param entry whole, where something may rest on it */
  add(index: number, summary: EntrySummary, entry?: Entry): void {
    if (index > this.#last) return
    this.reach(index)
    if (entry === undefined) this.#living.pass(index, summary)
    else this.#living.add({ index, entry })
  }

  /** So many entries have been added. */
  reach(size: number): void {
    const snapshot = this.#snapshots.get(size)
    // Where an entry is of a day that never was, or none could be read, the latest time is none, and nothing says what stands there.
    const isDerivable = Number.isFinite(this.#living.latest)
    if (snapshot !== undefined && isDerivable)
      this.#derived.set(size, snapshotOf(snapshot.checkpoint, this.#living).text)
    if (size !== this.#followedAt) return
    this.carried = new CarriedDigest()
    for (const { entry } of carriedOf(this.#living)) this.carried.add(entry)
  }

  *findings(rootAt: ReadonlyMap<number, Hash>): Generator<Finding> {
    for (const [size, { file, checkpoint, note }] of this.#snapshots) {
      const root = rootAt.get(size)
      if (root !== undefined && !sameHash(root, checkpoint.root)) {
        const [expected, actual] = [base64(root), base64(checkpoint.root)]
        yield {
          code: 'SNAPSHOT_INVALID',
          what: `a snapshot of other entries than the first ${size}`,
          expected,
          actual,
          file,
        }
      } else if (this.#derived.get(size) !== note.text) {
        const [expected, actual] = [this.#derived.get(size) ?? '', note.text].map(digestOf)
        const what = `a snapshot says other than the first ${size} entries`
        yield { code: 'SNAPSHOT_INVALID', what, expected: expected!, actual: actual!, file }
      }
    }
  }
}

/** How many entries, and their digest; or of what is no such text, its own. */
const digestOf = (text: string): string => text.split('\n').at(-2) ?? createHash('sha256').update(text).digest('base64')
