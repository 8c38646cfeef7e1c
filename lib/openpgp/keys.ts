/** Private keys: made, unlocked, and what they sign. */
import * as openpgp from 'openpgp'
import { endOf, readCertificate } from './certificate.ts'
import { sayExpired } from './lifetime.ts'
import { printed, unusable } from './reading.ts'

export interface KeyFiles {
  /** Armored, encrypted where a passphrase was given. */
  readonly privateKey: string
  /** Armored. */
  readonly certificate: string
  /** Armored; published when the key is lost or no longer trusted. */
  readonly revocation: string
  /** 40 upper-case hex digits. */
  readonly fingerprint: string
}

export interface NewKey {
  readonly name: string
  readonly email?: string
  readonly passphrase?: string
  /** The time of creation; now, where absent. */
  readonly date?: Date
  /** Seconds until it expires; never, where absent. */
  readonly lifetime?: number
}

/** An unlocked private key. */
export interface SigningKey {
  readonly fingerprint: string
  /** Armored. */
  readonly certificate: string
  readonly key: openpgp.PrivateKey
}

/** A v4 key that can certify and sign, with no encryption subkey. */
export async function generateKey({ name, email, passphrase, date, lifetime }: NewKey): Promise<KeyFiles> {
  const made = await openpgp.generateKey({
    // Set explicitly: algorithm 27 and v6 keys verify in none of gpg 2.2, sqv, rnp.
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [email === undefined ? { name } : { name, email }],
    subkeys: [],
    format: 'armored',
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(date === undefined ? {} : { date }),
    ...(lifetime === undefined ? {} : { keyExpirationTime: lifetime }),
  })
  const { fingerprint } = await readCertificate(made.publicKey)
  return {
    privateKey: made.privateKey,
    certificate: made.publicKey,
    revocation: made.revocationCertificate,
    fingerprint,
  }
}

/** @throws Misuse ERR_OPTION_INVALID: no private key, or the passphrase is missing or wrong */
export async function readPrivateKey(armored: string, passphrase?: string): Promise<SigningKey> {
  let key: openpgp.PrivateKey
  try {
    key = await openpgp.readPrivateKey({ armoredKey: armored })
  } catch (cause) {
    throw unusable('not an armored OpenPGP private key', cause)
  }
  if (!key.isDecrypted()) {
    if (passphrase === undefined) throw unusable('the OpenPGP private key needs its passphrase')
    try {
      key = await openpgp.decryptKey({ privateKey: key, passphrase })
    } catch {
      throw unusable('the passphrase does not open the OpenPGP private key')
    }
  }
  return { fingerprint: printed(key.getFingerprint()), certificate: key.toPublic().armor(), key }
}

/**
 * @returns the binary packets of a signature over exactly these bytes (signature type 0x00). @throws Misuse
 * ERR_OPTION_INVALID where the key expired, or nothing signs for it
 */
export async function signDetached(
  { key, fingerprint }: SigningKey,
  data: Uint8Array,
  date = new Date(),
): Promise<Uint8Array> {
  const expired = sayExpired({ fingerprint, ...(await endOf(key, date)) }, date)
  if (expired !== undefined) throw unusable(expired)
  const message = await openpgp.createMessage({ binary: data })
  return openpgp.sign({ message, signingKeys: key, detached: true, format: 'binary', date }).catch(cause => {
    throw unusable(
      `nothing signs for the OpenPGP key ${fingerprint}: it is revoked, or it signs nothing itself (its primary key is kept elsewhere, or is only to ` +
        'certify) and has no subkey for that which is in force; see what there is (gpg --list-keys --with-subkey-fingerprint), give it one where its primary key is ' +
        `(gpg --quick-add-key ${fingerprint} ed25519 sign 2y), put what gpg exports then (gpg --armor --export-secret-subkeys ${fingerprint}) in its place, ` +
        'and start again',
      cause,
    )
  })
}

/** The same packets in ASCII armor, as gpg and sqv read them from a file. */
export function armorSignature(packets: Uint8Array): string {
  // With its CRC: without one, gpg 2.2 fails on text that ends with no padding (https://dev.gnupg.org/T7071).
  return openpgp.armor(openpgp.enums.armor.signature, packets, undefined, undefined, undefined, true)
}
