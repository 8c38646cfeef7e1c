/**
 * One file of the write-ahead log. Zeros are laid down ahead and synced, so that a small write through
 * O_DSYNC touches data only; a large one lets the file grow by itself: beside its own bytes the file's
 * length is little, and zeros as many bytes again.
 */
import { close, constants, fdatasync, open, write } from 'node:fs'
import { promisify } from 'node:util'
import { asLinked } from './files.ts'

const { O_RDWR, O_CREAT, O_DSYNC, O_NOFOLLOW } = constants
const openFile = promisify(open)
const closeFile = promisify(close)
const syncData = promisify(fdatasync)

/** How much is laid down and synced at a time: a larger step would hold up the writes that share the disk with it. */
const step = 128 * 1024
const zeros = Buffer.alloc(step)
/** How much is laid down ahead. */
const ahead = 1024 * 1024
/** Bytes of a write from which on nothing is laid down for it. */
const large = 16 * 1024

export interface SegmentSize {
  /** Where the next frame goes. */
  readonly position?: number
  /** Bytes of the file, zeros from `position` on. */
  readonly allocated?: number
  /** Bytes at which the next segment is begun. */
  readonly limit?: number
}

export class Segment {
  readonly path: string
  readonly first: number
  readonly #synced: number
  readonly #plain: number
  /** Nothing is laid down ahead behind it: the next segment is begun there. */
  readonly #limit: number
  #position: number
  #allocated: number
  #reserving: Promise<void> | undefined
  #syncing: Promise<unknown> = Promise.resolve()
  #closed = false

  private constructor(parts: {
    path: string
    first: number
    synced: number
    plain: number
    position: number
    allocated: number
    limit: number
  }) {
    this.path = parts.path
    this.first = parts.first
    this.#synced = parts.synced
    this.#plain = parts.plain
    this.#position = parts.position
    this.#allocated = parts.allocated
    this.#limit = parts.limit
  }

  static async open(
    path: string,
    first: number,
    { position = 0, allocated = 0, limit = Number.POSITIVE_INFINITY }: SegmentSize = {},
  ): Promise<Segment> {
    const own = (flags: number) =>
      openFile(path, O_RDWR | O_NOFOLLOW | flags, 0o600).catch(error => {
        throw asLinked(error, path)
      })
    const plain = await own(O_CREAT)
    const synced = await own(O_DSYNC)
    const segment = new Segment({ path, first, synced, plain, position, allocated, limit })
    await segment.#reserve(position + 1)
    return segment
  }

  get position(): number {
    return this.#position
  }

  /** @param durable whether to resolve only when the bytes are durable */
  async write(bytes: Uint8Array, durable: boolean): Promise<void> {
    this.#requireOpen()
    const at = this.#position
    this.#position += bytes.length
    const isLarge = bytes.length >= large
    if (this.#position > this.#allocated) await (isLarge ? this.#grow(this.#position) : this.#reserve(this.#position))
    await writeAll(durable ? this.#synced : this.#plain, bytes, at)
    // Ahead of need, a step after each write. A failure is met again by the write that needs the room.
    const wanted = Math.min(this.#position + ahead, this.#limit)
    if (!isLarge && this.#reserving === undefined && this.#allocated < wanted) {
      this.#reserve(this.#allocated + 1).catch(() => undefined)
    }
  }

  async sync(): Promise<void> {
    this.#requireOpen()
    const done = syncData(this.#plain)
    this.#syncing = Promise.allSettled([this.#syncing, done])
    return done
  }

  /** Waits for what is under way: a descriptor closed too early may be another file's by then. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#syncing
    await this.#reserving?.catch(() => undefined)
    await closeFile(this.#plain)
    await closeFile(this.#synced)
  }

  /** A descriptor's number is another file's, once it is closed. */
  #requireOpen(): void {
    if (this.#closed) throw new Error('the segment is closed')
  }

  /** The bytes themselves go there: no zeros may be on their way. */
  async #grow(until: number): Promise<void> {
    while (this.#reserving !== undefined) await this.#reserving
    this.#allocated = Math.max(this.#allocated, until)
  }

  /** Steps from different callers follow each other; each goes on as soon as its own room is there. */
  async #reserve(until: number): Promise<void> {
    while (this.#allocated < until) {
      this.#reserving ??= this.#extend().finally(() => {
        this.#reserving = undefined
      })
      await this.#reserving
    }
  }

  async #extend(): Promise<void> {
    await writeAll(this.#plain, zeros, this.#allocated)
    await syncData(this.#plain)
    this.#allocated += step
  }
}

/** write(2) may take less than it was given. */
function writeAll(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const rest = (from: number) => {
      write(descriptor, bytes, from, bytes.length - from, position + from, (error, written) => {
        if (error !== null) reject(error)
        else if (from + written === bytes.length) resolve()
        else if (written === 0) reject(new Error('a write that wrote nothing'))
        else rest(from + written)
      })
    }
    rest(0)
  })
}
