/**
 * A bundle as one file with the same bytes everywhere: ustar sorted by path, fixed times, owners and modes; gzip without name and time.
 */
import { gzipSync } from 'node:zlib'
import { Misuse } from '../../lib/errors.ts'

const block = 512

/** @param root the folder that everything lies in. @param files by path. @param time Unix seconds, for all of them */
export function tarGz(root: string, files: ReadonlyMap<string, string | Uint8Array>, time: number): Buffer {
  const parts: Buffer[] = []
  for (const path of [...files.keys()].sort()) {
    const bytes = Buffer.from(files.get(path)!)
    parts.push(
      header(`${root}/${path}`, bytes.length, time),
      bytes,
      Buffer.alloc((block - (bytes.length % block)) % block),
    )
  }
  parts.push(Buffer.alloc(2 * block))
  const zipped = gzipSync(Buffer.concat(parts), { level: 9 })
  // RFC 1952: bytes 4 to 7 are the time, byte 9 the system it was made on; 255 is unknown.
  zipped.fill(0, 4, 8)
  zipped[9] = 255
  return zipped
}

/** POSIX.1-1988 ustar. */
function header(path: string, size: number, time: number): Buffer {
  const { prefix, name } = splitPath(path)
  const bytes = Buffer.alloc(block)
  bytes.write(name, 0, 100)
  octal(bytes, 0o644, 100, 8)
  octal(bytes, 0, 108, 8)
  octal(bytes, 0, 116, 8)
  octal(bytes, size, 124, 12)
  octal(bytes, time, 136, 12)
  bytes.fill(0x20, 148, 156)
  bytes.write('0', 156)
  bytes.write('ustar\u000000', 257)
  bytes.write('root', 265)
  bytes.write('root', 297)
  octal(bytes, 0, 329, 8)
  octal(bytes, 0, 337, 8)
  bytes.write(prefix, 345, 155)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148)
  return bytes
}

function octal(bytes: Buffer, value: number, at: number, width: number): void {
  bytes.write(`${value.toString(8).padStart(width - 1, '0')}\u0000`, at)
}

function splitPath(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name }
  }
  throw new Misuse('ERR_OPTION_INVALID', 'a path that is too long for an archive')
}
