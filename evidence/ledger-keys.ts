/** Which keys have spoken for a ledger, as its entries tell and their signatures hold up: what `counterfoil keys show` shows. */
import { isOurs, LedgerError } from '../lib/errors.ts'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { parseEntry } from '../lib/format/entry.ts'
import { counted } from '../lib/format/words.ts'
import { disposedIn, rotationGone } from './disposed.ts'
import { followKeys, KeyError } from './key-chain.ts'
import { findKeyEntries } from './key-entries.ts'
import { LedgerFiles } from './ledger-files.ts'
import { cut } from './stored.ts'

export interface LedgerKey {
  readonly key: 'note' | 'seal'
  /** A verifier key, or a fingerprint. */
  readonly id: string
  /** The first size of a tree that it signs, and when that was, by the writer's clock. */
  readonly since: number
  readonly from: string
  /** Undefined: it speaks now. */
  readonly until: string | undefined
  readonly revoked: { readonly reason: string; readonly at: string } | undefined
}

export interface LedgerKeys {
  readonly origin: string
  readonly keys: readonly LedgerKey[]
  /** The note key that speaks now, as Go's sumdb/note reads it. */
  readonly note: string
  readonly seal: string
}

/**
 * @param pinned from outside; where absent, what the ledger says of itself is followed, and proves nothing
 * @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_SIGNATURE
 */
export async function ledgerKeys(
  directory: string,
  pinned?: { fingerprint: string; certificate?: string },
): Promise<LedgerKeys> {
  const files = await LedgerFiles.open(directory)
  const checkpoint = await files.checkpoint()
  const { bytes } = await files.first().catch(error => {
    throw isOurs(error) && error.code === 'ERR_LEDGER_MISSING' ? disposedOf(checkpoint, error) : error
  })
  const [first] = cut(bytes, 1).entries
  const opened = first === undefined ? undefined : parseEntry(first)
  if (opened?.kind !== 'opened') throw new LedgerError('ERR_LEDGER_CORRUPT', 'entry 0 does not open a ledger')
  const entries = await findKeyEntries(files, checkpoint)
  const last = entries.findLast(({ entry }) => entry.kind === 'key-rotated' && entry.key === 'seal')?.entry
  const own = last?.kind === 'key-rotated' ? last.new : (opened.sealKey ?? '')
  const { origin, spans, revoked } = await followKeys({
    opened,
    entries,
    fingerprint: pinned?.fingerprint ?? own,
    certificate: async of => (of === pinned?.fingerprint ? pinned.certificate : undefined) ?? files.certificateOf(of),
    isGiven: pinned?.certificate !== undefined,
    existedBy: () => undefined,
  }).catch(async error => {
    throw isOther(error) ? await rotatedBefore(directory, files, checkpoint, error) : error
  })
  const keys: LedgerKey[] = []
  for (const key of ['note', 'seal'] as const) {
    const begins = spans.filter((span, i) => i === 0 || span[key] !== spans[i - 1]![key])
    for (const [i, { since, time = opened.time, [key]: id }] of begins.entries()) {
      const revocation = revoked.find(one => one.key === id)
      const { reason, at } = revocation ?? {}
      keys.push({
        ...{ key, id, since, from: time, until: begins[i + 1]?.time },
        revoked: reason === undefined || at === undefined ? undefined : { reason, at },
      })
    }
  }
  const now = spans.at(-1)!
  return { origin, keys, note: now.note, seal: now.seal }
}

/** Of one that was disposed of its last checkpoint is left, and no entry. */
const disposedOf = ({ origin, size }: Checkpoint, cause: unknown): LedgerError =>
  new LedgerError(
    'ERR_LEDGER_MISSING',
    `${origin} was disposed of, or its entries are lost: its last checkpoint, of ${counted(size, 'entry')}, is left`,
    {},
    cause,
  )

const isOther = (error: unknown): error is KeyError =>
  error instanceof KeyError && error.finding.code === 'KEY_SUBSTITUTED' && error.finding.actual !== undefined

/** A key that spoke in the ledger before this one alone: what leads from it to those of this one stands there. */
async function rotatedBefore(
  place: string,
  files: LedgerFiles,
  { size }: Checkpoint,
  error: KeyError,
): Promise<LedgerError> {
  const [, second] = await files.entriesOf(0, size)
  const continued = second === undefined ? undefined : parseEntry(second)
  if (continued?.kind !== 'continued') return error
  const { expected, actual } = error.finding
  if ((await disposedIn(place, undefined)).has(continued.of) && expected !== undefined && actual !== undefined)
    return new KeyError('KEY_UNPROVEN', rotationGone, { expected, actual })
  const what = `${error.message}; it continues ${continued.of}: if the key was rotated before that, the keys of that ledger say so`
  return new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, {}, error)
}
