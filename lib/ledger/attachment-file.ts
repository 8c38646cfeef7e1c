/** An attachment's file in a ledger directory. */
import { promises as fs } from 'node:fs'
import { dirname, join } from 'node:path'
import { Fault, LedgerError } from '../errors.ts'
import { attachmentFile } from '../format/layout.ts'
import type { AttachmentMedium } from './attachment.ts'
import { makeFolder, openRegular, requireOwnFolder, syncFolder, unreadable } from './files.ts'

/**
 * Made new: an id is never written twice. @throws Fault ERR_LEDGER_UNAVAILABLE: what was to be recorded may not go on, the ledger does
 */
export async function createAttachmentFile(directory: string, id: string): Promise<AttachmentMedium> {
  const path = join(directory, attachmentFile(id))
  const file = await openNew(directory, attachmentFile(id)).catch(error => {
    throw new Fault('ERR_LEDGER_UNAVAILABLE', 'an attachment could not be begun', {}, error)
  })
  return {
    // All of it: one write may take less than it is given.
    append: bytes => file.writeFile(bytes),
    finish: async () => {
      try {
        await file.sync()
      } finally {
        await file.close()
      }
      await syncFolder(dirname(path))
    },
    abandon: () => file.close().catch(() => undefined),
  }
}

async function openNew(directory: string, path: string): Promise<fs.FileHandle> {
  requireOwnFolder(directory, dirname(path))
  await makeFolder(dirname(join(directory, path)), 'closed')
  return fs.open(join(directory, path), 'wx', 0o600)
}

/** @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT. Fault ERR_LEDGER_UNAVAILABLE where the system does not let it be read */
export async function* readAttachmentFile(directory: string, id: string): AsyncGenerator<Uint8Array> {
  if (!/^[0-9a-f-]{36}$/.test(id)) throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment')
  try {
    const file = await openRegular(join(directory, attachmentFile(id)))
    yield* file.createReadStream() as AsyncIterable<Uint8Array>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(error)
    throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment')
  }
}
