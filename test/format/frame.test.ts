import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeFrame, encodeFrame, findFrames } from '../../lib/format/frame.ts'

const head = { epoch: 3, first: 2 ** 40, durable: 2 ** 40 - 1, root: new Uint8Array(32).fill(9) }
const entries = [Buffer.from('{"a":1}'), Buffer.from('{"b":2}')]
const frame = encodeFrame(head, entries, [Buffer.from('one'), Buffer.from('two')])

describe('a write-ahead frame', () => {
  it('gives back what it was made of', () => {
    const { frame: found, end } = decodeFrame(frame, 0)!
    expect(end).toBe(frame.length)
    expect(found).toMatchObject({ epoch: 3, first: 2 ** 40, durable: 2 ** 40 - 1, count: 2 })
    expect(Buffer.from(found.sealed).toString()).toBe('onetwo')
    expect(Buffer.from(found.bundle).toString('latin1')).toBe('\0\x07{"a":1}\0\x07{"b":2}')
  })

  it('is no frame when cut at any offset', () => {
    for (let cut = 0; cut < frame.length; cut += 1) expect(decodeFrame(frame.subarray(0, cut), 0)).toBeUndefined()
  })

  it('is no frame when any bit of it is flipped', () => {
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const altered = Buffer.from(frame)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeFrame(altered, 0), `bit ${bit}`).toBeUndefined()
    }
  })

  it('is found behind bytes that are none', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), rubbish => {
        const found = [...findFrames(Buffer.concat([rubbish, frame, rubbish, frame]), 0)]
        expect(found.map(({ first }) => first)).toEqual([head.first, head.first])
      }),
    )
  })

  it('is not seen in arbitrary bytes, and arbitrary lengths do not make it read beyond them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 300 }), bytes => {
        const claimed = Buffer.concat([Buffer.from('CFf1'), bytes])
        expect(decodeFrame(claimed, 0)).toBeUndefined()
      }),
    )
  })
})
