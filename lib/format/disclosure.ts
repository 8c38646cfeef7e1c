/**
 * What is committed in an entry and opened only to those who may see it.
 * A disclosure is RFC 9901's: base64url(JSON([salt, name, value])); the entry's `sd` holds the SHA-256 of each.
 * A commitment is a salted digest of bytes, for what is too large or too sensitive to disclose at all.
 */
import { createHash, hash, randomFillSync } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { canonical, type Json, parseJson, utf8 } from './canonical.ts'

export interface Disclosure {
  readonly salt: string
  readonly name: string
  readonly value: Json
}

const saltBytes = 16
const pool = Buffer.alloc(saltBytes * 512)
let used = pool.length

/** 128 random bits, base64url. Drawn from a pool, since one call for each salt is forty times dearer. */
export function randomSalt(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const salt = pool.toString('base64url', used, used + saltBytes)
  pool.fill(0, used, used + saltBytes)
  used += saltBytes
  return salt
}

/** RFC 9901, 4.2.1. */
export function encodeDisclosure({ salt, name, value }: Disclosure): string {
  return Buffer.from(canonical([salt, name, value])).toString('base64url')
}

/** RFC 9901, 4.2.3: the digest is over the US-ASCII bytes of the encoded disclosure. */
export const disclosureDigest = (encoded: string): string => hash('sha256', encoded, 'base64url' as 'hex')

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export function decodeDisclosure(encoded: string): Disclosure {
  const value = /^[A-Za-z0-9_-]+$/.test(encoded) ? parseJson(utf8(Buffer.from(encoded, 'base64url'))) : undefined
  if (Array.isArray(value) && value.length === 3) {
    const [salt, name, content] = value as [Json, Json, Json]
    if (typeof salt === 'string' && typeof name === 'string') return { salt, name, value: content }
  }
  throw new LedgerError('ERR_DISCLOSURE_MISMATCH', 'not a disclosure')
}

/** base64url SHA-256 of the salt's raw bytes, then the bytes. Re-performed with `sha256sum` over the two, joined. */
export function commitment(salt: string, ...parts: readonly Uint8Array[]): string {
  const digest = commitmentStream(salt)
  for (const part of parts) digest.update(part)
  return digest.digest()
}

export interface CommitmentStream {
  update(bytes: Uint8Array): void
  digest(): string
}

export function commitmentStream(salt: string): CommitmentStream {
  const digest = createHash('sha256').update(Buffer.from(salt, 'base64url'))
  return { update: bytes => void digest.update(bytes), digest: () => digest.digest('base64url') }
}

/** The commitment to one exact action: an approval for it holds for this and for nothing else. */
export const actionCommitment = (salt: string, action: Json): string => commitment(salt, Buffer.from(canonical(action)))
