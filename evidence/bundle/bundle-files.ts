/**
 * The files of a bundle, each read once. What is parsed is kept, within a bound for each; of everything else, however long, only
 * length and digest are.
 */
import { dirname } from 'node:path/posix'
import { isOurs, LedgerError, Misuse } from '../../lib/errors.ts'
import { type Digest, type DirectoryReader, openDirectory } from '../read.ts'
import { skip } from '../steps/step.ts'
import { certificateCopy, manifestFile, sha256, signatureFile, sumsFile } from './manifest.ts'
import { paths } from './material.ts'

const kib = 1024
const mib = 1024 * kib
const mostFile = 1024 * mib
/** Read one at a time, and not kept. */
export const mostAnchor = mib
/** A hole in a file costs its maker nothing, and the reader the time to hash it. */
const mostInAll = 64 * 1024 * mib
/** After so many files that nothing lists, no more are looked for. */
const mostUnlisted = 1000

// Table: what is parsed, and the most bytes that are. One JSON document may cost twenty times its length in memory; lines are
// taken one at a time.
// biome-ignore format: a table
const mostParsed: ReadonlyMap<string, number> = new Map([
  [sumsFile,          64 * mib],
  [signatureFile,     64 * kib],
  [manifestFile,      64 * mib],
  [certificateCopy,  256 * kib],
  [paths.opening,    256 * kib],
  [paths.closing,    256 * kib],
  [paths.consistency, 64 * kib],
  [paths.frontier,    64 * kib],
  [paths.ledger,       4 * mib],
  [paths.mapping,     16 * mib],
  [paths.state,       64 * mib],
  [paths.imports,     64 * mib],
  [paths.keys,        16 * mib],
  [paths.later,       64 * kib],
  [paths.entries,    256 * mib],
  [paths.disclosures, 256 * mib],
])

interface Seen extends Digest {
  /** Only of what is parsed, and not too long for it. */
  readonly content?: Buffer
}

export class BundleFiles {
  readonly #reader: DirectoryReader
  readonly #seen = new Map<string, Seen>()
  #hashed = 0

  private constructor(reader: DirectoryReader) {
    this.#reader = reader
  }

  /** Reads what is parsed. @throws LedgerError ERR_LEDGER_MISSING */
  static async open(directory: string): Promise<BundleFiles> {
    return new BundleFiles(await openDirectory(directory))
  }

  async isEmpty(): Promise<boolean> {
    for await (const _ of this.#reader.entries('')) return false
    return true
  }

  /** @returns length and digest; undefined where there is no such file. @throws LedgerError ERR_LEDGER_CORRUPT where it cannot be read */
  async see(path: string): Promise<Digest | undefined> {
    const before = this.#seen.get(path)
    if (before !== undefined) return before
    const size = await this.#reader.size(path)
    if (size === undefined) return undefined
    this.#hashed += size
    if (this.#hashed > mostInAll) {
      throw new LedgerError('ERR_LEDGER_CORRUPT', `${path}: over ${mostInAll} bytes in all, and not read`, {
        file: path,
      })
    }
    const seen =
      size <= (mostParsed.get(path) ?? -1) ? await this.#keep(path, size) : await this.#reader.digest(path, mostFile)
    this.#seen.set(path, seen)
    return seen
  }

  async #keep(path: string, size: number): Promise<Seen> {
    const content = await this.#reader.read(path, size)
    return { bytes: content.length, sha256: sha256(content), content }
  }

  /** A file's bytes, a piece at a time. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT */
  pieces(path: string): AsyncGenerator<Buffer> {
    return this.#reader.pieces(path)
  }

  /** A whole file, which is not kept. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT where it is longer */
  read(path: string, most: number): Promise<Buffer> {
    return this.#reader.read(path, most)
  }

  /** Of a file that was seen. */
  seen(path: string): Digest | undefined {
    return this.#seen.get(path)
  }

  paths(): Iterable<string> {
    return this.#seen.keys()
  }

  /** What is parsed; undefined where there is no such file. Where it is too long, what needs it is not examined. */
  content(path: string): Buffer | undefined {
    const seen = this.#seen.get(path)
    if (seen === undefined || seen.content !== undefined) return seen?.content
    return skip(
      `${path} has ${seen.bytes} bytes, and at most ${mostParsed.get(path)} of it are read here: make bundles of shorter periods`,
    )
  }

  /** As `content`. @throws LedgerError ERR_BUNDLE_MANIFEST where there is no such file */
  text(path: string): string {
    const content = this.content(path)
    if (content === undefined) throw new LedgerError('ERR_BUNDLE_MANIFEST', `${path} is missing`, { file: path })
    return content.toString('utf8')
  }

  /** What stands beside the listed files and is none of them. A folder in which nothing is listed is named, and not gone into. */
  async *unlisted(listed: ReadonlySet<string>): AsyncGenerator<{ path: string; what: string }> {
    const folders = new Set<string>()
    for (const path of listed) {
      for (let at = dirname(path); at !== '.' && !folders.has(at); at = dirname(at)) folders.add(at)
    }
    let found = 0
    const queue = ['']
    for (let folder = queue.pop(); folder !== undefined; folder = queue.pop()) {
      for await (const { path, kind } of this.#reader.entries(folder)) {
        if (kind === 'other') yield { path, what: `${path} is no regular file` }
        else if (kind === 'folder' && folders.has(path)) queue.push(path)
        else if (kind === 'folder' && (await this.#holdsAny(path)))
          yield { path, what: `${path} is a folder in which nothing is listed` }
        else if (kind === 'file' && !listed.has(path)) yield { path, what: `${path} is not in SHA256SUMS` }
        else continue
        found += 1
        if (found === mostUnlisted) return
      }
    }
  }

  /** One that cannot be looked into holds something. */
  async #holdsAny(folder: string): Promise<boolean> {
    try {
      for await (const _ of this.#reader.entries(folder)) return true
      return false
    } catch (error) {
      if (!isOurs(error)) throw error
      return true
    }
  }
}

/** What is written must be what can be verified. @throws Misuse ERR_OPTION_INVALID */
export function requireVerifiable(files: readonly { readonly path: string; readonly bytes: number }[]): void {
  for (const { path, bytes } of files) {
    const most = mostParsed.get(path) ?? mostFile
    if (bytes <= most) continue
    throw new Misuse('ERR_OPTION_INVALID', `${path} would be over ${most} bytes: make bundles of shorter periods`)
  }
}
