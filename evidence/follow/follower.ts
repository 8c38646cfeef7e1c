/**
 * Follows a ledger that another process may be writing: what is published from its tiles, what is not yet from its
 * write-ahead log, as one sequence. It reads only, takes no lock, and verifies nothing: what is torn or missing for a
 * moment is waited for. Who shows it vouches for none of it.
 */
import { stat } from 'node:fs/promises'
import { isOurs, LedgerError } from '../../lib/errors.ts'
import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { type Entry, parseEntry } from '../../lib/format/entry.ts'
import { tileFill, tileWidth } from '../../lib/format/layout.ts'
import { decodeSealed, type SealedDisclosure } from '../../lib/format/vault.ts'
import { LedgerFiles } from '../ledger-files.ts'
import { cut } from '../stored.ts'
import { LogReader } from './log-reader.ts'

export interface LiveEntry {
  readonly index: number
  /** Undefined where it is none that this version can read. */
  readonly entry: Entry | undefined
  /** Empty where the vault is closed to the reader, or does not hold them. */
  readonly sealed: readonly SealedDisclosure[]
}

/** Milliseconds for which a published file may be missing: publication replaces some of them. */
const patience = 5000
/** About as many entries come at a time. */
const most = 1024

export class Follower {
  readonly files: LedgerFiles
  /** Index of the entry that comes next; to be set before the first reading. */
  next = 0
  readonly #directory: string
  readonly #inode: string
  readonly #log: LogReader
  #checkpoint: SignedCheckpoint | undefined
  #missing: number | undefined

  private constructor(directory: string, inode: string, files: LedgerFiles, wrapping: Uint8Array | undefined) {
    this.#directory = directory
    this.#inode = inode
    this.files = files
    this.#log = new LogReader(files, wrapping)
  }

  /**
   * @param wrapping key of the vault, where it is at hand. @returns undefined where there is no ledger, or none yet
   * @throws LedgerError
   */
  static async open(directory: string, wrapping?: Uint8Array): Promise<Follower | undefined> {
    const inode = await inodeOf(directory)
    if (inode === undefined) return undefined
    const follower = new Follower(directory, inode, await LedgerFiles.open(directory), wrapping)
    await follower.#look()
    // The log of a ledger that is being made comes before its first checkpoint; whoever cannot read it waits for that.
    if (follower.#checkpoint !== undefined) return follower
    return (await follower.files.segments().catch(() => [])).length > 0 ? follower : undefined
  }

  /** Entries that a checkpoint covers. */
  get published(): number {
    return this.#checkpoint?.size ?? 0
  }

  /** As the checkpoint names it; undefined before the first. */
  get origin(): string | undefined {
    return this.#checkpoint?.origin
  }

  /** Whether only what is published can be read, by this user. */
  get behind(): boolean {
    return this.#log.closed
  }

  /** Whether what came from the write-ahead log was made with another key of the vault than the one at hand, or with none. */
  get unproven(): boolean {
    return this.#log.unproven
  }

  /**
   * What has come since, some of it at a time; empty where nothing has.
   * @throws LedgerError ERR_LEDGER_MISSING: it has gone; ERR_LEDGER_INCONSISTENT, ERR_CHECKPOINT_ROLLBACK: another stands in its place;
   *   ERR_LEDGER_CORRUPT, ERR_ENTRY_MALFORMED
   */
  async poll(): Promise<LiveEntry[]> {
    await this.#look()
    const live: LiveEntry[] = []
    for (const frame of await this.#log.read(this.next, this.origin)) {
      const entries = cut(Buffer.from(frame.bundle), frame.count).entries
      live.push(...join(frame.first, entries, frame.sealed, this.next))
    }
    if (live.length === 0 && this.next < this.published) live.push(...(await this.#fromTiles()))
    this.next += live.length
    return live
  }

  /** Entries from `from` to the end of its bundle, published ones. @throws LedgerError ERR_LEDGER_MISSING */
  async bundle(from: number): Promise<LiveEntry[]> {
    const n = Math.floor(from / tileWidth)
    const fill = tileFill(this.published, 0, n)
    const { file, bytes } = await this.files.entries(n, this.published)
    const { entries } = cut(bytes, fill)
    if (entries.length < fill) throw new LedgerError('ERR_LEDGER_CORRUPT', `${file} is cut short`, { file })
    const sealed = await this.files.vault(n, this.published).then(
      found => found.bytes,
      () => new Uint8Array(),
    )
    return join(n * tileWidth, entries, sealed, from)
  }

  async #fromTiles(): Promise<LiveEntry[]> {
    const live: LiveEntry[] = []
    try {
      while (live.length < most && this.next + live.length < this.published)
        live.push(...(await this.bundle(this.next + live.length)))
      this.#missing = undefined
    } catch (error) {
      if (!isOurs(error) || error.code !== 'ERR_LEDGER_MISSING') throw error
      this.#missing ??= performance.now()
      if (performance.now() - this.#missing > patience) throw error
    }
    return live
  }

  async #look(): Promise<void> {
    const inode = await inodeOf(this.#directory)
    if (inode === undefined) throw gone()
    if (inode !== this.#inode) throw replaced('another directory stands in its place')
    const before = this.#checkpoint
    const now = await this.files.checkpointIfThere()
    if (now === undefined && before !== undefined) throw gone()
    if (now !== undefined && before !== undefined) {
      if (now.origin !== before.origin) throw replaced('another ledger stands in its place')
      if (now.size < before.size) {
        const { size } = now
        const what = `the ledger was replaced: its checkpoint is of ${size} entries, and was of ${before.size}`
        throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', what, { size, before: before.size })
      }
    }
    this.#checkpoint = now
  }
}

const gone = () => new LedgerError('ERR_LEDGER_MISSING', 'the ledger that was followed is no longer there')
const replaced = (how: string) => new LedgerError('ERR_LEDGER_INCONSISTENT', `the ledger was replaced: ${how}`)

async function inodeOf(directory: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await stat(directory)
    return `${dev}:${ino}`
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LedgerError('ERR_LEDGER_MISSING', 'the directory cannot be read', {}, error)
  }
}

/** Entries from `from` on, with what is sealed of each: as many of the latter as can be read. */
function join(first: number, entries: readonly Uint8Array[], sealed: Uint8Array, from: number): LiveEntry[] {
  const live: LiveEntry[] = []
  let at = 0
  let readable = sealed.length > 0
  for (const [i, bytes] of entries.entries()) {
    let own: readonly SealedDisclosure[] = []
    if (readable) {
      try {
        const decoded = decodeSealed(sealed, at)
        own = decoded.sealed
        at = decoded.end
      } catch {
        readable = false
      }
    }
    if (first + i >= from) live.push({ index: first + i, entry: entryOf(bytes), sealed: own })
  }
  return live
}

function entryOf(bytes: Uint8Array): Entry | undefined {
  try {
    // Of its own: what is kept of it must not keep the whole bundle.
    return parseEntry(Uint8Array.from(bytes))
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}
