/**
 * Reads a directory that strangers may have written: regular files inside it only, none larger than it can rightly be,
 * every failure a typed error that names the file.
 */
import { constants } from 'node:fs'
import { lstat, open, readdir, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { LedgerError } from '../lib/errors.ts'

export interface DirectoryReader {
  readonly root: string
  /** @param path relative, forward slashes. @param most bytes. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT */
  read(path: string, most: number): Promise<Buffer>
  /** As `read`, but undefined where there is no such file. */
  readIfThere(path: string, most: number): Promise<Buffer | undefined>
  /** Names in a folder, sorted; none where there is no such folder. */
  list(path: string): Promise<string[]>
  /** Every regular file under it, and whatever else is there that is no folder; relative, sorted. */
  walk(): Promise<{ files: string[]; others: string[] }>
}

/** @throws LedgerError ERR_LEDGER_MISSING */
export async function openDirectory(directory: string): Promise<DirectoryReader> {
  let root: string
  try {
    root = await realpath(directory)
    await readdir(root)
  } catch (cause) {
    throw new LedgerError('ERR_LEDGER_MISSING', 'there is no such directory, or it cannot be read', {}, cause)
  }
  return {
    root,
    read: async (path, most) => {
      const bytes = await readInside(root, path, most)
      if (bytes === undefined) throw missing(path)
      return bytes
    },
    readIfThere: (path, most) => readInside(root, path, most),
    list: path => listInside(root, path),
    walk: () => walk(root),
  }
}

const missing = (path: string) => new LedgerError('ERR_LEDGER_MISSING', `${path} is missing`, { file: path })
const corrupt = (path: string, what: string, cause?: unknown) =>
  new LedgerError('ERR_LEDGER_CORRUPT', `${path} ${what}`, { file: path }, cause)

const isAbsent = (error: unknown) => ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')

async function inside(root: string, path: string): Promise<string | undefined> {
  try {
    const real = await realpath(join(root, path))
    if (real === root || real.startsWith(root + sep)) return real
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw corrupt(path, 'cannot be read', error)
  }
  throw corrupt(path, 'leads out of the directory')
}

async function readInside(root: string, path: string, most: number): Promise<Buffer | undefined> {
  const real = await inside(root, path)
  if (real === undefined) return undefined
  let file: Awaited<ReturnType<typeof open>>
  try {
    // Not blocking, so that a named pipe put in a file's place cannot hold the reader.
    file = await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsent(error)) return undefined
    throw corrupt(path, 'cannot be opened', error)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw corrupt(path, 'is not a regular file')
    if (stat.size > most) throw corrupt(path, `is larger than ${most} bytes`)
    const bytes = Buffer.alloc(stat.size)
    let at = 0
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, bytes.length - at, at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return bytes.subarray(0, at)
  } catch (error) {
    if (error instanceof LedgerError) throw error
    throw corrupt(path, 'cannot be read', error)
  } finally {
    await file.close()
  }
}

async function listInside(root: string, path: string): Promise<string[]> {
  const real = await inside(root, path)
  if (real === undefined) return []
  try {
    return (await readdir(real)).sort()
  } catch (error) {
    if (isAbsent(error)) return []
    throw corrupt(path, 'cannot be listed', error)
  }
}

async function walk(root: string, folder = ''): Promise<{ files: string[]; others: string[] }> {
  const files: string[] = []
  const others: string[] = []
  for (const name of (await readdir(join(root, folder))).sort()) {
    const path = folder === '' ? name : `${folder}/${name}`
    const stat = await lstat(join(root, path))
    if (stat.isDirectory()) {
      const below = await walk(root, path)
      files.push(...below.files)
      others.push(...below.others)
    } else (stat.isFile() ? files : others).push(path)
  }
  return { files, others }
}
