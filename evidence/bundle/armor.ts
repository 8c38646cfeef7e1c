/**
 * A signature's ASCII armor (RFC 9580, 6.2), byte for byte. Readers of OpenPGP pass over much of it: lines that are no base64, a wrong
 * checksum, headers that anyone may add. Here each byte is as it must be, so that one that was changed shows.
 */
import { LedgerError } from '../../lib/errors.ts'

const armor =
  /^-----BEGIN PGP SIGNATURE-----\n\n((?:[A-Za-z0-9+/]{4,76}\n)*[A-Za-z0-9+/]{1,76}={0,2}\n)(?:=([A-Za-z0-9+/]{4})\n)?-----END PGP SIGNATURE-----\n?$/

/** Line ends are LF, or CRLF throughout. @throws LedgerError ERR_CHECKPOINT_SIGNATURE */
export function requireArmor(text: string): void {
  const lines = text.split('\r\n').length - 1
  const unix = lines > 0 && lines === text.split('\n').length - 1 ? text.replaceAll('\r\n', '\n') : text
  const [, body, checksum] = armor.exec(unix) ?? []
  const base64 = body?.replaceAll('\n', '')
  const packets = Buffer.from(base64 ?? '', 'base64')
  if (base64 === undefined || packets.toString('base64') !== base64)
    throw malformed('the signature is not plain ASCII armor')
  if (checksum !== undefined && crc24(packets).toString('base64') !== checksum)
    throw malformed("the checksum of the signature's armor is wrong")
}

/** RFC 9580, 6.1. */
function crc24(bytes: Uint8Array): Buffer {
  let crc = 0xb704ce
  for (const byte of bytes) {
    crc ^= byte << 16
    for (let bit = 0; bit < 8; bit += 1) crc = (crc << 1) ^ ((crc & 0x800000) === 0 ? 0 : 0x1864cfb)
  }
  return Buffer.of((crc >> 16) & 0xff, (crc >> 8) & 0xff, crc & 0xff)
}

const malformed = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', what)
