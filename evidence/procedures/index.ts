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

/**
 * Of all versions of a control that something may have run under: those that fit what any of them asks for, and the tests that each
 * writes out itself. A version that asks for less takes no test away from what ran before it.
 * @param versions the newest first
 */
export function proceduresFor(versions: readonly Control[]): readonly Procedure[] {
  const auto = versions.filter(({ tests }) => tests === 'auto')
  const own = versions.flatMap(({ tests }) => (tests === 'auto' ? [] : tests))
  const different = new Map(own.map(test => [JSON.stringify([test.population, test.exceptions]), test]))
  return [...procedures.filter(({ applies }) => auto.some(applies)), ...[...different.values()].map(declared)]
}

function declared(test: Exclude<Control['tests'], 'auto'>[number], i: number): Procedure {
  return {
    name: `test-${i + 1}`,
    title: 'As the control itself declares it',
    applies: () => true,
    population: () => test.population,
    exceptions: () => test.exceptions,
  }
}
