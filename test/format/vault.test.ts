/** Sealed disclosures: no nonce twice, however many are drawn; opened under their own entry and key, and under no other. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { openDisclosure, sealDisclosure } from '../../lib/format/vault.ts'

const origin = 'crm.example/counterfoil'
const entry = '0190b0a0-0000-7000-8000-000000000000'
const key = randomBytes(32)
const refused = expect.objectContaining({ code: 'ERR_DISCLOSURE_MISMATCH' })

describe('a sealed disclosure', () => {
  it('has a nonce of its own', () => {
    const count = 2000
    const boxes = Array.from({ length: count }, () => sealDisclosure(key, origin, entry, 'the same'))
    expect(new Set(boxes.map(box => box.toString('hex', 0, 12))).size).toBe(count)
    // Boxes of before are not written over by those that follow.
    for (const box of boxes) expect(openDisclosure(key, origin, entry, box)).toBe('the same')
  })

  it.each([0, 1, 15, 16, 17, 4096, 100_000])('of %i bytes is as long as they are, a nonce and a tag', length => {
    const text = 'x'.repeat(length)
    const box = sealDisclosure(key, origin, entry, text)
    expect(box).toHaveLength(12 + length + 16)
    expect(openDisclosure(key, origin, entry, box)).toBe(text)
  })

  it('opens under no other key, entry or origin, nor with any byte changed', () => {
    const box = sealDisclosure(key, origin, entry, 'x')
    expect(() => openDisclosure(randomBytes(32), origin, entry, box)).toThrowError(refused)
    expect(() => openDisclosure(key, origin, 'another', box)).toThrowError(refused)
    expect(() => openDisclosure(key, 'another', entry, box)).toThrowError(refused)
    for (let i = 0; i < box.length; i += 1) {
      const changed = Buffer.from(box)
      changed[i]! ^= 1
      expect(() => openDisclosure(key, origin, entry, changed)).toThrowError(refused)
    }
  })
})
