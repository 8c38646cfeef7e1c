/**
 * The Merkle tree of RFC 6962, section 2.1 (SHA-256), its proofs and their verification (RFC 9162, section 2.1).
 * Pure: stored hashes arrive through a reader, sizes are plain integers up to 2^53 - 1.
 */
import { createHash, hash } from 'node:crypto'
import { LedgerError } from '../errors.ts'

/** 32 bytes. */
export type Hash = Uint8Array

/** Gives the hash of the complete subtree of 2^level leaves whose number at that level is `index`. */
export type HashReader = (level: number, index: number) => Hash | Promise<Hash>

/** RFC 6962, 2.1: the hash of an empty list is SHA-256 of the empty string. */
export const emptyRoot: Hash = createHash('sha256').digest()

// Synchronous and single-threaded, so one scratch buffer serves every call. It begins with the prefix of a leaf.
const leaf = Buffer.alloc(4096)
/** The beginnings of it, by their length: making one costs a tenth of hashing it. */
const leaves: Buffer[] = []
const pair = Buffer.alloc(65, 1)

export const leafHash = (entry: Uint8Array): Hash => Buffer.from(leafText(entry, 0, entry.length), 'latin1')

export function nodeHash(left: Hash, right: Hash): Hash {
  pair.set(left, 1)
  pair.set(right, 33)
  return Buffer.from(sha256(pair), 'latin1')
}

/** As leafHash, written at `at` of what is given. */
export function writeLeafHash(into: Buffer, at: number, entry: Buffer, from: number, end: number): void {
  into.write(leafText(entry, from, end), at, 'latin1')
}

/** The hash over a power of two of leaves, 32 bytes each. */
export function subtreeHash(leafHashes: Uint8Array): Hash {
  const row = Buffer.from(leafHashes)
  for (let count = row.length / 64; count >= 1; count /= 2) {
    for (let i = 0; i < count; i += 1) {
      row.copy(pair, 1, i * 64, i * 64 + 64)
      row.write(sha256(pair), i * 32, 'latin1')
    }
  }
  return Uint8Array.from(row.subarray(0, 32))
}

function leafText(entry: Uint8Array, from: number, end: number): string {
  const length = end - from + 1
  if (length > leaf.length) {
    const whole = createHash('sha256').update(leaf.subarray(0, 1)).update(entry.subarray(from, end))
    return whole.digest('latin1' as 'hex')
  }
  if (Buffer.isBuffer(entry)) entry.copy(leaf, 1, from, end)
  else leaf.set(entry.subarray(from, end), 1)
  leaves[length] ??= leaf.subarray(0, length)
  return sha256(leaves[length])
}

/** One call, and text out of it, a character a byte: a third of what `createHash` costs at these lengths. */
const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'latin1' as 'hex')

export const sameHash = (a: Hash, b: Hash): boolean => Buffer.compare(a, b) === 0

/** The largest power of two smaller than n, for n > 1 (RFC 6962, 2.1). */
function split(n: number): number {
  let k = 1
  while (k * 2 < n) k *= 2
  return k
}

function exponent(n: number): number | undefined {
  let level = 0
  let power = 1
  while (power < n) {
    power *= 2
    level += 1
  }
  return power === n ? level : undefined
}

/** The hash over leaves lo (inclusive) to hi (exclusive), where lo is a multiple of the range's leading power of two. */
export async function rangeHash(lo: number, hi: number, read: HashReader): Promise<Hash> {
  const n = hi - lo
  if (n === 0) return emptyRoot
  const level = exponent(n)
  if (level !== undefined) return read(level, lo / n)
  const k = split(n)
  return nodeHash(await rangeHash(lo, lo + k, read), await rangeHash(lo + k, hi, read))
}

export const treeRoot = (size: number, read: HashReader): Promise<Hash> => rangeHash(0, size, read)

/** RFC 6962, 2.1.1: the audit path of leaf `index` in a tree of `size` leaves, nearest sibling first. */
export async function inclusionProof(index: number, size: number, read: HashReader): Promise<Hash[]> {
  if (index < 0 || index >= size) throw new LedgerError('ERR_PROOF_INVALID', `no leaf ${index} in a tree of ${size}`)
  const path = async (m: number, lo: number, hi: number): Promise<Hash[]> => {
    if (hi - lo === 1) return []
    const k = split(hi - lo)
    return m < lo + k
      ? [...(await path(m, lo, lo + k)), await rangeHash(lo + k, hi, read)]
      : [...(await path(m, lo + k, hi)), await rangeHash(lo, lo + k, read)]
  }
  return path(index, 0, size)
}

/** RFC 6962, 2.1.2: that the tree of `first` leaves is a prefix of the tree of `second`; empty if either is trivial. */
export async function consistencyProof(first: number, second: number, read: HashReader): Promise<Hash[]> {
  if (first < 0 || first > second) throw new LedgerError('ERR_PROOF_INVALID', `no tree of ${first} within ${second}`)
  if (first === 0 || first === second) return []
  const sub = async (m: number, lo: number, hi: number, whole: boolean): Promise<Hash[]> => {
    const n = hi - lo
    if (m === n) return whole ? [] : [await rangeHash(lo, hi, read)]
    const k = split(n)
    return m <= k
      ? [...(await sub(m, lo, lo + k, whole)), await rangeHash(lo + k, hi, read)]
      : [...(await sub(m - k, lo + k, hi, false)), await rangeHash(lo, lo + k, read)]
  }
  return sub(first, 0, second, true)
}

const invalid = (what: string) => new LedgerError('ERR_PROOF_INVALID', what)

/** RFC 9162, 2.1.3.2. @throws LedgerError ERR_PROOF_INVALID */
export function verifyInclusion(leaf: Hash, index: number, size: number, proof: readonly Hash[], root: Hash): void {
  if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw invalid(`no leaf ${index} in a tree of ${size}`)
  let fn = index
  let sn = size - 1
  let r = leaf
  for (const p of proof) {
    if (sn === 0) throw invalid('the inclusion proof is too long')
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else {
      r = nodeHash(r, p)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  if (sn !== 0) throw invalid('the inclusion proof is too short')
  if (!sameHash(r, root)) throw invalid(`leaf ${index} is not in the tree of ${size} with that root`)
}

/** RFC 9162, 2.1.4.2. @throws LedgerError ERR_PROOF_INVALID */
export function verifyConsistency(
  first: number,
  firstRoot: Hash,
  second: number,
  secondRoot: Hash,
  proof: readonly Hash[],
): void {
  if (first > second) throw invalid(`a tree of ${second} has no prefix of ${first}`)
  if (first === second || first === 0) {
    if (proof.length > 0) throw invalid('a trivial consistency proof must be empty')
    if (first === 0 ? !sameHash(firstRoot, emptyRoot) : !sameHash(firstRoot, secondRoot)) {
      throw invalid(`two different roots at size ${first}`)
    }
    return
  }
  const path = exponent(first) === undefined ? [...proof] : [firstRoot, ...proof]
  let fn = first - 1
  let sn = second - 1
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  const start = path.shift()
  if (start === undefined) throw invalid('the consistency proof is empty')
  let fr = start
  let sr = start
  for (const c of path) {
    if (sn === 0) throw invalid('the consistency proof is too long')
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr)
      sr = nodeHash(c, sr)
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2)
        sn = Math.floor(sn / 2)
      }
    } else {
      sr = nodeHash(sr, c)
    }
    fn = Math.floor(fn / 2)
    sn = Math.floor(sn / 2)
  }
  if (sn !== 0) throw invalid('the consistency proof is too short')
  if (!sameHash(fr, firstRoot)) throw invalid(`the tree of ${first} is not a prefix: its root differs`)
  if (!sameHash(sr, secondRoot)) throw invalid(`the proof does not lead to the root at ${second}`)
}

/**
 * The right edge of a growing tree: appends leaves, knows the root, and reports each subtree as it completes.
 * Its state is one hash for each set bit of the size.
 */
export class Frontier {
  #size = 0
  #edge: { level: number; hash: Hash }[] = []

  get size(): number {
    return this.#size
  }

  /** @param completed called with (level, index, hash) for the leaf and every subtree that it completes, upwards. */
  append(leaf: Hash, completed?: (level: number, index: number, hash: Hash) => void): void {
    this.appendSubtree(0, leaf, completed)
  }

  /** Appends a complete subtree of 2^level leaves, as read back from a tile; the size must be a multiple of that. */
  appendSubtree(level: number, subtree: Hash, completed?: (level: number, index: number, hash: Hash) => void): void {
    if (this.#size % 2 ** level !== 0) {
      throw new LedgerError('ERR_PROOF_INVALID', `a subtree of level ${level} cannot follow ${this.#size} leaves`)
    }
    let at = this.#size / 2 ** level
    this.#size += 2 ** level
    let node = subtree
    completed?.(level, at, node)
    while (this.#edge.at(-1)?.level === level) {
      node = nodeHash(this.#edge.pop()!.hash, node)
      level += 1
      at = Math.floor(at / 2)
      completed?.(level, at, node)
    }
    this.#edge.push({ level, hash: node })
  }

  root(): Hash {
    if (this.#edge.length === 0) return emptyRoot
    return this.#edge.map(e => e.hash).reduceRight((right, left) => nodeHash(left, right))
  }

  clone(): Frontier {
    const copy = new Frontier()
    copy.#size = this.#size
    copy.#edge = [...this.#edge]
    return copy
  }
}
