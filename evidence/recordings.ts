/** What a ledger holds of an exchange or session: its entries, and its attachments, each verified before it is shown. */
import { LedgerError } from '../lib/errors.ts'
import { type Attached, type OpenMessage, readAttachment } from './attachments.ts'
import { Vault } from './disclosures.ts'
import type { Cut, LedgerRecord } from './examination.ts'
import { inspectLedger, type VerifyOptions } from './verify.ts'

export interface RecordedAttachment {
  readonly index: number
  readonly entry: Attached
  /** Its plain bytes, a chunk at a time. */
  content(): AsyncGenerator<Buffer>
  /** What a crash left of it, where one cut it: its beginning, up to the last whole chunk. */
  readonly cut?: Cut
}

export interface Recorded {
  readonly attachments: readonly RecordedAttachment[]
  /** Where the id is a session's: all that the ledger holds of it, and of the exchanges in it. */
  readonly session: readonly LedgerRecord[] | undefined
}

/**
 * Without the key of the vault only what is encrypted to others can be read, by them.
 * @param open the message in the head of what is encrypted to others. @param id of an exchange, a session or an attachment. @returns them in the order of the ledger
 * @throws LedgerError ERR_LEDGER_INCONSISTENT where the ledger is not whole: nothing of it is shown
 */
export async function recordings(options: VerifyOptions, id: string, open?: OpenMessage): Promise<Recorded> {
  const { verification, records, files, checkpoint, trust, cut } = await inspectLedger(options)
  const { integrity } = verification
  if (integrity.verdict === 'broken' || files === undefined || checkpoint === undefined || trust === undefined) {
    throw new LedgerError(
      'ERR_LEDGER_INCONSISTENT',
      `nothing is shown of a ledger that is not whole: ${integrity.detail}`,
    )
  }
  const { wrappingKey } = options
  const vault = wrappingKey === undefined ? undefined : new Vault(files, wrappingKey, trust.origin, checkpoint.size)
  const attachments = records.flatMap(({ index, entry, opened }) => {
    if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') return []
    if (![entry.attachment, entry.exchange, entry.session].includes(id)) return []
    const found = cut.find(one => one.index === index)
    return [
      {
        index,
        entry,
        ...(found === undefined ? {} : { cut: found }),
        content: () =>
          opened.erased === undefined
            ? found?.chunks === 0
              ? nothing()
              : readAttachment(files, vault, trust.origin, { index, entry }, open)
            : gone(opened.erased.by),
      },
    ]
  })
  return { attachments, session: sessionIn(records, id) }
}

async function* nothing(): AsyncGenerator<Buffer> {
  yield* []
}

async function* gone(by: number): AsyncGenerator<Buffer> {
  yield* []
  throw new LedgerError('ERR_LEDGER_MISSING', `erased (by #${by})`)
}

function sessionIn(records: readonly LedgerRecord[], id: string): LedgerRecord[] | undefined {
  const exchanges = new Set<string>()
  const found = records.filter(({ entry }) => {
    if (entry.kind === 'decision' && entry.session === id) exchanges.add(entry.exchange)
    if ('session' in entry && entry.session === id) return true
    if (entry.kind === 'settled') return entry.exchanges.some(exchange => exchanges.has(exchange))
    return 'exchange' in entry && entry.exchange !== undefined && exchanges.has(entry.exchange)
  })
  return found.length === 0 ? undefined : found
}
