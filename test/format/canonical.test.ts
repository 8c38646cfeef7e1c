/** Canonical JSON against RFC 8785's own examples and an independent implementation. */
import canonicalizeByOthers from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, type Json, parseCanonical } from '../../lib/format/canonical.ts'

const byOthers = canonicalizeByOthers as unknown as (value: unknown) => string
const refused = expect.objectContaining({ code: 'ERR_ENTRY_MALFORMED' })

/** Values without what is refused here and not by RFC 8785: integer-like names. */
const json = fc.jsonValue().map(value => rename(value as Json))
function rename(value: Json): Json {
  if (Array.isArray(value)) return value.map(item => rename(item as Json))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      /^\d+$/.test(name) || name === '__proto__' ? `n${name}` : name,
      rename(member as Json),
    ]),
  )
}

describe('canonical JSON', () => {
  it("is RFC 8785's, in its own example (3.2.2, 3.2.3)", () => {
    const text = String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`
    expect(canonical(JSON.parse(text) as Json)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('sorts names by UTF-16 code units (3.2.3)', () => {
    const names = ['\u20ac', '\r', '\ufb33', '\u{1f600}', '\u0080', '\u00f6', 'z']
    const text = canonical(Object.fromEntries(names.map(name => [name, 0])))
    expect(Object.keys(JSON.parse(text) as object)).toEqual([
      '\r',
      'z',
      '\u0080',
      '\u00f6',
      '\u20ac',
      '\u{1f600}',
      '\ufb33',
    ])
  })

  // RFC 8785, appendix B: the IEEE 754 bits and their text.
  // biome-ignore format: a table
  const numbers: [bits: string, text: string][] = [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ]
  it.each(numbers)('writes the number of bits %s as %s', (bits, text) => {
    expect(canonical(Buffer.from(bits, 'hex').readDoubleBE())).toBe(text)
  })

  it('is what another implementation makes of anything', () => {
    fc.assert(
      fc.property(json, value => canonical(value) === byOthers(value)),
      { numRuns: 2000 },
    )
  })

  it('is read back to the same value', () => {
    fc.assert(
      fc.property(json, value => {
        const text = canonical(value)
        expect(canonical(parseCanonical(Buffer.from(text)))).toBe(text)
      }),
    )
  })

  it('leaves members out that are undefined', () => {
    expect(canonical({ a: undefined, b: 1 })).toBe('{"b":1}')
  })

  // biome-ignore format: a table
  const unwritable: [string, unknown][] = [
    ['a lone surrogate',           'a\ud800'],
    ['a name with one',            { 'a\udc00': 1 }],
    ['an integer-like name',       { a: { '10': 1 } }],
    ['not a number',               Number.NaN],
    ['infinity',                   [Number.POSITIVE_INFINITY]],
    ['a big integer',              10n],
    ['a function',                 () => 1],
    ['undefined in a list',        [undefined]],
    ['nesting without end',        Array.from({ length: 70 }).reduce<Json>(value => [value], 1)],
  ]
  it.each(unwritable)('refuses to write %s', (_, value) => {
    expect(() => canonical(value as Json)).toThrowError(refused)
  })

  // biome-ignore format: a table
  const unreadable: [string, string | Uint8Array][] = [
    ['white space',                 '{"a": 1}'],
    ['a final newline',             '{"a":1}\n'],
    ['another order',               '{"b":1,"a":2}'],
    ['a name twice',                '{"a":1,"a":1}'],
    ['another spelling of a number', '1.0'],
    ['minus zero',                  '-0'],
    ['an escape too many',          '"\\u0041"'],
    ['an upper case escape',        '"\\u000F"'],
    ['an escaped slash',            '"\\/"'],
    ['a byte order mark',           '\ufeff1'],
    ['an integer too large',        '9007199254740993'],
    ['nothing',                     ''],
    ['no JSON, and does not quote it', '{"ssn":"123'],
    ['invalid UTF-8',               Uint8Array.of(0x22, 0xc3, 0x28, 0x22)],
    ['an overlong encoding',        Uint8Array.of(0x22, 0xc1, 0x81, 0x22)],
  ]
  it.each(unreadable)('refuses to read %s', (_, text) => {
    expect(() => parseCanonical(Buffer.from(text as string))).toThrowError(refused)
    expect(() => parseCanonical(Buffer.from(text as string))).not.toThrowError(/123/)
  })
})
