/** The tree against RFC 6962's definition written out, known roots, every proof up to 130 leaves, and every hash of it changed. */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  consistencyProof,
  emptyRoot,
  Frontier,
  type Hash,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeHash,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../lib/format/merkle.ts'

const most = 130
const refused = expect.objectContaining({ code: 'ERR_PROOF_INVALID' })
const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
const hex = (hash: Hash) => Buffer.from(hash).toString('hex')

/** RFC 6962, 2.1, word for word. */
function mth(entries: readonly Uint8Array[]): Buffer {
  const n = entries.length
  if (n === 0) return sha256()
  if (n === 1) return sha256(Buffer.of(0), entries[0]!)
  const k = 2 ** (Math.ceil(Math.log2(n)) - 1)
  return sha256(Buffer.of(1), mth(entries.slice(0, k)), mth(entries.slice(k)))
}

const entries = Array.from({ length: most }, (_, i) => Buffer.from(`entry ${i}`))
const read = (level: number, index: number) => mth(entries.slice(index * 2 ** level, (index + 1) * 2 ** level))
const stored = new Map<string, Hash>()
const reader = (level: number, index: number) => {
  const key = `${level}/${index}`
  const found = stored.get(key) ?? read(level, index)
  stored.set(key, found)
  return found
}
const roots = Array.from({ length: most + 1 }, (_, n) => mth(entries.slice(0, n)))

describe('a leaf', () => {
  it.each([0, 1, 4094, 4095, 4096, 65_535])(
    'of %i bytes is hashed behind its prefix, whatever was hashed before',
    length => {
      leafHash(Buffer.alloc(4095, 7))
      const entry = Buffer.alloc(length, 9)
      expect(hex(leafHash(entry))).toBe(hex(sha256(Buffer.of(0), entry)))
      expect(hex(leafHash(new Uint8Array(entry)))).toBe(hex(leafHash(entry)))
    },
  )
})

describe('the tree', () => {
  // The entries and roots that Certificate Transparency's reference implementation is tested with.
  const ct = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'].map(
    e => Buffer.from(e, 'hex'),
  )
  // biome-ignore format: a table
  const known: [size: number, root: string][] = [
    [0, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    [1, '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
    [2, 'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125'],
    [3, 'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77'],
    [4, 'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'],
    [5, '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4'],
    [6, '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef'],
    [7, 'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c'],
    [8, '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'],
  ]
  it.each(known)('of %i known entries has the known root', async (size, root) => {
    expect(
      hex(await treeRoot(size, (level, index) => mth(ct.slice(index * 2 ** level, (index + 1) * 2 ** level)))),
    ).toBe(root)
    const frontier = new Frontier()
    for (const entry of ct.slice(0, size)) frontier.append(leafHash(entry))
    expect(hex(frontier.root())).toBe(root)
  })

  it('grows at its right edge as it is defined, and reports every subtree once', () => {
    const frontier = new Frontier()
    const reported = new Map<string, string>()
    for (const [i, entry] of entries.entries()) {
      expect(hex(frontier.root())).toBe(hex(roots[i]!))
      const before = frontier.clone()
      frontier.append(leafHash(entry), (level, index, hash) => {
        expect(reported.has(`${level}/${index}`)).toBe(false)
        reported.set(`${level}/${index}`, hex(hash))
      })
      expect(hex(before.root())).toBe(hex(roots[i]!))
    }
    for (const [key, hash] of reported) {
      const [level, index] = key.split('/').map(Number) as [number, number]
      expect(hash).toBe(hex(read(level, index)))
    }
    expect(reported.size).toBe(130 + 65 + 32 + 16 + 8 + 4 + 2 + 1)
  })

  it('has the root of no entries, and of any part that starts where one may', async () => {
    expect(hex(emptyRoot)).toBe(hex(sha256()))
    for (let hi = 65; hi <= most; hi += 1)
      expect(hex(await rangeHash(64, hi, reader))).toBe(hex(mth(entries.slice(64, hi))))
  })
})

describe('an inclusion proof', () => {
  it('holds for every leaf of every size, and for no other leaf, index, size or root', async () => {
    for (let size = 1; size <= most; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const leaf = leafHash(entries[index]!)
        const proof = await inclusionProof(index, size, reader)
        verifyInclusion(leaf, index, size, proof, roots[size]!)
        const other = (index + 1) % size
        if (size > 1) expect(() => verifyInclusion(leaf, other, size, proof, roots[size]!)).toThrowError(refused)
        expect(() => verifyInclusion(leaf, index, size, proof, roots[size - 1]!)).toThrowError(refused)
        expect(() => verifyInclusion(leafHash(Buffer.from('x')), index, size, proof, roots[size]!)).toThrowError(
          refused,
        )
      }
    }
  })

  it('fails with any of its hashes changed, left out, added or moved', async () => {
    for (const size of [2, 3, 7, 8, 9, 64, 65, 127, 130]) {
      for (const index of new Set([0, 1, Math.floor(size / 2), size - 1])) {
        const proof = await inclusionProof(index, size, reader)
        const fails = (changed: Hash[]) =>
          expect(() => verifyInclusion(leafHash(entries[index]!), index, size, changed, roots[size]!)).toThrowError(
            refused,
          )
        for (const i of proof.keys()) {
          fails(proof.map((hash, j) => (i === j ? flipped(hash) : hash)))
          fails(proof.filter((_, j) => i !== j))
          if (i > 0) fails(proof.toSpliced(i - 1, 2, proof[i]!, proof[i - 1]!))
        }
        fails([...proof, sha256()])
      }
    }
  })

  it('is not made, nor verified, for a leaf that is not there', async () => {
    for (const [index, size] of [
      [0, 0],
      [3, 3],
      [-1, 3],
    ] as const) {
      await expect(inclusionProof(index, size, reader)).rejects.toMatchObject({ code: 'ERR_PROOF_INVALID' })
      expect(() => verifyInclusion(sha256(), index, size, [], roots[3]!)).toThrowError(refused)
    }
    expect(() => verifyInclusion(sha256(), 0.5, 3, [], roots[3]!)).toThrowError(refused)
  })
})

describe('a consistency proof', () => {
  it('holds for every two sizes, and not for another first or second root', async () => {
    for (let second = 0; second <= most; second += 1) {
      for (let first = 0; first <= second; first += 1) {
        const proof = await consistencyProof(first, second, reader)
        verifyConsistency(first, roots[first]!, second, roots[second]!, proof)
        const fails = (a: Hash, b: Hash) =>
          expect(() => verifyConsistency(first, a, second, b, proof)).toThrowError(refused)
        fails(flipped(roots[first]!), roots[second]!)
        if (first > 0) fails(roots[first]!, flipped(roots[second]!))
      }
    }
  })

  it('fails with any of its hashes changed, left out, added', async () => {
    for (const [first, second] of [
      [1, 2],
      [2, 3],
      [3, 7],
      [4, 8],
      [6, 8],
      [7, 130],
      [64, 130],
      [65, 129],
      [129, 130],
    ] as const) {
      const proof = await consistencyProof(first, second, reader)
      const fails = (changed: Hash[]) =>
        expect(() => verifyConsistency(first, roots[first]!, second, roots[second]!, changed)).toThrowError(refused)
      for (const i of proof.keys()) {
        fails(proof.map((hash, j) => (i === j ? flipped(hash) : hash)))
        fails(proof.filter((_, j) => i !== j))
      }
      fails([...proof, sha256()])
      fails([])
    }
  })

  it('is refused backwards, and where a trivial one is not empty', async () => {
    await expect(consistencyProof(4, 3, reader)).rejects.toMatchObject({ code: 'ERR_PROOF_INVALID' })
    expect(() => verifyConsistency(4, roots[4]!, 3, roots[3]!, [])).toThrowError(refused)
    expect(() => verifyConsistency(3, roots[3]!, 3, roots[3]!, [sha256()])).toThrowError(refused)
    expect(() => verifyConsistency(3, roots[3]!, 3, roots[4]!, [])).toThrowError(refused)
  })
})

describe('node hashes', () => {
  it('are SHA-256 of a one and both halves, whatever the bytes', () => {
    const half = fc.uint8Array({ minLength: 32, maxLength: 32 })
    fc.assert(fc.property(half, half, (a, b) => hex(nodeHash(a, b)) === hex(sha256(Buffer.of(1), a, b))))
  })
})

function flipped(hash: Hash): Hash {
  const copy = Buffer.from(hash)
  copy[17]! ^= 1
  return copy
}
