/** Text that streams: however it is cut, nothing that is found in the whole is shown, and all else is byte for byte as it was. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { corpus, kinds, prose } from '../../fixtures/masking/corpus.ts'
import { maskText } from '../../lib/masking/detect.ts'
import { everywhere } from '../../lib/masking/detectors/index.ts'
import { TextMasker } from '../../lib/masking/text.ts'

function stream(bytes: Uint8Array, at: readonly number[] | 'everywhere'): Buffer {
  const cuts = at === 'everywhere' ? Array.from({ length: Math.min(bytes.length, 900) }, (_, i) => i) : at
  const masker = new TextMasker(everywhere)
  const places = [...new Set(cuts.map(cut => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  const out = [0, ...places].map((from, i) => masker.push(bytes.subarray(from, places[i] ?? bytes.length)))
  return Buffer.concat([...out, masker.end()])
}

const cuts = fc.oneof(fc.array(fc.nat(), { maxLength: 12 }), fc.constant('everywhere' as const))
const found = kinds.filter(kind => kind !== 'phone')
const canaries = found.flatMap(kind => corpus(kind, 12).flatMap(({ values }) => values.map(({ value }) => value)))
const esc = '\u001b'

describe('text', () => {
  it('shows no canary, however it is cut, with terminal controls in it or not', () => {
    const filler = fc.constantFrom(
      '',
      ' ',
      '\n',
      'some words ',
      'größe ',
      '"',
      ', ',
      `${esc}[0m `,
      `${esc}]0;title\u0007`,
      '$ ',
    )
    const planted = fc.record({
      canary: fc.constantFrom(...canaries),
      at: fc.nat(),
      control: fc.constantFrom('', `${esc}[1;31m`, `${esc}]0;t\u0007`),
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(filler, planted, filler), { minLength: 1, maxLength: 4 }), cuts, (parts, where) => {
        const text = parts
          .map(([a, { canary, at, control }, b]) => {
            const cut = at % canary.length
            return `${a} ${canary.slice(0, cut)}${control}${canary.slice(cut)}\n${b}`
          })
          .join('')
        const shown = stream(Buffer.from(text), where).toString()
        // biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is taken out
        const plain = shown.replaceAll(/\u001b(\[[0-9;]*m|\]0;[a-z]*\u0007)/g, '')
        for (const [, { canary }] of parts) expect(plain).not.toContain(canary)
        expect(shown).toBe(maskText(text, everywhere))
      }),
      { numRuns: 150 },
    )
  })

  it('with nothing in it is byte for byte the same, whatever bytes they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(5000), cuts, (bytes, length, where) => {
        const text = Buffer.concat([Buffer.from(prose(length)), Buffer.from(bytes.filter(byte => byte !== 0x40))])
        expect(stream(text, where).equals(text)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  it('drops the rest of what is longer than is held back, with its end at a border', () => {
    const body = 'QUJD'.repeat(16)
    const key = `-----BEGIN PRIVATE KEY-----\n${`${body}\n`.repeat(400)}-----END PRIVATE KEY-----`
    const token = `eyJhbGciOiJIUzI1NiJ9.${'QUJD'.repeat(4000)}.QUJD`
    for (const size of [1000, 4096, 5000, 25_999]) {
      const text = Buffer.from(`a ${key} b ${token} c`)
      const where = Array.from({ length: Math.floor(text.length / size) }, (_, i) => (i + 1) * size)
      expect(stream(text, where).toString()).toBe('a [private-key] b [jwt] c')
    }
  })

  it('finds what stands within a word that is longer than is held back', () => {
    for (const before of [4000, 4090, 4150]) {
      const text = `${'z'.repeat(before)}/AKIA${'Q'.repeat(16)}/${'z'.repeat(9000)}`
      for (const size of [61, 1000, 4096]) {
        const where = Array.from({ length: Math.floor(text.length / size) }, (_, i) => (i + 1) * size)
        expect(stream(Buffer.from(text), where).toString()).toBe(maskText(text, everywhere))
      }
    }
  })

  it('keeps controls whole within what it drops', () => {
    const body = `QUJD${esc}[1;31mQUJD\n`
    const text = Buffer.from(`a -----BEGIN PRIVATE KEY-----\n${body.repeat(900)}-----END PRIVATE KEY----- b`)
    for (const size of [500, 997, 4099]) {
      const where = Array.from({ length: Math.floor(text.length / size) }, (_, i) => (i + 1) * size)
      expect(stream(text, where).toString()).toBe(`a [private-key]${`${esc}[1;31m`.repeat(900)} b`)
    }
  })

  it('holds back no more than 4 KiB, and of finished words nothing', () => {
    const masker = new TextMasker(everywhere)
    expect(masker.push(Buffer.from('user $ ')).length).toBe(7)
    expect(masker.push(Buffer.from('Password:')).toString()).toBe('Password:')
    expect(masker.push(Buffer.from('x'.repeat(10_000))).length).toBe(10_000 - 4096)
    expect(masker.push(Buffer.from('\n')).length).toBe(4097)
  })
})
