/**
 * The contents of OpenPGP packets (RFC 9580, 4.2), whose headers may be in the old format or
 * the new: byte for byte, unlike a parsed packet.
 */
/** @throws RangeError where they are cut short, or of no stated length */
export function packetBodies(packets: Uint8Array): Buffer[] {
  const bytes = Buffer.from(packets.buffer, packets.byteOffset, packets.byteLength)
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const { start, length } = (bytes[at]! & 0x40) === 0 ? oldHeader(bytes, at) : newHeader(bytes, at)
    found.push(bytes.subarray(start, start + length))
    at = start + length
  }
  return found
}

function oldHeader(bytes: Buffer, at: number): { start: number; length: number } {
  const octets = [1, 2, 4][bytes[at]! & 3]
  if (octets === undefined) throw new RangeError('a packet of no stated length')
  return { start: at + 1 + octets, length: bytes.readUIntBE(at + 1, octets) }
}

function newHeader(bytes: Buffer, at: number): { start: number; length: number } {
  const first = bytes.readUInt8(at + 1)
  if (first < 192) return { start: at + 2, length: first }
  if (first < 224) return { start: at + 3, length: ((first - 192) << 8) + bytes.readUInt8(at + 2) + 192 }
  if (first < 255) throw new RangeError('a packet in parts')
  return { start: at + 6, length: bytes.readUInt32BE(at + 2) }
}
