/**
 * The one door to OpenPGP: v4 ed25519Legacy keys that gpg 2.2, sqv and rnp read, detached binary signatures, and their
 * verification against a fingerprint that comes from outside. Seals only: a signature costs about a millisecond.
 */
export { type Certificate, type KeyRevocation, readCertificate, revoke, revokeOwn } from './openpgp/certificate.ts'
export {
  armorSignature,
  generateKey,
  type KeyFiles,
  type NewKey,
  readPrivateKey,
  type SigningKey,
  signDetached,
} from './openpgp/keys.ts'
export { expiresSoon, sayExpired } from './openpgp/lifetime.ts'
export { decryptWith, encryptTo, type Recipient, readRecipient } from './openpgp/messages.ts'
export { parseFingerprint } from './openpgp/reading.ts'
export { type DetachedSignature, DetachedVerifier, verifyDetached } from './openpgp/verifying.ts'
