/**
 * C2SP tlog-cosignature, Ed25519: a witness says that at a time of its own clock the largest consistent tree it had seen of a log
 * had this size and root. A line of a signed note, of key type 0x04.
 */
import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { isName, keyId, type Note, type NoteSignature, rawPublicKey } from './note.ts'

const cosignatureType = 0x04

/** A witness, as whoever trusts it was told of it. */
export interface Cosigner {
  readonly name: string
  readonly keyId: Uint8Array
  /** @returns the time that it signed, in seconds since 1970; undefined where the signature is false */
  verify(text: string, signature: Uint8Array): number | undefined
}

export interface Cosignature {
  readonly name: string
  /** Seconds since 1970, by the witness's clock. */
  readonly time: number
  readonly line: NoteSignature
}

/** `name+8 hex digits+base64(0x04, key)`: signed-note, "Verifier keys". */
export function formatCosignerKey(name: string, publicKey: KeyObject): string {
  const raw = rawPublicKey(publicKey)
  const encoded = Buffer.concat([Buffer.of(cosignatureType), raw]).toString('base64')
  return `${name}+${keyId(name, cosignatureType, raw).toString('hex')}+${encoded}`
}

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE unless it is a well-formed verifier key of type 0x04 */
export function parseCosignerKey(text: string): Cosigner {
  const [, name, id, encoded] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text) ?? []
  const key = Buffer.from(encoded ?? '', 'base64')
  if (name === undefined || !isName(name) || key.length !== 33 || key.toString('base64') !== encoded) {
    throw malformed("not a witness's verifier key: NAME+8 hex digits+base64")
  }
  if (key[0] !== cosignatureType) throw malformed("a verifier key of another type than a witness's Ed25519 one (4)")
  const raw = key.subarray(1)
  const own = keyId(name, cosignatureType, raw)
  if (own.toString('hex') !== id) throw malformed('a verifier key whose id is wrong')
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  })
  const verified = (note: string, signature: Uint8Array): number | undefined => {
    const time = timeOf(signature)
    if (time === undefined) return undefined
    return verify(null, cosigned(note, time), publicKey, signature.subarray(8)) ? time : undefined
  }
  return { name, keyId: own, verify: verified }
}

/** tlog-cosignature, "Ed25519 signed message". */
const cosigned = (text: string, time: number): Buffer => Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)

/** tlog-cosignature, "Format": the time as a big-endian uint64, then the signature. */
function timeOf(signature: Uint8Array): number | undefined {
  if (signature.length !== 72) return undefined
  const time = Number(Buffer.from(signature.subarray(0, 8)).readBigUInt64BE())
  return Number.isSafeInteger(time) ? time : undefined
}

/** @param text the note's body, newline included. @param time seconds since 1970 */
export function cosign(text: string, name: string, privateKey: KeyObject, time: number): NoteSignature {
  const stamp = Buffer.alloc(8)
  stamp.writeBigUInt64BE(BigInt(time))
  const id = keyId(name, cosignatureType, rawPublicKey(createPublicKey(privateKey)))
  return { name, keyId: id, signature: Buffer.concat([stamp, sign(null, cosigned(text, time), privateKey)]) }
}

/** The year 9999 ends with it: no clock says more, and RFC 3339 cannot write it. */
const lastSecond = 253_402_300_799

/**
 * signed-note, "Verification": lines of unknown keys are passed over, a false one of a known key fails the note. One whose
 * time no clock can have had says nothing: that is its witness's doing, and not the log's.
 * @returns the newest cosignature of each known witness that signed. @throws LedgerError ERR_CHECKPOINT_SIGNATURE
 */
export function cosignaturesOf(note: Note, cosigners: readonly Cosigner[]): Cosignature[] {
  const found = new Map<Cosigner, Cosignature>()
  for (const line of note.signatures) {
    const cosigner = cosigners.find(({ name, keyId }) => name === line.name && Buffer.compare(keyId, line.keyId) === 0)
    if (cosigner === undefined) continue
    const time = cosigner.verify(note.text, line.signature)
    if (time === undefined) throw malformed(`a false cosignature by ${cosigner.name}`)
    if (time > lastSecond) continue
    if ((found.get(cosigner)?.time ?? -1) < time) found.set(cosigner, { name: cosigner.name, time, line })
  }
  return [...found.values()]
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
