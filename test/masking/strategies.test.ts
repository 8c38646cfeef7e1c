/** Strategies and selectors: what is left of a value, and which fields are meant. */
import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSelector } from '../../lib/masking/selector.ts'
import { maskFor, strategyNames, strictest } from '../../lib/masking/strategies.ts'

describe('last4', () => {
  // biome-ignore format: a table
  const table: [string, string][] = [
    ['123-45-6789',         '****6789'],
    ['123456789',           '****6789'],
    ['4111 1111 1111 1234', '****1234'],
    ['1234567',             '[redacted]'],
    ['1-2-3-4-5-6-7',       '[redacted]'],
    ['',                    '[redacted]'],
    ['.........6789',       '[redacted]'],
    ['DE89 3704 0044 0532 0130 00', '****3000'],
    ['１２３４５６７８９',     '****６７８９'],
    ['****6789',            '****6789'],
    ['****６７８９',         '****６７８９'],
    ['****789',             '[redacted]'],
    ['*****6789',           '[redacted]'],
    ['x****6789',           '[redacted]'],
  ]
  it.each(table)('shows of %j just %j', (value, expected) => {
    expect(maskFor('last4')(value)).toBe(expected)
  })

  it('is the same by its short way through ASCII as by the general one', () => {
    const units = fc.constantFrom('1', 'a', 'Z', '-', ' ', '٣', '７', 'é', '\u{1d7d8}', '\ud800', '\u007f', '\u0080')
    const general = (text: string) => {
      const significant = text.match(/[\p{L}\p{N}]/gu) ?? []
      return significant.length < 8 ? '[redacted]' : `****${significant.slice(-4).join('')}`
    }
    fc.assert(
      fc.property(fc.string({ unit: units, maxLength: 24 }), value => {
        expect(maskFor('last4')(value)).toBe(general(value))
      }),
      { numRuns: 2000 },
    )
  })

  it('lets no five digits in a row survive, nor the length', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('1', '7', '-', ' ', 'a', '٣'), maxLength: 40 }), value => {
        const shown = maskFor('last4')(value)!
        expect(shown).toMatch(/^(\[redacted\]|\*{4}[\p{L}\p{N}]{4})$/u)
      }),
    )
  })
})

describe('partial', () => {
  // biome-ignore format: a table
  const table: [string, string][] = [
    ['Magdalena',     'M****a'],
    ['123-45-6789',   '1****9'],
    ['(Élodie Ñu) ñ', 'É****ñ'],
    ['Lena Mu',       '[redacted]'],
    ['',              '[redacted]'],
    ['M****a',        'M****a'],
    ['Ma****a',       '[redacted]'],
    ['M***a',         '[redacted]'],
  ]
  it.each(table)('shows of %j just %j', (value, expected) => {
    expect(maskFor('partial')(value)).toBe(expected)
  })
})

describe('hash', () => {
  const key = Buffer.alloc(32, 7)

  it('shows 96 bits of HMAC-SHA-256 under the key', () => {
    const expected = createHmac('sha256', key).update('078-05-1120').digest().subarray(0, 12).toString('base64url')
    expect(maskFor('hash', { key })('078-05-1120')).toBe(`h:${expected}`)
  })

  it('has equal words for equal values, other words for others, and others again under another key', () => {
    const [one, other] = [maskFor('hash', { key }), maskFor('hash', { key: Buffer.alloc(32, 8) })]
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(one(a)).toMatch(/^h:[\w-]{16}$/)
        expect(one(a) === one(b)).toBe(a === b)
        expect(one(a)).not.toBe(other(a))
      }),
    )
  })

  it('fails without a key, rather than to show less than was declared', () => {
    expect(() => maskFor('hash')).toThrowError(expect.objectContaining({ code: 'ERR_MASK_FAILED' }))
  })
})

describe('strictness', () => {
  it('goes from what leaves most of a value to what leaves nothing, in any order of asking', () => {
    expect(strategyNames).toEqual(['detect', 'last4', 'partial', 'hash', 'redact', 'null'])
    fc.assert(
      fc.property(fc.shuffledSubarray([...strategyNames], { minLength: 1 }), names => {
        expect(strictest(names)).toBe(strategyNames.filter(name => names.includes(name)).at(-1))
      }),
    )
    expect(strictest([])).toBeUndefined()
  })

  it('redacts under a strategy that nobody knows', () => {
    expect(maskFor('shuffle' as 'redact')('123456789')).toBe('[redacted]')
    expect(strictest(['shuffle' as 'redact', 'null'])).toBe('null')
    expect(strictest(['shuffle' as 'redact', 'last4'])).toBe('redact')
  })
})

describe('selectors', () => {
  it('are a name, a pointer, or all', () => {
    expect(parseSelector('*')).toEqual({ kind: 'all' })
    expect(parseSelector('ssn')).toEqual({ kind: 'name', name: 'ssn' })
    expect(parseSelector('/a~1b/*/m~0n')).toEqual({ kind: 'pointer', segments: ['a/b', '*', 'm~n'] })
    // RFC 6901, 4: ~01 is ~1, not a slash.
    expect(parseSelector('/~01')).toEqual({ kind: 'pointer', segments: ['~1'] })
  })

  it.each(['', '/a~', '/a~2', '\ud800', 'x'.repeat(300)])('are not %j', field => {
    expect(parseSelector(field)).toBeUndefined()
  })
})
