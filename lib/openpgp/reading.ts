/** What is read, strictly: fingerprints, certificates, detached signatures; and what is said where it is none. */
import * as openpgp from 'openpgp'
import { LedgerError, Misuse } from '../errors.ts'
import { packetBodies } from './packets.ts'

export const unsigned = (what: string, cause?: unknown) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, {}, cause)
export const unusable = (what: string, cause?: unknown) => new Misuse('ERR_OPTION_INVALID', what, {}, cause)
export const printed = (fingerprint: string) => fingerprint.toUpperCase()

/** @returns 40 upper-case hex digits; spaces are taken out. @throws Misuse ERR_OPTION_INVALID */
export function parseFingerprint(text: string): string {
  const fingerprint = text.replaceAll(/\s/g, '').toUpperCase()
  if (!/^[0-9A-F]{40}$/.test(fingerprint)) throw unusable('an OpenPGP fingerprint is 40 hex digits')
  return fingerprint
}

export async function parseCertificate(armored: string): Promise<openpgp.Key> {
  try {
    const key = await openpgp.readKey({ armoredKey: armored })
    if (!key.isPrivate()) return key
  } catch (cause) {
    throw unsigned('not an armored OpenPGP certificate', cause)
  }
  throw unsigned('a private key stands where a certificate is expected')
}

export async function parseSignature(signature: Uint8Array | string): Promise<openpgp.Signature> {
  let [parsed, given, written]: [openpgp.Signature | undefined, Buffer[], Buffer[]] = [undefined, [], []]
  try {
    const binarySignature = typeof signature === 'string' ? await unarmored(signature) : signature
    parsed = await openpgp.readSignature({ binarySignature })
    given = packetBodies(binarySignature)
    written = packetBodies(parsed.write())
  } catch (cause) {
    throw unsigned('not an OpenPGP signature', cause)
  }
  // RFC 9580, 3.2: an integer's length in bits is exact. Readers take a lower one for the same integer, and no signature covers it.
  if (given.length !== written.length || given.some((body, i) => !body.equals(written[i]!))) {
    throw unsigned('an OpenPGP signature that is not written as it must be')
  }
  return parsed
}

async function unarmored(text: string): Promise<Uint8Array> {
  const { data } = await openpgp.unarmor(text)
  return data as Uint8Array
}
