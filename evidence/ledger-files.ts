/** The files of a ledger directory, by what they hold: checkpoint, seals, tiles, entry bundles, and the vault. */
import { LedgerError } from '../lib/errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../lib/format/checkpoint.ts'
import {
  attachmentFile,
  certificateFile,
  checkpointFile,
  entryBundle,
  hashTile,
  sealFile,
  segmentFile,
  slotFile,
  slotsInFile,
  tileFill,
  tileWidth,
  vaultBundle,
} from '../lib/format/layout.ts'
import type { HashReader } from '../lib/format/merkle.ts'
import { longestEntry, tileReader } from '../lib/format/tile.ts'
import { slotBytes } from '../lib/format/vault.ts'
import { type DirectoryReader, openDirectory } from './read.ts'

const mostBundle = tileWidth * (2 + longestEntry)
// An entry has at most 64 disclosures; a value fits an entry many times over. Beyond this a bundle is no bundle.
const mostVault = 256 * 1024 * 1024
const mostCertificate = 256 * 1024
const mostEpoch = 64
const mostCheckpoint = 1_000_000

/** The writer's own. */
export const epochFile = 'epoch'

export interface FoundFile {
  /** The path that was read: a fuller tile may stand where a partial one was asked for. */
  readonly file: string
  readonly bytes: Buffer
}

export class LedgerFiles {
  readonly #directory: DirectoryReader

  private constructor(directory: DirectoryReader) {
    this.#directory = directory
  }

  /** Where they lie, with links resolved; for another reader of the same files. */
  get directory(): string | undefined {
    return this.#directory.root
  }

  static async open(directory: string): Promise<LedgerFiles> {
    return new LedgerFiles(await openDirectory(directory))
  }

  async checkpoint(): Promise<SignedCheckpoint> {
    return parseCheckpoint(await this.#directory.read(checkpointFile, mostCheckpoint))
  }

  async checkpointIfThere(): Promise<SignedCheckpoint | undefined> {
    const bytes = await this.#directory.readIfThere(checkpointFile, mostCheckpoint)
    return bytes === undefined ? undefined : parseCheckpoint(bytes)
  }

  /** Segments of the write-ahead log, by the index of their first entry, ascending. */
  async segments(): Promise<number[]> {
    const names = await this.#directory.list('wal')
    return names.flatMap(name => (/^\d{16}\.seg$/.test(name) ? [Number(name.slice(0, 16))] : []))
  }

  /** Bytes of a segment, as they stand now; undefined where it has been released. */
  segment(first: number, at: number, most: number): Promise<Buffer | undefined> {
    return this.#directory.from(segmentFile(first), at, most)
  }

  async certificate(): Promise<string | undefined> {
    return (await this.#directory.readIfThere(certificateFile, mostCertificate))?.toString('utf8')
  }

  async epoch(): Promise<string | undefined> {
    return (await this.#directory.readIfThere(epochFile, mostEpoch))?.toString('latin1')
  }

  /** Sizes in checkpoint.d, ascending, and the names there that are no sizes. */
  async sealSizes(): Promise<{ sizes: number[]; strange: string[] }> {
    const names = await this.#directory.list('checkpoint.d')
    const isSize = (name: string) => /^(0|[1-9][0-9]{0,15})$/.test(name)
    return {
      sizes: names
        .filter(isSize)
        .map(Number)
        .sort((a, b) => a - b),
      strange: names.filter(name => !isSize(name)),
    }
  }

  async seal(size: number): Promise<SignedCheckpoint> {
    return parseCheckpoint(await this.#directory.read(sealFile(size), mostCheckpoint))
  }

  /** Entries n * 256 on, of a ledger of `size`. @throws LedgerError ERR_LEDGER_MISSING */
  entries(n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => entryBundle(n, width), tileFill(size, 0, n), mostBundle)
  }

  /** The bundle that begins with entry 0, of whatever size: a key is found also where nobody signed the size. */
  async first(): Promise<FoundFile> {
    const full = entryBundle(0)
    const widths = (await this.#directory.list(`${full}.p`)).map(Number).filter(width => width > 0 && width < tileWidth)
    for (const width of [tileWidth, ...widths.sort((a, b) => b - a)]) {
      const file = entryBundle(0, width)
      const bytes = await this.#directory.readIfThere(file, mostBundle)
      if (bytes !== undefined) return { file, bytes }
    }
    throw new LedgerError('ERR_LEDGER_MISSING', `${full} is missing`, { file: full })
  }

  hashes(level: number, n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => hashTile(level, n, width), tileFill(size, level, n), tileWidth * 32)
  }

  vault(n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => vaultBundle(n, width), tileFill(size, 0, n), mostVault)
  }

  /** The file that holds this slot, whole; or undefined where there is none. */
  async slots(slot: number): Promise<{ file: string; bytes: Buffer | undefined }> {
    const file = slotFile(slot)
    return { file, bytes: await this.#directory.readIfThere(file, slotsInFile * slotBytes) }
  }

  /** The 64 bytes of one slot, or undefined where there is none. */
  async slot(slot: number): Promise<{ file: string; bytes: Buffer | undefined }> {
    const file = slotFile(slot)
    const all = await this.#directory.readIfThere(file, slotsInFile * slotBytes)
    const at = (slot % slotsInFile) * slotBytes
    return {
      file,
      bytes: all === undefined || at + slotBytes > all.length ? undefined : all.subarray(at, at + slotBytes),
    }
  }

  /** An attachment's bytes as they stand, and where. */
  attachment(id: string): { readonly file: string; readonly pieces: AsyncGenerator<Buffer> } {
    const file = attachmentFile(id)
    return { file, pieces: this.#directory.pieces(file) }
  }

  /** A reader of hashes out of the tiles, for proofs within a tree of `size`. */
  hashReader(size: number): HashReader {
    return tileReader(size, async (level, n, width) =>
      (await this.hashes(level, n, size)).bytes.subarray(0, width * 32),
    )
  }

  // tlog-tiles, "Partial Tiles": a client that misses a partial tile may read the full one; a live log replaces them.
  async #tiled(path: (width: number) => string, width: number, most: number): Promise<FoundFile> {
    const exact = path(width)
    const found = await this.#directory.readIfThere(exact, most)
    if (found !== undefined) return { file: exact, bytes: found }
    const full = path(tileWidth)
    const fuller = width === tileWidth ? [] : await this.#directory.list(`${full}.p`)
    const wider = fuller.map(Number).filter(w => Number.isInteger(w) && w > width && w < tileWidth)
    for (const file of [full, ...wider.sort((a, b) => a - b).map(path)]) {
      const bytes = await this.#directory.readIfThere(file, most)
      if (bytes !== undefined) return { file, bytes }
    }
    throw new LedgerError('ERR_LEDGER_MISSING', `${exact} is missing`, { file: exact })
  }
}
