/** The tests that `tests: auto` chooses from, by what a control asks for. */
import type { Control } from '../../lib/control.ts'
import { agentAccountable } from './agent-accountable.ts'
import { approvalByAnother } from './approval-by-another.ts'
import { denialHeld } from './denial-held.ts'
import { grantEnded } from './grant-ended.ts'
import { grantGiven } from './grant-given.ts'
import { grantWindow } from './grant-window.ts'
import { identityComplete } from './identity-complete.ts'
import { logContinuous } from './log-continuous.ts'
import { maskingApplied } from './masking-applied.ts'
import { policyInForce } from './policy-in-force.ts'
import type { Procedure } from './procedure.ts'
import { recordedWhole } from './recorded-whole.ts'

export type { Procedure } from './procedure.ts'

// What a control requires comes first, then what it claims.
export const procedures: readonly Procedure[] = [
  ...[grantWindow, grantGiven, grantEnded, approvalByAnother, maskingApplied, recordedWhole],
  ...[identityComplete, agentAccountable, denialHeld, policyInForce, logContinuous],
]

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
