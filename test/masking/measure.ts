/** How well a detector finds what a labelled corpus has. */
import { corpus } from '../../fixtures/masking/corpus.ts'
import { inDeclared } from '../../lib/masking/detectors/index.ts'

export interface Measured {
  /** Of what was found, the part that is labelled. */
  readonly precision: number
  /** Of what is labelled, the part that was found from its first character to its last. */
  readonly recall: number
}

export function measure(kind: string, each: number, seed?: string): Measured {
  const detector = inDeclared.find(one => one.kind === kind)
  if (detector === undefined) throw new Error(`no detector finds ${kind}`)
  let [labelled, hits, found, right] = [0, 0, 0, 0]
  for (const { text, values } of corpus(kind, each, seed)) {
    const findings = detector.find(text)
    const places = values.map(({ value }) => [text.indexOf(value), text.indexOf(value) + value.length] as const)
    labelled += places.length
    found += findings.length
    hits += places.filter(([from, to]) => findings.some(({ start, end }) => start <= from && end >= to)).length
    right += findings.filter(({ start, end }) => places.some(([from, to]) => start < to && end > from)).length
  }
  return { precision: found === 0 ? 0 : right / found, recall: hits / labelled }
}
