/** A tree of any size whose leaves are all alike: a hash depends on its level alone, so a billion leaves cost nothing. */
import { type Hash, type HashReader, leafHash, nodeHash } from '../../lib/format/merkle.ts'
import type { TileSource } from '../../lib/format/tile.ts'

export const uniformLeaf: Hash = leafHash(Buffer.from('{}'))

const levels: Hash[] = [uniformLeaf]
function hashAt(level: number): Hash {
  while (levels.length <= level) levels.push(nodeHash(levels.at(-1)!, levels.at(-1)!))
  return levels[level]!
}

export const uniform = (): HashReader => level => hashAt(level)

/** @param read is called with each tile that is fetched */
export const uniformTiles =
  (read: (level: number, n: number) => void): TileSource =>
  (level, n, width) => {
    read(level, n)
    return Buffer.concat(Array.from({ length: width }, () => hashAt(level * 8)))
  }
