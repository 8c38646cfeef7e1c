/** The growing Merkle tree as the writer holds it: the right edge, and the hashes that tiles to come are made of. All else is on disk. */
import { tileHeight, tileWidth } from '../format/layout.ts'
import { Frontier, type Hash } from '../format/merkle.ts'

export class Tree {
  readonly #frontier = new Frontier()
  /** rows[L]: by their number, tiles of level L, from 1: those that are not full, and those that became so since `drop`. */
  readonly #rows: Map<number, Hash[]>[] = []

  get size(): number {
    return this.#frontier.size
  }

  append(leaf: Hash): void {
    this.#frontier.append(leaf, this.#keep)
  }

  /** Appends the hash of a subtree of 256^level leaves, as read back from a tile of that level. */
  appendSubtree(level: number, hash: Hash): void {
    this.#frontier.appendSubtree(level * tileHeight, hash, this.#keep)
  }

  root(): Hash {
    return this.#frontier.root()
  }

  /** The first `width` hashes of tile `n` of level L (from 1); fewer where they are not held. */
  row(level: number, n: number, width: number): readonly Hash[] {
    return this.#rows[level]?.get(n)?.slice(0, width) ?? []
  }

  /** Forgets the tiles that are full in a tree of `size`: they are on disk. */
  drop(size: number): void {
    for (const [level, tiles] of this.#rows.entries()) {
      const growing = Math.floor(size / tileWidth ** (level + 1))
      for (const n of tiles?.keys() ?? []) if (n < growing) tiles!.delete(n)
    }
  }

  readonly #keep = (height: number, index: number, hash: Hash): void => {
    if (height === 0 || height % tileHeight !== 0) return
    const level = height / tileHeight
    const n = Math.floor(index / tileWidth)
    this.#rows[level] ??= new Map()
    const tile = this.#rows[level].get(n)
    if (tile === undefined) this.#rows[level].set(n, [hash])
    else tile.push(hash)
  }
}

/** The hash of a full tile: of the subtree whose leaves, or whose hashes, it holds. */
export function tileHash(hashes: readonly Hash[]): Hash {
  if (hashes.length !== tileWidth) throw new RangeError('not a full tile')
  const tile = new Frontier()
  for (const hash of hashes) tile.append(hash)
  return tile.root()
}
