/**
 * Time stamps after RFC 3161, with RFC 5816's digests: what is asked of an authority, and what its answer proves,
 * offline. Certificates are node's; whether one was revoked is not looked up.
 */
import { createHash, hash, verify, X509Certificate } from 'node:crypto'
import { LedgerError } from '../errors.ts'
import { type Der, expectDer, oidOf, readDer, derTag as tag, within } from './der.ts'

const signedData = '1.2.840.113549.1.7.2'
const tstInfo = '1.2.840.113549.1.9.16.1.4'
const timeStamping = '1.3.6.1.5.5.7.3.8'
const extendedKeyUsage = '2.5.29.37'
const sha256 = '2.16.840.1.101.3.4.2.1'

// biome-ignore format: a table
const digests: Readonly<Record<string, string>> = {
  [sha256]:                 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
}

// Signature algorithms to their digest; undefined: the one that the signer names beside it. All others are refused.
// biome-ignore format: a table
const signatures: Readonly<Record<string, string | undefined>> = {
  '1.2.840.113549.1.1.1':  undefined,
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2':   'sha256',
  '1.2.840.10045.4.3.3':   'sha384',
  '1.2.840.10045.4.3.4':   'sha512',
}

// biome-ignore format: a table
const attribute = {
  contentType:          '1.2.840.113549.1.9.3',
  messageDigest:        '1.2.840.113549.1.9.4',
  signingCertificate:   '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const

/** RFC 3161, 2.4.1: a request for a digest's time stamp, that asks for the certificate. @param nonce 8 random bytes */
export function timestampRequest(digest: Uint8Array, nonce: Uint8Array): Buffer {
  const imprint = Buffer.concat([Buffer.from('3031300d060960864801650304020105000420', 'hex'), digest])
  const body = Buffer.concat([Buffer.of(2, 1, 1), imprint, Buffer.of(2, 8), positive(nonce), Buffer.of(1, 1, 0xff)])
  return Buffer.concat([Buffer.of(tag.sequence, body.length), body])
}

/** An INTEGER of exactly eight octets: its first is neither zero nor negative. */
const positive = (nonce: Uint8Array): Buffer =>
  Buffer.from(nonce.map((byte, i) => (i === 0 ? (byte & 0x7f) | 0x40 : byte)))

/** @returns the nonce as it stands in the request, in hex */
export const nonceOf = (nonce: Uint8Array): string => positive(nonce).toString('hex')

export interface Timestamp {
  /** SHA-256 of what was stamped. */
  readonly imprint: Buffer
  /** Unix milliseconds, by the authority's clock. */
  readonly time: number
  /** In hex. */
  readonly nonce: string | undefined
  /** Whose key signed it. */
  readonly signer: X509Certificate
  /** Those that came with it: of no weight but to lead to one that is trusted. */
  readonly certificates: readonly X509Certificate[]
}

/**
 * Everything that an answer shows by itself: that it was granted, and that the certificate in it, which is for time stamping alone,
 * signed this time for this digest. Whether that certificate is trusted is for `isTrusted`.
 * @param response a TimeStampResp, DER
 * @throws LedgerError ERR_CHECKPOINT_SIGNATURE
 */
export function readTimestamp(response: Uint8Array): Timestamp {
  const [info, token] = within(readDer(response), tag.sequence)
  const [status] = within(info, tag.sequence)
  const granted = expectDer(status, tag.integer).content.toString('hex')
  if (granted !== '00' && granted !== '01') throw invalid(`the authority did not grant it (status ${granted})`)
  const [type, wrapped] = within(token, tag.sequence)
  if (oidOf(type) !== signedData) throw invalid('no signed data')
  const parts = within(within(wrapped, 0xa0)[0], tag.sequence)
  const [contentType, wrappedContent] = within(parts[2], tag.sequence)
  if (oidOf(contentType) !== tstInfo) throw invalid('signed data that is no time stamp')
  const content = expectDer(within(wrappedContent, 0xa0)[0], tag.octets).content
  const certificates = certificatesOf(parts.slice(3).find(part => part.tag === 0xa0))
  const signers = within(parts.at(-1), tag.set)
  if (signers.length !== 1) throw invalid('not exactly one signer')
  const signer = verifySigner(signers[0], content, certificates)
  requireForTimeStamping(signer)
  return { ...stampOf(content), signer, certificates }
}

function certificatesOf(set: Der | undefined): X509Certificate[] {
  if (set === undefined) throw invalid('no certificate came with it')
  return within(set, 0xa0).map(({ bytes }) => certificateOf(bytes))
}

function certificateOf(bytes: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(bytes)
  } catch (error) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'the time stamp: a malformed certificate', {}, error)
  }
}

/** RFC 5652, 5.4 and 5.6; RFC 3161, 2.4.2: the signed attributes name content, its digest and the certificate. */
function verifySigner(
  info: Der | undefined,
  content: Buffer,
  certificates: readonly X509Certificate[],
): X509Certificate {
  const [, , digestAlgorithm, attributes, signatureAlgorithm, signature] = within(info, tag.sequence)
  const digest = digestOf(digestAlgorithm)
  const signed = new Map(
    within(attributes, 0xa0).map(one => {
      const [type, values] = within(one, tag.sequence)
      const [value, ...more] = within(values, tag.set)
      if (value === undefined || more.length > 0) throw invalid('an attribute without one value')
      return [oidOf(type), value] as const
    }),
  )
  if (oidOf(signed.get(attribute.contentType)) !== tstInfo) throw invalid('the signature is over another content type')
  const claimed = expectDer(signed.get(attribute.messageDigest), tag.octets).content
  if (!claimed.equals(createHash(digest).update(content).digest())) throw invalid('what it says was altered')
  const certificate = certificates.find(one => isNamed(one, signed))
  if (certificate === undefined) throw invalid('the certificate that it names did not come with it')
  const algorithm = oidOf(within(signatureAlgorithm, tag.sequence)[0])
  if (!Object.hasOwn(signatures, algorithm)) throw invalid(`a signature algorithm that is not supported: ${algorithm}`)
  // RFC 5652, 5.4: what is signed is the SET, not the implicit tag that it travels under.
  const message = Buffer.concat([Buffer.of(tag.set), attributes!.bytes.subarray(1)])
  const { content: value } = expectDer(signature, tag.octets)
  if (!isSigned(signatures[algorithm] ?? digest, message, certificate, value)) throw invalid('a false signature')
  return certificate
}

/** node throws at a key that it cannot read, and at one that does not sign with that digest, as Ed25519: the token brings both. */
function isSigned(digest: string, message: Buffer, certificate: X509Certificate, signature: Buffer): boolean {
  try {
    return verify(digest, message, certificate.publicKey, signature)
  } catch (error) {
    const what = 'the time stamp: a key that its signature cannot be verified with'
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, {}, error)
  }
}

const digestOf = (algorithm: Der | undefined): string => {
  const oid = oidOf(within(algorithm, tag.sequence)[0])
  const digest = digests[oid]
  if (digest === undefined) throw invalid(`a digest that is not supported: ${oid}`)
  return digest
}

/** RFC 2634, 5.4 (SHA-1, which here identifies and vouches for nothing), and RFC 5035, 4: SHA-256 where no other is named. */
function isNamed(certificate: X509Certificate, signed: ReadonlyMap<string, Der>): boolean {
  const v2 = signed.get(attribute.signingCertificateV2)
  const named = v2 ?? signed.get(attribute.signingCertificate)
  const [first] = within(within(named, tag.sequence)[0], tag.sequence)
  const [one, two] = within(first, tag.sequence)
  const digest = v2 === undefined ? 'sha1' : one?.tag === tag.sequence ? digestOf(one) : 'sha256'
  const value = expectDer(one?.tag === tag.sequence ? two : one, tag.octets).content
  return value.equals(createHash(digest).update(certificate.raw).digest())
}

/** RFC 3161, 2.3: the one extended key usage is time stamping, and it is critical. */
function requireForTimeStamping(certificate: X509Certificate): void {
  const [tbs] = within(readDer(certificate.raw), tag.sequence)
  const wrapped = within(tbs, tag.sequence).find(part => part.tag === 0xa3)
  const extensions = wrapped === undefined ? [] : within(within(wrapped, 0xa3)[0], tag.sequence)
  const usages = extensions.map(one => within(one, tag.sequence)).filter(([oid]) => oidOf(oid) === extendedKeyUsage)
  const [usage] = usages
  const critical = usage?.[1]?.tag === tag.boolean && usage[1].content.toString('hex') === 'ff'
  const purposes = usage === undefined ? [] : within(readDer(expectDer(usage.at(-1), tag.octets).content), tag.sequence)
  if (usages.length !== 1 || !critical || purposes.length !== 1 || oidOf(purposes[0]) !== timeStamping) {
    throw invalid('the certificate is not one for time stamping alone')
  }
}

function stampOf(content: Buffer): Pick<Timestamp, 'imprint' | 'time' | 'nonce'> {
  const parts = within(readDer(content), tag.sequence)
  const [version, , imprint, , genTime, ...rest] = parts
  if (expectDer(version, tag.integer).content.toString('hex') !== '01') throw invalid('another version than 1')
  const [algorithm, digest] = within(imprint, tag.sequence)
  if (oidOf(within(algorithm, tag.sequence)[0]) !== sha256) throw invalid('another digest than SHA-256')
  const nonce = rest.find(part => part.tag === tag.integer)?.content.toString('hex')
  return {
    imprint: expectDer(digest, tag.octets).content,
    time: timeOf(expectDer(genTime, tag.generalizedTime)),
    nonce,
  }
}

/** RFC 3161, 2.4.2: GeneralizedTime in UTC, with or without a fraction. */
function timeOf({ content }: Der): number {
  const [, y, mo, d, h, mi, s, fraction = ''] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(content.toString('latin1')) ?? []
  const time = Date.parse(`${y}-${mo}-${d}T${h}:${mi}:${s}${fraction.slice(0, 4)}Z`)
  if (Number.isNaN(time)) throw invalid('a malformed time')
  return time
}

const longestChain = 8

/**
 * Whether a chain leads from the signer to an authority that was given from outside, each link signed and valid at the time that is
 * stamped. An authority may be the signer itself.
 */
export function isTrusted({ signer, certificates, time }: Timestamp, authorities: readonly X509Certificate[]): boolean {
  const isGiven = (certificate: X509Certificate) => authorities.some(one => one.raw.equals(certificate.raw))
  let at = signer
  for (let left = longestChain; left > 0; left -= 1) {
    if (!validAt(at, time)) return false
    if (isGiven(at)) return true
    const issuer = [...authorities, ...certificates].find(one => !one.raw.equals(at.raw) && isIssued(at, one))
    if (issuer === undefined) return false
    at = issuer
  }
  return false
}

/** A certificate that came along may have a key that node throws at: it has issued nothing. */
function isIssued(certificate: X509Certificate, by: X509Certificate): boolean {
  try {
    return by.ca && certificate.checkIssued(by) && certificate.verify(by.publicKey)
  } catch {
    return false
  }
}

const validAt = (certificate: X509Certificate, time: number): boolean =>
  Date.parse(certificate.validFrom) <= time && time <= Date.parse(certificate.validTo)

/** The certificates of a PEM file, one or several. @throws LedgerError ERR_CHECKPOINT_SIGNATURE where there is none */
export function readAuthorities(pem: string): X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  if (found.length === 0) throw invalid('no certificate in PEM was given for the authority')
  return found.map(text => certificateOf(Buffer.from(text)))
}

/** How a signer is named in entries: SHA-256 of its certificate, in hex. */
export const signerName = ({ signer }: Timestamp): string => hash('sha256', signer.raw)

const invalid = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', `the time stamp: ${what}`)
