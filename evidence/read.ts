/**
 * Reads a directory that strangers may have written: regular files inside it only, none larger than it can rightly be, no listing
 * longer, every failure a typed error that names the file.
 */
import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs'
import { type FileHandle, open, opendir, realpath } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import { LedgerError } from '../lib/errors.ts'

export interface Digest {
  readonly bytes: number
  /** Hex. */
  readonly sha256: string
}

export interface FolderEntry {
  readonly path: string
  /** `other`: a link, a pipe, a device, a socket: nothing that is followed or read. */
  readonly kind: 'file' | 'folder' | 'other'
}

export interface DirectoryReader {
  readonly root: string
  /** @param path relative, forward slashes. @param most bytes. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT */
  read(path: string, most: number): Promise<Buffer>
  /** As `read`, but undefined where there is no such file. */
  readIfThere(path: string, most: number): Promise<Buffer | undefined>
  /** As `read`, without waiting, at a fraction of its cost; undefined wherever `read` would do anything but give bytes. */
  readNow(path: string, most: number): Buffer | undefined
  /** Length of a file; undefined where there is none. @throws LedgerError ERR_LEDGER_CORRUPT */
  size(path: string): Promise<number | undefined>
  /** A file's bytes, a piece at a time: each is read only once the one before it has been taken. @throws as `read` */
  pieces(path: string): AsyncGenerator<Buffer>
  /**
   * What stands in a file from `at` on, up to `most` bytes: of one that is still being written. Undefined where there is no such file.
   */
  from(path: string, at: number, most: number): Promise<Buffer | undefined>
  /** Digest of a file read a piece at a time, so that its length costs no memory. @throws as `read` */
  digest(path: string, most: number): Promise<Digest>
  /** Names in a folder, sorted; none where there is no such folder. @throws LedgerError ERR_LEDGER_CORRUPT over a million */
  list(path: string): Promise<string[]>
  /** What stands in a folder, in no order, as it is read; nothing where there is no such folder. */
  entries(path: string): AsyncGenerator<FolderEntry>
}

/** @throws LedgerError ERR_LEDGER_MISSING */
export async function openDirectory(directory: string): Promise<DirectoryReader> {
  let root: string
  try {
    root = await realpath(directory)
    await (await opendir(root)).close()
  } catch (cause) {
    throw new LedgerError(
      'ERR_LEDGER_MISSING',
      `there is no such directory, or it cannot be read: ${directory}`,
      {},
      cause,
    )
  }
  return {
    root,
    read: async (path, most) => (await readInside(root, path, most)) ?? missing(path),
    readIfThere: (path, most) => readInside(root, path, most),
    readNow: inFolders(root),
    size: path => withFile(root, path, Number.MAX_SAFE_INTEGER, async (_, size) => size),
    pieces: path => piecesInside(root, path),
    from: (path, at, most) => pieceInside(root, path, at, most),
    digest: async (path, most) => (await digestInside(root, path, most)) ?? missing(path),
    list: path => listInside(root, path),
    entries: path => entriesInside(root, path),
  }
}

const missing = (path: string): never => {
  throw new LedgerError('ERR_LEDGER_MISSING', `${path} is missing`, { file: path })
}
const corrupt = (path: string, what: string, cause?: unknown) =>
  new LedgerError('ERR_LEDGER_CORRUPT', `${path} ${what}`, { file: path }, cause)

const isAbsent = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

/** Folders that are links to themselves would hold, of a few files, as many as anybody likes to say. */
async function inside(root: string, path: string): Promise<string | undefined> {
  const at = join(root, path)
  let real: string
  let folder: string
  try {
    real = await realpath(at)
    folder = real === at ? dirname(at) : await realpath(dirname(at))
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw corrupt(path, 'cannot be read', error)
  }
  if (real !== root && !real.startsWith(root + sep)) throw corrupt(path, 'leads out of the directory')
  if (at !== root && folder !== dirname(at)) throw corrupt(path, 'lies in a folder that is a link')
  return real
}

// Not blocking, so that a named pipe put in a file's place cannot hold the reader.
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** @returns what `use` does with the open file and its length; undefined where there is no such file */
async function withFile<T>(
  root: string,
  path: string,
  most: number,
  use: (file: FileHandle, size: number) => Promise<T>,
): Promise<T | undefined> {
  const real = await inside(root, path)
  if (real === undefined) return undefined
  let file: FileHandle
  try {
    file = await open(real, flags)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw corrupt(path, 'cannot be opened', error)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw corrupt(path, 'is not a regular file')
    if (stat.size > most) throw corrupt(path, `is larger than ${most} bytes`)
    return await use(file, stat.size)
  } catch (error) {
    if (error instanceof LedgerError) throw error
    throw corrupt(path, 'cannot be read', error)
  } finally {
    await file.close()
  }
}

const readInside = (root: string, path: string, most: number) =>
  withFile(root, path, most, async (file, size) => {
    const bytes = Buffer.allocUnsafe(size)
    let at = 0
    while (at < size) {
      const { bytesRead } = await file.read(bytes, at, size - at, at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return bytes.subarray(0, at)
  })

/** Folders of which it is remembered that they are inside; a ledger is read folder by folder. */
const mostFolders = 16

/** Each folder is resolved once and not for each of its files; these may be no links then, not even to what lies inside. */
function inFolders(root: string): DirectoryReader['readNow'] {
  const folders = new Map<string, string>()
  const folderOf = (path: string): string => {
    const folder = dirname(path)
    const known = folders.get(folder)
    if (known !== undefined) return known
    const real = realpathSync.native(join(root, folder))
    if (real !== root && !real.startsWith(root + sep)) throw corrupt(path, 'leads out of the directory')
    if (real !== join(root, folder)) throw corrupt(path, 'lies in a folder that is a link')
    if (folders.size === mostFolders) folders.delete(folders.keys().next().value!)
    folders.set(folder, real)
    return real
  }
  return (path, most) => {
    let file: number | undefined
    try {
      file = openSync(`${folderOf(path)}${sep}${basename(path)}`, flags)
      const stat = fstatSync(file)
      if (!stat.isFile() || stat.size > most) return undefined
      const bytes = Buffer.allocUnsafeSlow(stat.size)
      return readSync(file, bytes, 0, stat.size, 0) === stat.size ? bytes : undefined
    } catch {
      // What is wrong is told by who reads it at leisure.
      return undefined
    } finally {
      if (file !== undefined) closeSync(file)
    }
  }
}

const pieceBytes = 1024 * 1024

const digestInside = (root: string, path: string, most: number) =>
  withFile(root, path, most, async (file, size): Promise<Digest> => {
    const hash = createHash('sha256')
    const piece = Buffer.allocUnsafe(Math.min(size, pieceBytes))
    let at = 0
    while (at < size) {
      const { bytesRead } = await file.read(piece, 0, Math.min(piece.length, size - at), at)
      if (bytesRead === 0) break
      hash.update(piece.subarray(0, bytesRead))
      at += bytesRead
    }
    return { bytes: at, sha256: hash.digest('hex') }
  })

const pieceInside = (root: string, path: string, at: number, most: number) =>
  withFile(root, path, Number.MAX_SAFE_INTEGER, async (file, size) => {
    const bytes = Buffer.allocUnsafe(Math.min(most, Math.max(0, size - at)))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, at)
    return bytes.subarray(0, bytesRead)
  })

async function* piecesInside(root: string, path: string): AsyncGenerator<Buffer> {
  for (let at = 0; ; ) {
    const piece = await pieceInside(root, path, at, pieceBytes)
    if (piece === undefined) return missing(path)
    if (piece.length === 0) return
    at += piece.length
    yield piece
  }
}

const mostNames = 1_000_000

async function listInside(root: string, path: string): Promise<string[]> {
  const names: string[] = []
  const prefix = path === '' ? 0 : path.length + 1
  for await (const entry of entriesInside(root, path)) {
    if (names.push(entry.path.slice(prefix)) > mostNames) throw corrupt(path, `holds more than ${mostNames} names`)
  }
  return names.sort()
}

async function* entriesInside(root: string, path: string): AsyncGenerator<FolderEntry> {
  const real = await inside(root, path)
  if (real === undefined) return
  if (real !== join(root, path)) throw corrupt(path, 'is a link')
  try {
    for await (const entry of await opendir(real, { bufferSize: 4096 })) {
      const kind = entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other'
      yield { path: path === '' ? entry.name : `${path}/${entry.name}`, kind }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    if (error instanceof LedgerError) throw error
    throw corrupt(path, 'cannot be listed', error)
  }
}
