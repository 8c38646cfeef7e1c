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

const isText = (value: unknown): value is string => typeof value === 'string'
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText)
const isCount = (value: unknown) => typeof value === 'number' && Number.isFinite(value)
type Fields = Record<string, unknown>
const isRecord = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const optional = (value: unknown, holds: (value: unknown) => boolean) => value === undefined || holds(value)

/** How long after a grant's end anything may still go on, where a control does not say: as far as two clocks may differ. */
export const revocationMs = 5_000

/** A control's id names files, and stands in SQL: letters, digits, dots, dashes and underscores. */
export const isControlId = (id: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)

/** Whether a value read from a bundle is a control, as far as the tests and the report read it. */
export function isControl(value: unknown): value is Control {
  if (!isRecord(value) || !isRecord(value.covers)) return false
  const { covers, require = {}, mode, tests, effective, mask, record, thresholds } = value
  const { grant, approval } = require as Fields
  return (
    [value.id, value.title, covers.resource].every(isText) &&
    isControlId(value.id as string) &&
    optional(value.owner, isText) &&
    isTexts(value.criteria) &&
    optional(covers.actions, isTexts) &&
    optional(covers.risk, isText) &&
    isRecord(require) &&
    optional(grant, it => isRecord(it) && isCount(it.longestMs) && optional(it.from, isText)) &&
    optional(approval, it => isRecord(it) && isCount(it.people) && optional(it.from, isText)) &&
    optional(record, it => isRecord(it) && optional(it.response, isText)) &&
    optional(thresholds, it => isRecord(it) && optional(it.revocationMs, isCount)) &&
    optional(mask, it => isRecord(it) && Object.values(it).every(isText)) &&
    (mode === 'enforce' || (isRecord(mode) && isText(mode.observeUntil))) &&
    (tests === 'auto' || (Array.isArray(tests) && tests.every(isTest))) &&
    optional(effective, it => isRecord(it) && isText(it.from))
  )
}

const isTest = (value: unknown) => isRecord(value) && isText(value.population) && isText(value.exceptions)

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
        grant_reason: control.require?.grant?.reason ?? null,
        grant_role: control.require?.grant?.from ?? null,
        approval_people: control.require?.approval?.people ?? null,
        approval_role: control.require?.approval?.from ?? null,
        mask_fields: control.mask === undefined ? null : Object.keys(control.mask).map(fieldWord).sort(),
        record_response: control.record?.response ?? null,
        revocation_ms: control.thresholds?.revocationMs ?? revocationMs,
      }),
    ),
  )
}

/** A field as the words of an outcome have it: what is not printable ASCII, and the colon that parts them, percent-encoded. */
const fieldWord = (field: string): string =>
  field.toWellFormed().replaceAll(/[^\x21-\x7e]|[%:]/gu, character => encodeURIComponent(character))

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
