import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import { order } from '../../lib/format/order.ts'
import { check, list, oneOf, optional, record } from '../../lib/format/shape.ts'

const shape = record({
  zebra: 'count',
  alpha: optional('word'),
  Beta: 'flag',
  kinds: list(oneOf('one', 'two'), 3),
  nested: optional(record({ b: 'word', a: optional('text') })),
})

const word = fc.constantFrom('x', 'a/b', 'q"uote', 'back\\slash', ' ', '', '\u00e9', 7, null)
const loose = fc.record(
  {
    zebra: fc.oneof(fc.nat(), fc.double(), word),
    alpha: fc.option(word, { nil: undefined }),
    Beta: fc.oneof(fc.boolean(), word),
    kinds: fc.array(fc.constantFrom('one', 'two', 'two', 'three'), { maxLength: 4 }),
    nested: fc.option(fc.record({ b: word, a: word }, { requiredKeys: [] }), { nil: undefined }),
    surplus: fc.constantFrom(undefined, undefined, undefined, 1),
  },
  { requiredKeys: ['zebra', 'Beta', 'kinds'] },
)

describe('order', () => {
  it('takes exactly what check takes, and its text is canonical without further work', () => {
    let taken = 0
    fc.assert(
      fc.property(loose, value => {
        const json = value as unknown as Json
        const refusal = attempt(() => check(shape, json))
        if (refusal !== undefined) {
          expect(attempt(() => order(shape, json))).toEqual(refusal)
          return
        }
        taken += 1
        expect(JSON.stringify(order(shape, json))).toBe(canonical(json))
      }),
      { numRuns: 2000 },
    )
    expect(taken).toBeGreaterThan(20)
  })

  it('gives a copy: what the caller changes later is not changed in it', () => {
    const value = { zebra: 1, Beta: true, kinds: ['one'] }
    const ordered = order(shape, value)
    value.kinds.push('two')
    expect(ordered).toEqual({ Beta: true, kinds: ['one'], zebra: 1 })
  })
})

function attempt(work: () => unknown): unknown {
  try {
    work()
    return undefined
  } catch (error) {
    return error
  }
}
