/** Files that are whole or absent: written aside, synced, renamed, and the folder synced (a rename is durable only then). */
import { constants, promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, Fault, isOurs } from '../errors.ts'

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

/** Writes and syncs a file beside its name, and renames it into place. The folder is synced by the caller, once for many. */
async function place(path: string, bytes: Uint8Array | string, access: Access, aside = `${path}.tmp`): Promise<void> {
  const file = await fs.open(aside, 'w', modes[access].file)
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
  const folders = new Set<string>()
  for (const [path, bytes] of files) {
    const folder = dirname(join(root, path))
    if (!folders.has(folder)) await makeFolder(folder, access)
    folders.add(folder)
    await place(join(root, path), bytes, access)
  }
  for (const folder of folders) await syncFolder(folder)
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
  await makeFolder(folder)
  await place(join(root, path), bytes, 'open', join(root, aside))
  await syncFolder(folder)
}

/** What the system refuses to read is no word about the ledger: whoever asks is told that it is unavailable. @throws Fault ERR_LEDGER_UNAVAILABLE */
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

/** @returns the file's bytes, or undefined where there is none */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await fs.readFile(path)
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
