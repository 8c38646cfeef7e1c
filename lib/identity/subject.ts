/** The port of identity: who asks, verified, and by whom. */
import type { Fault, Refusal } from '../errors.ts'

/** Who asks, verified. What an identity provider vouches for, and nothing that the subject merely says of itself. */
export interface Subject {
  /** Unique within the deployment, as policy names it: `dba@crm.example`, `agent:crm-assistant`. */
  readonly id: string
  readonly type: 'person' | 'agent' | 'service'
  /** Who vouches: an OIDC issuer's URL, `local` for keys, `application` for an embedding application's own login. */
  readonly issuer: string
  readonly method: 'oidc' | 'key' | 'ssh-key' | 'application'
  /** How strongly it was authenticated, where the provider says so (OIDC `acr` or `amr`). */
  readonly strength?: string
  /** Which credential, never the credential: a local key's id, a token's `jti`, an SSH key's fingerprint. */
  readonly credential?: string
  /** Unix milliseconds after which this identification is worth nothing. */
  readonly expires?: number
  /** The person accountable for an agent or a service. Every agent has one. */
  readonly owner?: string
  /** The person on whose behalf an agent acts now. */
  readonly principal?: string
  /**
   * Where whoever vouches can take the identification back before it expires: calls `cut` within a second of that.
   * @returns a function that ends the watch
   */
  readonly withdrawn?: (cut: (reason: Refusal | Fault) => void) => () => void
}

/** A secret as presented: never recorded, never logged. */
export interface Credential {
  readonly kind: 'bearer'
  readonly secret: string
}

export interface IdentityProvider {
  readonly name: string
  /**
   * @returns the subject, or undefined where this provider does not know that kind of credential, so that the next is asked
   * @throws Refusal ERR_UNIDENTIFIED where it is its kind, and does not hold
   */
  identify(credential: Credential): Promise<Subject | undefined>
}
