/** C2SP signed-note: a text, a blank line, and signature lines. Ed25519 is type 0x01; OpenPGP travels as type 0xff. */
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { utf8 } from './canonical.ts'

export interface NoteSignature {
  readonly name: string
  /** The first four bytes of the base64 payload: which key made this. */
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

export interface Note {
  /** Ends with a newline; what the signatures cover. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

export interface NoteVerifier {
  readonly name: string
  readonly keyId: Uint8Array
  verify(text: string, signature: Uint8Array): boolean
}

const ed25519Type = 0x01
const otherType = 0xff

/** signed-note, "Signatures": SHA-256(name, newline, type byte, public key), first four bytes. */
export function keyId(name: string, type: number, key: Uint8Array): Buffer {
  return createHash('sha256').update(`${name}\n`).update(Buffer.of(type)).update(key).digest().subarray(0, 4)
}

/** The key id of our OpenPGP signature lines: type 0xff, then the identifier and the fingerprint's raw bytes. */
export function openpgpKeyId(name: string, fingerprint: string): Buffer {
  return keyId(name, otherType, Buffer.concat([Buffer.from('openpgp-v4'), Buffer.from(fingerprint, 'hex')]))
}

export function rawPublicKey(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: 'jwk' }).x as string, 'base64url')
}

/** `name+8 hex digits+base64(0x01, key)`, as Go's sumdb/note prints verifier keys. */
export function formatVerifierKey(name: string, publicKey: KeyObject): string {
  const raw = rawPublicKey(publicKey)
  const encoded = Buffer.concat([Buffer.of(ed25519Type), raw]).toString('base64')
  return `${name}+${keyId(name, ed25519Type, raw).toString('hex')}+${encoded}`
}

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE unless it is a well-formed Ed25519 verifier key. */
export function parseVerifierKey(text: string): NoteVerifier {
  const [name, id, encoded, ...rest] = text.split(/\+(?=[0-9a-f]{8}\+)|(?<=\+[0-9a-f]{8})\+/)
  const key = Buffer.from(encoded ?? '', 'base64')
  if (!name || !isName(name) || rest.length > 0 || key.length !== 33 || key[0] !== ed25519Type) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'not an Ed25519 note verifier key')
  }
  const raw = key.subarray(1)
  const own = keyId(name, ed25519Type, raw)
  if (own.toString('hex') !== id) throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a verifier key whose id is wrong')
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  })
  return {
    name,
    keyId: own,
    verify: (note, signature) => signature.length === 64 && verify(null, Buffer.from(note), publicKey, signature),
  }
}

export function signNote(text: string, name: string, privateKey: KeyObject, publicKey: KeyObject): NoteSignature {
  return {
    name,
    keyId: keyId(name, ed25519Type, rawPublicKey(publicKey)),
    signature: sign(null, Buffer.from(text), privateKey),
  }
}

/** signed-note: names hold no white space and no plus. */
export const isName = (name: string): boolean => name !== '' && !/[\s+]/u.test(name)

export function formatNote(note: Note): string {
  const lines = note.signatures.map(
    s => `\u2014 ${s.name} ${Buffer.concat([s.keyId, s.signature]).toString('base64')}\n`,
  )
  return `${note.text}\n${lines.join('')}`
}

const longestNote = 1_000_000
const mostSignatures = 100

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function parseNote(bytes: Uint8Array): Note {
  if (bytes.length > longestNote) throw malformed('a note of over 1 MB')
  const whole = textOf(bytes)
  const at = whole.lastIndexOf('\n\n')
  // signed-note: no control characters below U+0020 but newline.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (at < 0 || !whole.endsWith('\n') || /[\u0000-\u0009\u000b-\u001f]/.test(whole))
    throw malformed('not a signed note')
  const lines = whole.slice(at + 2, -1).split('\n')
  if (lines.length > mostSignatures) throw malformed('a note with over 100 signatures')
  return { text: whole.slice(0, at + 1), signatures: lines.map(parseSignature) }
}

function textOf(bytes: Uint8Array): string {
  try {
    return utf8(bytes)
  } catch {
    throw malformed('a note that is not UTF-8')
  }
}

function parseSignature(line: string): NoteSignature {
  const [, name, encoded] = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? []
  const payload = Buffer.from(encoded ?? '', 'base64')
  if (name === undefined || payload.length < 5 || payload.toString('base64') !== encoded) {
    throw malformed('a malformed signature line')
  }
  return { name, keyId: payload.subarray(0, 4), signature: payload.subarray(4) }
}

/**
 * signed-note, "Verification": signatures of unknown keys are ignored, a failing one of a known key fails the note.
 * @returns the signature by `verifier`. @throws LedgerError ERR_CHECKPOINT_SIGNATURE
 */
export function requireSignature(note: Note, verifier: NoteVerifier): NoteSignature {
  const own = note.signatures.filter(s => s.name === verifier.name && Buffer.compare(s.keyId, verifier.keyId) === 0)
  const [first] = own
  if (first === undefined) throw malformed(`no signature by ${verifier.name}`)
  if (!own.every(s => verifier.verify(note.text, s.signature))) throw malformed(`a false signature by ${verifier.name}`)
  return first
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
