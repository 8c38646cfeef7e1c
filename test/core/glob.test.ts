/** Globs: what each wildcard crosses, that overlap agrees with matching, and that no pattern is slow. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { couldMatch, matches, overlaps } from '../../lib/glob.ts'

// biome-ignore format: a table
const table: [string, string, boolean][] = [
  ['crm/public.customers', 'crm/public.customers', true],
  ['crm/public.customers', 'crm/public.Customers', false],
  ['crm/public.*',         'crm/public.customers', true],
  ['crm/public.*',         'crm/public.a.b',       false],
  ['crm/public.*',         'crm/public.',          true],
  ['crm/*',                'crm/public.customers', false],
  ['crm/**',               'crm/public.customers', true],
  ['crm/**',               'crm',                  false],
  ['crm/**',               'crmx/public',          false],
  ['**',                   '',                     true],
  ['**',                   'anything/at.all',      true],
  ['*',                    'select',               true],
  ['api/*/orders',         'api/17/orders',        true],
  ['api/*/orders',         'api/17/18/orders',     false],
  ['api/**/orders',        'api/17/18/orders',     true],
  ['api/**/orders',        'api/orders',           false],
  ['*/public.*s',          'crm/public.customers', true],
  ['a***b',                'a/./b',                true],
  ['a.c',                  'abc',                  false],
  ['a[b]c?',               'a[b]c?',               true],
  ['crm/*',                'crm/*',                true],
  ['c*m/**',               'cr/m/x',               false],
]

/** Written the obvious slow way, to compare with. */
function slow(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const stars = /^\*+/.exec(pattern)?.[0].length ?? 0
  if (stars === 0) return text !== '' && pattern[0] === text[0] && slow(pattern.slice(1), text.slice(1))
  for (let i = 0; i <= text.length; i += 1) {
    if (slow(pattern.slice(stars), text.slice(i))) return true
    if (stars === 1 && (text[i] === '/' || text[i] === '.')) return false
  }
  return false
}

const alphabet = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.'), maxLength: 10 })
const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '*', '**'), maxLength: 8 })

describe('globs', () => {
  it.each(table)('%s against %s is %s', (glob, text, expected) => {
    expect(matches(glob, text)).toBe(expected)
  })

  it('agree with a slow, obvious matcher on anything', () => {
    fc.assert(
      fc.property(pattern, alphabet, (glob, text) => matches(glob, text) === slow(glob, text)),
      { numRuns: 3000 },
    )
  })

  it('overlap wherever one text is matched by both', () => {
    fc.assert(
      fc.property(pattern, pattern, alphabet, (one, other, text) => {
        if (matches(one, text) && matches(other, text)) expect(overlaps(one, other)).toBe(true)
        if (!one.includes('*')) expect(overlaps(one, other)).toBe(matches(other, one))
        expect(overlaps(one, other)).toBe(overlaps(other, one))
      }),
      { numRuns: 3000 },
    )
  })

  it('do not overlap where no text can be matched by both', () => {
    expect(overlaps('crm/public.*', 'crm/audit.*')).toBe(false)
    expect(overlaps('crm/*', 'crm/a.b')).toBe(false)
    expect(overlaps('a*b', 'a*c')).toBe(false)
  })

  it('know which targets a pattern can reach', () => {
    expect(couldMatch('crm/**', 'crm')).toBe(true)
    expect(couldMatch('**', 'crm')).toBe(true)
    expect(couldMatch('c*/public.*', 'crm')).toBe(true)
    expect(couldMatch('cmr/**', 'crm')).toBe(false)
    expect(couldMatch('crm', 'crm')).toBe(false)
  })

  it('answer a hostile pattern, where backtracking would not come to an end', () => {
    const hostile = `${'*a'.repeat(50)}*b`
    // Backtracking would outlast the test by far.
    expect(matches(hostile, 'a'.repeat(20_000))).toBe(false)
  })
})
