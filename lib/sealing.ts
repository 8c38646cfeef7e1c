/** From what a configuration says of OpenPGP keys to who seals, a key held in this process or by gpg; and to who may read recordings. */
import type { SealKeySettings } from './config/config.ts'
import { isOurs, Misuse } from './errors.ts'
import { gpgSealer } from './ledger/gpg-sealer.ts'
import type { Readers } from './ledger/ledger.ts'
import { openpgpSealer, type Sealer } from './ledger/sealer.ts'
import { encryptTo, readCertificate, readPrivateKey, readRecipient, type SigningKey, sayExpired } from './openpgp.ts'

/** @throws Misuse ERR_OPTION_INVALID: a wrong passphrase, an expired key. Fault ERR_LEDGER_UNAVAILABLE where gpg does not give it */
export async function configuredSealer(settings: SealKeySettings): Promise<Sealer> {
  const { sealer, expired } = await found(settings)
  if (expired !== undefined) throw new Misuse('ERR_OPTION_INVALID', expired)
  return sealer
}

/** The same key for who only reads: what it sealed it has sealed, expired since or not. */
export interface ReadingKey extends Pick<Sealer, 'fingerprint' | 'certificate'> {
  /** That it has expired, and what to do. */
  readonly expired: string | undefined
}

/** @throws Misuse ERR_OPTION_INVALID: a wrong passphrase. Fault ERR_LEDGER_UNAVAILABLE where gpg does not give it */
export async function configuredReadingKey(settings: SealKeySettings): Promise<ReadingKey> {
  const { sealer, expired } = await found(settings)
  return { fingerprint: sealer.fingerprint, certificate: sealer.certificate, expired }
}

async function found(settings: SealKeySettings): Promise<{ sealer: Sealer; expired: string | undefined }> {
  const sealer = 'gpg' in settings ? await gpgSealer(settings.gpg) : openpgpSealer(await heldKey(settings))
  return { sealer, expired: sayExpired(await readCertificate(sealer.certificate)) }
}

/** @throws Misuse ERR_OPTION_INVALID */
export async function heldKey(settings: Exclude<SealKeySettings, { gpg: unknown }>): Promise<SigningKey> {
  try {
    return await readPrivateKey(settings.armored.reveal(), settings.passphrase?.reveal())
  } catch (error) {
    if (!isOurs(error) || error.name !== 'Misuse') throw error
    throw new Misuse('ERR_OPTION_INVALID', `ledger.keys.seal: ${error.message}`, {}, error)
  }
}

/**
 * @param certificates armored, one for each. @throws Misuse ERR_OPTION_INVALID: one that is revoked
 * or expired, or that nothing can be encrypted to
 */
export async function readersOf(certificates: readonly string[]): Promise<Readers> {
  const recipients = await Promise.all(certificates.map(armored => readRecipient(armored)))
  return {
    fingerprints: recipients.map(({ fingerprint }) => fingerprint),
    encrypt: bytes => encryptTo(recipients, bytes),
  }
}
