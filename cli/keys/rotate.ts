/**
 * A rotation, with or without a revocation of the key that is replaced, as steps. The new key is durable before the
 * ledger names it, and takes the old one's place after: a kill between any two steps leaves a ledger that opens with
 * one of the two, and a second run finishes it.
 */
import { generateKeyPairSync } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { Config } from '../../lib/config/config.ts'
import { isOurs, Misuse } from '../../lib/errors.ts'
import { timestamp } from '../../lib/format/entry.ts'
import type { Reason } from '../../lib/format/key-text.ts'
import { certificateOf } from '../../lib/format/layout.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openForKeys, publishCertificate } from '../../lib/ledger/directory.ts'
import { replaceFiles } from '../../lib/ledger/files.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { type BothKeys, keyHistory, pairOf, revocationDraft, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, revoke, revokeOwn } from '../../lib/openpgp.ts'
import { configuredSealer, heldKey } from '../../lib/sealing.ts'
import { inNameOf, ledgersOf, requireClosed } from '../ledgers.ts'
import { version } from '../version.ts'
import { nextFile, notePrivateKey, readIfThere, replaceKey, requireOwnerOnly, writeWhole } from './key-files.ts'
import { keysAt, type Place } from './prepared.ts'

export interface RotateOptions {
  readonly config: Config
  readonly key: 'note' | 'seal'
  /** Where the new key lies, which was made beforehand. Default: one is made, and takes the file of the old one. */
  readonly to?: Place
  /** The key that is replaced is revoked, too. */
  readonly revocation?: {
    readonly reason: Reason
    /** Unix milliseconds; now, where absent. */
    readonly at?: number
    /** The armored revocation certificate of an OpenPGP key that is not at hand. */
    readonly certificate?: string
  }
}

export interface Rotated {
  readonly key: 'note' | 'seal'
  readonly old: string
  readonly new: string
  /** Where the replaced key lies now; undefined where it is no file that this command keeps. */
  readonly kept: string | undefined
  /** Whether a run that was cut off had done it already, and only the files were put in their places. */
  readonly finished: boolean
  /** Of a new OpenPGP key: to be handed to the auditor, and where it lies. */
  readonly certificate?: string
  readonly certificateFile?: string
}

export type Step = 'made' | 'recorded' | 'published'

/** @throws Misuse ERR_OPTION_INVALID, LedgerError ERR_LEDGER_LOCKED while the ledger is open, Fault ERR_LEDGER_UNAVAILABLE */
export async function* rotate(options: RotateOptions): AsyncGenerator<Step, Rotated> {
  const { key, to } = options
  const ledgers = await ledgersOf(options.config)
  const config = ledgers.at(-1)!
  requireClosed(ledgers)
  const path = config.ledger.keyFiles[key]
  const before: BothKeys = {
    noteKey: noteKeyOf(config.ledger.noteKey, config.name),
    sealer: await configuredSealer(config.ledger.sealKey),
  }
  if (to !== undefined) return yield* rotateTo(options, ledgers, to, before)
  if (path === undefined) {
    const how = `make one with "keys prepare ${key}", put it where it belongs, and name that place with --to`
    throw new Misuse(
      'ERR_OPTION_INVALID',
      `the ${key} key is no file of its own, in whose place a new one could be put: ${how}`,
    )
  }
  await requireOwnerOnly(path)
  const begun = (await readIfThere(nextFile(path))) !== undefined
  if (!begun) await makeNext(options.config, key, path)
  const after = await withNext(config, key, path, before)
  yield 'made'

  const finished = yield* recordIn(ledgers, options, { before, after }, begun)
  yield 'published'

  const [old, now] = [pairOf(before)[key], pairOf(after)[key]]
  const kept = await replaceKey(path, key === 'note' ? Buffer.from(parseVerifierKey(old).keyId).toString('hex') : old)
  if (key === 'note') return { key, old, new: now, kept, finished }
  const copy = join(dirname(path), 'ledger.pub.asc')
  const copied = (await readIfThere(copy)) !== undefined
  if (copied) await writeWhole(copy, after.sealer.certificate)
  const { certificate } = after.sealer
  const certificateFile = copied ? copy : publishedIn(config, now)
  return { key, old, new: now, kept, finished, certificate, certificateFile }
}

/** Where no copy lies beside the key: a key of gpg or of the environment has no file of its own. */
const publishedIn = ({ ledger }: Config, fingerprint: string) => join(ledger.directory, certificateOf(fingerprint))

/** To a key that lies where this command does not write: the configuration names it afterwards. */
async function* rotateTo(
  options: RotateOptions,
  ledgers: readonly Config[],
  to: Place,
  before: BothKeys,
): AsyncGenerator<Step, Rotated> {
  const { key } = options
  const after = await keysAt(ledgers.at(-1)!, key, to, before)
  const [old, now] = [pairOf(before)[key], pairOf(after)[key]]
  if (old === now)
    throw new Misuse('ERR_OPTION_INVALID', `the key of ${to.at} is the one that the configuration names already`)
  yield 'made'
  const finished = yield* recordIn(ledgers, options, { before, after }, true)
  yield 'published'
  const rotated = { key, old, new: now, kept: undefined, finished }
  if (key === 'note') return rotated
  const { certificate } = after.sealer
  return { ...rotated, certificate, certificateFile: publishedIn(ledgers.at(-1)!, now) }
}

/** @param resumed whether a run before this one may have done it, in some of them. @returns whether it had, in all */
async function* recordIn(
  ledgers: readonly Config[],
  options: RotateOptions,
  keys: { readonly before: BothKeys; readonly after: BothKeys },
  resumed: boolean,
): AsyncGenerator<Step, boolean> {
  let finished = true
  for (const config of ledgers) {
    const [before, after] = [inNameOf(config, keys.before), inNameOf(config, keys.after)]
    if (resumed && (await speaksAlready(config, after))) continue
    yield* record({ ...options, config }, before, after)
    finished = false
  }
  return finished
}

async function* record(
  { config, key, revocation }: RotateOptions,
  before: BothKeys,
  after: BothKeys,
): AsyncGenerator<Step> {
  const { directory } = config.ledger
  const origin = config.name
  const ledger = await openForKeys(ledgerOptions(config, before))
  try {
    const history = await keyHistory(ledger.entries())
    const compromised = key === 'seal' && revocation?.reason === 'compromised'
    const drafts: [Draft, ...Draft[]] = [await rotationDraft({ origin, history, before, after, compromised })]
    if (revocation !== undefined) {
      const { reason, at = Date.now() } = revocation
      const certificate = key === 'note' ? undefined : await revokedCertificate(config, before, revocation)
      // Before its entry: where this is cut off, opening the ledger publishes the certificate as it was.
      if (certificate !== undefined)
        await replaceFiles(directory, [[certificateOf(before.sealer.fingerprint), certificate]])
      const revoked = pairOf(before)[key]
      const parts = { origin, key, revoked, reason, at: timestamp(at), by: after.sealer }
      drafts.push(await revocationDraft(certificate === undefined ? parts : { ...parts, certificate }))
    }
    await replaceFiles(directory, [[certificateOf(after.sealer.fingerprint), after.sealer.certificate]])
    await ledger.rotate(drafts, after)
    yield 'recorded'
    await publishCertificate(directory, after.sealer)
  } finally {
    await ledger.close()
  }
}

async function makeNext(config: Config, key: 'note' | 'seal', path: string): Promise<void> {
  if (key === 'note') {
    const { privateKey } = generateKeyPairSync('ed25519')
    return writeWhole(nextFile(path), String(privateKey.export({ format: 'pem', type: 'pkcs8' })))
  }
  const passphrase = passphraseOf(config)
  const made = await generateKey({
    name: `counterfoil ${config.name}`,
    ...(passphrase === undefined ? {} : { passphrase }),
  })
  // First: a key without its revocation certificate would have to be at hand to be revoked.
  await writeWhole(join(dirname(path), `${made.fingerprint}.revocation.asc`), made.revocation)
  await writeWhole(nextFile(path), made.privateKey)
}

async function withNext(config: Config, key: 'note' | 'seal', path: string, before: BothKeys): Promise<BothKeys> {
  const text = (await readIfThere(nextFile(path))) ?? ''
  if (key === 'note') return { ...before, noteKey: noteKeyOf(notePrivateKey(text, nextFile(path)), config.name) }
  return { ...before, sealer: openpgpSealer(await readPrivateKey(text, passphraseOf(config))) }
}

/** The new key has the old one's passphrase: one file is replaced, not two. */
const passphraseOf = ({ ledger: { sealKey } }: Config) => ('gpg' in sealKey ? undefined : sealKey.passphrase?.reveal())

/** Whether the ledger opens with the new key: then a run before this one has recorded it. */
async function speaksAlready(config: Config, after: BothKeys): Promise<boolean> {
  try {
    await (await openForKeys(ledgerOptions(config, after))).close()
    return true
  } catch (error) {
    if (!isOurs(error) || !['ERR_LEDGER_INCONSISTENT', 'ERR_CHECKPOINT_SIGNATURE'].includes(error.code)) throw error
    return false
  }
}

async function revokedCertificate(
  config: Config,
  { sealer }: BothKeys,
  { reason, at, certificate }: NonNullable<RotateOptions['revocation']>,
) {
  if (certificate !== undefined) return revoke(sealer.certificate, certificate)
  const { sealKey } = config.ledger
  if ('gpg' in sealKey) {
    throw new Misuse('ERR_OPTION_INVALID', 'gpg holds the key: give its revocation certificate with --certificate')
  }
  return revokeOwn(await heldKey(sealKey), reason, new Date(at ?? Date.now()))
}

export function ledgerOptions({ name, ledger, listen }: Config, { noteKey, sealer }: BothKeys) {
  return {
    directory: ledger.directory,
    origin: name,
    writer: name,
    noteKey: noteKey.privateKey,
    sealer,
    wrappingKey: Buffer.from(ledger.vaultKey.reveal(), 'base64url'),
    heartbeatMs: ledger.heartbeatMs,
    software: `counterfoil/${version}`,
    placement: listen.length > 0 ? ('gateway' as const) : ('embedded' as const),
  }
}
