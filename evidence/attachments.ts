/** Opens the attachments of a ledger's vault, and holds each against the entry that commits to it. */
import { createHash } from 'node:crypto'
import { isOurs, LedgerError } from '../lib/errors.ts'
import { openAttachment } from '../lib/format/attachment.ts'
import { commitmentStream } from '../lib/format/disclosure.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import type { Opened, Vault } from './disclosures.ts'
import type { Finding } from './finding.ts'
import { unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'

/** An entry that speaks of a file among the attachments. */
export type Attached = EntryOf<'attachment'> | EntryOf<'attachment-cut'>

export interface AttachmentRecord {
  readonly index: number
  readonly entry: EntryOf<'attachment'>
  readonly opened: Opened
}

/** @returns its plain bytes, a chunk at a time. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_DISCLOSURE_MISMATCH */
export function readAttachment(
  files: LedgerFiles,
  vault: Vault,
  origin: string,
  { index, entry: { attachment: id } }: { readonly index: number; readonly entry: Attached },
): AsyncGenerator<Buffer> {
  return openAttachment({ origin, id }, files.attachment(id).pieces, async ({ slot }) => {
    const key = await vault.key(slot, index)
    if (key === undefined) throw new LedgerError('ERR_DISCLOSURE_MISMATCH', 'the slot of an attachment does not open')
    return key
  })
}

/** @returns what is wrong with it; undefined where it is what its entry commits to */
export async function examineAttachment(
  files: LedgerFiles,
  vault: Vault,
  origin: string,
  record: AttachmentRecord,
): Promise<Finding | undefined> {
  const { index, entry, opened } = record
  const { file } = files.attachment(entry.attachment)
  const mismatch = (what: string): Finding => ({
    code: 'ATTACHMENT_MISMATCH',
    what: `the attachment of entry ${index} ${what}`,
    index,
    file,
  })
  const salt = opened.values.contentSalt
  // Missing: that is a finding of its own, about the disclosure.
  if (typeof salt !== 'string') return undefined
  const content = commitmentStream(salt)
  let bytes = 0
  let chunks = 0
  try {
    for await (const chunk of readAttachment(files, vault, origin, record)) {
      content.update(chunk)
      bytes += chunk.length
      chunks += 1
    }
  } catch (error) {
    if (isOurs(error) && error.code !== 'ERR_LEDGER_MISSING') return mismatch(`does not open: ${error.message}`)
    return { ...unreadable(error, file), code: 'ATTACHMENT_MISSING', index }
  }
  if (bytes === entry.bytes && chunks === entry.chunks && content.digest() === entry.content) return undefined
  return mismatch('is not what its entry commits to')
}

/** What a crash left of one: held against the entry of the opening that found it so. @returns as examineAttachment; or by which entry it was erased */
export async function examineCut(
  files: LedgerFiles,
  vault: Vault,
  origin: string,
  { index, entry }: { readonly index: number; readonly entry: EntryOf<'attachment-cut'> },
): Promise<{ readonly finding?: Finding | undefined; readonly erased?: number }> {
  const { under } = entry
  if (under === undefined) return {}
  const slotKey = await vault.key(under, index)
  const by = slotKey === undefined ? vault.erasedBy(index, entry, under) : undefined
  if (by !== undefined) return { erased: by }
  const { file, pieces } = files.attachment(entry.attachment)
  const mismatch = (what: string): Finding => ({
    ...{ code: 'ATTACHMENT_MISMATCH', what: `the attachment of entry ${index} ${what}`, index, file },
  })
  const digest = createHash('sha256')
  let bytes = 0
  let chunks = 0
  try {
    for await (const piece of pieces) digest.update(piece)
    if (digest.digest('base64url') !== entry.file) {
      return { finding: mismatch('is not what was left of it when the ledger was opened again') }
    }
    for await (const chunk of readAttachment(files, vault, origin, { index, entry })) {
      bytes += chunk.length
      chunks += 1
    }
  } catch (error) {
    if (isOurs(error) && error.code !== 'ERR_LEDGER_MISSING')
      return { finding: mismatch(`does not open: ${error.message}`) }
    return { finding: { ...unreadable(error, file), code: 'ATTACHMENT_MISSING', index } }
  }
  if (bytes === entry.bytes && chunks === entry.chunks) return {}
  return { finding: mismatch('is not what its entry says') }
}
