/**
 * OAuth 2.0 access tokens as JWTs (RFC 9068), verified against an OpenID Connect issuer's published keys: one algorithm list, one
 * issuer, one audience. Who the subject is, claims.ts says.
 */
import { createRemoteJWKSet, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { type Clock, systemClock } from '../clock.ts'
import { Fault, Refusal } from '../errors.ts'
import type { AgentRule } from './agents.ts'
import { skewSeconds, subjectOf } from './claims.ts'
import { discover } from './discovery.ts'
import type { IdentityProvider } from './subject.ts'

export interface OidcOptions {
  /** The issuer's URL, exactly as its tokens name it. */
  readonly issuer: string
  readonly audience: string
  /** The claim that names a person; where left out, a verified `email`, else `sub`. */
  readonly subject?: string | undefined
  /** Which people it may name, as `*@crm.example`; anybody where left out. */
  readonly names?: readonly string[] | undefined
  readonly agents?: readonly AgentRule[]
  readonly clock?: Clock
}

/** Asymmetric only: with a symmetric one, whoever can verify could sign. `none` is no algorithm. */
const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

/** RFC 9068, 4: `at+jwt`; several issuers still write `JWT`, or nothing. An ID token's other siblings are refused. */
const types = [undefined, 'jwt', 'at+jwt', 'application/at+jwt']

export function oidcProvider({
  issuer,
  audience,
  subject,
  names,
  agents = [],
  clock = systemClock,
}: OidcOptions): IdentityProvider {
  const keys = keysOf(issuer)
  return {
    name: issuer,
    async identify({ secret }) {
      if (issuerOf(secret) !== issuer) return undefined
      const claims = await verify(secret, keys, { issuer, audience, clock })
      return subjectOf(claims, { issuer, subject, names, agents })
    },
  }
}

/** What the token says of itself, unverified: good for choosing whom to ask, and for nothing else. */
function issuerOf(token: string): string | undefined {
  const [, payload] = /^[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/.exec(token) ?? []
  if (payload === undefined) return undefined
  try {
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { iss?: unknown } | null
    return typeof claims?.iss === 'string' ? claims.iss : undefined
  } catch {
    return undefined
  }
}

interface Expected {
  readonly issuer: string
  readonly audience: string
  readonly clock: Clock
}

async function verify(token: string, keys: () => Promise<JWTVerifyGetKey>, expected: Expected): Promise<JWTPayload> {
  const { issuer, audience, clock } = expected
  const getKey = await keys()
  try {
    const { payload, protectedHeader } = await jwtVerify(token, getKey, {
      ...{ algorithms, issuer, audience },
      requiredClaims: ['exp', 'sub'],
      clockTolerance: skewSeconds,
      currentDate: new Date(clock.now()),
    })
    if (!types.includes(protectedHeader.typ?.toLowerCase())) throw refused('is of another kind')
    // RFC 9449 and RFC 8705: bound to a key, so worth nothing without a proof of that key.
    if (payload.cnf !== undefined) throw refused('is bound to a key, and was presented without proof of it')
    return payload
  } catch (error) {
    if (error instanceof Refusal || error instanceof Fault) throw error
    throw judged(error)
  }
}

// biome-ignore format: a table
const reasons: readonly (readonly [code: string, reason: string])[] = [
  [errors.JWTExpired.code,                'has expired: get another'],
  [errors.JWTClaimValidationFailed.code,  'is not for here: its audience, times or claims do not fit'],
  [errors.JWSSignatureVerificationFailed.code, 'has a signature that does not hold'],
  [errors.JWKSNoMatchingKey.code,         'is signed by a key that its issuer does not publish'],
  [errors.JWKSMultipleMatchingKeys.code,  'does not say by which key it is signed'],
  [errors.JOSEAlgNotAllowed.code,         'is signed by an algorithm that is not allowed'],
  [errors.JOSENotSupported.code,          'is signed by an algorithm that is not allowed'],
  [errors.JWTInvalid.code,                'is malformed'],
  [errors.JWSInvalid.code,                'is malformed'],
]

/** The token's fault, or the issuer's: what is not known to be the token's is the issuer's, and nobody gets in by either. */
function judged(error: unknown): Refusal | Fault {
  const code = error instanceof errors.JOSEError ? error.code : undefined
  const reason = reasons.find(([known]) => known === code)?.[1]
  if (reason !== undefined) return refused(reason, error)
  return new Fault('ERR_IDENTITY_UNAVAILABLE', "the identity provider's keys could not be had", {}, error)
}

const refused = (reason: string, cause?: unknown) => new Refusal('ERR_UNIDENTIFIED', `this token ${reason}`, {}, cause)

/** Asked for at the first token, and again where that failed. */
function keysOf(issuer: string): () => Promise<JWTVerifyGetKey> {
  let keys: Promise<JWTVerifyGetKey> | undefined
  return () => {
    keys ??= discover(issuer).then(
      url => createRemoteJWKSet(url, { timeoutDuration: 5000, cooldownDuration: 5000 }),
      error => {
        keys = undefined
        throw error
      },
    )
    return keys
  }
}
