/** The write-ahead log: segments in turn, the source of truth for all that stands in no sealed tile yet. */
import { promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { segmentFile } from '../format/layout.ts'
import { makeFolder, requireOwnFolder, syncFolder } from './files.ts'
import type { Medium } from './group-commit.ts'
import { Segment } from './segment.ts'

export interface WalState {
  readonly directory: string
  /** A new segment is begun at this size, in bytes. */
  readonly segmentBytes: number
  /** Throws where another process may have the ledger by now: nothing that it did not find is durable. Asked behind each sync. */
  readonly requireHeld: () => void
}

/** A segment as recovery left it. */
export interface SegmentState {
  readonly path: string
  readonly first: number
  /** Where its frames end. */
  readonly position: number
  readonly allocated: number
}

interface Older {
  readonly path: string
  readonly bytes: number
  /** First index behind it. */
  readonly end: number
}

export class Wal implements Medium {
  readonly #state: WalState
  /** Older segments, kept until what they hold is sealed. */
  #older: Older[]
  #current: Segment

  private constructor(state: WalState, older: Older[], current: Segment) {
    this.#state = state
    this.#older = older
    this.#current = current
  }

  /** @param next index of the next entry, which names a segment that is begun now */
  static async open(state: WalState, segments: readonly SegmentState[], next: number): Promise<Wal> {
    const older = segments
      .slice(0, -1)
      .map(({ path, position: bytes }, i) => ({ path, bytes, end: segments[i + 1]!.first }))
    const last = segments.at(-1)
    const current =
      last === undefined
        ? await begin(state, next)
        : await Segment.open(last.path, last.first, { ...last, limit: state.segmentBytes })
    return new Wal(state, older, current)
  }

  /** Bytes of frames in segments behind the current one, which wait for a seal. */
  get behind(): number {
    return this.#older.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async writeSynced(bytes: Uint8Array, first: number): Promise<void> {
    await this.#ready(first)
    await this.#current.write(bytes, true)
    this.#state.requireHeld()
  }

  async write(bytes: Uint8Array, first: number): Promise<void> {
    await this.#ready(first)
    await this.#current.write(bytes, false)
  }

  async sync(): Promise<void> {
    await this.#current.sync()
    this.#state.requireHeld()
  }

  /** Removes segments all of whose entries are below `size`: sealed, and their tiles durable. */
  async release(size: number): Promise<void> {
    const gone = this.#older.filter(({ end }) => end <= size)
    this.#older = this.#older.filter(({ end }) => end > size)
    for (const { path } of gone) await fs.unlink(path)
    if (gone.length > 0) await syncFolder(dirname(gone[0]!.path))
  }

  /** @param sealed whether every entry is sealed, its tiles durable: then nothing is left that the log is needed for */
  async close(sealed: boolean): Promise<void> {
    await this.#current.close()
    if (!sealed) return
    for (const { path } of [...this.#older, this.#current]) await fs.unlink(path)
    await syncFolder(dirname(this.#current.path))
  }

  /** Where another may have the ledger, this would write over what that one has: asked before, too. */
  async #ready(first: number): Promise<void> {
    this.#state.requireHeld()
    if (this.#current.position >= this.#state.segmentBytes) await this.#rotate(first)
  }

  async #rotate(first: number): Promise<void> {
    const full = this.#current
    // What was written without a sync is covered by no sync of the next segment.
    await full.sync()
    this.#current = await begin(this.#state, first)
    this.#older.push({ path: full.path, bytes: full.position, end: first })
    await full.close()
  }
}

async function begin({ directory, segmentBytes }: WalState, first: number): Promise<Segment> {
  const path = join(directory, segmentFile(first))
  requireOwnFolder(directory, dirname(segmentFile(first)))
  await makeFolder(dirname(path), 'closed')
  const segment = await Segment.open(path, first, { limit: segmentBytes })
  await syncFolder(dirname(path))
  return segment
}
