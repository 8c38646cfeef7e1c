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
import { attachmentFile, erasingFile, slotFile, slotsInFile } from '../format/layout.ts'
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

/** Overwrites the keys first: from then on nothing opens, whatever is left of it. */
export async function destroy(directory: string, slots: ReadonlySet<number>): Promise<void> {
  await overwriteSlots(directory, slots)
  for await (const { path, slot } of attachments(directory)) {
    if (!slots.has(slot)) continue
    await fs.unlink(path)
    await syncFolder(dirname(path))
  }
  await deleteCiphertexts(directory, 'vault/entries', slots)
}

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
async function* attachments(directory: string): AsyncGenerator<{ path: string; slot: number }> {
  const root = dirname(dirname(join(directory, attachmentFile('00'))))
  for (const folder of await namesIn(root)) {
    requireOwnFolder(root, folder)
    for (const name of await namesIn(join(root, folder))) {
      const path = join(root, folder, name)
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
