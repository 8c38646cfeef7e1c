/** Masks on JSON: what is meant is replaced, everything else stays byte for byte, and what cannot be read is refused. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MaskRule, Strategy } from '../../lib/control.ts'
import { maskJson } from '../../lib/masking/json.ts'

const rule = (field: string, strategy: Strategy = 'redact', control = 'CF-01'): MaskRule => ({
  control,
  resource: 'api/**',
  field,
  strategy,
})
const mask = (text: string, ...rules: MaskRule[]) => {
  const { bytes, applied } = maskJson(Buffer.from(text), rules)
  return { text: Buffer.from(bytes).toString(), applied }
}

describe('JSON', () => {
  // biome-ignore format: a table
  const table: [string, string, MaskRule, string][] = [
    ['a member at any depth, by its name',   '[{"a":{"ssn":"123-45-6789"}},{"ssn":"x"}]', rule('ssn', 'last4'), '[{"a":{"ssn":"****6789"}},{"ssn":"[redacted]"}]'],
    ['a name that is spelled with escapes',  '{"s\\u0073n":"123-45-6789"}',               rule('ssn'),          '{"s\\u0073n":"[redacted]"}'],
    ['a name in any case',                   '{"SSN":1,"Ssn":2,"ssns":3}',                rule('ssn'),          '{"SSN":"[redacted]","Ssn":"[redacted]","ssns":3}'],
    ['a pointer, in its own case only',      '{"A":{"b":1},"a":{"b":1}}',              rule('/a/b'),         '{"A":{"b":1},"a":{"b":"[redacted]"}}'],
    ['a pointer, and nothing like it',       '{"a":{"b":1},"b":1}',                       rule('/a/b'),         '{"a":{"b":"[redacted]"},"b":1}'],
    ['a pointer over every item',            '{"l":[{"b":1},{"b":2,"c":3}]}',             rule('/l/*/b'),       '{"l":[{"b":"[redacted]"},{"b":"[redacted]","c":3}]}'],
    ['an item by its index',                 '[1,2,3]',                                   rule('/1', 'null'),   '[1,null,3]'],
    ['all values, and no names',             '{"a":[1,"b",true,null]}',                   rule('*'),            '{"a":["[redacted]","[redacted]","[redacted]",null]}'],
    ['a document that is one value',         '"secret"',                                  rule('*'),            '"[redacted]"'],
    ['a number, by its text',                '{"n":123456789}',                           rule('n', 'last4'),   '{"n":"****6789"}'],
    ['a whole object',                       '{"a":{"b":[1,{"c":2}]},"d":1}',             rule('a'),            '{"a":"[redacted]","d":1}'],
    ['a whole object, even for last4',       '{"a":["123456789"]}',                       rule('a', 'last4'),   '{"a":"[redacted]"}'],
    ['a whole object, even for partial',     '{"a":["123456789"]}',                       rule('a', 'partial'), '{"a":"[redacted]"}'],
    ['a whole list, to null',                '{"a":[1,2]}',                               rule('a', 'null'),    '{"a":null}'],
    ['nothing where there is no value',      '{"ssn":null}',                              rule('ssn'),          '{"ssn":null}'],
    ['names of built-in members',            '{"__proto__":{"x":1},"constructor":2}',     rule('__proto__'),    '{"__proto__":"[redacted]","constructor":2}'],
  ]
  it.each(table)('is masked for %s', (_, text, by, expected) => {
    expect(mask(text, by).text).toBe(expected)
  })

  it('keeps everything else as it stands: spaces, escapes, and every digit', () => {
    const text = ' {"big" : 12345678901234567890.10 , "e":1E-7,\n"s":"\\u0041\\/", "ssn":"1"\t} '
    expect(mask(text, rule('ssn')).text).toBe(text.replace('"1"', '"[redacted]"'))
    expect(mask(text, rule('nothing')).text).toBe(text)
  })

  it('says which fields were masked and which were absent', () => {
    expect(
      mask('{"ssn":"123-45-6789","a":{"email":"x"}}', rule('ssn', 'last4'), rule('email'), rule('/phone')).applied,
    ).toEqual(['CF-01:/phone:absent', 'CF-01:email:redact', 'CF-01:ssn:last4'])
  })

  it('takes the strictest of several rules, and says so of each', () => {
    const { text, applied } = mask('{"ssn":"123-45-6789"}', rule('ssn', 'last4'), rule('/ssn', 'null', 'CF-02'))
    expect(text).toBe('{"ssn":null}')
    expect(applied).toEqual(['CF-01:ssn:null', 'CF-02:/ssn:null'])
  })

  it('is searched by detectors in every text and number, and says which found something', () => {
    const text =
      '{"a":"\\u0041 to a@b.example","n":4111111111111111,"k":[true,null,1.50],"s":"078-05-1120","p":"+1 212 555 0100"}'
    expect(mask(text, rule('*', 'detect'), rule('s', 'last4', 'CF-02'))).toEqual({
      text: '{"a":"A to [email]","n":"[card]","k":[true,null,1.50],"s":"****1120","p":"+1 212 555 0100"}',
      applied: ['CF-01:*:detect', 'CF-01:*:detect:card', 'CF-01:*:detect:email', 'CF-01:*:last4', 'CF-02:s:last4'],
    })
  })

  it('is searched for telephone numbers where a field is named, within an object too', () => {
    const text = '{"c":{"d":["+1 212 555 0100"]},"e":"+1 212 555 0100"}'
    expect(mask(text, rule('c', 'detect'))).toEqual({
      text: '{"c":{"d":["[phone]"]},"e":"+1 212 555 0100"}',
      applied: ['CF-01:c:detect', 'CF-01:c:detect:phone'],
    })
    expect(mask(text, rule('c', 'detect'), rule('c', 'redact', 'CF-02')).text).toBe(
      '{"c":"[redacted]","e":"+1 212 555 0100"}',
    )
  })

  it('finds a field within an object that is replaced as a whole', () => {
    const { text, applied } = mask('{"a":{"ssn":"123-45-6789"},"z":1}', rule('a'), rule('ssn', 'last4', 'CF-02'))
    expect(text).toBe('{"a":"[redacted]","z":1}')
    expect(applied).toEqual(['CF-01:a:redact', 'CF-02:ssn:last4'])
  })

  // biome-ignore format: a table
  const malformed: [string, string | Uint8Array][] = [
    ['nothing',                        ''],
    ['a member named twice',           '{"ssn":1,"ssn":2}'],
    ['a member named twice by escape', '{"ssn":1,"s\\u0073n":2}'],
    ['a comma too many',               '[1,]'],
    ['a comma too few',                '[1 2]'],
    ['a member without a value',       '{"a"}'],
    ['a name without quotes',          '{a:1}'],
    ['single quotes',                  "{'a':1}"],
    ['a comment',                      '[1]//x'],
    ['two documents',                  '{} {}'],
    ['no end',                         '{"a":[1'],
    ['a string without an end',        '"abc'],
    ['a string ending in an escape',   '"abc\\'],
    ['an unknown escape',              '"\\x41"'],
    ['a control character',            '"a\u0001"'],
    ['a leading zero',                 '[01]'],
    ['a leading plus',                 '[+1]'],
    ['NaN',                            '[NaN]'],
    ['a literal cut short',            '[tru]'],
    ['a literal too long',             '[nullx]'],
    ['a number glued to a word',       '[1a]'],
    ['a byte order mark',              '\ufeff{}'],
    ['a space that is none of JSON',   '[1,\u00a02]'],
    ['bytes that are not UTF-8',       Uint8Array.of(0x22, 0xff, 0x22)],
    ['nesting without end',            '['.repeat(100_000)],
  ]
  it.each(malformed)('is refused with %s, quoting nothing of it', (_, text) => {
    expect(() => maskJson(Buffer.from(text as string), [rule('ssn')])).toThrowError(
      expect.objectContaining({ code: 'ERR_MASK_FAILED', message: expect.not.stringMatching(/ssn|abc/) }),
    )
  })

  it('is read as JSON.parse reads it, and refused where that refuses', () => {
    const token = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-0.5e1',
      'true',
      'null',
      ' ',
      '"\\n"',
      '0',
      '.',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json(),
          fc.array(token, { maxLength: 8 }).map(parts => parts.join('')),
        ),
        text => {
          let parsed: unknown
          try {
            parsed = JSON.parse(text)
          } catch {
            expect(() => mask(text, rule('ssn'))).toThrowError(expect.objectContaining({ code: 'ERR_MASK_FAILED' }))
            return
          }
          try {
            expect(JSON.parse(mask(text, rule('no such field')).text)).toEqual(parsed)
          } catch (error) {
            // The one thing that is refused beyond JSON.parse, which keeps the last of two.
            expect((error as Error).message).toMatch(/named twice/)
          }
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('lets no five digits of a masked value through, wherever the member lies', () => {
    const secret = fc.stringMatching(/^[0-9]{9,16}$/)
    const wrap = fc.letrec<{ node: unknown }>(tie => ({
      node: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        secret.map(ssn => ({ ssn })),
        fc.record({
          ssn: fc.oneof(secret, secret.map(Number), fc.array(secret, { maxLength: 2 })),
          other: tie('node'),
        }),
        fc.array(tie('node'), { maxLength: 3 }),
      ),
    })).node
    const strategy = fc.constantFrom<Strategy>('last4', 'redact', 'null')
    fc.assert(
      fc.property(wrap, strategy, (document, by) => {
        expect(mask(JSON.stringify(document), rule('ssn', by)).text).not.toMatch(/[0-9]{5}/)
      }),
    )
  })
})
