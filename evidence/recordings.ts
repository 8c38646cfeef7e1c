/** What a ledger holds of an exchange or session beyond its entries: its attachments, each verified before it is shown. */
import { LedgerError } from '../lib/errors.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import { readAttachment } from './attachments.ts'
import { Vault } from './disclosures.ts'
import { inspectLedger, type VerifyOptions } from './verify.ts'

export interface RecordedAttachment {
  readonly index: number
  readonly entry: EntryOf<'attachment'>
  /** Its plain bytes, a chunk at a time. */
  content(): AsyncGenerator<Buffer>
}

/**
 * @param id of an exchange, a session or an attachment. @returns them in the order of the ledger
 * @throws LedgerError ERR_LEDGER_INCONSISTENT where the ledger is not whole: nothing of it is shown
 */
export async function recordings(
  options: VerifyOptions & { readonly wrappingKey: Uint8Array },
  id: string,
): Promise<readonly RecordedAttachment[]> {
  const { verification, records, files, checkpoint, trust } = await inspectLedger(options)
  const { integrity } = verification
  if (integrity.verdict === 'broken' || files === undefined || checkpoint === undefined || trust === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_INCONSISTENT',
      `nothing is shown of a ledger that is not whole: ${integrity.detail}`,
    )
  }
  const vault = new Vault(files, options.wrappingKey, trust.origin, checkpoint.size)
  return records.flatMap(({ index, entry }) => {
    if (entry.kind !== 'attachment') return []
    if (![entry.attachment, entry.exchange, entry.session].includes(id)) return []
    return [{ index, entry, content: () => readAttachment(files, vault, trust.origin, { index, entry }) }]
  })
}
