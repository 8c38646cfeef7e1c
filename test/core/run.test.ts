/** A wait against a signal: whichever is first, and nothing left behind on the signal. */
import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { race } from '../../lib/run.ts'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort')

describe('a race', () => {
  it('is won by the wait, whichever way it ends', async () => {
    const { signal } = new AbortController()
    await expect(race(Promise.resolve(7), signal)).resolves.toBe(7)
    const failed = new Error('failed')
    await expect(race(Promise.reject(failed), signal)).rejects.toBe(failed)
    expect(listeners(signal)).toEqual([])
  })

  it('is won by the signal, and what the wait does later is no unhandled rejection', async () => {
    const controller = new AbortController()
    let fail: (error: Error) => void = () => undefined
    const silent = new Promise<never>((_, reject) => {
      fail = reject
    })
    const lost = race(silent, controller.signal)
    const cut = new Error('cut')
    controller.abort(cut)
    await expect(lost).rejects.toBe(cut)
    fail(new Error('too late'))
    await new Promise(resolve => setImmediate(resolve))
    expect(listeners(controller.signal)).toEqual([])
  })

  it('is over before it begins where the signal has come', async () => {
    const cut = new Error('cut')
    await expect(race(Promise.resolve(7), AbortSignal.abort(cut))).rejects.toBe(cut)
    await expect(race(Promise.reject(new Error('too late')), AbortSignal.abort(cut))).rejects.toBe(cut)
  })
})
