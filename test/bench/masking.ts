/** How well detectors find what a labelled corpus has, and how fast they read text, against a copy of the same bytes. */
import { kinds, prose } from '../../fixtures/masking/corpus.ts'
import type { MaskRule, Strategy } from '../../lib/control.ts'
import { maskText } from '../../lib/masking/detect.ts'
import { everywhere, inDeclared } from '../../lib/masking/detectors/index.ts'
import { patternDetector } from '../../lib/masking/detectors/pattern.ts'
import { EventMasker } from '../../lib/masking/events.ts'
import { JsonRecords } from '../../lib/masking/records.ts'
import { TextMasker } from '../../lib/masking/text.ts'
import { measure } from '../masking/measure.ts'
import type { Row } from './row.ts'

const examples = 2000
const size = 4 * 1024 * 1024
const rounds = 5

export async function suite(): Promise<readonly Row[]> {
  const bytes = Buffer.from(prose(size), 'latin1')
  const text = bytes.toString('latin1')
  const pattern = patternDetector('employee-id', '\\bEMP-[0-9]{6}\\b')
  const record = (i: number) =>
    JSON.stringify({ id: i, name: `Customer ${i}`, ssn: '078-05-1120', note: text.slice(i, i + 160) })
  const records = Array.from({ length: Math.floor(size / record(9999).length) }, (_, i) => record(i))
  const lines = whole(records.map(one => `${one}\n`).join(''))
  const events = whole(records.map((one, i) => `id: ${i}\ndata: ${one}\n\n`).join(''))
  const copied = bandwidth(() => Buffer.from(bytes))
  const speed = (name: string, work: () => unknown): Row => {
    const value = bandwidth(work)
    return { suite: 'masking', name, value, unit: 'MB/s', yardstick: 'copying the bytes', ratio: value / copied }
  }
  const found = kinds.flatMap(kind => {
    const { precision, recall } = measure(kind, examples, 'bench')
    const row = (name: string, value: number): Row => ({
      ...{
        suite: 'masking',
        name: `${kind}, ${name}`,
        value,
        unit: 'part',
        yardstick: 'the labelled corpus',
        ratio: value,
      },
    })
    return [row('precision', precision), row('recall', recall)]
  })
  return [
    ...found,
    ...inDeclared.map(detector => speed(detector.kind, () => detector.find(text))),
    speed("a user's pattern, beginning with letters", () => pattern.find(text)),
    speed('all but phone, one text', () => maskText(text, everywhere)),
    speed('all but phone, as it streams', () => streamed(new TextMasker(everywhere), bytes)),
    speed('JSON by lines, a field masked', () => streamed(new JsonRecords('lines', [rule('ssn', 'last4')]), lines)),
    speed('JSON by lines, every value searched', () =>
      streamed(new JsonRecords('lines', [rule('*', 'detect')]), lines),
    ),
    speed('events, a field masked', () => streamed(new EventMasker([rule('ssn', 'last4')]), events)),
  ]
}

const rule = (field: string, strategy: Strategy): MaskRule => ({ control: 'CF-01', resource: '**', field, strategy })

/** As many bytes as of the text, that rates can be compared; the last record is cut. */
const whole = (text: string) => Buffer.from(text).subarray(0, size)

/** In pieces as sockets give them. The end is left out: what is cut there is no record. */
function streamed(masker: { push(bytes: Uint8Array): unknown }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += 64 * 1024) masker.push(bytes.subarray(at, at + 64 * 1024))
}

/** In MB/s, the best of several. */
function bandwidth(work: () => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < rounds; round += 1) {
    const start = process.hrtime.bigint()
    work()
    best = Math.min(best, Number(process.hrtime.bigint() - start))
  }
  return (size / best) * 1e3
}
