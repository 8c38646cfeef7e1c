/**
 * What keys sign about keys: which one speaks from now on, and which is no longer to be trusted.
 * Plain text, so that others' tools can check it.
 */

/** The keys that speak for a ledger: a note key as a verifier key, an OpenPGP key as 40 upper-case hex digits. */
export interface KeyPair {
  readonly note: string
  readonly seal: string
}

export interface Rotation {
  readonly origin: string
  /** From 1: the number of this rotation in its ledger. With the origin, it makes a rotation worth nothing anywhere else. */
  readonly turn: number
  readonly before: KeyPair
  readonly after: KeyPair
}

/** Signed by the note key before, by the OpenPGP key after and, where that is another one, by the OpenPGP key before. */
export const rotationText = ({ origin, turn, before, after }: Rotation): string =>
  `counterfoil key rotation\n${origin}\n${turn}\n${lines(before)}${lines(after)}`

const lines = ({ note, seal }: KeyPair) => `${note}\n${seal}\n`

export const reasons = ['compromised', 'superseded', 'retired'] as const
export type Reason = (typeof reasons)[number]

export interface Revocation {
  readonly origin: string
  readonly key: 'note' | 'seal'
  readonly revoked: string
  readonly reason: Reason
  /** RFC 3339: from when on. */
  readonly at: string
}

/** Signed by the OpenPGP key in force. */
export const revocationText = ({ origin, key, revoked, reason, at }: Revocation): string =>
  `counterfoil key revocation\n${origin}\n${key}\n${revoked}\n${reason}\n${at}\n`
