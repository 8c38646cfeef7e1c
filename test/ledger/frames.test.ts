/** Messages between a leader and who appends through it, cut out of a stream that comes in pieces of any length. */
import fc from 'fast-check'
import { expect, it, vi } from 'vitest'
import { encodeMessage, longestMessage, MessageReader } from '../../lib/ledger/shared/frames.ts'

it('are the same however the stream is cut', () => {
  const lengths = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 1000, max: 200_000 })), {
    minLength: 1,
    maxLength: 5,
  })
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 90_000 })), { minLength: 1 })
  fc.assert(
    fc.property(lengths, cuts, (lengths, cuts) => {
      const bodies = lengths.map((length, i) => Buffer.alloc(length, i + 1))
      const stream = Buffer.concat(bodies.map(body => encodeMessage('piece', body)))
      const reader = new MessageReader(longestMessage)
      const found: Buffer[] = []
      for (let [at, i] = [0, 0]; at < stream.length; i += 1) {
        const end = at + Math.max(cuts[i % cuts.length]!, Math.ceil(stream.length / 5000))
        for (const { body } of reader.read(Buffer.from(stream.subarray(at, end)))) found.push(Buffer.from(body))
        at = end
      }
      expect(found.map(one => one.length)).toEqual(lengths)
      expect(Buffer.concat(found).equals(Buffer.concat(bodies))).toBe(true)
    }),
    { numRuns: 50 },
  )
})

it('are held in few pieces, though they come a byte at a time, and each byte is copied a few times at most', () => {
  const stream = encodeMessage('append', Buffer.alloc(50_000, 1))
  const concat = vi.spyOn(Buffer, 'concat')
  const reader = new MessageReader(longestMessage)
  let found = 0
  for (let at = 0; at < stream.length; at += 1) {
    for (const { body } of reader.read(stream.subarray(at, at + 1))) found += body.length
  }
  const pieces = concat.mock.calls.map(([list]) => list.length)
  const copied = concat.mock.calls.flatMap(([list]) => list).reduce((sum, { length }) => sum + length, 0)
  concat.mockRestore()
  expect(found).toBe(50_000)
  expect(pieces.reduce((most, count) => Math.max(most, count), 0)).toBeLessThan(40)
  expect(copied).toBeLessThan(30 * stream.length)
})
