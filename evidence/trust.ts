/**
 * Which keys speak for a ledger: the OpenPGP key is pinned from outside, and certifies in entry 0 the note key that signs
 * checkpoints from day to day. A ledger never names its own key. Each checkpoint is held against the keys that spoke at its size.
 */
import { LedgerError } from '../lib/errors.ts'
import { checkpointBody, type SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { openpgpKeyId, requireSignature } from '../lib/format/note.ts'
import type { DetachedVerifier } from '../lib/openpgp.ts'
import type { KeyChain, Span } from './key-chain.ts'
import { type RevokedKey, sayRevoked } from './revoked-keys.ts'

export interface SealKey {
  /** Pinned, from outside. 40 upper-case hex digits. */
  readonly fingerprint: string
  /** Armored. From outside, or from the ledger: either way it must have the pinned fingerprint. */
  readonly certificate: string
  /** For what it signed; its revocation is judged by who knows of times. */
  readonly verifier: DetachedVerifier
}

export interface Trust {
  readonly origin: string
  /** Oldest first. */
  readonly spans: readonly Span[]
  /** The OpenPGP key that speaks now. */
  readonly seal: SealKey
  readonly certificates: ReadonlyMap<string, SealKey>
  readonly revoked: readonly RevokedKey[]
}

/** What the OpenPGP key signs in entry 0. */
export const certifiedText = (origin: string, noteKey: string): string =>
  `counterfoil note key\n${origin}\n${noteKey}\n`

export function trustIn({ origin, spans, revoked, certificates }: KeyChain): Trust {
  return { origin, spans, revoked, certificates, seal: certificates.get(spans.at(-1)!.seal)! }
}

/** In words, as a step's detail. */
export function sayTrust({ spans, seal }: Trust, pinned: string): string {
  const first = `OpenPGP key ${spans[0]!.seal} certifies the note key in entry 0`
  if (spans.length === 1) return first
  const led =
    seal.fingerprint === pinned ? 'the pinned one, speaks now' : `speaks now, and the pinned one ${pinned} leads to it`
  const rotations = spans.length === 2 ? 'one rotation,' : `${spans.length - 1} rotations, each`
  return `${first}; ${rotations} signed by both: ${seal.fingerprint}, ${led}`
}

/** The keys that must sign a tree of this size, and those that may beside them: the ones before a rotation, where it ends with that. */
function speakersAt({ spans }: Trust, size: number): { readonly must: Span; readonly may: readonly Span[] } {
  const at = spans.findLastIndex(({ since }) => since <= size)
  const must = spans[at]!
  return { must, may: at > 0 && must.since === size ? [must, spans[at - 1]!] : [must] }
}

export interface FollowedKey {
  readonly fingerprint: string
  /** Whether it came to speak after the key that is pinned. */
  readonly isLater: boolean
}

/** The OpenPGP key that spoke at a size: it begins the ledger that follows this one there. */
export function sealKeyAt(trust: Trust, size: number, pinned: string): FollowedKey {
  const { must } = speakersAt(trust, size)
  const isPinned = ({ seal }: Span) => seal === pinned
  return { fingerprint: must.seal, isLater: trust.spans.findLastIndex(isPinned) < trust.spans.indexOf(must) }
}

/** The note signature, and no line that nobody answers for. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function requireNoteSignature(checkpoint: SignedCheckpoint, trust: Trust): void {
  const { origin, note, size } = checkpoint
  if (origin !== trust.origin) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'the checkpoint is of another origin than entry 0')
  }
  const { must, may } = speakersAt(trust, size)
  // signed-note ignores signatures by unknown keys, for the sake of witnesses. None is configured in this version, so a line
  // that no pinned key answers for is an altered one: it could be the OpenPGP signature, its name or key id changed.
  const seen = new Set<string>()
  for (const { name, keyId } of note.signatures) {
    const line = `${name} ${Buffer.from(keyId).toString('hex')}`
    if (seen.has(line)) throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'two signature lines by one key')
    seen.add(line)
    const own = may.find(span => Buffer.compare(span.verifier.keyId, keyId) === 0)
    if (own !== undefined && name === origin) requireSignature(note, own.verifier)
    else if (name !== origin || !may.some(span => isLineOf(span.seal, origin, keyId))) {
      throw (
        outOfTurn(trust, keyId) ??
        new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a signature line by a key that is not pinned')
      )
    }
  }
  requireSignature(note, must.verifier)
}

/** The note signature alone, of a note that others have added their lines to. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function requireOwnSignature({ note, size }: Pick<SignedCheckpoint, 'note' | 'size'>, trust: Trust): void {
  requireSignature(note, speakersAt(trust, size).must.verifier)
}

const isLineOf = (seal: string, origin: string, keyId: Uint8Array) =>
  Buffer.compare(openpgpKeyId(origin, seal), keyId) === 0

/** A key of this ledger, and not one that speaks at that size. */
function outOfTurn({ spans, origin, revoked }: Trust, keyId: Uint8Array): LedgerError | undefined {
  for (const { note, seal, verifier } of spans) {
    const key = isLineOf(seal, origin, keyId) ? seal : Buffer.compare(verifier.keyId, keyId) === 0 ? note : undefined
    if (key === undefined) continue
    const revocation = revoked.find(one => one.key === key)
    const why = revocation === undefined ? 'which does not speak at this size' : `which is ${sayRevoked(revocation)}`
    const what = `signed by the key ${key}, ${why}`
    return new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, { revoked: revocation !== undefined })
  }
  return undefined
}

/** @returns the binary OpenPGP signatures on a checkpoint by this key: none on one that is no seal. */
export function sealSignatures({ note, origin }: SignedCheckpoint, fingerprint: string): readonly Uint8Array[] {
  const id = openpgpKeyId(origin, fingerprint)
  return note.signatures.filter(s => s.name === origin && Buffer.compare(s.keyId, id) === 0).map(s => s.signature)
}

/** Whether it carries a signature by an OpenPGP key that spoke at its size. */
export const isSealed = (checkpoint: SignedCheckpoint, trust: Trust): boolean =>
  speakersAt(trust, checkpoint.size).may.some(({ seal }) => sealSignatures(checkpoint, seal).length > 0)

export interface SealedBy {
  readonly key: string
  readonly created: Date
}

/** The OpenPGP signature of the key that spoke, over the note's body. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export async function requireSealSignature(checkpoint: SignedCheckpoint, trust: Trust): Promise<SealedBy> {
  const { must, may } = speakersAt(trust, checkpoint.size)
  const data = Buffer.from(checkpointBody(checkpoint))
  let created: Date | undefined
  for (const fingerprint of new Set(may.map(({ seal }) => seal))) {
    for (const signature of sealSignatures(checkpoint, fingerprint)) {
      const { verifier } = trust.certificates.get(fingerprint)!
      // It may have expired since: what it signed before stays.
      const made = await verifier.verify(data, signature, 'signed')
      if (fingerprint === must.seal) created = made
    }
  }
  if (created === undefined) throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'no signature by the pinned OpenPGP key')
  return { key: must.seal, created }
}
