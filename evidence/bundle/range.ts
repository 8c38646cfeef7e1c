/**
 * The hashes of a tree of which only a range of entries is at hand: the subtrees before it come as given nodes, one for each set
 * bit of the opening size, and everything from there on is computed. Enough for both roots, consistency and inclusion proofs.
 */
import { LedgerError } from '../../lib/errors.ts'
import { type Hash, type HashReader, leafHash, nodeHash } from '../../lib/format/merkle.ts'

/** The hash of the complete subtree of 2^level leaves whose number at that level is `index`. */
export interface Node {
  readonly level: number
  readonly index: number
  readonly hash: Hash
}

/** Which complete subtrees a tree of `size` leaves is made of, from the left. */
export function compactNodes(size: number): { level: number; index: number }[] {
  const nodes: { level: number; index: number }[] = []
  let covered = 0
  for (let level = 52; level >= 0; level -= 1) {
    const leaves = 2 ** level
    if (Math.floor(size / leaves) % 2 === 0) continue
    nodes.push({ level, index: covered / leaves })
    covered += leaves
  }
  return nodes
}

/** @param opening leaves before the range. @param before its compact nodes. @param entries the range. */
export function rangeReader(
  opening: number,
  before: readonly Node[],
  entries: readonly { readonly bytes: Uint8Array }[],
): HashReader {
  const key = (level: number, index: number) => `${level}/${index}`
  const known = new Map(before.map(({ level, index, hash }) => [key(level, index), hash]))
  const closing = opening + entries.length
  const read = (level: number, index: number): Hash => {
    const found = known.get(key(level, index))
    if (found !== undefined) return found
    const leaves = 2 ** level
    const [from, to] = [index * leaves, (index + 1) * leaves]
    if (to <= opening || to > closing) {
      throw new LedgerError('ERR_PROOF_INVALID', `the subtree ${index} at level ${level} is not within what is at hand`)
    }
    const hash =
      level === 0
        ? leafHash(entries[from - opening]!.bytes)
        : nodeHash(read(level - 1, index * 2), read(level - 1, index * 2 + 1))
    known.set(key(level, index), hash)
    return hash
  }
  return read
}
