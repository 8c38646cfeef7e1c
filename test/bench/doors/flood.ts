/** A reply that is longer than any memory should hold. */

export const floodBytes = 1024 ** 3

const piece = Buffer.alloc(64 * 1024, 'x')

export function* flood(): Generator<Buffer> {
  for (let sent = 0; sent < floodBytes; sent += piece.length) yield Buffer.from(piece)
}
