/** The steps up to something signed: the ledger's checkpoint, the key pinned from outside that speaks for it, and the note's signatures. */
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../../lib/errors.ts'
import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../../lib/format/entry.ts'
import { certificateFile, checkpointFile } from '../../lib/format/layout.ts'
import type { Examination } from '../examination.ts'
import { isUnreachable } from '../finding.ts'
import { LedgerFiles } from '../ledger-files.ts'
import { requireNoteSignature, requireSealSignature, sealSignatures, trustEntryZero } from '../trust.ts'
import { need, skip } from './step.ts'

export async function openLedger(x: Examination): Promise<string> {
  try {
    x.files = await LedgerFiles.open(x.options.directory, x.options.ca)
    x.checkpoint = await settledCheckpoint(x.files)
    return `a checkpoint of ${x.checkpoint.size} entries`
  } catch (error) {
    if (!isOurs(error) || error.name === 'Misuse' || isUnreachable(error)) throw error
    const code = error.code === 'ERR_LEDGER_MISSING' ? 'LEDGER_MISSING' : 'CHECKPOINT_MALFORMED'
    return x.fail({ code, what: error.message, ...(x.files === undefined ? {} : { file: checkpointFile }) })
  }
}

/** A live ledger keeps a seal first, and then replaces its checkpoint: one that is just between the two is waited for. */
async function settledCheckpoint(files: LedgerFiles): Promise<SignedCheckpoint> {
  for (let left = 10; ; left -= 1) {
    // Seals that cannot be listed are named by their own step.
    const { sizes } = await files.sealSizes().catch(() => ({ sizes: [] }))
    const checkpoint = await files.checkpoint()
    if (left === 0 || (sizes.at(-1) ?? 0) <= checkpoint.size) return checkpoint
    await setTimeout(50)
  }
}

export async function establishTrust(x: Examination): Promise<string> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  const certificate = x.options.certificate ?? (await files.certificate().catch(unlessUnreachable))
  if (certificate === undefined) {
    return x.fail({ code: 'KEY_SUBSTITUTED', what: 'no certificate of the pinned key', file: certificateFile })
  }
  if (checkpoint.size === 0) skip('an empty ledger has no entry 0')
  const opened = await entryZero(files)
  if (opened === undefined) {
    const what = 'entry 0 is missing, or is not the opening of a ledger'
    return x.fail({ code: 'CERTIFICATION_INVALID', what, index: 0 })
  }
  try {
    x.trust = await trustEntryZero(opened, { fingerprint: x.fingerprint, certificate })
  } catch (error) {
    if (!isOurs(error)) throw error
    // Only where the two differ: a certification can also fail by the key that the ledger rightly names.
    const found = printable(opened.sealKey)
    const named = found === undefined || found === x.fingerprint ? {} : { actual: found }
    return x.fail({ code: 'KEY_SUBSTITUTED', what: error.message, index: 0, expected: x.fingerprint, ...named })
  }
  const { origin } = x.options
  if (origin !== undefined && origin !== x.trust.origin) {
    const what = 'the ledger is of another origin'
    return x.fail({ code: 'ORIGIN', what, expected: origin, actual: x.trust.origin })
  }
  return `OpenPGP key ${x.fingerprint} certifies the note key in entry 0`
}

const unlessUnreachable = (error: unknown): undefined => {
  if (isUnreachable(error)) throw error
}

/** What the ledger says is its key: shown beside the pinned one, and trusted for nothing. */
const printable = (sealKey: string | undefined) =>
  sealKey !== undefined && /^[0-9a-fA-F]{40}$/.test(sealKey) ? sealKey.toUpperCase() : undefined

async function entryZero(files: LedgerFiles): Promise<EntryOf<'opened'> | undefined> {
  try {
    const { bytes } = await files.first()
    const entry = parseEntry(bytes.subarray(2, 2 + bytes.readUInt16BE(0)))
    return entry.kind === 'opened' ? entry : undefined
  } catch (error) {
    if (isUnreachable(error) || (!isOurs(error) && !(error instanceof RangeError))) throw error
    return undefined
  }
}

export async function checkNote(x: Examination): Promise<string> {
  const [checkpoint, trust] = need(x.checkpoint, x.trust)
  try {
    requireNoteSignature(checkpoint, trust)
    if (sealSignatures(checkpoint, trust.seal.fingerprint).length > 0) await requireSealSignature(checkpoint, trust)
    return `signed by ${trust.origin}`
  } catch (error) {
    if (!isOurs(error)) throw error
    return x.fail({ code: 'CHECKPOINT_SIGNATURE', what: error.message, file: checkpointFile })
  }
}
