/**
 * What a key's revocation leaves of what it signed. A thief can date a signature as he likes: of a key that was
 * compromised only that counts which something outside the ledger shows to be older. Of one that was superseded or
 * retired, what says that it is older.
 */
import type { Reason } from '../lib/format/key-text.ts'

export interface RevokedKey {
  /** A verifier key, or a fingerprint. */
  readonly key: string
  readonly reason: Reason
  /** RFC 3339. */
  readonly at: string
  /** The entry that says so; undefined where only its certificate does. */
  readonly index: number | undefined
}

/** Whether a ledger of this size is shown, by something outside it, to have existed: RFC 3339, the earliest such time. */
export type ExistedBy = (size: number) => string | undefined

export interface Made {
  readonly key: string
  /** Of the tree that it is about. */
  readonly size: number
  /** As the signature itself says. */
  readonly created: Date
}

/** @returns the revocation by which this signature is worth nothing; undefined where it holds */
export function voids(
  revoked: readonly RevokedKey[],
  { key, size, created }: Made,
  existedBy: ExistedBy,
): RevokedKey | undefined {
  return revoked.find(one => {
    if (one.key !== key) return false
    const existed = existedBy(size)
    if (existed !== undefined && Date.parse(existed) < Date.parse(one.at)) return false
    return one.reason === 'compromised' || created.getTime() >= Date.parse(one.at)
  })
}

export const sayRevoked = ({ reason, at, index }: RevokedKey): string =>
  `revoked as ${reason} from ${at} on${index === undefined ? ', as its certificate says' : ` (entry ${index})`}`
