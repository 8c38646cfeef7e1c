/** What a ledger holds of an exchange or session: its entries, and its attachments, each verified before it is shown. */
import { LedgerError } from '../lib/errors.ts'
import { type Attached, type OpenMessage, readAttachment } from './attachments.ts'
import { Vault } from './disclosures.ts'
import { erasuresIn } from './erasures.ts'
import type { Cut, LedgerRecord } from './examination.ts'
import { inspectLedger, type VerifyOptions } from './verify.ts'

/** By which entry what another had disclosed was erased, and on what ground. */
export interface ErasedBy {
  readonly by: number
  readonly ground: string
}

export interface SessionRecord extends LedgerRecord {
  readonly erased?: ErasedBy
}

export interface RecordedAttachment {
  readonly index: number
  readonly entry: Attached
  /** Its plain bytes, a chunk at a time. */
  content(): AsyncGenerator<Buffer>
  /** What a crash left of it, where one cut it: its beginning, up to the last whole chunk. */
  readonly cut?: Cut
  readonly erased?: ErasedBy
}

export interface Recorded {
  readonly attachments: readonly RecordedAttachment[]
  /** Where the id is a session's: all that the ledger holds of it, and of the exchanges in it. */
  readonly session: readonly SessionRecord[] | undefined
  /** Whether the id is that of an exchange: of one that is there, nothing need be recorded. */
  readonly exchange: boolean
}

/**
 * Without the key of the vault only what is encrypted to others can be read, by them.
 * @param open the message in the head of what is encrypted to others. @param id of an exchange, a session or an
 * attachment. @returns them in the order of the ledger
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
  const erasedOf = erasedIn(records, vault !== undefined)
  const attachments = records.flatMap(record => {
    const { index, entry } = record
    if (entry.kind !== 'attachment' && entry.kind !== 'attachment-cut') return []
    if (![entry.attachment, entry.exchange, entry.session].includes(id)) return []
    const found = cut.find(one => one.index === index)
    const erased = erasedOf(record)
    return [
      {
        index,
        entry,
        ...(found === undefined ? {} : { cut: found }),
        ...(erased === undefined ? {} : { erased }),
        content: () => {
          if (erased !== undefined) return gone(erased)
          if (found?.chunks === 0) return nothing()
          return readAttachment(files, vault, trust.origin, { index, entry }, open)
        },
      },
    ]
  })
  const session = sessionIn(records, id)?.map(record => {
    const erased = erasedOf(record)
    return erased === undefined ? record : { ...record, erased }
  })
  const exchange = records.some(({ entry }) => entry.kind === 'decision' && entry.exchange === id)
  return { attachments, session, exchange }
}

/** @param opened whether the vault was: then what was erased showed there; else by what stands in clear */
function erasedIn(records: readonly LedgerRecord[], opened: boolean) {
  const erasures = erasuresIn(records)
  return ({ index, entry, opened: { erased } }: LedgerRecord): ErasedBy | undefined => {
    const discloses = entry.sd !== undefined || entry.kind === 'attachment-cut'
    const by = opened ? erased?.by : discloses ? erasures.alibis.byScope(index, entry) : undefined
    const found = erasures.all.find(erasure => erasure.index === by)
    return found === undefined ? undefined : { by: found.index, ground: found.entry.ground }
  }
}

export const sayErased = ({ by, ground }: ErasedBy): string => `erased by entry #${by}, ground ${ground}`

async function* nothing(): AsyncGenerator<Buffer> {
  yield* []
}

async function* gone(erased: ErasedBy): AsyncGenerator<Buffer> {
  yield* []
  throw new LedgerError('ERR_LEDGER_MISSING', sayErased(erased))
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
