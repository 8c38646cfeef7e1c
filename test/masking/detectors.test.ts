/** Detectors, against a labelled corpus: what they find, what they leave, and that time grows with the text only. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { corpus, kinds } from '../../fixtures/masking/corpus.ts'
import { ibanExamples } from '../../fixtures/masking/iban-examples.ts'
import { maskText } from '../../lib/masking/detect.ts'
import { findAll } from '../../lib/masking/detectors/detector.ts'
import { everywhere, inDeclared } from '../../lib/masking/detectors/index.ts'
import { measure } from './measure.ts'

describe('a detector', () => {
  it('has examples in the corpus, each', () => {
    expect([...kinds].sort()).toEqual(inDeclared.map(({ kind }) => kind).sort())
  })

  // biome-ignore format: a table
  const floors: [kind: string, precision: number, recall: number][] = [
    ['email',       1,    1],
    ['card',        0.98, 1],   // random digits pass Luhn and the ranges now and then
    ['iban',        0.99, 1],
    ['ssn',         1,    1],
    ['phone',       1,    1],
    ['jwt',         1,    1],
    ['private-key', 1,    1],
    ['aws-key',     1,    1],
    ['google-key',  1,    1],
    ['azure-key',   1,    1],
    ['token',       1,    1],
  ]
  it.each(floors)('of %s has a precision of %d and a recall of %d at least', (kind, precision, recall) => {
    const measured = measure(kind, 1000)
    expect(measured.precision).toBeGreaterThanOrEqual(precision)
    expect(measured.recall).toBeGreaterThanOrEqual(recall)
  })

  // biome-ignore format: a table
  const table: [string, string, string][] = [
    ['an address in brackets',          'Ann <ann.b@mail.example>, too',     'Ann <[email]>, too'],
    ['an address at the end of a line', 'to a@b.example.',                   'to [email].'],
    ['an address in a query',           '?to=a@b.example&x=1',               '?to=[email]&x=1'],
    ['an address in a script of its own', 'für jörg@bücher.example da',      'für [email] da'],
    ['two addresses with nothing between', 'a@b.example@c.example',          '[email]@c.example'],
    ['a card after a date',             '2026-01-02 4111 1111 1111 1111 ok', '2026-01-02 [card] ok'],
    ['a card within a longer number',   '94111111111111111000',              '94111111111111111000'],
    ['a number in groups',              '078-05-1120',                       '[ssn]'],
    ['an area that is never assigned',  '666-05-1120',                       '666-05-1120'],
    ['a longer number in groups',       '078-05-1120-1',                     '078-05-1120-1'],
    ['an account, in lower case',       'de89370400440532013000',            '[iban]'],
    ['an account of the wrong length',  'DE8937040044053201300',             'DE8937040044053201300'],
    ['an account with another check',   'DE88370400440532013000',            'DE88370400440532013000'],
    ['an account with letters for digits', 'DE58X70400440532013000',         'DE58X70400440532013000'],
    ['check digits that are never given', 'GB01BARC20714583600045',          'GB01BARC20714583600045'],
    ['a territory as a country',        'AX2112345600000785',                'AX2112345600000785'],
    ['a card of Mir',                   '2200 0000 0000 0053',               '[card]'],
    ['a card of Diners in its own range', '30950000000000',                  '[card]'],
    ['a card of UnionPay beyond 62',    '8171999927660000',                  '[card]'],
    ['a card of Troy',                  '9792030000000000',                  '[card]'],
    ['a number that no network issues', '9999999999999995',                  '9999999999999995'],
    ['a key that is cut off',           '-----BEGIN PRIVATE KEY-----\nMIIE\n', '[private-key]'],
    ['a public key',                    '-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----', '-----BEGIN PUBLIC KEY-----\nMIIE\n-----END PUBLIC KEY-----'],
  ]
  it.each(table)('judges %s', (_, text, shown) => {
    expect(maskText(text, everywhere)).toBe(shown)
  })

  it('of iban finds the example of every country that is registered, as a whole and in groups', () => {
    expect(ibanExamples.length).toBe(89)
    for (const example of ibanExamples) {
      const grouped = example.match(/.{1,4}/g)!.join(' ')
      expect([example, maskText(example, everywhere), maskText(grouped, everywhere)]).toEqual([
        example,
        '[iban]',
        '[iban]',
      ])
    }
  })

  it('gives findings in order, none empty, none beside the text, none on another', () => {
    const part = fc.constantFrom(
      'a',
      '1',
      '4111',
      '-',
      ' ',
      '@',
      '.',
      'eyJ',
      'DE89',
      '-----BEGIN ',
      'PRIVATE KEY-----',
      '+',
      'é',
      '=',
      '_',
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 30 }), parts => {
        const text = parts.join('')
        for (const found of [...inDeclared.map(detector => detector.find(text)), findAll(text, inDeclared)]) {
          let last = 0
          for (const { start, end } of [...found].sort((a, b) => a.start - b.start)) {
            expect(start).toBeGreaterThanOrEqual(last)
            expect(end).toBeGreaterThan(start)
            last = end
          }
          expect(last).toBeLessThanOrEqual(text.length)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('what is found', () => {
  const part = fc.constantFrom(
    ...[
      '4111',
      '4111111111111111',
      '4111 1111 1111 1111',
      '078-05-1120',
      '078',
      '05',
      '1120',
      '1',
      '12',
      '-',
      ' ',
      '.',
      'a',
    ],
    ...[
      'DE89',
      'DE89370400440532013000',
      'GB82 WEST 1234 5698 7654 32',
      '\\n',
      'A',
      '_',
      'ghp_',
      'npm_',
      'xoxb-',
      'glpat-',
    ],
    ...[
      'AKIA',
      'Q'.repeat(16),
      'q'.repeat(36),
      'github_pat_',
      'AccountKey=',
      'SharedAccessKey=',
      '@',
      'b.example',
      'eyJ',
    ],
  )
  it('is the same in a short text, most of which are passed over by their characters, and in a long one', () => {
    const examples = kinds.flatMap(kind => corpus(kind, 200).map(({ text }) => text))
    const random = fc.array(part, { maxLength: 8 }).map(parts => parts.join(''))
    fc.assert(
      fc.property(fc.oneof(random, fc.constantFrom(...examples)), text => {
        expect(findAll(`${text}\n`, inDeclared)).toEqual(findAll(`${text}\n${' '.repeat(600)}`, inDeclared))
      }),
      { numRuns: 3000 },
    )
  })

  it('does not depend on what stands before and after, or on where it stands', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.nat(40), fc.boolean(), (parts, before, digits) => {
        const text = parts.join('')
        const around = (digits ? '12, 345; 6789; ' : '-_ x, ').repeat(9)
        const lead = `${around.slice(0, before)}\n,`
        for (const detector of inDeclared) {
          const moved = detector.find(`${lead}${text},\n${around}`)
          const within = moved.filter(({ start, end }) => start >= lead.length && end <= lead.length + text.length)
          const back = (at: number | undefined) => (at === undefined ? undefined : at - lead.length)
          expect(within.map(one => [one.kind, back(one.start), back(one.end), back(one.head)])).toEqual(
            detector.find(`,${text},`).map(one => [one.kind, one.start - 1, one.end - 1, one.head && one.head - 1]),
          )
        }
      }),
      { numRuns: 1500 },
    )
  })
})

describe('terminal controls', () => {
  const esc = '\u001b'
  // biome-ignore format: a table
  const table: [string, string, string][] = [
    ['within a finding stay',              `a ${esc}[1m078-${esc}[31m05${esc}[0m-1120 b`, `a ${esc}[1m[ssn]${esc}[31m${esc}[0m b`],
    ['around one stay',                    `${esc}[31m078-05-1120${esc}[0m`,             `${esc}[31m[ssn]${esc}[0m`],
    ['that carry a finding keep the rest', `${esc}]8;;mailto:a@b.example${esc}\\me${esc}]8;;${esc}\\`, `${esc}]8;;mailto:[email]${esc}\\me${esc}]8;;${esc}\\`],
    ['as a title within a finding',        `078-${esc}]0;title\u000705-1120`,            `[ssn]${esc}]0;title\u0007`],
    ['that have numbers in them',          `${esc}[38;2;078;05;1120m.`,                  `${esc}[38;2;078;05;1120m.`],
    ['that do not end',                    `${esc}[31`,                                  `${esc}[31`],
    ['that are strings without an end',    `${esc}]0;a@b.example`,                       `${esc}]0;[email]`],
  ]
  it.each(table)('%s', (_, text, shown) => {
    expect(maskText(text, everywhere)).toBe(shown)
  })
})
