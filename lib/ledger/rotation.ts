/** The entries of a rotation and of a revocation, signed: which key speaks from now on, and which is no longer to be trusted. */
import { hash, sign } from 'node:crypto'
import { Misuse } from '../errors.ts'
import type { Entry } from '../format/entry.ts'
import { type KeyPair, type Reason, revocationText, rotationText } from '../format/key-text.ts'
import type { NoteKey } from './checkpoint.ts'
import type { Draft } from './ledger.ts'
import type { Signers } from './publisher.ts'
import type { Sealer } from './sealer.ts'

/** The keys of signers of which both are there. */
export interface BothKeys extends Signers {
  readonly sealer: Sealer
}

/** What a ledger's entries say of its keys so far. */
export interface KeyHistory {
  /** Rotations so far. */
  readonly turns: number
  /** Every key that has spoken, with the one that speaks now. */
  readonly used: ReadonlySet<string>
}

export async function keyHistory(entries: AsyncIterable<{ readonly entry: Entry }>): Promise<KeyHistory> {
  const used = new Set<string>()
  let turns = 0
  for await (const { entry } of entries) {
    if (entry.kind === 'opened') for (const key of [entry.noteKey, entry.sealKey]) if (key !== undefined) used.add(key)
    if (entry.kind !== 'key-rotated') continue
    used.add(entry.new)
    turns += 1
  }
  return { turns, used }
}

export interface RotationParts {
  readonly origin: string
  readonly history: KeyHistory
  readonly before: BothKeys
  readonly after: BothKeys
  /** The OpenPGP key before cannot be trusted any more: it endorses nothing, and only who pins the key after follows. */
  readonly compromised?: boolean
}

/** @throws Misuse ERR_OPTION_INVALID: no other key, or one that spoke before; Fault where a key does not sign */
export async function rotationDraft({ origin, history, before, after, compromised }: RotationParts): Promise<Draft> {
  const [from, to] = [pairOf(before), pairOf(after)]
  const key = from.note === to.note ? 'seal' : 'note'
  if ((from.note === to.note) === (from.seal === to.seal)) throw unusable('a rotation is of one key, to another one')
  if (history.used.has(to[key])) throw unusable('this key spoke for this ledger before: rotate to a new one')
  const turn = history.turns + 1
  const text = Buffer.from(rotationText({ origin, turn, before: from, after: to }))
  const signature = sign(null, text, before.noteKey.privateKey).toString('base64')
  const certification = await armored(after.sealer, text)
  const draft = { kind: 'key-rotated', key, turn, old: from[key], new: to[key], signature, certification } as const
  if (key === 'note') return draft
  const certificate = digestOf(after.sealer.certificate)
  return compromised === true
    ? { ...draft, certificate }
    : { ...draft, certificate, endorsement: await armored(before.sealer, text) }
}

export interface RevocationParts {
  readonly origin: string
  readonly key: 'note' | 'seal'
  readonly revoked: string
  readonly reason: Reason
  /** RFC 3339, milliseconds. */
  readonly at: string
  /** The OpenPGP key in force. */
  readonly by: Sealer
  /** Of an OpenPGP key: its certificate, with its revocation; armored. */
  readonly certificate?: string
}

export async function revocationDraft({ by, certificate, ...revocation }: RevocationParts): Promise<Draft> {
  const { key, revoked, reason, at } = revocation
  const certification = await armored(by, Buffer.from(revocationText(revocation)))
  const draft = { kind: 'key-revoked', key, revoked, reason, at, certification } as const
  return certificate === undefined ? draft : { ...draft, certificate: digestOf(certificate) }
}

export const pairOf = ({ noteKey, sealer }: { readonly noteKey: NoteKey; readonly sealer: Sealer }): KeyPair => ({
  note: noteKey.verifierKey,
  seal: sealer.fingerprint,
})

const digestOf = (text: string) => hash('sha256', text, 'base64url' as 'hex')
const unusable = (what: string) => new Misuse('ERR_OPTION_INVALID', what)

async function armored(sealer: Sealer, text: Buffer): Promise<string> {
  const packets = await sealer.sign(text)
  return (await import('../openpgp.ts')).armorSignature(packets)
}
