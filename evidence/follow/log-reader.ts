/**
 * Reads the write-ahead log while it is being written: whole frames, in order; what is torn or not there yet is waited
 * for. What stands there is signed by nobody yet. Who has the key of the vault is told of frames that were not made
 * with it; without it none is judged.
 */
import { LedgerError } from '../../lib/errors.ts'
import { announcedLength, decodeFrame, type Frame, isAuthentic, longestFrame } from '../../lib/format/frame.ts'
import { type MacKey, macKey } from '../../lib/format/mac.ts'
import type { LedgerFiles } from '../ledger-files.ts'

/** Where reading goes on. */
interface Place {
  /** Names the segment. */
  readonly segment: number
  readonly offset: number
  /** Index of the entry that the next frame must begin with. */
  readonly next: number
}

const piece = 256 * 1024

export class LogReader {
  readonly #files: LedgerFiles
  #place: Place | undefined
  /** The log is its writer's own, and may be closed to whoever reads: then only what is published can be seen. */
  #closed = false
  readonly #wrapping: Uint8Array | undefined
  #key: MacKey | undefined
  #unproven = false

  /** @param wrapping key of the vault, where it is at hand */
  constructor(files: LedgerFiles, wrapping: Uint8Array | undefined) {
    this.#files = files
    this.#wrapping = wrapping
  }

  /** Whether a frame that was read was not made with that key: somebody forged it, or the key is another. */
  get unproven(): boolean {
    return this.#unproven
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * @param from index of the first entry wanted. @param origin undefined where it is not known yet: then none is
   * judged. @returns frames that hold it and what comes after, some at a time: none where it is
   *   not in the log, or not yet
   * @throws LedgerError ERR_LEDGER_CORRUPT where a whole frame does not follow the one before it
   */
  async read(from: number, origin: string | undefined): Promise<Frame[]> {
    if (this.#closed) return []
    if (this.#wrapping !== undefined && origin !== undefined) this.#key ??= macKey(this.#wrapping, origin, 'wal')
    try {
      return await this.#read(from)
    } catch (error) {
      if (!isForbidden(error)) throw error
      this.#closed = true
      return []
    }
  }

  async #read(from: number): Promise<Frame[]> {
    for (;;) {
      this.#place ??= begin(await this.#files.segments(), from)
      if (this.#place === undefined) return []
      const { segment, offset } = this.#place
      const bytes = await this.#piece(segment, offset)
      if (bytes === undefined) {
        // Released: what it held is in tiles.
        this.#place = undefined
        return []
      }
      const read = this.#take(bytes)
      const wanted = read.filter(({ first, count }) => first + count > from)
      if (wanted.length > 0) return wanted
      if (read.length === 0 && !(await this.#turn(from))) return []
    }
  }

  /** At least one whole frame, where there is one. */
  async #piece(segment: number, offset: number): Promise<Buffer | undefined> {
    const bytes = await this.#files.segment(segment, offset, piece)
    const length = bytes === undefined ? undefined : announcedLength(bytes, 0)
    return length === undefined || length <= piece ? bytes : this.#files.segment(segment, offset, longestFrame)
  }

  #take(bytes: Buffer): Frame[] {
    const frames: Frame[] = []
    let at = 0
    let { next } = this.#place!
    for (let found = decodeFrame(bytes, at); found !== undefined; found = decodeFrame(bytes, at)) {
      if (found.frame.first !== next)
        throw new LedgerError('ERR_LEDGER_CORRUPT', 'a frame of the write-ahead log is out of place')
      if (this.#key !== undefined) this.#unproven ||= !isAuthentic(found.frame, [this.#key])
      frames.push(found.frame)
      at = found.end
      next += found.frame.count
    }
    this.#place = { segment: this.#place!.segment, offset: this.#place!.offset + at, next }
    return frames
  }

  /** To the segment that begins where this one ends; or, where this one cannot be read on, to a later one with what is wanted. */
  async #turn(from: number): Promise<boolean> {
    const { segment, next } = this.#place!
    const later = (await this.#files.segments()).filter(first => first > segment)
    const to = later.includes(next) ? next : later.findLast(first => first <= from)
    if (to === undefined) return false
    this.#place = { segment: to, offset: 0, next: to }
    return true
  }
}

function begin(segments: readonly number[], from: number): Place | undefined {
  const segment = segments.findLast(first => first <= from)
  return segment === undefined ? undefined : { segment, offset: 0, next: segment }
}

const isForbidden = (error: unknown) =>
  ['EACCES', 'EPERM'].includes(((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? '')
