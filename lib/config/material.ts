/** What keys, certificates and addresses in a configuration must be. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { Space } from '../ledger/disk.ts'
import { urisOf } from '../ledger/shared/certificate.ts'
import type { Secret } from './secrets.ts'

export const isLoopback = (host: string) => /^(localhost|127(\.\d{1,3}){3}|::1)$/.test(host)

/** OpenID Connect Discovery, 3: an https URL without query or fragment; http only where it cannot be listened to. */
export function isIssuer(text: string): boolean {
  if (!URL.canParse(text) || /[?#]/.test(text)) return false
  const { protocol, hostname, username } = new URL(text)
  return (
    username === '' &&
    (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))))
  )
}

/** @returns undefined where it is no Ed25519 private key in PEM. */
export function ed25519(pem: Secret): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem.reveal())
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}

/** 32 bytes in base64url. */
export const isKey = (text: Secret): boolean => /^[A-Za-z0-9_-]{43}$/.test(text.reveal())

/** @returns whether both are PEM, and belong together. */
export function isTlsPair(key: Secret, cert: Secret): boolean {
  try {
    // A secure context would take a key of another kind than the certificate's.
    return new X509Certificate(cert.reveal()).checkPrivateKey(createPrivateKey(key.reveal()))
  } catch {
    return false
  }
}

export function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

/** Of the first certificate, which is the bearer's. */
export const urisIn = (pem: string): readonly string[] => urisOf(new X509Certificate(pem).subjectAltName ?? '')

/** `HOST:PORT`, an IPv6 address in brackets. */
export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':')
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) }
}

/** `500MiB` in bytes, `2%` as a part. */
export function spaceOf(text: string): Space {
  const [, count, unit] = /^(\d+)(MiB|GiB|TiB|%)$/.exec(text)!
  if (unit === '%') return { part: Number(count) / 100 }
  return { bytes: Number(count) * { MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 }[unit as 'MiB'] }
}

/** A path as problems name it. */
export const shown = (path: string) => path.replace(/^\.\//, '')
