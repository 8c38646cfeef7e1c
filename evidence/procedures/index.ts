/** The tests that `tests: auto` chooses from, by what a control asks for. */
import type { Control } from '../../lib/control.ts'
import { approvalByAnother } from './approval-by-another.ts'
import { grantWindow } from './grant-window.ts'
import { maskingApplied } from './masking-applied.ts'
import type { Procedure } from './procedure.ts'

export type { Procedure } from './procedure.ts'

export const procedures: readonly Procedure[] = [grantWindow, approvalByAnother, maskingApplied]

/** A control's own tests where it writes them out; else those that fit what it asks for, which may be none. */
export function proceduresFor(control: Control): readonly Procedure[] {
  if (control.tests === 'auto') return procedures.filter(procedure => procedure.applies(control))
  return control.tests.map((test, i) => ({
    name: `test-${i + 1}`,
    title: 'As the control itself declares it',
    applies: () => true,
    population: () => test.population,
    exceptions: () => test.exceptions,
  }))
}
