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
  namesIn,
  openOwn,
  openRegular,
  readIfThere,
  readRegular,
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
 * Overwrites the keys first: from then on nothing opens, whatever is left of it. Where something lies in the place of a folder of recordings all else
 * is done, and it is tried again when the ledger is next opened.
 * @throws LedgerError ERR_LEDGER_CORRUPT, that being named
 */
export async function destroy(directory: string, slots: ReadonlySet<number>): Promise<void> {
  await overwriteSlots(directory, slots)
  await deleteCiphertexts(directory, 'vault/entries', slots)
  const { own, strange } = await recordingFolders(directory)
  for await (const { path, slot } of attachments(directory, own)) {
    if (!slots.has(slot)) continue
    await fs.unlink(path)
    await syncFolder(dirname(path))
  }
  for (const one of strange) throw inTheWay(one, 'the ledger opens then, and goes on with an erasure that was begun')
}

/** To be asked before anything is said. @throws LedgerError ERR_LEDGER_CORRUPT where not all that is to be destroyed could be found */
export async function requireRecordingFolders(directory: string): Promise<void> {
  const { strange } = await recordingFolders(directory)
  for (const one of strange) throw inTheWay(one, 'nothing was erased yet: ask for it again then')
}

const recordings = 'vault/attachments'

/** A link, or a file, stands for a folder that may be elsewhere, with recordings in it. What has another name hides none. */
async function recordingFolders(directory: string): Promise<{ own: readonly string[]; strange: readonly string[] }> {
  requireOwnFolder(directory, recordings)
  const found = await fs.readdir(join(directory, recordings), { withFileTypes: true }).catch(unlessAbsent)
  const [own, strange] = [[] as string[], [] as string[]]
  for (const one of found ?? []) {
    if (one.isDirectory()) own.push(`${recordings}/${one.name}`)
    else if (/^[0-9a-f]{2}$/.test(one.name)) strange.push(`${recordings}/${one.name}`)
  }
  return { own, strange }
}

function unlessAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

const inTheWay = (path: string, then: string) =>
  new LedgerError(
    'ERR_LEDGER_CORRUPT',
    `${path} in the ledger's directory is no folder of its own, and stands where recordings are: take it away, and bring the folder back where there ` +
      `was one; ${then}`,
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

/** Every one there is, those too that no entry came to speak of. A file that is no attachment (planted, or torn) is under no slot. */
async function* attachments(directory: string, folders: readonly string[]) {
  for (const folder of folders) {
    requireOwnFolder(directory, folder)
    for (const name of await namesIn(join(directory, folder))) {
      const path = join(directory, folder, name)
      const slot = await slotOfAttachment(path).catch(unlessOurs)
      if (slot !== undefined) yield { path, slot }
    }
  }
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

async function deleteCiphertexts(directory: string, folder: string, slots: ReadonlySet<number>): Promise<void> {
  const found = await fs.readdir(join(directory, folder), { withFileTypes: true }).catch(() => [])
  for (const one of found) {
    const path = `${folder}/${one.name}`
    if (one.isDirectory()) await deleteCiphertexts(directory, path, slots)
    else if (/^\d{1,3}$/.test(one.name)) {
      const found = await readRegular(join(directory, path)).catch(unlessOurs)
      const bytes = found === undefined ? undefined : withoutCiphertext(found, slots)
      if (bytes !== undefined) await replaceFiles(directory, [[path, bytes]], 'closed')
    }
  }
}
