/** From what a configuration says of OpenPGP keys to who seals, a key held in this process or by gpg; and to who may read recordings. */
import type { SealKeySettings } from './config/config.ts'
import { Misuse } from './errors.ts'
import { gpgSealer } from './ledger/gpg-sealer.ts'
import type { Readers } from './ledger/ledger.ts'
import { openpgpSealer, type Sealer } from './ledger/sealer.ts'
import { encryptTo, readCertificate, readPrivateKey, readRecipient, type SigningKey, sayExpired } from './openpgp.ts'

/** @throws Misuse ERR_OPTION_INVALID: a wrong passphrase, an expired key. Fault ERR_LEDGER_UNAVAILABLE where gpg does not give it */
export async function configuredSealer(settings: SealKeySettings): Promise<Sealer> {
  const sealer = 'gpg' in settings ? await gpgSealer(settings.gpg) : openpgpSealer(await heldKey(settings))
  const { expires } = await readCertificate(sealer.certificate)
  if (expires !== undefined && expires.getTime() <= Date.now()) {
    throw new Misuse('ERR_OPTION_INVALID', sayExpired(sealer.fingerprint, expires))
  }
  return sealer
}

/** @throws Misuse ERR_OPTION_INVALID */
export async function heldKey(settings: Exclude<SealKeySettings, { gpg: unknown }>): Promise<SigningKey> {
  return readPrivateKey(settings.armored.reveal(), settings.passphrase?.reveal())
}

/** @param certificates armored, one for each. @throws Misuse ERR_OPTION_INVALID: one that is revoked or expired, or that nothing can be encrypted to */
export async function readersOf(certificates: readonly string[]): Promise<Readers> {
  const recipients = await Promise.all(certificates.map(armored => readRecipient(armored)))
  return {
    fingerprints: recipients.map(({ fingerprint }) => fingerprint),
    encrypt: bytes => encryptTo(recipients, bytes),
  }
}
