/** Opens the attachments of a ledger's vault, and holds each against the entry that commits to it. */
import { createHash, type Hash } from 'node:crypto'
import { isOurs, LedgerError } from '../lib/errors.ts'
import { decodeContentKey, openAttachment, readAttachment as readSealed } from '../lib/format/attachment.ts'
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

/** Opens the message in an attachment's head. @throws LedgerError ERR_DISCLOSURE_MISMATCH where it is to somebody else */
export type OpenMessage = (message: Uint8Array) => Promise<Uint8Array>

/**
 * @param vault undefined where its key is not there. @param open for attachments whose key is with their readers: what they hold is then
 *   held against the entry while it is read, and the last piece is followed by an error where it is something else
 * @returns its plain bytes, a chunk at a time. @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_DISCLOSURE_MISMATCH
 */
export async function* readAttachment(
  files: LedgerFiles,
  vault: Vault | undefined,
  origin: string,
  { index, entry }: { readonly index: number; readonly entry: Attached },
  open?: OpenMessage,
): AsyncGenerator<Buffer> {
  const id = entry.attachment
  let content: ReturnType<typeof commitmentStream> | undefined
  const file = createHash('sha256')
  const plain = openAttachment(
    { origin, id },
    digested(files.attachment(id).pieces, file),
    async ({ slot, message }) => {
      if (message !== undefined) {
        if (open === undefined) throw missing('its key is with its readers: replay --key opens it')
        const { key, salt } = decodeContentKey({ origin, id }, await open(message))
        content = commitmentStream(salt)
        return key
      }
      if (vault === undefined) throw missing('that needs the key of the vault')
      const key = await vault.key(slot, index)
      if (key === undefined) throw new LedgerError('ERR_DISCLOSURE_MISMATCH', 'the slot of an attachment does not open')
      return key
    },
  )
  let bytes = 0
  for await (const chunk of plain) {
    content?.update(chunk)
    bytes += chunk.length
    yield chunk
  }
  if (content === undefined) return
  // Whoever knows the readers' public keys could have made one that opens as well.
  const same = entry.kind === 'attachment' ? content.digest() === entry.content : base64url(file) === entry.file
  if (bytes === entry.bytes && same) return
  throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `the attachment of entry ${index} is not what its entry commits to`)
}

async function* digested(pieces: AsyncIterable<Uint8Array>, digest: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    digest.update(piece)
    yield piece
  }
}

const base64url = (digest: Hash): string => digest.digest('base64url')

const missing = (what: string) => new LedgerError('ERR_LEDGER_MISSING', what)

/** As it lies, none of it opened. @throws as readAttachment */
async function countSealed({ pieces }: ReturnType<LedgerFiles['attachment']>) {
  const digest = createHash('sha256')
  const { chunks: all, head } = await readSealed(digested(pieces, digest))
  let bytes = 0
  let chunks = 0
  for await (const chunk of all) {
    bytes += chunk.bytes
    chunks += 1
  }
  return { bytes, chunks, file: base64url(digest), readers: head.message !== undefined }
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
  const { contentSalt: salt, sealed } = opened.values
  if (typeof salt !== 'string' && typeof sealed !== 'string') {
    // Of those that are missing each is a finding of its own, about the disclosure.
    const isAllOpen = Object.keys(opened.values).length === new Set(entry.sd).size
    return isAllOpen ? mismatch('is what nobody can check: its entry discloses neither a salt nor a digest') : undefined
  }
  const content = commitmentStream(typeof salt === 'string' ? salt : '')
  let bytes = 0
  let chunks = 0
  try {
    if (typeof salt !== 'string') {
      // What is in it only its readers can tell: replay --key holds it against the commitment.
      const found = await countSealed(files.attachment(entry.attachment))
      const same = found.file === sealed && found.bytes === entry.bytes && found.chunks === entry.chunks
      return same ? undefined : mismatch('is not what its entry commits to')
    }
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

/**
 * What a crash left of one: held against the entry of the opening that found it so. @returns as
 * examineAttachment; or by which entry it was erased
 */
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
  const { file } = files.attachment(entry.attachment)
  const mismatch = (what: string): Finding => ({
    ...{ code: 'ATTACHMENT_MISMATCH', what: `the attachment of entry ${index} ${what}`, index, file },
  })
  const altered = 'is not what was left of it when the ledger was opened again'
  try {
    const found = await countSealed(files.attachment(entry.attachment))
    const same = found.file === entry.file && found.bytes === entry.bytes && found.chunks === entry.chunks
    if (!same) return { finding: mismatch(altered) }
    if (!found.readers) for await (const _ of readAttachment(files, vault, origin, { index, entry }));
    return {}
  } catch (error) {
    if (isOurs(error) && error.code !== 'ERR_LEDGER_MISSING')
      return { finding: mismatch(`${altered}: ${error.message}`) }
    return { finding: { ...unreadable(error, file), code: 'ATTACHMENT_MISSING', index } }
  }
}
