/** Waiting for a stream to take more: all wait as one, and nobody for one that has closed. */
import { Writable } from 'node:stream'
import { expect, it } from 'vitest'
import { drained } from '../../lib/drained.ts'

it('is one wait for however many, and another one once that is over', async () => {
  let taken: (() => void) | undefined
  const stream = new Writable({
    highWaterMark: 1,
    write: (_chunk, _encoding, done) => {
      taken = done
    },
  })
  for (const end of [() => taken!(), () => stream.destroy()]) {
    expect(stream.write('more than it takes')).toBe(false)
    const waits = Array.from({ length: 20 }, () => drained(stream))
    expect(stream.listenerCount('drain')).toBe(1)
    end()
    await Promise.all(waits)
    expect(stream.listenerCount('drain')).toBe(0)
  }
})
