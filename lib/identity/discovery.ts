/** OpenID Connect Discovery 1.0: where an issuer publishes its keys. */
import { Fault } from '../errors.ts'

const timeoutMs = 5000
const longestDocument = 1024 * 1024

/** @returns the JWKS address. @throws Fault ERR_IDENTITY_UNAVAILABLE */
export async function discover(issuer: string): Promise<URL> {
  let document: { issuer?: unknown; jwks_uri?: unknown } | null
  try {
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    // A redirect could lead to another origin, which nobody configured.
    const response = await fetch(address, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) })
    if (!response.ok) throw new Error(`status ${response.status}`)
    const text = await response.text()
    if (text.length > longestDocument) throw new Error('a document of over 1 MiB')
    document = JSON.parse(text) as typeof document
  } catch (cause) {
    throw new Fault('ERR_IDENTITY_UNAVAILABLE', 'the identity provider could not be reached', { issuer }, cause)
  }
  // Discovery 4.3: it must be the very issuer that was asked for.
  const keys = document?.jwks_uri
  if (
    document?.issuer !== issuer ||
    typeof keys !== 'string' ||
    !URL.canParse(keys) ||
    !isSafe(new URL(keys), issuer)
  ) {
    throw new Fault('ERR_IDENTITY_UNAVAILABLE', 'the identity provider describes itself as another', { issuer })
  }
  return new URL(keys)
}

/** Keys that anybody on the way could replace are no keys: https, unless the issuer itself is plain, on loopback. */
const isSafe = (keys: URL, issuer: string) => keys.protocol === 'https:' || keys.host === new URL(issuer).host
