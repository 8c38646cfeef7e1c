/**
 * Answers of an authority after RFC 3161 that hold a certificate as it is given, and a
 * signature by nobody: what only its bytes can refuse.
 */
import { createHash } from 'node:crypto'

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const octets = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...octets), content])
}

const sequence = (...parts: Buffer[]) => der(0x30, ...parts)
const set = (...parts: Buffer[]) => der(0x31, ...parts)
const octets = (content: Buffer) => der(4, content)
const number = (n: number) => der(2, Buffer.of(n))
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest()

/** @param hex an object identifier's content */
const oid = (hex: string) => der(6, Buffer.from(hex, 'hex'))

const sha256 = () => sequence(oid('608648016503040201'))
const tstInfo = () => oid('2a864886f70d0109100104')

/** The algorithm of an RSA public key, as a certificate has it. */
export const rsaKey = oid('2a864886f70d010101')

/** Object identifiers of signature algorithms. */
export const algorithms = { ecdsaSha256: '2a8648ce3d040302', rsaSha256: '2a864886f70d01010b' } as const

/** @param imprint what is stamped: SHA-256. @param algorithm that it says it is signed with */
export function bentToken(certificate: Buffer, imprint: Buffer, algorithm: string): Buffer {
  const time = der(0x18, Buffer.from('20260101000000Z'))
  const info = sequence(number(1), oid('2a0304'), sequence(sha256(), octets(imprint)), number(1), time)
  const attributes = [
    sequence(oid('2a864886f70d010903'), set(tstInfo())),
    sequence(oid('2a864886f70d010904'), set(octets(digest(info)))),
    sequence(oid('2a864886f70d010910022f'), set(sequence(sequence(sequence(octets(digest(certificate))))))),
  ]
  const who = sequence(sequence(), number(1))
  const signed = [der(0xa0, ...attributes), sequence(oid(algorithm)), octets(Buffer.alloc(256, 1))]
  const signer = sequence(number(1), who, sha256(), ...signed)
  const content = sequence(tstInfo(), der(0xa0, octets(info)))
  const data = sequence(number(3), set(sha256()), content, der(0xa0, certificate), set(signer))
  return sequence(sequence(number(0)), sequence(oid('2a864886f70d010702'), der(0xa0, data)))
}
