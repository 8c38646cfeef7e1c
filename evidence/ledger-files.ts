/** The files of a ledger, in a directory or at an address, by what they hold: checkpoint, seals, tiles, entry bundles, and the vault. */
import { LedgerError, Misuse } from '../lib/errors.ts'
import { anchorFolder, unrecordedFolder } from '../lib/format/anchor.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../lib/format/checkpoint.ts'
import {
  attachmentFile,
  certificateFile,
  certificateOf,
  checkpointFile,
  entryBundle,
  erasingFile,
  hashTile,
  rotatingFile,
  sealFile,
  segmentFile,
  slotFile,
  slotsInFile,
  snapshotFile,
  snapshotFolder,
  tileFill,
  tileFolder,
  tileWidth,
  vaultBundle,
} from '../lib/format/layout.ts'
import type { HashReader } from '../lib/format/merkle.ts'
import { longestSnapshotNote } from '../lib/format/snapshot.ts'
import { decodeBundle, longestEntry, tileReader } from '../lib/format/tile.ts'
import { longestSealed, slotBytes } from '../lib/format/vault.ts'
import { isAddress, openAddress } from './address.ts'
import { unlessUnreachable } from './finding.ts'
import { type DirectoryReader, openDirectory } from './read.ts'

const mostBundle = tileWidth * (2 + longestEntry)
// An entry has at most 64 disclosures; a value fits an entry many times over. Beyond this a bundle is no bundle.
const mostVault = tileWidth * longestSealed
const mostCertificate = 256 * 1024
const mostEpoch = 64
// Everybody who ever acted is in it, in some three hundred bytes.
const mostSnapshot = 1024 * 1024 * 1024
const mostErasing = 64 * 1024 * 1024
const mostRotating = 4096
const mostCheckpoint = 1_000_000
const mostAnchor = 1_000_000
/** A live log replaces a partial tile while it is looked for: so often, and no more. */
const mostReplaced = 5

const isSize = (name: string) => /^(0|[1-9][0-9]{0,15})$/.test(name)
const ascending = (a: number, b: number) => a - b

/** The writer's own. */
export const epochFile = 'epoch'

export interface FoundFile {
  /** The path that was read: a fuller tile may stand where a partial one was asked for. */
  readonly file: string
  readonly bytes: Buffer
}

/** Where files are read from. A folder at an address cannot be listed: what would be looked up there is found from the checkpoint. */
export interface LedgerSource extends Pick<DirectoryReader, 'read' | 'readIfThere'> {
  /** The directory, with links resolved; undefined for an address. */
  readonly root: string | undefined
  close(): void
}

export class LedgerFiles {
  readonly #source: LedgerSource
  readonly #opened: DirectoryReader | undefined

  private constructor(source: LedgerSource, directory?: DirectoryReader) {
    this.#source = source
    this.#opened = directory
  }

  /** Where they lie, with links resolved, for another reader of the same files; undefined for an address. */
  get directory(): string | undefined {
    return this.#source.root
  }

  get #directory(): DirectoryReader {
    if (this.#opened !== undefined) return this.#opened
    throw new Misuse('ERR_OPTION_INVALID', 'that needs the directory of a ledger, not an address')
  }

  /** @param where a directory, or an https address. @param ca PEM, for an address. @throws LedgerError ERR_LEDGER_MISSING; Misuse */
  static async open(where: string, ca?: string): Promise<LedgerFiles> {
    if (isAddress(where)) return new LedgerFiles(openAddress(where, ca))
    const directory = await openDirectory(where)
    return new LedgerFiles({ ...directory, close: () => {} }, directory)
  }

  /** Lets go of connections. */
  close(): void {
    this.#source.close()
  }

  async checkpoint(): Promise<SignedCheckpoint> {
    return parseCheckpoint(await this.#source.read(checkpointFile, mostCheckpoint))
  }

  async checkpointIfThere(): Promise<SignedCheckpoint | undefined> {
    const bytes = await this.#source.readIfThere(checkpointFile, mostCheckpoint)
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
    return (await this.#source.readIfThere(certificateFile, mostCertificate))?.toString('utf8')
  }

  /** The certificate of this key, as it is published; the current one's file holds it too. Undefined where neither does. */
  async certificateOf(fingerprint: string): Promise<string | undefined> {
    const own = await this.certificateByName(fingerprint).catch(unlessUnreachable)
    return own ?? (await this.certificate().catch(unlessUnreachable))
  }

  /** As certificateOf, from the key's own file alone. @throws LedgerError where that is no file */
  async certificateByName(fingerprint: string): Promise<string | undefined> {
    if (!/^[0-9A-F]{40}$/.test(fingerprint)) return undefined
    const bytes = await this.#source.readIfThere(certificateOf(fingerprint), mostCertificate)
    return bytes?.toString('utf8')
  }

  async epoch(): Promise<string | undefined> {
    return (await this.#source.readIfThere(epochFile, mostEpoch))?.toString('latin1')
  }

  /** Sizes in checkpoint.d, ascending, and the names there that are no sizes. @param known sizes that are looked for at an address */
  async sealSizes(known: readonly number[] = []): Promise<{ sizes: number[]; strange: string[] }> {
    if (this.#opened === undefined) return { sizes: await this.#sealsAmong(known), strange: [] }
    const names = await this.#directory.list('checkpoint.d')
    return { sizes: names.filter(isSize).map(Number).sort(ascending), strange: names.filter(name => !isSize(name)) }
  }

  async #sealsAmong(known: readonly number[]): Promise<number[]> {
    const sizes: number[] = []
    for (const size of [...new Set(known)].sort((a, b) => a - b)) {
      if (await this.hasSeal(size)) sizes.push(size)
    }
    return sizes
  }

  /** Sizes for which others vouch, ascending, and the names among them that are no sizes. None are listed at an address. */
  async anchorSizes(): Promise<{ sizes: number[]; strange: string[] }> {
    if (this.#opened === undefined) return { sizes: [], strange: [] }
    const names = await this.#directory.list(anchorFolder)
    const isSize = (name: string) => /^[1-9][0-9]{0,15}$/.test(name) && Number.isSafeInteger(Number(name))
    return {
      sizes: names
        .filter(isSize)
        .map(Number)
        .sort((a, b) => a - b),
      strange: names.filter(name => !isSize(name) && `${anchorFolder}/${name}` !== unrecordedFolder),
    }
  }

  anchorNames(size: number): Promise<string[]> {
    return this.#directory.list(`${anchorFolder}/${size}`)
  }

  async hasAnchor(file: string): Promise<boolean> {
    return (await this.#source.readIfThere(file, mostAnchor)) !== undefined
  }

  anchor(file: string): Promise<Buffer> {
    return this.#source.read(file, mostAnchor)
  }

  async seal(size: number): Promise<SignedCheckpoint> {
    return parseCheckpoint(await this.#source.read(sealFile(size), mostCheckpoint))
  }

  async hasSeal(size: number): Promise<boolean> {
    return (await this.#source.readIfThere(sealFile(size), mostCheckpoint)) !== undefined
  }

  /** Sizes of which there are snapshots, ascending, and the names among them that are no sizes. */
  async snapshotSizes(): Promise<{ sizes: number[]; strange: string[] }> {
    const names = await this.#directory.list(snapshotFolder)
    return { sizes: names.filter(isSize).map(Number).sort(ascending), strange: names.filter(name => !isSize(name)) }
  }

  /** Its beginning, where the note is. */
  snapshotHead(size: number): Promise<Buffer | undefined> {
    return this.#directory.from(snapshotFile(size), 0, longestSnapshotNote)
  }

  /** @param most bytes: longer, it is not read */
  snapshot(size: number, most: number): Promise<Buffer | undefined> {
    return this.#directory.readIfThere(snapshotFile(size), Math.min(most, mostSnapshot))
  }

  /** Entries n * 256 on, of a ledger of `size`. @throws LedgerError ERR_LEDGER_MISSING */
  entries(n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => entryBundle(n, width), size, 0, n, mostBundle)
  }

  /** As `entries`, cut into those that there are. */
  async entriesOf(n: number, size: number): Promise<readonly Uint8Array[]> {
    const { file, bytes } = await this.entries(n, size)
    const width = /\.p\/(\d+)$/.exec(file)?.[1]
    return decodeBundle(bytes, width === undefined ? tileWidth : Number(width)).slice(0, tileFill(size, 0, n))
  }

  /** The bundle that begins with entry 0, of whatever size: a key is found also where nobody signed the size. */
  async first(): Promise<FoundFile> {
    const full = entryBundle(0)
    if (this.#opened === undefined) return this.entries(0, (await this.checkpoint()).size)
    const widths = (await this.#directory.list(`${full}.p`)).map(Number).filter(width => width > 0 && width < tileWidth)
    for (const width of [tileWidth, ...widths.sort((a, b) => b - a)]) {
      const file = entryBundle(0, width)
      const bytes = await this.#directory.readIfThere(file, mostBundle)
      if (bytes !== undefined) return { file, bytes }
    }
    throw new LedgerError('ERR_LEDGER_MISSING', `${full} is missing`, { file: full })
  }

  /** Whether there are any, whatever they hold. @param size at an address, where they cannot be listed */
  async hasTiles(size: number | undefined): Promise<boolean> {
    if (this.#opened !== undefined) return (await this.#opened.list(tileFolder)).length > 0
    return size !== undefined && (await this.hashes(0, 0, size).catch(unlessUnreachable)) !== undefined
  }

  hashes(level: number, n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => hashTile(level, n, width), size, level, n, tileWidth * 32)
  }

  /** As `entries`, without waiting; undefined where that does not go: at an address, or where the file is not there as it should be. */
  entriesNow(n: number, size: number): FoundFile | undefined {
    return this.#now(entryBundle(n, tileFill(size, 0, n)), mostBundle)
  }

  hashesNow(level: number, n: number, size: number): FoundFile | undefined {
    return this.#now(hashTile(level, n, tileFill(size, level, n)), tileWidth * 32)
  }

  vault(n: number, size: number): Promise<FoundFile> {
    return this.#tiled(width => vaultBundle(n, width), size, 0, n, mostVault)
  }

  /** The file that holds this slot, whole; or undefined where there is none. */
  async slots(slot: number): Promise<{ file: string; bytes: Buffer | undefined }> {
    const file = slotFile(slot)
    return { file, bytes: await this.#directory.readIfThere(file, slotsInFile * slotBytes) }
  }

  /** The note of an erasure that was begun and is not finished; undefined where there is none. */
  erasing(): Promise<Buffer | undefined> {
    return this.#directory.readIfThere(erasingFile, mostErasing)
  }

  /** The note of a change of the vault's key that was begun and is not finished; undefined where there is none. */
  rotating(): Promise<Buffer | undefined> {
    return this.#directory.readIfThere(rotatingFile, mostRotating)
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

  #now(file: string, most: number): FoundFile | undefined {
    const bytes = this.#opened?.readNow(file, most)
    return bytes === undefined ? undefined : { file, bytes }
  }

  // tlog-tiles, "Partial Tiles": a client that misses a partial tile may read the full one; a live log replaces them.
  async #tiled(
    path: (width: number) => string,
    size: number,
    level: number,
    n: number,
    most: number,
  ): Promise<FoundFile> {
    const width = tileFill(size, level, n)
    const [exact, full] = [path(width), path(tileWidth)]
    const read = async (files: readonly string[]): Promise<FoundFile | undefined> => {
      for (const file of files) {
        const bytes = await this.#source.readIfThere(file, most)
        if (bytes !== undefined) return { file, bytes }
      }
      return undefined
    }
    const partial = width === tileWidth ? [] : [exact]
    for (let left = mostReplaced; left > 0; left -= 1) {
      const found = await read([...partial, full])
      if (found !== undefined) return found
      const wider = width === tileWidth ? [] : await this.#wider(full, width, level, n)
      const replaced = await read(wider.map(path))
      if (replaced !== undefined) return replaced
      // What was listed has been replaced in its turn, or all of it by the full one: that is looked for once more.
      if (wider.length === 0 && left < mostReplaced) break
    }
    throw new LedgerError('ERR_LEDGER_MISSING', `${exact} is missing`, { file: exact })
  }

  /** Widths of the partial tiles that may have taken the place of one, ascending. */
  async #wider(full: string, width: number, level: number, n: number): Promise<number[]> {
    // At an address there is no list; but a live log that has replaced it says by its checkpoint how wide the tile is now.
    const now = async () => [tileFill((await this.checkpoint()).size, level, n)]
    const names = this.#opened === undefined ? await now() : await this.#opened.list(`${full}.p`)
    const wider = names.map(Number).filter(w => Number.isInteger(w) && w > width && w < tileWidth)
    return wider.sort((a, b) => a - b)
  }
}
