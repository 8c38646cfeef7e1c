/** SSH public keys as they are encoded: which are taken, and what must hold of them. Pure. */
import { createHash } from 'node:crypto'

/** @param blob a public key as RFC 4253, 6.6 encodes it */
export const fingerprintOf = (blob: Uint8Array): string =>
  `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`

/** RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4: what follows the type in a key's encoding, and what must hold of it. */
const shapes: ReadonlyMap<string, (fields: readonly Buffer[]) => boolean> = new Map([
  ['ssh-ed25519', ([key, more]) => key?.length === 32 && more === undefined],
  ['ecdsa-sha2-nistp256', isPoint('nistp256', 65)],
  ['ecdsa-sha2-nistp384', isPoint('nistp384', 97)],
  ['ecdsa-sha2-nistp521', isPoint('nistp521', 133)],
  ['ssh-rsa', ([e, n, more]) => e !== undefined && n !== undefined && more === undefined],
])

function isPoint(curve: string, length: number): (fields: readonly Buffer[]) => boolean {
  return ([name, point, more]) =>
    name?.toString() === curve && point?.length === length && point[0] === 4 && more === undefined
}

const leastRsaBits = 2048

/** The types that are taken, as authorized_keys and known_hosts name them. */
export const keyTypes: readonly string[] = [...shapes.keys()]

/** @param encoded base64. @returns what is wrong with the key, which is not quoted; undefined where nothing is */
export function wrongKey(type: string, encoded: string): string | undefined {
  const blob = Buffer.from(encoded, 'base64')
  const holds = shapes.get(type)
  if (holds === undefined) return `a key of this type is not supported: ${keyTypes.join(', ')} are`
  const [name, ...fields] = fieldsOf(blob) ?? []
  if (blob.toString('base64') !== encoded || name?.toString() !== type || !holds(fields))
    return 'not a public key of this type'
  if (type === 'ssh-rsa' && bitsOf(fields[1]!) < leastRsaBits) return `an RSA key has ${leastRsaBits} bits at least`
  return undefined
}

function bitsOf(integer: Buffer): number {
  const start = integer.findIndex(byte => byte !== 0)
  return start < 0 ? 0 : (integer.length - start) * 8 - (Math.clz32(integer[start]!) - 24)
}

/** @returns the strings that a key's encoding is made of; undefined where it is not */
function fieldsOf(blob: Buffer): Buffer[] | undefined {
  const fields: Buffer[] = []
  for (let at = 0; at < blob.length; ) {
    if (at + 4 > blob.length) return undefined
    const end = at + 4 + blob.readUInt32BE(at)
    if (end > blob.length) return undefined
    fields.push(blob.subarray(at + 4, end))
    at = end
  }
  return fields
}
