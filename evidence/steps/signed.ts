/**
 * The steps up to something signed: the ledger's checkpoint, the key pinned from outside that speaks for it, and the note's signatures.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../../lib/errors.ts'
import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../../lib/format/entry.ts'
import { checkpointFile } from '../../lib/format/layout.ts'
import { counted } from '../../lib/format/words.ts'
import { isAddress } from '../address.ts'
import { rotationGone } from '../disposed.ts'
import type { Examination } from '../examination.ts'
import { type Finding, isUnreachable, unlessUnreachable } from '../finding.ts'
import { followKeys, KeyError } from '../key-chain.ts'
import { findKeyEntries, readKeyEntries } from '../key-entries.ts'
import { LedgerFiles } from '../ledger-files.ts'
import { readPin } from '../pin.ts'
import { type ExistedBy, sayRevoked, voids } from '../revoked-keys.ts'
import {
  isSealed,
  requireNoteSignature,
  requireOwnSignature,
  requireSealSignature,
  sayTrust,
  type Trust,
  trustIn,
} from '../trust.ts'
import { establishAnchors } from './anchored.ts'
import { need, skip } from './step.ts'

export async function openLedger(x: Examination): Promise<string> {
  try {
    x.files = await LedgerFiles.open(x.options.directory, x.options.ca)
    x.checkpoint = await settledCheckpoint(x.files)
    return `a checkpoint of ${counted(x.checkpoint.size, 'entry')}`
  } catch (error) {
    if (!isOurs(error) || error.name === 'Misuse' || isUnreachable(error)) throw error
    const code = error.code === 'ERR_LEDGER_MISSING' ? 'LEDGER_MISSING' : 'CHECKPOINT_MALFORMED'
    const what = code === 'LEDGER_MISSING' ? `${error.message}${within(x.options.directory)}` : error.message
    return x.fail({ code, what, ...(x.files === undefined ? {} : { file: checkpointFile }) })
  }
}

/** Where `init` puts a ledger, whoever names the folder around it means that one. */
function within(directory: string): string {
  const ledger = join(directory, 'ledger')
  return !isAddress(directory) && existsSync(join(ledger, checkpointFile)) ? `; there is a ledger in ${ledger}` : ''
}

/**
 * Seals are listed before the checkpoint is read: one of more than it has may be of a copy that is still being made, and is waited for.
 */
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
  x.held ??= await heldOf(x, opened)
  const existedBy = (size: number) => x.existedBy(size)
  const follow = (existed: ExistedBy) =>
    followKeys({
      ...{ opened, entries: x.keyEntries, fingerprint: x.fingerprint, existedBy: existed },
      certificate: certificates(x, files),
      isGiven: x.options.certificate !== undefined,
    })
  const begin = await pinnedKeyEntries(x)
  const end = begin + (files.directory === undefined ? (x.options.search ?? mostSearched) : checkpoint.size)
  x.keyEntries = [...x.keyEntries, ...(await findKeyEntries(files, checkpoint, begin, end))]
  if (end < checkpoint.size) {
    const provisional = await follow(() => new Date(0).toISOString()).catch(unlessUnreachable)
    if (provisional === undefined || !isSignedBy(checkpoint, trustIn(provisional))) return x.fail(unsearched(end))
    x.keyEntries = [...x.keyEntries, ...(await findKeyEntries(files, checkpoint, end))]
  }
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
    if (error instanceof KeyError) {
      return x.fail((await wasDisposedOf(x, error.finding)) ?? mayBeRolledBack(x, error.finding))
    }
    if (!isOurs(error) || isUnreachable(error)) throw error
    return x.fail({ code: 'KEY_SUBSTITUTED', what: error.message, index: 0, expected: x.fingerprint })
  }
  const { origin } = x.options
  if (origin !== undefined && origin !== x.trust.origin) {
    const what = 'the ledger is of another origin'
    return x.fail({ code: 'ORIGIN', what, expected: origin, actual: x.trust.origin })
  }
  const expired = await expiredKey(x, x.trust)
  return expired === undefined ? sayTrust(x.trust, x.fingerprint) : x.fail(expired)
}

/**
 * What it signed before it expired stays. That it is its owner's still, nobody says; of a ledger
 * that another follows, that one's key is asked.
 */
async function expiredKey({ options, now }: Examination, { seal }: Trust): Promise<Finding | undefined> {
  if (options.member?.followed !== undefined) return undefined
  const expired = await seal.verifier.expiredBy(new Date(now))
  if (expired === undefined) return undefined
  const { fingerprint } = seal
  const what =
    `OpenPGP key ${fingerprint}, which speaks now, expired at ${expired.toISOString()}: nothing is known to be altered. Its owner extends it (gpg ` +
    `--quick-set-expire ${fingerprint} 2y), and opens the ledger with it or gives out its certificate anew (gpg --armor --export); it can be rotated then`
  return { code: 'KEY_EXPIRED', what, expected: fingerprint }
}

const isJudgedByTime = ({ code }: Finding) => code === 'KEY_REVOKED' || code === 'KEY_COMPROMISED'

/** Ahead of its own step, which says what is wrong with it. A pin of the ledger before in a series shows nothing of this one. */
async function heldOf({ options: { pin: file, member } }: Examination, { origin }: EntryOf<'opened'>) {
  const pin = file === undefined ? member?.seen : await readPin(file).catch(() => undefined)
  return pin?.origin === origin ? pin : undefined
}

/**
 * That another key speaks than the pinned one is no substitution where what led from one to the
 * other may have been disposed of: nothing tells.
 */
async function wasDisposedOf({ options }: Examination, finding: Finding): Promise<Finding | undefined> {
  const { code, actual } = finding
  if (code !== 'KEY_SUBSTITUTED' || actual === undefined || (await options.member?.keyGone?.()) !== true)
    return undefined
  return { ...finding, code: 'KEY_UNPROVEN', what: rotationGone }
}

/** Of a ledger that was put back to before the pinned key came, nothing leads to that key any more: the pin knows of more entries. */
function mayBeRolledBack({ held, checkpoint }: Examination, finding: Finding): Finding {
  const size = checkpoint?.size ?? 0
  if (finding.code !== 'KEY_SUBSTITUTED' || held === undefined || held.size <= size) return finding
  const also = `; the ledger has ${counted(size, 'entry')}, and had ${held.size} when it was pinned: it may have been rolled back to before that key came`
  return { ...finding, what: `${finding.what}${also}` }
}

/**
 * Of an incremental verification, as they were pinned. @returns from where on others are to be
 * found: from the start, where these are not known
 */
async function pinnedKeyEntries(x: Examination): Promise<number> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  const { held: pin } = x
  x.keyEntries = []
  if (x.options.incremental !== true || pin?.state?.keys === undefined || pin.size > checkpoint.size) return 0
  const before = await readKeyEntries(files, checkpoint, pin.state.keys)
  if (before === undefined) return 0
  x.mayGoOn = true
  x.keyEntries = before
  return pin.size
}

const mostSearched = 2 ** 24

function isSignedBy(checkpoint: SignedCheckpoint, trust: Trust): boolean {
  try {
    requireOwnSignature(checkpoint, trust)
    return true
  } catch (error) {
    if (!isOurs(error)) throw error
    return false
  }
}

const unsearched = (end: number): Finding => ({
  code: 'KEY_UNPROVEN',
  what:
    `no key that the pinned one leads to, by the first ${end} entries, has signed this: further ones were not looked through. Verify from a pin, ` +
    'a copy of it, or with --search for how many',
})

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
    x.isSigned = true
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
