/** The controls in force, for each version of the policy: as the tests read them, and as rows for SQL. */
import type { Control } from '../lib/control.ts'
import { anyOf, globPattern } from './pattern.ts'
import type { Row } from './view-columns.ts'

export interface ControlVersion {
  /** Digest of the policy, as decisions cite it. */
  readonly policy: string
  readonly controls: readonly Control[]
}

export interface Mapping {
  readonly versions: readonly ControlVersion[]
  /** Policies whose controls could not be read: nothing they decided can be tested. */
  readonly unreadable: readonly string[]
}

export function requirementRows({ versions }: Mapping): Row[] {
  return versions.flatMap(({ policy, controls }) =>
    controls.map(
      (control): Row => ({
        control: control.id,
        policy,
        resource_pattern: globPattern(control.covers.resource),
        action_pattern: control.covers.actions === undefined ? null : anyOf(control.covers.actions),
        risk: control.covers.risk ?? null,
        effective_from: iso(control.effective?.from),
        observed_until: control.mode === 'enforce' ? null : iso(control.mode.observeUntil),
        grant_longest_ms: control.require?.grant?.longestMs ?? null,
        approval_people: control.require?.approval?.people ?? null,
        mask_fields: control.mask === undefined ? null : Object.keys(control.mask).sort(),
      }),
    ),
  )
}

/** Each control once, as its newest version has it, by id. */
export function currentControls({ versions }: Mapping): Control[] {
  const byId = new Map(versions.flatMap(version => version.controls.map(control => [control.id, control] as const)))
  return [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0))
}

/** A date (`2026-01-01`) is its first moment in UTC. What cannot be read is no limit, as in the guard. */
function iso(date: string | undefined): string | null {
  const at = date === undefined ? Number.NaN : Date.parse(date)
  return Number.isNaN(at) ? null : new Date(at).toISOString()
}
