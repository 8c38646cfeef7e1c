/** How well detectors find what a labelled corpus has, and how fast they read text, against a copy of the same bytes. */
import { kinds, prose } from '../../fixtures/masking/corpus.ts'
import { maskText } from '../../lib/masking/detect.ts'
import { everywhere, inDeclared } from '../../lib/masking/detectors/index.ts'
import { measure } from '../masking/measure.ts'
import type { Row } from './row.ts'

const examples = 2000
const size = 4 * 1024 * 1024
const rounds = 5

export async function suite(): Promise<readonly Row[]> {
  const bytes = Buffer.from(prose(size), 'latin1')
  const text = bytes.toString('latin1')
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
    speed('all but phone, one text', () => maskText(text, everywhere)),
  ]
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
