import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeFrame, encodeFrame, findFrames, isAuthentic, reauthenticate } from '../../lib/format/frame.ts'
import { macKey } from '../../lib/format/mac.ts'

const head = { epoch: 3, first: 2 ** 40, durable: 2 ** 40 - 1, root: new Uint8Array(32).fill(9) }
const entries = [Buffer.from('{"a":1}'), Buffer.from('{"b":2}')]
const wrappingKey = new Uint8Array(32).fill(7)
const key = macKey(wrappingKey, 'crm.example/counterfoil', 'wal')
const frame = encodeFrame(head, entries, [Buffer.from('one'), Buffer.from('two')], key)

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

  it('is authentic under its key alone: not under that of another ledger, another use or another vault', () => {
    const { frame: found } = decodeFrame(frame, 0)!
    const others = [
      macKey(wrappingKey, 'crm.example/counterfoil2', 'wal'),
      macKey(wrappingKey, 'crm.example/counterfoil', 'attaching'),
      macKey(new Uint8Array(32).fill(8), 'crm.example/counterfoil', 'wal'),
    ]
    expect(isAuthentic(found, others)).toBe(false)
    expect(isAuthentic(found, [...others, key])).toBe(true)
  })

  it('is not authentic when any byte before its checksum is altered, and the checksum made right', () => {
    for (let at = 4; at < frame.length - 4; at += 1) {
      const altered = Buffer.from(frame)
      altered[at]! ^= 1
      altered.writeUInt32BE(crc32(altered.subarray(0, -4)), altered.length - 4)
      const found = decodeFrame(altered, 0)?.frame
      if (found !== undefined) expect(isAuthentic(found, [key]), `byte ${at}`).toBe(false)
    }
  })

  it('is under another key once it was changed, as long as before, and what is behind it stays', () => {
    const to = macKey(new Uint8Array(32).fill(9), 'crm.example/counterfoil', 'wal')
    const log = Buffer.concat([frame, frame, Buffer.from('torn'), Buffer.alloc(9)])
    const changed = reauthenticate(log, key, to)!
    expect(changed.length).toBe(log.length)
    expect(changed.subarray(frame.length * 2)).toEqual(log.subarray(frame.length * 2))
    for (const at of [0, frame.length]) expect(isAuthentic(decodeFrame(changed, at)!.frame, [to])).toBe(true)
    expect(reauthenticate(changed, key, to)).toBeUndefined()
    // A kill left the second under the former key.
    expect(reauthenticate(Buffer.concat([changed.subarray(0, frame.length), frame]), key, to)).toEqual(
      changed.subarray(0, frame.length * 2),
    )
    expect(() => reauthenticate(log, to, macKey(wrappingKey, 'other', 'wal'))).toThrow('not made with the key')
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
        const claimed = Buffer.concat([Buffer.from('CFf2'), bytes])
        expect(decodeFrame(claimed, 0)).toBeUndefined()
      }),
    )
  })
})
