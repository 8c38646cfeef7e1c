/** The growing Merkle tree as the writer holds it: the right edge, and every hash that stands in a tile above level 0. */
import { tileHeight, tileWidth } from '../format/layout.ts'
import { Frontier, type Hash } from '../format/merkle.ts'

export class Tree {
  readonly #frontier = new Frontier()
  /** rows[L]: all hashes of subtrees of 256^L leaves, L from 1. 32 bytes for every 256 entries. */
  readonly #rows: Hash[][] = []

  get size(): number {
    return this.#frontier.size
  }

  append(leaf: Hash): void {
    this.#frontier.append(leaf, this.#keep)
  }

  /** Appends a full tile's hash, as read back from the tile above it. */
  appendTile(hash: Hash): void {
    this.#frontier.appendSubtree(tileHeight, hash, this.#keep)
  }

  root(): Hash {
    return this.#frontier.root()
  }

  /** Hashes `from` to `to` of tile level L (from 1). */
  row(level: number, from: number, to: number): readonly Hash[] {
    return this.#rows[level]?.slice(from, to) ?? []
  }

  readonly #keep = (level: number, index: number, hash: Hash): void => {
    if (level === 0 || level % tileHeight !== 0) return
    this.#rows[level / tileHeight] ??= []
    this.#rows[level / tileHeight]![index] = hash
  }
}

/** The hash of one full tile's leaves. */
export function tileHash(leaves: readonly Hash[]): Hash {
  if (leaves.length !== tileWidth) throw new RangeError('not a full tile')
  const tile = new Frontier()
  for (const leaf of leaves) tile.append(leaf)
  return tile.root()
}
