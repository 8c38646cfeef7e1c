/** The bytes of tiles and entry bundles (C2SP tlog-tiles), and the hashes that can be read out of tiles. */
import { LedgerError } from '../errors.ts'
import { tileFill, tileHeight, tileWidth } from './layout.ts'
import { type Hash, type HashReader, nodeHash } from './merkle.ts'

/** The longest entry that a bundle can hold: its length is a big-endian uint16. */
export const longestEntry = 65_535

/** tlog-tiles, "Log Entries": each entry behind its length as a big-endian uint16. */
export function encodeBundle(entries: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const entry of entries) {
    if (entry.length > longestEntry) {
      throw new LedgerError('ERR_ENTRY_MALFORMED', `an entry of ${entry.length} bytes, over ${longestEntry}`)
    }
    length += 2 + entry.length
  }
  const bundle = Buffer.allocUnsafe(length)
  let at = 0
  for (const entry of entries) {
    bundle.writeUInt16BE(entry.length, at)
    bundle.set(entry, at + 2)
    at += 2 + entry.length
  }
  return bundle
}

/** @throws LedgerError ERR_ENTRY_MALFORMED unless the bytes are exactly `count` entries. */
export function decodeBundle(bytes: Uint8Array, count: number): Uint8Array[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const entries: Uint8Array[] = []
  let at = 0
  while (at < view.length) {
    if (entries.length === count) throw malformed(`more than ${count} entries in a bundle`)
    const end = at + 2 <= view.length ? at + 2 + view.readUInt16BE(at) : Number.POSITIVE_INFINITY
    if (end > view.length) throw malformed('a bundle cut inside an entry')
    entries.push(view.subarray(at + 2, end))
    at = end
  }
  if (entries.length !== count) throw malformed(`${entries.length} entries in a bundle of ${count}`)
  return entries
}

/** @throws LedgerError ERR_LEDGER_INCONSISTENT unless the tile holds exactly `count` hashes. */
export function decodeTile(bytes: Uint8Array, count: number): Hash[] {
  if (bytes.length !== count * 32) {
    throw new LedgerError('ERR_LEDGER_INCONSISTENT', `a tile of ${bytes.length} bytes, expected ${count * 32}`)
  }
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * 32, i * 32 + 32))
}

/** Fetches one tile's bytes, full or of the given width. */
export type TileSource = (level: number, n: number, width: number) => Uint8Array | Promise<Uint8Array>

/** A HashReader over tiles of a tree of `size` leaves; inner levels are computed from the tile that holds their leaves. */
export function tileReader(size: number, source: TileSource): HashReader {
  const cache = new Map<string, Promise<Hash[]>>()
  const tile = (level: number, n: number) => {
    const width = tileFill(size, level, n)
    const key = `${level}/${n}`
    let found = cache.get(key)
    if (found === undefined) {
      found = (async () => decodeTile(await source(level, n, width), width))()
      if (cache.size > 512) cache.clear()
      cache.set(key, found)
    }
    return found
  }
  return async (level, index) => {
    const tileLevel = Math.floor(level / tileHeight)
    const above = 2 ** (level % tileHeight)
    const first = index * above
    const hashes = await tile(tileLevel, Math.floor(first / tileWidth))
    const at = first % tileWidth
    let row = hashes.slice(at, at + above)
    if (row.length !== above) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', `no subtree ${index} at level ${level} in a tree of ${size}`)
    }
    while (row.length > 1)
      row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!))
    return row[0]!
  }
}

const malformed = (what: string) => new LedgerError('ERR_ENTRY_MALFORMED', what)
