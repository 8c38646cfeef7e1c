/** The steps up to something signed: the ledger's checkpoint, the key pinned from outside that speaks for it, and the note's signatures. */
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../../lib/errors.ts'
import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../../lib/format/entry.ts'
import { checkpointFile } from '../../lib/format/layout.ts'
import type { Examination } from '../examination.ts'
import { type Finding, isUnreachable } from '../finding.ts'
import { followKeys, KeyError } from '../key-chain.ts'
import { type FoundKeyEntry, findKeyEntries, readKeyEntries } from '../key-entries.ts'
import { LedgerFiles } from '../ledger-files.ts'
import { type Pin, readPin } from '../pin.ts'
import { type ExistedBy, sayRevoked, voids } from '../revoked-keys.ts'
import { isSealed, requireNoteSignature, requireSealSignature, sayTrust, trustIn } from '../trust.ts'
import { establishAnchors } from './anchored.ts'
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

/** Seals are listed before the checkpoint is read: one of more than it has may be of a copy that is still being made, and is waited for. */
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
  if (checkpoint.size === 0) skip('an empty ledger has no entry 0')
  const opened = await entryZero(files)
  if (opened === undefined) {
    const what = 'entry 0 is missing, or is not the opening of a ledger'
    return x.fail({ code: 'CERTIFICATION_INVALID', what, index: 0 })
  }
  x.sealKey = opened.sealKey
  // Read ahead of its own step, which says what is wrong with it: what it shows to have existed, it shows here too.
  const pin = x.options.pin === undefined ? undefined : await readPin(x.options.pin).catch(() => undefined)
  x.keyEntries = (await keyEntriesBehind(x, pin)) ?? (await findKeyEntries(files, checkpoint))
  const existedBy = (size: number) =>
    [x.existedBy(size), pin !== undefined && pin.size >= size ? pin.time : undefined]
      .filter(time => time !== undefined)
      .sort((a, b) => Date.parse(a) - Date.parse(b))[0]
  const follow = (existed: ExistedBy) =>
    followKeys({
      ...{ opened, entries: x.keyEntries, fingerprint: x.fingerprint, existedBy: existed },
      certificate: certificates(x, files),
    })
  try {
    const chain = await follow(existedBy).catch(async (error: unknown) => {
      if (!(error instanceof KeyError) || !isJudgedByTime(error.finding)) throw error
      // By whose word it may be older than that: their notes are read by keys that nothing is believed for yet.
      const provisional = await follow(() => new Date(0).toISOString())
      if (!(await establishAnchors(x, trustIn(provisional)))) throw error
      return follow(existedBy)
    })
    x.trust = trustIn(chain)
  } catch (error) {
    if (error instanceof KeyError) return x.fail(error.finding)
    if (!isOurs(error) || isUnreachable(error)) throw error
    return x.fail({ code: 'KEY_SUBSTITUTED', what: error.message, index: 0, expected: x.fingerprint })
  }
  const { origin } = x.options
  if (origin !== undefined && origin !== x.trust.origin) {
    const what = 'the ledger is of another origin'
    return x.fail({ code: 'ORIGIN', what, expected: origin, actual: x.trust.origin })
  }
  return sayTrust(x.trust, x.fingerprint)
}

const isJudgedByTime = ({ code }: Finding) => code === 'KEY_REVOKED' || code === 'KEY_COMPROMISED'

/** Of an incremental verification: as they were pinned, and since then. Undefined where these are not known, and all must be found. */
async function keyEntriesBehind(x: Examination, pin: Pin | undefined): Promise<FoundKeyEntry[] | undefined> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  if (x.options.incremental !== true || pin?.state?.keys === undefined || pin.size > checkpoint.size) return undefined
  const before = await readKeyEntries(files, checkpoint, pin.state.keys)
  if (before === undefined) return undefined
  x.mayGoOn = true
  return [...before, ...(await findKeyEntries(files, checkpoint, pin.size))]
}

/** From outside for the pinned key; for others, and where none was given, the ledger's own copies. */
const certificates = (x: Examination, files: LedgerFiles) => async (fingerprint: string) => {
  if (fingerprint === x.fingerprint && x.options.certificate !== undefined) return x.options.certificate
  return files.certificateOf(fingerprint)
}

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
    if (!isSealed(checkpoint, trust)) return `signed by ${trust.origin}`
    const made = await requireSealSignature(checkpoint, trust)
    const judge = () => voids(trust.revoked, { ...made, size: checkpoint.size }, size => x.existedBy(size))
    if (judge() !== undefined) await establishAnchors(x, trust)
    const revocation = judge()
    if (revocation === undefined) return `signed by ${trust.origin}`
    const what = `sealed by OpenPGP key ${made.key}, which is ${sayRevoked(revocation)}`
    return x.fail({ code: 'KEY_REVOKED', what, file: checkpointFile })
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    const code = error.data.revoked === true ? 'KEY_REVOKED' : 'CHECKPOINT_SIGNATURE'
    return x.fail({ code, what: error.message, file: checkpointFile })
  }
}
