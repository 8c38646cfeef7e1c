/** One value under the rules that mean it: the mask of the strategy that won, which tells what detectors find. */
import type { MaskRule, Strategy } from '../control.ts'
import { Fault } from '../errors.ts'
import type { CellMask } from '../reply.ts'
import { maskText } from './detect.ts'
import type { Detector } from './detectors/detector.ts'
import { everywhere, inDeclared } from './detectors/index.ts'
import { type Patterns, patternDetectors } from './detectors/pattern.ts'
import { appliedWord } from './selector.ts'
import { type MaskTools, maskFor } from './strategies.ts'

/** Told the word of a rule, for each kind that was found: never the value. */
export type Report = (word: (rule: MaskRule) => string) => void

/** @param by the rules that mean the value, among which `strategy` is the strictest */
export function cellMaskFor(strategy: Strategy, by: readonly MaskRule[], tools: MaskTools, report: Report): CellMask {
  if (strategy !== 'detect') return maskFor(strategy, tools)
  const detectors = detectorsFor(by)
  return text => maskText(text, detectors, kind => report(foundWord(kind)))
}

/** Under a rule that names the field those too that would find too much elsewhere; of every rule the control's own patterns. */
export function detectorsFor(by: readonly MaskRule[]): readonly Detector[] {
  const shipped = by.some(({ field }) => field !== '*') ? inDeclared : everywhere
  if (by.every(({ patterns }) => patterns === undefined)) return shipped
  const patterns = new Set(by.flatMap(rule => (rule.patterns === undefined ? [] : [rule.patterns])))
  return [...shipped, ...[...patterns].flatMap(detectorsOf)]
}

/** @throws Fault ERR_MASK_FAILED: controls that were made in code, and never checked */
function detectorsOf(patterns: Patterns): readonly Detector[] {
  try {
    return patternDetectors(patterns)
  } catch (error) {
    throw new Fault('ERR_MASK_FAILED', 'a control has a pattern that cannot be used', {}, error)
  }
}

/** `CONTROL:FIELD:detect:KIND`. */
export const foundWord = (kind: string) => (rule: MaskRule) => appliedWord(rule, `detect:${kind}`)
