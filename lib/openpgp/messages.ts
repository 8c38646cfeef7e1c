/** What is encrypted to others, and opened by whoever holds the key. */
import * as openpgp from 'openpgp'
import { LedgerError } from '../errors.ts'
import type { SigningKey } from './keys.ts'
import { parseCertificate, printed, unusable } from './reading.ts'

/** Somebody to whom things are encrypted, and who is not asked. */
export interface Recipient {
  readonly fingerprint: string
  readonly key: openpgp.Key
}

/** @throws Misuse ERR_OPTION_INVALID: no certificate, one that is revoked or has expired, or one that nothing can be encrypted to */
export async function readRecipient(armored: string, now = new Date()): Promise<Recipient> {
  const key = await parseCertificate(armored).catch(cause => {
    throw unusable('not an armored OpenPGP certificate', cause)
  })
  const fingerprint = printed(key.getFingerprint())
  // RFC 9580 has v6: gpg 2.2, sqv and rnp read none of those.
  if (fingerprint.length !== 40) throw unusable('an OpenPGP certificate of a version that is not 4')
  if (await key.isRevoked()) throw unusable(`the OpenPGP certificate ${fingerprint} is revoked`)
  await key.getEncryptionKey(undefined, now).catch(cause => {
    throw unusable(
      `nothing can be encrypted to the OpenPGP certificate ${fingerprint}: no key for that, or it expired`,
      cause,
    )
  })
  return { fingerprint, key }
}

/** @returns the binary packets of a message that each of them can open, and nobody else */
export async function encryptTo(recipients: readonly Recipient[], data: Uint8Array): Promise<Uint8Array> {
  const message = await openpgp.createMessage({ binary: data })
  return openpgp.encrypt({ message, encryptionKeys: recipients.map(({ key }) => key), format: 'binary' })
}

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH where it is no message, or not to this key */
export async function decryptWith({ key, fingerprint }: SigningKey, packets: Uint8Array): Promise<Uint8Array> {
  try {
    const message = await openpgp.readMessage({ binaryMessage: packets })
    const { data } = await openpgp.decrypt({ message, decryptionKeys: key, format: 'binary' })
    return data
  } catch (cause) {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `an OpenPGP message that ${fingerprint} does not open`, {}, cause)
  }
}
