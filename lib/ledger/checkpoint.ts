/** Signs what is durable: the note key on every checkpoint, the OpenPGP key on seals. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { Fault, isOurs, Misuse } from '../errors.ts'
import { type Checkpoint, checkpointBody, type SignedCheckpoint } from '../format/checkpoint.ts'
import { formatVerifierKey, isName, openpgpKeyId, signNote } from '../format/note.ts'
import type { Sealer } from './sealer.ts'

export interface NoteKey {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** As Go's sumdb/note prints it. */
  readonly verifierKey: string
}

/** @throws Misuse ERR_OPTION_INVALID unless it is an Ed25519 private key and the origin can name it */
export function noteKeyOf(privateKey: KeyObject, origin: string): NoteKey {
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new Misuse('ERR_OPTION_INVALID', 'the note key must be an Ed25519 private key')
  }
  if (!isName(origin)) throw new Misuse('ERR_OPTION_INVALID', 'an origin holds no white space and no plus')
  const publicKey = createPublicKey(privateKey)
  return { privateKey, publicKey, verifierKey: formatVerifierKey(origin, publicKey) }
}

export function signCheckpoint(checkpoint: Checkpoint, ...keys: readonly NoteKey[]): SignedCheckpoint {
  const text = checkpointBody(checkpoint)
  const signatures = keys.map(({ privateKey, publicKey }) => signNote(text, checkpoint.origin, privateKey, publicKey))
  return { ...checkpoint, note: { text, signatures } }
}

/** Adds the OpenPGP signature line. @throws Fault ERR_LEDGER_UNAVAILABLE where the key cannot sign: the ledger is unharmed */
export async function sealCheckpoint(checkpoint: SignedCheckpoint, sealer: Sealer): Promise<SignedCheckpoint> {
  const { origin, note } = checkpoint
  let signature: Uint8Array
  try {
    signature = await sealer.sign(Buffer.from(note.text))
  } catch (error) {
    const why = isOurs(error) ? `: ${error.message}` : ''
    throw new Fault('ERR_LEDGER_UNAVAILABLE', `the OpenPGP key did not sign the seal${why}`, {}, error)
  }
  const line = { name: origin, keyId: openpgpKeyId(origin, sealer.fingerprint), signature }
  return { ...checkpoint, note: { ...note, signatures: [...note.signatures, line] } }
}
