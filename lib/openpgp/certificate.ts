/** What a certificate says of its key: whose it is, until when it signs, whether and why it was revoked. */
import * as openpgp from 'openpgp'
import type { Reason } from '../format/key-text.ts'
import type { SigningKey } from './keys.ts'
import { parseCertificate, printed, unsigned } from './reading.ts'

export interface Certificate {
  /** 40 upper-case hex digits. */
  readonly fingerprint: string
  readonly userIds: readonly string[]
  readonly created: Date
  /**
   * When nothing signs for it any more, as it stands now: when it ends itself, or the subkey that signs for it does
   * before. Undefined: it does not expire.
   */
  readonly expires: Date | undefined
  /** The fingerprint of that subkey, where it is the one that ends. */
  readonly subkey: string | undefined
  readonly revoked: boolean
  /** Its own, where it is revoked. */
  readonly revocation: KeyRevocation | undefined
}

export interface KeyRevocation {
  /** One that gives no reason counts as compromised: RFC 9580, 5.2.3.31. */
  readonly reason: Reason
  /** Whether it gives that reason itself. */
  readonly isSaid: boolean
  readonly at: Date
}

/** When nothing signs for it any more, and which subkey it is that ends. */
export type Ending = Pick<Certificate, 'expires' | 'subkey'>

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE where it is no certificate */
export async function readCertificate(armored: string, now = new Date()): Promise<Certificate> {
  const key = await parseCertificate(armored)
  let ending: Ending
  try {
    ending = await endOf(key, now)
  } catch (cause) {
    throw unsigned('an OpenPGP certificate without a valid user id', cause)
  }
  return {
    fingerprint: printed(key.getFingerprint()),
    userIds: key.getUserIDs(),
    created: key.getCreationTime(),
    ...ending,
    revoked: await key.isRevoked(),
    revocation: await revocationOf(key),
  }
}

/**
 * Of the subkey that signs at a time, where one does: that the key itself could go on in its stead, its certificate
 * does not tell, since that may be offline. Where nothing signs any more, of the subkey that did so last.
 */
export async function endOf(key: openpgp.Key, now: Date): Promise<Ending> {
  const own = dateIn(await key.getExpirationTime())
  const signing = await key.getSigningKey(undefined, now).catch(() => undefined)
  const signers =
    signing === undefined ? key.subkeys.filter(isForSigning) : signing instanceof openpgp.Subkey ? [signing] : []
  let [expires, subkey]: [Date?, string?] = []
  for (const one of signers) {
    const end = dateIn(await one.getExpirationTime(now))
    if (end !== undefined && (expires === undefined || end > expires))
      [expires, subkey] = [end, printed(one.getFingerprint())]
  }
  return expires === undefined || (own !== undefined && own <= expires)
    ? { expires: own, subkey: undefined }
    : { expires, subkey }
}

/** A revoked key has no expiration time (null), and neither has one that never expires (Infinity). */
const dateIn = (time: Date | number | null): Date | undefined => (time instanceof Date ? time : undefined)

/** RFC 9580, 5.2.1.9: a subkey that signs carries a signature of its own over the key that it is bound to. */
const isForSigning = ({ bindingSignatures }: openpgp.Subkey): boolean =>
  bindingSignatures.some(({ embeddedSignature }) => embeddedSignature != null)

const { reasonForRevocation } = openpgp.enums
const reasonFlags = [
  ['superseded', reasonForRevocation.keySuperseded],
  ['retired', reasonForRevocation.keyRetired],
  ['compromised', reasonForRevocation.keyCompromised],
] as const

/** By its own hand; of several, the one that leaves least. */
async function revocationOf(key: openpgp.Key): Promise<KeyRevocation | undefined> {
  if (!(await key.isRevoked())) return undefined
  const all = key.revocationSignatures
    .map(({ reasonForRevocationFlag: flag, created }): KeyRevocation => {
      const said = reasonFlags.find(([, known]) => known === flag)
      return { reason: said?.[0] ?? 'compromised', isSaid: said !== undefined, at: created ?? new Date(0) }
    })
    .sort((a, b) => a.at.getTime() - b.at.getTime())
  const compromised = all.filter(({ reason }) => reason === 'compromised')
  return compromised.find(({ isSaid }) => isSaid) ?? compromised[0] ?? all[0]
}

/** The key's own certificate, revoked by it, for publication. */
export async function revokeOwn({ key }: SigningKey, reason: Reason, at = new Date()): Promise<string> {
  const [, flag] = reasonFlags.find(([name]) => name === reason)!
  const { publicKey } = await openpgp.revokeKey({
    key,
    reasonForRevocation: { flag, string: reason },
    date: at,
    format: 'armored',
  })
  return publicKey
}

/** Merges a revocation certificate into a certificate, for publication. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export async function revoke(certificate: string, revocation: string): Promise<string> {
  const key = await parseCertificate(certificate)
  try {
    const revoked = await openpgp.revokeKey({ key, revocationCertificate: revocation, format: 'armored' })
    return revoked.publicKey
  } catch (cause) {
    throw unsigned('the revocation certificate is not for this key', cause)
  }
}
