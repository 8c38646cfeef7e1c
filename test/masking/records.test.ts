/** Streams of JSON records and of events: masked one by one, as soon as they are whole, however they are cut. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { MaskRule, Strategy } from '../../lib/control.ts'
import { EventMasker } from '../../lib/masking/events.ts'
import { longestRecord } from '../../lib/masking/framing.ts'
import { maskJson } from '../../lib/masking/json.ts'
import { JsonRecords, type RecordMasker } from '../../lib/masking/records.ts'

const rule = (field: string, strategy: Strategy = 'redact', control = 'CF-01'): MaskRule => ({
  ...{ control, resource: 'api/**', field, strategy },
})
const detect = rule('*', 'detect')
const rs = '\u001e'

const lines = (...rules: MaskRule[]) => new JsonRecords('lines', rules)
const sequence = (...rules: MaskRule[]) => new JsonRecords('sequence', rules)
const events = (...rules: MaskRule[]) => new EventMasker(rules)

function through(masker: RecordMasker, text: string | Uint8Array, cuts: readonly number[] = []) {
  const bytes = Buffer.from(text as string)
  const places = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const out = [0, ...places].map((from, i) => masker.push(bytes.subarray(from, places[i] ?? bytes.length)))
  const all = [...out, masker.end()]
  return {
    text: Buffer.concat(all.map(one => one.bytes)).toString(),
    records: all.reduce((sum, one) => sum + one.records, 0),
  }
}

const failed = expect.objectContaining({ code: 'ERR_MASK_FAILED', message: expect.not.stringMatching(/078|secret/) })
const everywhere = (text: string) => Array.from({ length: Buffer.from(text).length }, (_, i) => i)
const cuts = fc.array(fc.nat(), { maxLength: 20 })

describe('newline-delimited JSON', () => {
  it('is masked line by line, with everything else as it stands', () => {
    const text = '{"ssn":"078-05-1120", "n" : 1.50}\r\n\n \t\r\n{"a":{"SSN":1}}\n[]'
    expect(through(lines(rule('ssn', 'last4')), text)).toEqual({
      text: '{"ssn":"****1120", "n" : 1.50}\r\n\n \t\r\n{"a":{"SSN":"[redacted]"}}\n[]',
      records: 3,
    })
  })

  it('lets a record leave as soon as its line feed is there, and not before', () => {
    const masker = lines(rule('ssn'))
    const shown = ['{"ssn":"078', '-05-1120"}', '\n{"b"', ':1}\n'].map(part => {
      const { bytes, records } = masker.push(Buffer.from(part))
      return [Buffer.from(bytes).toString(), records]
    })
    expect(shown).toEqual([
      ['', 0],
      ['', 0],
      ['{"ssn":"[redacted]"}\n', 1],
      ['{"b":1}\n', 1],
    ])
  })

  it('says of a field that it was absent until a record has it', () => {
    const masker = lines(rule('ssn', 'last4'), rule('email'), rule('phone'))
    expect(masker.applied).toEqual([])
    masker.push(Buffer.from('{"a":1}\n'))
    expect(masker.applied).toEqual(['CF-01:email:absent', 'CF-01:phone:absent', 'CF-01:ssn:absent'])
    masker.push(Buffer.from('{"email":"x"}\n{"ssn":"078-05-1120"}\n{}\n'))
    expect(masker.applied).toEqual(['CF-01:email:redact', 'CF-01:phone:absent', 'CF-01:ssn:last4'])
  })

  it('is the same for every way in which it is cut', () => {
    const record = fc.oneof(
      fc.json(),
      fc.record({ ssn: fc.string(), o: fc.json() }).map(one => JSON.stringify(one)),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(record, fc.constantFrom('\n', '\r\n', '\n\n'))), cuts, (records, where) => {
        const rules = [rule('ssn', 'last4'), detect]
        const text = records.flat().join('')
        let expected: string
        try {
          expected = records
            .map(([json, end]) => Buffer.from(maskJson(Buffer.from(json), rules).bytes).toString() + end)
            .join('')
        } catch {
          // A member that is named twice.
          expect(() => through(lines(...rules), text, where)).toThrowError(failed)
          return
        }
        const whole = { text: expected, records: records.length }
        expect(through(lines(...rules), text, where)).toEqual(whole)
        expect(through(lines(...rules), text, everywhere(text))).toEqual(whole)
      }),
      { numRuns: 200 },
    )
  })

  // biome-ignore format: a table
  const refused: [string, string][] = [
    ['a document over several lines', '{"ssn":\n"078-05-1120"}\n'],
    ['two documents in one line',     '{"a":1} {"ssn":"078-05-1120"}\n'],
    ['a byte order mark',             '\ufeff{"ssn":"078-05-1120"}\n'],
    ['no JSON',                       'secret 078-05-1120\n'],
    ['a line that is cut at the end', '{"a":1}\n{"ssn":"078-05-1'],
    ['a lone return as its end',      '{"ssn":"078-05-1120"}\r{"a":1}'],
  ]
  it.each(refused)('with %s is refused, at every cut', (_, text) => {
    for (const cut of everywhere(text)) expect(() => through(lines(rule('ssn')), text, [cut])).toThrowError(failed)
  })

  it.each([
    ['lines', lines],
    ['events', events],
    ['sequence', sequence],
  ])('%s: a record that is longer than can be held is refused, and nothing of it is shown', (_, of) => {
    const masker = of(detect)
    const piece = Buffer.alloc(1024 * 1024, 'x')
    masker.push(Buffer.from(`${rs}data: "`.slice(of === events ? 1 : 0, of === events ? 8 : 1)))
    let shown = 0
    expect(() => {
      for (let sent = 0; sent <= longestRecord; sent += piece.length) shown += masker.push(piece).bytes.length
    }).toThrowError(expect.objectContaining({ code: 'ERR_MASK_FAILED' }))
    expect(shown).toBe(0)
  })

  it('an event of many lines is too long as one of one line is', () => {
    const masker = events(detect)
    const piece = Buffer.from(`data: ${'x'.repeat(1024 * 1024)}\n`)
    expect(() => {
      for (let sent = 0; sent <= longestRecord; sent += piece.length) masker.push(piece)
    }).toThrowError(expect.objectContaining({ code: 'ERR_MASK_FAILED' }))
  })
})

describe('a JSON text sequence', () => {
  it('is masked text by text, line feeds within them and separators without one too', () => {
    const text = `${rs}${rs}{"ssn":"078-05-1120",\n"s":"\\"]{"}\n${rs}[1,\n{"ssn":1}]${rs}"x"\n${rs}12\n`
    const expected = {
      text: `${rs}${rs}{"ssn":"[redacted]",\n"s":"\\"]{"}\n${rs}[1,\n{"ssn":"[redacted]"}]${rs}"x"\n${rs}12\n`,
      records: 4,
    }
    expect(through(sequence(rule('ssn')), text)).toEqual(expected)
    expect(through(sequence(rule('ssn')), text, everywhere(text))).toEqual(expected)
  })

  it('lets a text leave at its line feed, without waiting for the next one', () => {
    const masker = sequence(rule('ssn'))
    expect(masker.push(Buffer.from(`${rs}{"ssn":1}`)).records).toBe(0)
    expect(masker.push(Buffer.from('\n'))).toMatchObject({ records: 1 })
  })

  // biome-ignore format: a table
  const refused: [string, string][] = [
    ['a number that may have been cut', `${rs}1234${rs}5\n`],
    ['a literal at the end',            `${rs}true`],
    ['text before the first separator', `{"ssn":"078-05-1120"}\n${rs}1\n`],
    ['text behind a record',            `${rs}{}\n"secret"\n`],
    ['a text that is cut',              `${rs}{"ssn":"078-05${rs}{}\n`],
  ]
  it.each(refused)('with %s is refused, at every cut', (_, text) => {
    for (const cut of everywhere(text)) expect(() => through(sequence(rule('ssn')), text, [cut])).toThrowError(failed)
  })
})

interface Dispatched {
  readonly type: string
  readonly data: string
  readonly id: string
}

/** What a reader makes of a stream, step by step as WHATWG HTML, 9.2.6 has it. */
function interpreted(stream: string): Dispatched[] {
  const dispatched: Dispatched[] = []
  let [data, type, id] = ['', '', '']
  for (const line of stream
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .slice(0, -1)) {
    if (line === '') {
      if (data !== '') dispatched.push({ type: type || 'message', data: data.replace(/\n$/, ''), id })
      ;[data, type] = ['', '']
      continue
    }
    const [, name, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line)!
    if (name === 'data') data += `${value ?? ''}\n`
    if (name === 'event') type = value ?? ''
    if (name === 'id' && !value?.includes('\0')) id = value ?? ''
  }
  return dispatched
}

describe('events', () => {
  // biome-ignore format: a table
  const table: [what: string, text: string, rules: MaskRule[], shown: string, records: number][] = [
    ['data that is JSON, by its fields',      'event: a\ndata: {"ssn":"078-05-1120"}\nid: 7\n\n', [rule('ssn', 'last4')], 'event: a\nid: 7\ndata: {"ssn":"****1120"}\n\n', 1],
    ['JSON over several lines',               'data: {\ndata: "ssn":\ndata: 1}\n\n',      [rule('ssn')],       'data: {\ndata: "ssn":\ndata: "[redacted]"}\n\n', 1],
    ['an object over lines, replaced',        'data: {"a":{\ndata: "b":1\ndata: }}\n\n',  [rule('a')],         'data: {"a":"[redacted]"}\n\n', 1],
    ['text, by what is found in it',          'data: to a@b.example\ndata: 078-05-1120\n\n', [detect],         'data: to [email]\ndata: [ssn]\n\n', 1],
    ['a key over several lines',              'data: -----BEGIN PRIVATE KEY-----\ndata: QUJD\ndata: -----END PRIVATE KEY-----\n\n', [detect], 'data: [private-key]\n\n', 1],
    ['a value on its own, for all',           'data: "secret"\n\n',                       [rule('*')],         'data: "[redacted]"\n\n', 1],
    ['a comment, as a bare colon',            ': secret\n\n:078-05-1120\ndata: {}\n\n',   [rule('ssn')],       ':\n\n:\ndata: {}\n\n', 1],
    ['returns as ends of lines',              'data: 1\r\rdata: 2\r\n\r\ndata: 3\n\n',    [detect],            'data: 1\n\ndata: 2\n\ndata: 3\n\n', 3],
    ['a byte order mark, left out',           '\ufeffdata: 1\n\n',                        [detect],            'data: 1\n\n', 1],
    ['no space, and more than one',           'data:1\n\ndata:  1\n\ndata\n\n',           [detect],            'data: 1\n\ndata:  1\n\ndata: \n\n', 3],
    ['a field that stands twice: the last',   'event: a\nid: 1\nevent: b\nid: 2\ndata: 1\n\n', [detect],       'event: b\nid: 2\ndata: 1\n\n', 1],
    ['unknown fields, left out',              'ssn: 078-05-1120\nsecret\ndata: 1\n\n',    [detect],            'data: 1\n\n', 1],
    ['a time to wait, and nothing else as one', 'retry: 3000\n\nretry: 078-05-1120\n\nretry: 0780511200\n\n', [detect], 'retry: 3000\n\n\n\n', 1],
    ['an id with a NUL, left out',            'id: 1\0\ndata: 1\n\n',                     [detect],            'data: 1\n\n', 1],
    ['ids and names, searched',               'event: a@b.example\nid: 078-05-1120\ndata: {}\n\n', [rule('x')], 'event: [email]\nid: [ssn]\ndata: {}\n\n', 1],
    ['ids and names, by a rule for all',      'event: a\nid: 1\ndata: {}\n\n',            [rule('*')],         'event: [redacted]\nid: [redacted]\ndata: {}\n\n', 1],
    ['an id, by a rule that names it',        'id: 123456789\ndata: {"id":1}\n\n',        [rule('id', 'last4')], 'id: ****6789\ndata: {"id":"[redacted]"}\n\n', 1],
    ['an id, by a rule that takes it away',   'id: 1\ndata: {}\n\n',                      [rule('id', 'null')], 'data: {}\n\n', 1],
    ['the sign that a stream is over',        'data: [DONE]\n\n',                         [rule('ssn')],       'data: [DONE]\n\n', 1],
    ['an event that the stream ends in',      'data: {"ssn":1}',                          [rule('ssn')],       'data: {"ssn":"[redacted]"}\n', 1],
  ]
  it.each(table)('are masked: %s', (_, text, rules, shown, records) => {
    expect(through(events(...rules), text)).toEqual({ text: shown, records })
    expect(through(events(...rules), text, everywhere(text))).toEqual({ text: shown, records })
  })

  // biome-ignore format: a table
  const refused: [string, string, MaskRule[]][] = [
    ['text under a mask by fields',         'data: secret 078-05-1120\n\n',             [rule('ssn'), detect]],
    ['text under a mask that hides all',    'data: secret 078-05-1120\n\n',             [rule('*')]],
    ['a number under a mask by fields',     'data: 780511201\n\n',                       [rule('ssn')]],
    ['a value on its own, among fields',    'data: "078-05-1120"\n\n',                  [rule('ssn')]],
    ['JSON that can be read in two ways',   'data: {"ssn":1,"ssn":"078-05-1120"}\n\n',  [detect]],
    ['JSON that is cut',                    'data: {"ssn":"078-05-1\n\n',               [rule('ssn')]],
    ['JSON that the stream ends in',        'data: {"ssn":"078-05-1',                   [rule('ssn')]],
  ]
  it.each(refused)('are refused for %s, at every cut', (_, text, rules) => {
    for (const cut of everywhere(text)) expect(() => through(events(...rules), text, [cut])).toThrowError(failed)
  })

  it('are refused where they are not UTF-8', () => {
    expect(() => through(events(detect), Buffer.from('data: \xff078-05-1120\n\n', 'latin1'))).toThrowError(failed)
  })

  it('leave at their empty line, and comments at once, within another event too', () => {
    const masker = events(detect)
    const shown = [': ping\r', '\ndata: a@b', '.example\n', ': ping\n', '\n'].map(part =>
      Buffer.from(masker.push(Buffer.from(part)).bytes).toString(),
    )
    expect(shown).toEqual([':\n', '', '', ':\n', 'data: [email]\n\n'])
  })

  it('say which fields were masked, over all of them', () => {
    const masker = events(rule('ssn', 'last4'), rule('email'))
    masker.push(Buffer.from(': x\n\n'))
    expect(masker.applied).toEqual([])
    masker.push(Buffer.from('data: {"a":1}\n\n'))
    expect(masker.applied).toEqual(['CF-01:email:absent', 'CF-01:ssn:absent'])
    masker.push(Buffer.from('data: {"ssn":1}\n\n'))
    expect(masker.applied).toEqual(['CF-01:email:absent', 'CF-01:ssn:last4'])
  })

  it('mean the same to a reader, but for what is masked, however they are written and cut', () => {
    const value = fc.oneof(
      fc.constantFrom('', ' ', 'a', 'data', ': x', '{', '[1]', 'größe', 'a@b.example', '078-05-1120', '\0'),
      fc.record({ ssn: fc.constantFrom('1', '078-05-1120'), o: fc.nat() }).map(one => JSON.stringify(one)),
    )
    const name = fc.constantFrom('data', 'data', 'event', 'id', 'retry', 'other', '', 'Data')
    const written = fc.oneof(
      fc.tuple(name, fc.constantFrom(':', ': ', ''), value).map(([of, colon, text]) => `${of}${colon}${text}`),
      fc.constant(''),
      fc.constant(''),
    )
    const end = fc.constantFrom('\n', '\r\n', '\r')
    fc.assert(
      fc.property(fc.boolean(), fc.array(fc.tuple(written, end), { maxLength: 16 }), cuts, (mark, parts, where) => {
        const text = (mark ? '\ufeff' : '') + parts.flat().join('')
        const once = through(events(detect), text)
        expect(through(events(detect), text, where)).toEqual(once)
        expect(through(events(detect), text, everywhere(text))).toEqual(once)
        const clean = (one: string) => one.replaceAll('a@b.example', '[email]').replaceAll('078-05-1120', '[ssn]')
        const expected = interpreted(text).map(({ type, data, id }) => ({ type: clean(type), data: clean(data), id: clean(id) })) // biome-ignore format: one step
        expect(interpreted(once.text)).toEqual(expected)
      }),
      { numRuns: 1000 },
    )
  })
})
