/** Patterns of users: what they find, in what is there as a whole and in what streams, and where they are refused. */
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import type { Control, MaskRule } from '../../lib/control.ts'
import { maskText } from '../../lib/masking/detect.ts'
import { everywhere } from '../../lib/masking/detectors/index.ts'
import { longestMatch, patternDetector } from '../../lib/masking/detectors/pattern.ts'
import { maskJson } from '../../lib/masking/json.ts'
import { canStream, TextMasker } from '../../lib/masking/text.ts'
import { ask, type Fixture, fixture, json, maskControl, requester } from '../support/guard.ts'

const rule = (patterns?: Record<string, string>, field = '*', control = 'CF-01'): MaskRule => ({
  ...{ control, resource: 'api/**', field, strategy: 'detect' },
  ...(patterns === undefined ? {} : { patterns }),
})

describe('a pattern', () => {
  it('is one more kind beside those that are always found, and is told by its name', () => {
    const { bytes, applied } = maskJson(Buffer.from('{"a":"EMP-123456 of a@b.example","n":123456}'), [
      rule({ 'employee-id': 'EMP-\\d{6}' }),
    ])
    expect(Buffer.from(bytes).toString()).toBe('{"a":"[employee-id] of [email]","n":123456}')
    expect(applied).toEqual(['CF-01:*:detect', 'CF-01:*:detect:email', 'CF-01:*:detect:employee-id'])
  })

  it('of each control that means a value is looked for, and of no other', () => {
    const text = '{"a":"one two","b":"one two"}'
    const rules = [rule({ first: 'one' }, 'a'), rule({ second: 'two' }, '*', 'CF-02')]
    expect(Buffer.from(maskJson(Buffer.from(text), rules).bytes).toString()).toBe(
      '{"a":"[first] [second]","b":"one [second]"}',
    )
  })

  it('finds places in characters as JavaScript counts them, beyond ASCII too', () => {
    expect(maskText('😀größe-1 größe-2', [patternDetector('size', 'größe-\\d')])).toBe('😀[size] [size]')
  })

  // biome-ignore format: a table
  const streams: [pattern: string, why: RegExp | undefined][] = [
    ['EMP-\\d{6}',              undefined],
    ['\\bEMP-\\w{1,20}\\b',     undefined],
    ['(?i)emp-[0-9a-f]{2,8}',   undefined],
    ['(?i)k[s-t]{2}',           undefined],
    ['a.b',                     /beyond ASCII/],
    ['größe',                   /beyond ASCII/],
    ['[^0-9]\\d{3}',            /beyond ASCII|white space/],
    ['\\d{3} \\d{4}',           /white space/],
    ['a:b',                     /white space, or one of/],
    ['a[!-/]b',                 /white space, or one of/],
    ['^EMP',                    /beginning or the end/],
    ['(?m)EMP$',                /beginning or the end/],
  ]
  it.each(streams)('%s in a text that streams', (pattern, why) => {
    const { whole } = patternDetector('x', pattern)
    if (why === undefined) expect(whole).toBeUndefined()
    else expect(whole).toMatch(why)
    expect(canStream([rule({ x: pattern })])).toBe(why === undefined)
  })

  it('takes time that grows with the text, and with nothing else', () => {
    // Of a backtracking engine both would take longer than the universe has been there.
    for (const pattern of ['(?:a{1,5}){1,12}!', '(?:a|a){1,60}b', '(?:a?){40}a{40}b']) {
      const detector = patternDetector('x', pattern)
      const took = (length: number) => {
        const text = 'a'.repeat(length)
        let best = Number.POSITIVE_INFINITY
        for (let round = 0; round < 3; round += 1) {
          const start = process.cpuUsage()
          detector.find(text)
          best = Math.min(best, process.cpuUsage(start).user)
        }
        return best
      }
      took(1000)
      expect(took(16_000)).toBeLessThan(Math.max(64 * took(2000), 100_000))
    }
  })
})

describe('in text that streams', () => {
  const detectors = [
    ...everywhere,
    patternDetector('id', '\\b[A-Z]{2,3}-\\d{2,12}\\b'),
    patternDetector('key', 'k[a-f0-9]{8,64}'),
  ]

  function stream(text: string, at: readonly number[] | 'everywhere'): string {
    const bytes = Buffer.from(text)
    const cuts = at === 'everywhere' ? Array.from({ length: bytes.length }, (_, i) => i) : at
    const masker = new TextMasker(detectors)
    const places = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
    const out = [0, ...places].map((from, i) => masker.push(bytes.subarray(from, places[i] ?? bytes.length)))
    return Buffer.concat([...out, masker.end()]).toString()
  }

  it('is found however the text is cut, and all else is as it was', () => {
    const part = fc.constantFrom(
      'EMP-123456',
      'EMP-1234567890123',
      'AB-1',
      'xEMP-12',
      'EMP-12x',
      'kdeadbeef00',
      'k12',
      ' ',
      '\n',
      ',',
      '"',
      'ü',
      '-',
      'a@b.example',
      '\u001b[31m',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 24 }), fc.array(fc.nat(), { maxLength: 12 }), (parts, cuts) => {
        const text = parts.join('')
        const whole = maskText(text, detectors)
        expect(stream(text, cuts)).toBe(whole)
        expect(stream(text, 'everywhere')).toBe(whole)
      }),
      // Characters beyond ASCII before an address that is as long as one may be.
      {
        numRuns: 500,
        examples: [
          [
            [
              'EMP-123456',
              'EMP-123456',
              'ü',
              'EMP-123456',
              'EMP-1234567890123',
              'EMP-123456',
              'EMP-123456',
              'a@b.example',
            ],
            [],
          ],
        ],
      },
    )
  })

  it('is found within a word that is longer than what is held back', () => {
    const found = `k${'a'.repeat(60)}`
    for (const before of [4000, 4096, 4150]) {
      const text = `${'z'.repeat(before)}${found}-${'z'.repeat(9000)}`
      for (const size of [61, 1000, 4096]) {
        const cuts = Array.from({ length: Math.floor(text.length / size) }, (_, i) => (i + 1) * size)
        expect(stream(text, cuts)).toBe(text.replace(found, '[key]'))
      }
    }
  })

  it('is never longer than what is held back', () => {
    expect(longestMatch).toBeLessThan(4096)
  })
})

describe('under the guard', () => {
  const open: Fixture[] = []
  afterEach(async () => {
    for (const at of open.splice(0)) await at.guard.close()
  })
  const under = async (patterns: Record<string, string>) => {
    const control: Control = { ...maskControl, mask: { '*': 'detect' }, patterns }
    const at = await fixture([control])
    open.push(at)
    return at
  }
  async function* text(said: string) {
    yield { type: 'head', form: { kind: 'text' } } as const
    yield { type: 'data', channel: 'stdout', bytes: Buffer.from(said), items: 1 } as const
    yield { type: 'end', result: 'completed', settled: 'nothing' } as const
  }

  it('what is found is replaced, and said by its kind in the outcome', async () => {
    const at = await under({ 'employee-id': 'EMP-\\d{6}' })
    expect((await ask(at, requester, {}, () => text('it is EMP-123456'))).text).toBe('it is [employee-id]')
    expect(await at.of('outcome')).toMatchObject([{ masked: ['CF-01:*:detect', 'CF-01:*:detect:employee-id'] }])
  })

  it('a pattern that cannot be told within a word: text that streams is refused, JSON is masked', async () => {
    const at = await under({ 'employee-id': 'EMP \\d{6}' })
    await expect(ask(at, requester, {}, () => text('it is EMP 123456'))).rejects.toMatchObject({
      code: 'ERR_OBLIGATION_UNMET',
    })
    expect((await ask(at, requester, {}, () => json('{"a":"EMP 123456"}'))).text).toBe('{"a":"[employee-id]"}')
  })

  it('a pattern that nobody checked and that cannot be used: nothing is shown', async () => {
    const at = await under({ x: 'a+' })
    for (const reply of [() => json('{"a":"aaa"}'), () => text('aaa')])
      await expect(ask(at, requester, {}, reply)).rejects.toMatchObject({ code: 'ERR_MASK_FAILED' })
  })

  it('a change of a pattern is a change of the policy', async () => {
    const at = await under({ x: 'ab' })
    const { digest, controls, texts } = at.guard.policy
    await at.guard.policy.reload({ rules: texts.rules, controls: [{ ...controls[0]!, patterns: { x: 'abc' } }] })
    expect(at.guard.policy.digest).not.toBe(digest)
    expect((await ask(at, requester, {}, () => json('{"a":"abcd"}'))).text).toBe('{"a":"[x]d"}')
  })
})
