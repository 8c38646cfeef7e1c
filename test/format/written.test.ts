import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import { type Entry, encodeEntry, parseEntry, summarise } from '../../lib/format/entry.ts'
import { check, list, oneOf, optional, record, type Shape } from '../../lib/format/shape.ts'
import { writtenAs } from '../../lib/format/written.ts'

const vectors = JSON.parse(readFileSync(new URL('../../fixtures/vectors/entries.json', import.meta.url), 'utf8')) as {
  bytes: string
}[]

/** In the suite a sample; with COUNTERFOIL_TAMPER=all every one. */
const everything = process.env.COUNTERFOIL_TAMPER === 'all'

const holds = (work: () => unknown): boolean => {
  try {
    return work() !== false
  } catch {
    return false
  }
}

/** Without the patterns: put in order and written again, it is the same. */
const isWritten = (text: string) => encodeEntry(JSON.parse(text) as Entry).equals(Buffer.from(text))

describe('a shape as a matcher of its text', () => {
  it('entries with a character more, less or other are taken exactly where they are what is written', () => {
    let taken = 0
    const characters = ['0', '1', '9', 'a', 'Z', '"', '\\', ',', ':', ' ', '{', '}', '[', ']', '-', '\n', '\u00e9']
    for (const [n, { bytes }] of vectors.entries()) {
      expect(parseEntry(Buffer.from(bytes))).toEqual(JSON.parse(bytes))
      expect(JSON.parse(bytes)).toMatchObject(summarise(Buffer.from(bytes)))
      for (let at = 0; at < bytes.length; at += 1) {
        const [before, after] = [bytes.slice(0, at), bytes.slice(at + 1)]
        const put = characters[at % characters.length]!
        const changed = [before + after, before + put + after, before + put + bytes.slice(at), bytes.slice(0, at)]
        // Half of them in the suite, others in the next vector, which has its members in the same order.
        for (const text of everything ? changed : changed.filter((_, i) => (at + n + i) % 2 === 0)) {
          const parsed = holds(() => parseEntry(Buffer.from(text)))
          if (parsed !== holds(() => isWritten(text))) throw new Error(`parsed: ${parsed}: ${text}`)
          if (parsed !== holds(() => summarise(Buffer.from(text)))) throw new Error(`summarised otherwise: ${text}`)
          if (parsed) taken += 1
        }
      }
    }
    expect(taken).toBeGreaterThan(1000)
  })

  it('what matches is the canonical text of a value of the shape, whatever is in its strings', () => {
    const shapes: readonly Shape[] = [
      'word',
      'text',
      'count',
      'flag',
      oneOf('A.b', 'c+'),
      list('word', 2),
      record({ b: optional('text'), a: optional('word'), c: optional(list(record({ n: 'count' }), 3)) }),
    ]
    const characters = fc.constantFrom(
      '"',
      '\\',
      'n',
      'u0041',
      '\n',
      ' ',
      'x',
      '7',
      '-',
      ',',
      '{',
      '}',
      'A.b',
      '\u007f',
    )
    const string = fc.array(characters, { maxLength: 6 }).map(parts => parts.join(''))
    const scalar = fc.oneof(
      string,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constantFrom(2 ** 53 - 1, 1e15, 1e21, null),
    )
    const records = fc.record(
      { a: string, b: string, c: fc.array(fc.record({ n: fc.nat() }), { maxLength: 4 }) },
      { requiredKeys: [] },
    )
    const value = fc.oneof(scalar, fc.array(string, { maxLength: 3 }), records)
    let [matched, fitting] = [0, 0]
    fc.assert(
      fc.property(fc.constantFrom(...shapes), value, fc.boolean(), (shape, one, sloppy) => {
        const text = sloppy ? JSON.stringify(one) : canonical(one as Json)
        const fits = holds(() => check(shape, JSON.parse(text) as Json) ?? true) && canonical(JSON.parse(text)) === text
        if (fits) fitting += 1
        if (!writtenAs(shape)(Buffer.from(text))) return
        matched += 1
        expect(fits, text).toBe(true)
      }),
      { numRuns: 5000 },
    )
    expect(matched).toBeGreaterThan(fitting * 0.5)
    expect(matched).toBeGreaterThan(50)
  })
})
