/** Reads back what was published: tiles and bundles, whole or the prefix of a partial one; and full ones, authenticated by their tree. */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { entryBundle, hashTile, tileFill, tileWidth, vaultBundle } from '../format/layout.ts'
import { type Hash, type HashReader, leafHash, sameHash, treeRoot } from '../format/merkle.ts'
import { decodeBundle, decodeTile, tileReader } from '../format/tile.ts'
import { decodeSealed } from '../format/vault.ts'
import { namesIn, readIfThere } from './files.ts'
import { type Tree, tileHash } from './tree.ts'

type PathOf = (n: number, width: number) => string

/**
 * Reads a tile that holds at least `width` items: the full one, or the narrowest partial one that is wide enough.
 * @throws LedgerError ERR_LEDGER_CORRUPT where there is none
 */
async function readAtLeast(
  directory: string,
  pathOf: PathOf,
  n: number,
  width: number,
): Promise<{ bytes: Buffer; width: number }> {
  const full = pathOf(n, tileWidth)
  const partials = (await namesIn(join(directory, `${full}.p`))).filter(name => /^[1-9]\d{0,2}$/.test(name)).map(Number)
  const candidates = [...partials.filter(w => w >= width && w < tileWidth).sort((a, b) => a - b), tileWidth]
  for (const candidate of candidates) {
    const bytes = await readIfThere(join(directory, pathOf(n, candidate)))
    if (bytes !== undefined) return { bytes, width: candidate }
  }
  throw new LedgerError('ERR_LEDGER_CORRUPT', `${full} is missing`, { file: full })
}

/** The first `width` hashes of a tile. */
export async function readTile(directory: string, level: number, n: number, width: number): Promise<Hash[]> {
  const found = await readAtLeast(directory, (at, w) => hashTile(level, at, w), n, width)
  return decodeTile(found.bytes, found.width).slice(0, width)
}

/** The hashes of a tree of `size` leaves, for proofs, from the tiles of one of `stored`. */
export const storedHashes = (directory: string, size: number, stored = size): HashReader =>
  tileReader(size, async (level, n, width) =>
    Buffer.concat(await readTile(directory, level, n, Math.min(width, tileFill(stored, level, n)))),
  )

export const storedRoot = (directory: string, size: number, stored = size): Promise<Hash> =>
  treeRoot(size, storedHashes(directory, size, stored))

/** The first `width` entries of a bundle, not authenticated yet. */
export async function readBundle(directory: string, n: number, width: number): Promise<Uint8Array[]> {
  const found = await readAtLeast(directory, entryBundle, n, width)
  return decodeBundle(found.bytes, found.width).slice(0, width)
}

/** The encoded sealed disclosures of the first `width` entries of a bundle. */
export async function readVaultBundle(directory: string, n: number, width: number): Promise<Uint8Array[]> {
  const found = await readAtLeast(directory, vaultBundle, n, width)
  return splitSealed(found.bytes, width)
}

/**
 * Full bundles of an open ledger. Of the tree no more is held than its edge: the hashes that authenticate a bundle are read, downwards.
 */
export class StoredBundles {
  readonly #directory: string
  readonly #tree: Tree
  /** Full tiles that were authenticated, the latest last. */
  readonly #tiles = new Map<string, readonly Hash[]>()
  static readonly mostTiles = 64

  constructor(directory: string, tree: Tree) {
    this.#directory = directory
    this.#tree = tree
  }

  /** Entries `256 n` to `256 n + 255`. @throws LedgerError ERR_LEDGER_CORRUPT */
  async entries(n: number): Promise<Uint8Array[]> {
    const entries = await readBundle(this.#directory, n, tileWidth)
    if (!sameHash(tileHash(entries.map(leafHash)), await this.#hash(1, n))) throw altered(entryBundle(n))
    return entries
  }

  /** The encoded sealed disclosures of each of them. */
  vault(n: number): Promise<Uint8Array[]> {
    return readVaultBundle(this.#directory, n, tileWidth)
  }

  /** Of the subtree of 256^level leaves with this number. */
  async #hash(level: number, index: number): Promise<Hash> {
    const n = Math.floor(index / tileWidth)
    const at = index % tileWidth
    const held = this.#tree.row(level, n, at + 1)[at] ?? this.#tiles.get(`${level}/${n}`)?.[at]
    if (held !== undefined) return held
    const file = hashTile(level, n)
    if (tileFill(this.#tree.size, level, n) < tileWidth) throw new LedgerError('ERR_LEDGER_CORRUPT', `no ${file}`)
    const hashes = await readTile(this.#directory, level, n, tileWidth)
    if (!sameHash(tileHash(hashes), await this.#hash(level + 1, n))) throw altered(file)
    if (this.#tiles.size === StoredBundles.mostTiles) this.#tiles.delete(this.#tiles.keys().next().value!)
    this.#tiles.set(`${level}/${n}`, hashes)
    return hashes[at]!
  }
}

const altered = (file: string) => new LedgerError('ERR_LEDGER_CORRUPT', `${file} is not what its tree holds`, { file })

/** @returns each entry's part of a run of sealed disclosures. @throws LedgerError ERR_LEDGER_CORRUPT */
export function splitSealed(bytes: Uint8Array, count: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  let at = 0
  for (let i = 0; i < count; i += 1) {
    const { end } = decodeSealed(bytes, at)
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}
