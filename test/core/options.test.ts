/** Options and durations: strict, and helpful about slips. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { duration, formatDuration } from '../../lib/duration.ts'
import { nearest, refuseUnknown } from '../../lib/options.ts'

describe('options', () => {
  it('pass where all are known', () => {
    expect(() => refuseUnknown({ listen: 1 }, ['listen', 'name'], 'guard')).not.toThrow()
  })

  it('name the nearest known where one is unknown', () => {
    expect(() => refuseUnknown({ lisen: 1 }, ['listen', 'name'], 'guard')).toThrowError(
      expect.objectContaining({
        code: 'ERR_OPTION_UNKNOWN',
        message: 'guard: unknown option "lisen"; did you mean "listen"?',
      }),
    )
  })

  it('suggest nothing where nothing is near', () => {
    expect(nearest('xylophone', ['listen', 'name'])).toBeUndefined()
    expect(() => refuseUnknown({ xylophone: 1 }, ['listen'], 'guard')).toThrowError(/known are listen/)
  })
})

describe('durations', () => {
  it('are a whole number and a unit', () => {
    expect([duration('30s'), duration('15m'), duration('8h'), duration('30d')]).toEqual([
      30e3, 900e3, 28_800e3, 2_592_000e3,
    ])
  })

  it.each(['', '0s', '-1s', '1.5m', '30', 's', '30 s', '1h30m', '1e3s', '٣s', '1w', '30S', '1234567d'])(
    'refuse %j',
    text => {
      expect(() => duration(text)).toThrowError(expect.objectContaining({ code: 'ERR_OPTION_INVALID' }))
    },
  )

  it('are written back as they were meant', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 999_999 }), fc.constantFrom('s', 'm', 'h', 'd'), (n, unit) => {
        expect(duration(formatDuration(n > 60 ? n * 1000 : duration(`${n}${unit}`)))).toBe(
          n > 60 ? n * 1000 : duration(`${n}${unit}`),
        )
      }),
    )
  })
})
