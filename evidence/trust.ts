/**
 * Which keys speak for a ledger: the OpenPGP key is pinned from outside, and certifies in entry 0 the note key that signs
 * checkpoints from day to day. A ledger never names its own key.
 */
import { LedgerError } from '../lib/errors.ts'
import { checkpointBody, type SignedCheckpoint } from '../lib/format/checkpoint.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import { type NoteVerifier, openpgpKeyId, parseVerifierKey, requireSignature } from '../lib/format/note.ts'
import { verifyDetached } from '../lib/openpgp.ts'

export interface SealKey {
  /** Pinned, from outside. 40 upper-case hex digits. */
  readonly fingerprint: string
  /** Armored. From outside, or from the ledger: either way it must have the pinned fingerprint. */
  readonly certificate: string
}

export interface Trust {
  readonly origin: string
  readonly note: NoteVerifier
  readonly seal: SealKey
}

/** What the OpenPGP key signs in entry 0. */
export const certifiedText = (origin: string, noteKey: string): string =>
  `counterfoil note key\n${origin}\n${noteKey}\n`

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE: entry 0 is not certified by the pinned key */
export async function trustEntryZero(opened: EntryOf<'opened'>, seal: SealKey): Promise<Trust> {
  const { origin, noteKey, sealKey, certification } = opened
  if (sealKey === undefined || certification === undefined) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 holds no certification by an OpenPGP key')
  }
  if (sealKey.toUpperCase() !== seal.fingerprint) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 names another OpenPGP key than the pinned one')
  }
  const data = Buffer.from(certifiedText(origin, noteKey))
  await verifyDetached({ data, signature: certification, ...seal })
  const note = parseVerifierKey(noteKey)
  if (note.name !== origin)
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'the note key is named for another origin')
  return { origin, note, seal }
}

/** The note signature, and no line that nobody answers for. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function requireNoteSignature(checkpoint: SignedCheckpoint, trust: Trust): void {
  if (checkpoint.origin !== trust.origin) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'the checkpoint is of another origin than entry 0')
  }
  requireSignature(checkpoint.note, trust.note)
  // signed-note ignores signatures by unknown keys, for the sake of witnesses. None is configured in this version, so a line
  // that no pinned key answers for is an altered one: it could be the OpenPGP signature, its name or key id changed.
  const seal = openpgpKeyId(trust.origin, trust.seal.fingerprint)
  for (const { name, keyId } of checkpoint.note.signatures) {
    const known = [trust.note.keyId, seal].some(id => Buffer.compare(id, keyId) === 0)
    if (name !== trust.origin || !known) {
      throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a signature line by a key that is not pinned')
    }
  }
}

/** @returns the binary OpenPGP signatures on a checkpoint by the pinned key: none on one that is no seal. */
export function sealSignatures({ note, origin }: SignedCheckpoint, fingerprint: string): readonly Uint8Array[] {
  const id = openpgpKeyId(origin, fingerprint)
  return note.signatures.filter(s => s.name === origin && Buffer.compare(s.keyId, id) === 0).map(s => s.signature)
}

/** The OpenPGP signature, over the note's body. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export async function requireSealSignature(checkpoint: SignedCheckpoint, trust: Trust): Promise<void> {
  const signatures = sealSignatures(checkpoint, trust.seal.fingerprint)
  if (signatures.length === 0)
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'no signature by the pinned OpenPGP key')
  const data = Buffer.from(checkpointBody(checkpoint))
  for (const signature of signatures) await verifyDetached({ data, signature, ...trust.seal })
}
