/**
 * Revokes a key that was rotated away already: an entry by the key in force, and for an
 * OpenPGP key its certificate, which says so for gpg.
 */
import { dirname, join } from 'node:path'
import type { Config } from '../../lib/config/config.ts'
import { Misuse } from '../../lib/errors.ts'
import { timestamp } from '../../lib/format/entry.ts'
import { certificateOf } from '../../lib/format/layout.ts'
import { parseVerifierKey } from '../../lib/format/note.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openForKeys } from '../../lib/ledger/directory.ts'
import { replaceFiles } from '../../lib/ledger/files.ts'
import { type BothKeys, keyHistory, pairOf, revocationDraft } from '../../lib/ledger/rotation.ts'
import { readPrivateKey, revoke, revokeOwn } from '../../lib/openpgp.ts'
import { configuredSealer } from '../../lib/sealing.ts'
import { ledgersOf, requireClosed } from '../ledgers.ts'
import { readIfThere } from './key-files.ts'
import { ledgerOptions, type RotateOptions } from './rotate.ts'

export interface RevokedFormer {
  readonly key: 'note' | 'seal'
  readonly revoked: string
  /** Whether the certificate in the ledger's keys/ says so too: without it gpg and sqv do not know. */
  readonly published: boolean
}

/**
 * @param former a fingerprint, or a verifier key or its eight digits
 * @throws Misuse ERR_OPTION_INVALID: it never spoke, or speaks now; LedgerError ERR_LEDGER_LOCKED while the ledger is open
 */
export async function revokeFormer(
  config: Config,
  key: 'note' | 'seal',
  former: string,
  revocation: NonNullable<RotateOptions['revocation']>,
): Promise<RevokedFormer> {
  const done: RevokedFormer[] = []
  const ledgers = await ledgersOf(config)
  requireClosed(ledgers)
  for (const one of ledgers) {
    const revoked = await revokeIn(one, key, former, revocation)
    if (revoked !== undefined) done.push(revoked)
  }
  if (done.length === 0) throw unusable(`no ${key} key ${former} has spoken for this ledger: counterfoil keys show`)
  return done.at(-1)!
}

/** @returns undefined where the key has not spoken for this ledger */
async function revokeIn(
  config: Config,
  key: 'note' | 'seal',
  former: string,
  revocation: NonNullable<RotateOptions['revocation']>,
): Promise<RevokedFormer | undefined> {
  const { directory } = config.ledger
  const now: BothKeys = {
    noteKey: noteKeyOf(config.ledger.noteKey, config.name),
    sealer: await configuredSealer(config.ledger.sealKey),
  }
  const ledger = await openForKeys(ledgerOptions(config, now))
  try {
    const { used } = await keyHistory(ledger.entries())
    const revoked = [...used].find(one => isNamed(key, one, former))
    if (revoked === undefined) return undefined
    if (revoked === pairOf(now)[key])
      throw unusable(`${former} speaks now: without --former it is rotated away and revoked`)
    const { reason, at = Date.now() } = revocation
    const certificate = key === 'note' ? undefined : await revokedCertificate(config, revoked, revocation)
    // Before its entry, as a rotation does: the same command again goes on from there.
    if (certificate !== undefined) await replaceFiles(directory, [[certificateOf(revoked), certificate]])
    const parts = { origin: config.name, key, revoked, reason, at: timestamp(at), by: now.sealer }
    await ledger.append([await revocationDraft(certificate === undefined ? parts : { ...parts, certificate })])
    return { key, revoked, published: certificate !== undefined }
  } finally {
    // Which seals it.
    await ledger.close()
  }
}

const isNamed = (key: 'note' | 'seal', one: string, former: string): boolean =>
  key === 'seal'
    ? one === former.replaceAll(/\s/g, '').toUpperCase()
    : one.includes('+') &&
      (one === former || Buffer.from(parseVerifierKey(one).keyId).toString('hex') === former.toLowerCase())

/**
 * By the revocation certificate that is given, or that was made with the key, or by the key itself where it was kept;
 * undefined where none is there.
 */
async function revokedCertificate(
  { ledger: { directory, keyFiles, sealKey } }: Config,
  fingerprint: string,
  { reason, at, certificate }: NonNullable<RotateOptions['revocation']>,
): Promise<string | undefined> {
  const own = await readIfThere(join(directory, certificateOf(fingerprint)))
  if (own === undefined) return undefined
  if (certificate !== undefined) return revoke(own, certificate)
  if (keyFiles.seal === undefined) return undefined
  const kept = await readIfThere(`${keyFiles.seal}.until-${fingerprint}`)
  const passphrase = 'gpg' in sealKey ? undefined : sealKey.passphrase?.reveal()
  if (kept !== undefined) return revokeOwn(await readPrivateKey(kept, passphrase), reason, new Date(at ?? Date.now()))
  const made = await readIfThere(join(dirname(keyFiles.seal), `${fingerprint}.revocation.asc`))
  return made === undefined ? undefined : revoke(own, made)
}

const unusable = (what: string) => new Misuse('ERR_OPTION_INVALID', what)
