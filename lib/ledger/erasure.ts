/**
 * Erasing, in steps that may be taken again: what is about to be erased is noted; the entry that says so is published; the keys are
 * overwritten, the ciphertexts deleted; the note is removed. Whatever a kill leaves undone, the next opening does: no key is gone before
 * a published entry says so, and what the entry says is done at the latest when the ledger is open again.
 */
import { constants, promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { isOurs, LedgerError } from '../errors.ts'
import { attachmentHeadBytes, decodeAttachmentHead } from '../format/attachment.ts'
import { parseJson, utf8 } from '../format/canonical.ts'
import { erasingFile, slotFile, slotsInFile } from '../format/layout.ts'
import { slotBytes, withoutCiphertext } from '../format/vault.ts'
import {
  irregular,
  openOwn,
  openRegular,
  readIfThere,
  readOwn,
  replaceFiles,
  requireOwnFolder,
  syncFolder,
  writeWhole,
} from './files.ts'

/** The most slots that one entry names; more take more entries. */
export const slotsInEntry = 4096

/** What is noted before anything is said: which slots, and how many entries there were. */
export interface BegunErasure {
  readonly slots: readonly number[]
  readonly size: number
}

export async function noteErasure(directory: string, { slots, size }: BegunErasure): Promise<void> {
  await replaceFiles(directory, [[erasingFile, JSON.stringify({ size, slots })]], 'closed')
}

/** @throws LedgerError ERR_LEDGER_CORRUPT */
export async function notedErasure(directory: string): Promise<BegunErasure | undefined> {
  const bytes = await readIfThere(join(directory, erasingFile))
  if (bytes === undefined) return undefined
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0
  const { slots, size } = (parseJson(utf8(bytes)) ?? {}) as { slots?: unknown; size?: unknown }
  if (isCount(size) && Array.isArray(slots) && slots.every(isCount)) return { slots, size: size as number }
  throw new LedgerError('ERR_LEDGER_CORRUPT', `${erasingFile} is not what this ledger writes`, { file: erasingFile })
}

/**
 * Overwrites the keys first: from then on nothing opens, whatever is left of it. Where something lies in the place of
 * what may hold more of it, all else is done, and it is tried again when the ledger is next opened.
 * @throws LedgerError ERR_LEDGER_CORRUPT, that being named
 */
export async function destroy(directory: string, slots: ReadonlySet<number>): Promise<void> {
  await overwriteSlots(directory, slots)
  let strange: Sealed | undefined
  for await (const one of sealed(directory)) {
    if (one.isStrange) strange ??= one
    else if (one.what === 'bundle') await deleteCiphertexts(directory, one.path, slots)
    else await deleteRecording(join(directory, one.path), slots)
  }
  if (strange !== undefined) {
    throw inTheWay(strange, 'the ledger opens then, and goes on with an erasure that was begun')
  }
}

/** To be asked before anything is said. @throws LedgerError ERR_LEDGER_CORRUPT where not all that is to be destroyed could be found */
export async function requireInPlace(directory: string): Promise<void> {
  for await (const one of sealed(directory)) {
    if (one.isStrange) throw inTheWay(one, 'nothing was erased yet: ask for it again then')
  }
}

type What = 'folder' | 'bundle' | 'recording'

interface Sealed {
  /** Relative. */
  readonly path: string
  readonly what: What
  /** What stands there may be elsewhere: a link, or a file where there was a folder. */
  readonly isStrange: boolean
}

/** What lies under each name of a folder; what has another name is nothing of the ledger's. */
const sealedIn: Readonly<Record<string, (name: string) => What | undefined>> = {
  'vault/entries': name =>
    /^(x\d{3}|\d{3}\.p)$/.test(name) ? 'folder' : /^\d{1,3}$/.test(name) ? 'bundle' : undefined,
  'vault/attachments': name =>
    /^[0-9a-f]{2}$/.test(name) ? 'folder' : /^[0-9a-f-]{36}$/.test(name) ? 'recording' : undefined,
}

/**
 * All that is encrypted under slots, that too which no entry came to speak of. A pipe, or a folder in the place of a file, holds none.
 */
async function* sealed(directory: string): AsyncGenerator<Sealed> {
  for (const [root, whatIs] of Object.entries(sealedIn)) {
    const found = await fs.lstat(join(directory, root)).catch(unlessAbsent)
    if (found?.isDirectory() === false) yield { path: root, what: 'folder', isStrange: true }
    else if (found !== undefined) yield* sealedBelow(directory, root, whatIs)
  }
}

async function* sealedBelow(
  directory: string,
  folder: string,
  whatIs: (name: string) => What | undefined,
): AsyncGenerator<Sealed> {
  for (const one of await fs.readdir(join(directory, folder), { withFileTypes: true })) {
    const what = whatIs(one.name)
    if (what === undefined) continue
    const path = `${folder}/${one.name}`
    if (what === 'folder' && one.isDirectory()) yield* sealedBelow(directory, path, whatIs)
    else if (what === 'folder' || one.isSymbolicLink()) yield { path, what, isStrange: true }
    else if (one.isFile()) yield { path, what, isStrange: false }
  }
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

const inTheWay = ({ path, what }: Sealed, then: string) =>
  new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `${path} in the ledger's directory is no ${what === 'folder' ? 'folder' : 'file'} of its own, and stands where ` +
      `${path.startsWith('vault/entries') ? 'what is disclosed lies' : 'recordings are'}, encrypted: take it away, and bring back what was there, ` +
      `where anything was; ${then}`,
    { file: path },
  )

export async function removeNote(directory: string): Promise<void> {
  await fs.rm(join(directory, erasingFile), { force: true })
  await syncFolder(dirname(join(directory, erasingFile)))
}

/** In place, and synced: a file that is replaced would leave the old one's blocks as they were. */
async function overwriteSlots(directory: string, slots: ReadonlySet<number>): Promise<void> {
  const byFile = new Map<string, number[]>()
  for (const slot of slots) byFile.set(slotFile(slot), [...(byFile.get(slotFile(slot)) ?? []), slot])
  for (const [path, own] of byFile) {
    requireOwnFolder(directory, dirname(path))
    const file = await openOwn(join(directory, path), constants.O_RDWR)
    try {
      for (const slot of own) {
        await writeWhole(file, Buffer.alloc(slotBytes), (slot % slotsInFile) * slotBytes)
      }
      await file.sync()
    } finally {
      await file.close()
    }
  }
}

/** A file that is no recording (planted, or torn) is under no slot. */
async function deleteRecording(path: string, slots: ReadonlySet<number>): Promise<void> {
  const slot = await slotOfAttachment(path).catch(unlessOurs)
  if (slot === undefined || !slots.has(slot)) return
  await fs.unlink(path)
  await syncFolder(dirname(path))
}

/**
 * Superseded ones too, that a kill left. A file that is no bundle holds nothing: those that
 * the tree has were all read before it was said.
 */
async function deleteCiphertexts(directory: string, path: string, slots: ReadonlySet<number>): Promise<void> {
  const bytes = await readOwn(join(directory, path))
    .then(found => withoutCiphertext(found, slots))
    .catch(unlessOurs)
  if (bytes !== undefined) await replaceFiles(directory, [[path, bytes]], 'closed')
}

function unlessOurs(error: unknown): undefined {
  if (!isOurs(error)) throw error
}

/** @returns undefined where there is no such file, or not as much of it as would tell. @throws LedgerError where it is none */
export async function slotOfAttachment(path: string): Promise<number | undefined> {
  const file = await openRegular(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  try {
    const head = Buffer.alloc(attachmentHeadBytes)
    const read = await file?.read(head, 0, head.length, 0)
    return read?.bytesRead === head.length ? decodeAttachmentHead(head) : undefined
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EISDIR' ? irregular(path) : error
  } finally {
    await file?.close()
  }
}
