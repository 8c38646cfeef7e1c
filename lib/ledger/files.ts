/**
 * Files that are whole or absent: written aside, synced, renamed, and the folder synced (a rename is
 * durable only then). Nothing is written through a symbolic link: whoever can lay one into the directory
 * would choose which file of the ledger's user is written over. Nor is anything read that is no file: a
 * named pipe in its place would hold the ledger for ever.
 */
import { constants, promises as fs, lstatSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, Fault, isOurs, LedgerError } from '../errors.ts'

export async function syncFolder(path: string): Promise<void> {
  const folder = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Who may read: tiles are made to be served, the vault and the write-ahead log are not. */
const modes = { open: { folder: 0o755, file: 0o644 }, closed: { folder: 0o700, file: 0o600 } } as const
export type Access = keyof typeof modes

/** Makes the folder and those above it, each durable in its parent. */
export async function makeFolder(path: string, access: Access = 'open'): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true, mode: modes[access].folder })
  if (first === undefined) return
  for (let made = path; ; made = dirname(made)) {
    await syncFolder(dirname(made))
    if (made === first) return
  }
}

/**
 * That neither a folder below `root`, nor one on the way to it, is a link or a file. One that is absent is none. `root`
 * itself may be reached by a link: it is the operator who names it. @throws LedgerError ERR_LEDGER_CORRUPT
 */
export function requireOwnFolder(root: string, path: string): void {
  let folder = root
  for (const name of path.split('/').filter(part => part !== '.')) {
    folder = join(folder, name)
    const found = lstatSync(folder, { throwIfNoEntry: false })
    if (found === undefined) return
    if (!found.isDirectory()) throw linked(folder, 'a folder')
  }
}

/**
 * Never waits: a named pipe laid in a file's place would hold who opens it for ever, and so would a
 * device. A folder is opened, and reading it fails.
 * @throws LedgerError ERR_LEDGER_CORRUPT where the name is of a pipe, a socket or a device
 */
export async function openRegular(path: string, flags: number = constants.O_RDONLY): Promise<fs.FileHandle> {
  const file = await fs.open(path, flags | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    // A socket, or a device that is not there.
    throw error.code === 'ENXIO' ? irregular(path) : error
  })
  try {
    const found = await file.stat()
    if (!found.isFile() && !found.isDirectory()) throw irregular(path)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** All of a file. @throws as openRegular */
export async function readRegular(path: string, flags: number = constants.O_RDONLY): Promise<Buffer> {
  const file = await openRegular(path, flags)
  try {
    return await file.readFile()
  } finally {
    await file.close()
  }
}

/** @returns what is told of a name under which there is no file */
export function irregular(path: string): LedgerError {
  const name = basename(path)
  const said = `${name} in the ledger's directory is no file, and is not read: see who put it there, and bring the file back from a copy`
  return new LedgerError('ERR_LEDGER_CORRUPT', said, { file: name })
}

/** To write in place. @param flags O_NOFOLLOW is added. @throws as openRegular, also where the name is a link */
export async function openOwn(path: string, flags: number): Promise<fs.FileHandle> {
  return openRegular(path, flags | constants.O_NOFOLLOW).catch(error => {
    throw asLinked(error, path)
  })
}

/** All of a file that will be written in place. @throws as openOwn */
export async function readOwn(path: string): Promise<Buffer> {
  return readRegular(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(error => {
    throw asLinked(error, path)
  })
}

/** @param error of an opening with O_NOFOLLOW */
export const asLinked = (error: unknown, path: string): unknown =>
  (error as NodeJS.ErrnoException).code === 'ELOOP' ? linked(path, 'a file') : error

function linked(path: string, what: string): LedgerError {
  const name = basename(path)
  const said = `${name} in the ledger's directory is not ${what} of its own, and nothing is written through a link: see who put it there`
  return new LedgerError('ERR_LEDGER_CORRUPT', said, { file: name })
}

/** A new file. What a kill left under the name, or somebody put there, is removed and not written into. */
export async function createAnew(path: string, mode: number): Promise<fs.FileHandle> {
  return fs.open(path, 'wx', mode).catch(async error => {
    if (error.code !== 'EEXIST') throw error
    await fs.rm(path)
    return fs.open(path, 'wx', mode)
  })
}

/** Writes and syncs a file beside its name, and renames it into place. The folder is synced by the caller, once for many. */
async function place(path: string, bytes: Uint8Array | string, access: Access, aside = `${path}.tmp`): Promise<void> {
  const file = await createAnew(aside, modes[access].file)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await fs.rename(aside, path)
}

/** Replaces files, each atomically; all are durable on return. @param files path relative to `root`, to bytes */
export async function replaceFiles(
  root: string,
  files: Iterable<readonly [string, Uint8Array | string]>,
  access: Access = 'open',
): Promise<void> {
  const all = [...files]
  const folders = new Set(all.map(([path]) => dirname(path)))
  for (const folder of folders) {
    requireOwnFolder(root, folder)
    await makeFolder(join(root, folder), access)
  }
  await atOnce(all, ([path, bytes]) => place(join(root, path), bytes, access))
  await atOnce(folders, folder => syncFolder(join(root, folder)))
}

/**
 * Syncs that run together end together: the file system commits once for them. Fewer than the threads that Node has for
 * files, so that a write of the log never waits behind them.
 */
const together = 3

/** Ends when all that was begun has ended, and with the first error. */
async function atOnce<T>(all: Iterable<T>, work: (one: T) => Promise<void>): Promise<void> {
  const left = all[Symbol.iterator]()
  let failed = false
  const turn = async () => {
    for (let next = left.next(); next.done !== true && !failed; next = left.next()) {
      await work(next.value).catch(error => {
        failed = true
        throw error
      })
    }
  }
  for (const { status, reason } of (await Promise.allSettled(Array.from({ length: together }, turn))) as never[]) {
    if (status === 'rejected') throw reason
  }
}

/** Writes all of it in place: one write may take less than it is given. */
export async function writeWhole(file: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, position + at)
    if (bytesWritten === 0) throw new Error('a write that wrote nothing')
    at += bytesWritten
  }
}

/**
 * Keeps a file in a folder where nothing else may ever lie, whatever moment a kill comes at: it is written aside above that folder.
 * @param aside relative to `root`, where several processes may keep files at once: one of its own
 */
export async function keepFile(
  root: string,
  path: string,
  bytes: Uint8Array | string,
  aside = `${dirname(path)}.tmp`,
): Promise<void> {
  const folder = dirname(join(root, path))
  requireOwnFolder(root, dirname(path))
  await makeFolder(folder)
  await place(join(root, path), bytes, 'open', join(root, aside))
  await syncFolder(folder)
}

/**
 * What the system refuses to read is no word about the ledger: whoever asks is told that it is
 * unavailable. @throws Fault ERR_LEDGER_UNAVAILABLE
 */
export async function readable<T>(work: () => Promise<T>): Promise<T> {
  return work().catch(error => {
    throw unreadable(error)
  })
}

/** @returns the error as it leaves the ledger */
export const unreadable = (error: unknown): unknown =>
  isOurs(error)
    ? error
    : new Fault('ERR_LEDGER_UNAVAILABLE', `a file of the ledger cannot be read: ${describe(error)}`, {}, error)

/** @returns the file's bytes, or undefined where there is none. @throws as openRegular */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readRegular(path)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** @returns the names in a folder, sorted, or none where there is no folder */
export async function namesIn(path: string): Promise<string[]> {
  try {
    return (await fs.readdir(path)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT'
