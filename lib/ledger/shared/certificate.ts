/**
 * What mutual TLS between hosts says of who is at the other end. A writer's certificate bears its name as a URI, which no certificate has
 * that was issued for something else: a subject, a host name or an address is never taken for one.
 */
import type { TLSSocket } from 'node:tls'

/** PEM. `ca`: who issues the certificates of the other side. */
export interface MutualTls {
  readonly key: string
  readonly cert: string
  readonly ca: string
}

/** Read anew where a function: what is renewed is used from the next connection on. */
export type TlsSource = MutualTls | (() => MutualTls)

export const tlsOf = (source: TlsSource): MutualTls => (typeof source === 'function' ? source() : source)

/** What both sides hold to. */
export const tlsOnly = { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const

/** The URI that a writer's certificate bears among its subject alternative names. */
export const writerUri = (origin: string, writer: string): string =>
  `counterfoil:${encodeURIComponent(origin)}:${encodeURIComponent(writer)}`

/** One name of a list as Node writes it: a value that could be taken for more than one is quoted, as JSON. */
const name = /(^|, )([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)/y

/** @param names `subjectAltName` of a certificate. @returns its URIs; none where it is not understood to its end */
export function urisOf(names: string): readonly string[] {
  const found: string[] = []
  name.lastIndex = 0
  for (let end = 0; end < names.length; end = name.lastIndex) {
    const match = name.exec(names)
    if (match === null || (match[1] === '') !== (end === 0)) return []
    const [, , kind, value] = match
    if (kind === 'URI') found.push(value!.startsWith('"') ? String(JSON.parse(value!)) : value!)
  }
  return found
}

/** Names of OpenSSL for what a certificate lacks, in words; the rest are said as they are. */
const words: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'has expired',
  CERT_NOT_YET_VALID: 'is not valid yet',
  INVALID_PURPOSE: 'is not for this side of a connection',
  CERT_REVOKED: 'was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'is for another host',
  ...Object.fromEntries(
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'CERT_SIGNATURE_FAILURE',
    ].map(code => [code, 'is of an authority that is not trusted here']),
  ),
}

/** Why a certificate does not do. @returns undefined where the code is not about one */
export const whyNot = (code: string): string | undefined =>
  words[code] ?? (/^(CERT|UNABLE|ERR_TLS_CERT)_/.test(code) ? `does not do (${code})` : undefined)

/** Of who has connected, in words; undefined where it is let in. */
export function objection(socket: TLSSocket): string | undefined {
  // Whoever resumes shows no certificate anew, and the one of before may have expired.
  if (socket.isSessionReused()) return 'it resumes an earlier session'
  if (socket.getPeerX509Certificate() === undefined) return 'it shows no certificate'
  if (socket.authorized) return undefined
  const code = String(socket.authorizationError)
  return `its certificate ${whyNot(code) ?? `does not do (${code})`}`
}
