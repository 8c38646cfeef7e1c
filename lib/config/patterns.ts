/** Checks a control's own patterns: what could not be searched for, or would never be, is an error. */
import type { Strategy } from '../control.ts'
import { couldMatch } from '../glob.ts'
import { inDeclared } from '../masking/detectors/index.ts'
import { PatternError, patternDetector } from '../masking/detectors/pattern.ts'
import type { ReportAt } from './controls.ts'

interface Written {
  readonly covers: { readonly resource: string }
  readonly mask?: Readonly<Record<string, Strategy>> | undefined
  readonly patterns?: Readonly<Record<string, string>> | undefined
}

export function checkPatterns(
  { covers, mask, patterns }: Written,
  targets: readonly { readonly name: string; readonly protocol: string }[],
  report: ReportAt,
): void {
  if (patterns === undefined) return
  if (Object.keys(patterns).length === 0) report(['patterns'], 'no pattern: leave it out')
  if (!Object.values(mask ?? {}).includes('detect'))
    report(['patterns'], 'nothing here looks for patterns', 'add to the mask a field, or "*", with detect')
  const streaming = targets.find(({ name, protocol }) => protocol === 'ssh' && couldMatch(covers.resource, name))
  for (const [kind, pattern] of Object.entries(patterns)) {
    const at = ['patterns', kind]
    if (inDeclared.some(one => one.kind === kind)) report(at, 'this kind is found already: choose another name')
    try {
      const { whole } = patternDetector(kind, pattern)
      if (whole !== undefined && streaming !== undefined)
        report(at, `this cannot be found in text that streams, as in ${streaming.name}: ${whole}`)
    } catch (error) {
      if (!(error instanceof PatternError)) throw error
      report(at, error.message, error.hint)
    }
  }
}
