/** A control test as SQL over the documented views: what every procedure here is made of, and how it names a control. */

import type { Control } from '../../lib/control.ts'
import { Misuse } from '../../lib/errors.ts'
import { isControlId } from '../mapping.ts'

export interface Procedure {
  /** Names its files: `CONTROL.NAME.csv`. */
  readonly name: string
  /** The attribute tested, for the report. */
  readonly title: string
  /** Whether it speaks to this control. */
  readonly applies: (control: Control) => boolean
  /** One SELECT; its rows are the population. */
  readonly population: (control: string) => string
  /** One SELECT over `population`; its rows are the exceptions, with a column `reasons`. */
  readonly exceptions: (control: string) => string
  /** One SELECT over `population`; its rows are intervals (`starts_at`, `ends_at`, `why`) of which the views cannot tell. */
  readonly unable?: (control: string) => string
}

/** Seconds by which two clocks may differ: what happens within them has no order that could be held against anybody. */
export const skewSeconds = 5

/** A SQL string literal of a control's id. @throws Misuse ERR_OPTION_INVALID where the id is not a plain name */
export function literal(control: string): string {
  if (!isControlId(control)) {
    throw new Misuse('ERR_OPTION_INVALID', "a control's id is letters, digits, dots, dashes and underscores")
  }
  return `'${control}'`
}

/**
 * Operations that ran, and that the control covers by its declaration (whether or not the guard cited it) or that the guard
 * cited it for. Those of the time in which it was only observed are no population of it.
 */
export const covered = (control: string, asks: string): string =>
  `
select o.*, r.grant_longest_ms, r.approval_people, r.approval_role, r.mask_fields, r.resource_pattern, r.action_pattern
from operations o
join requirements r on r.policy = o.policy and r.control = ${literal(control)}
where o.in_period and o.verdict = 'permit' and ${asks}
  and ${matched(control)}`.trim()

/**
 * Decisions of either kind that the control covers, by the policy that they cite, or else by the one that was in force: who is refused
 * before policy is asked has none to cite.
 */
export const decided = (control: string, where: string): string =>
  `
select o.index, o.time, o.asked_at, o.exchange, o.session, o.subject, o.subject_name, o.subject_type, o.principal, o.owner,
  o.protocol, o.target, o.method, o.actions, o.resources, o.action_digest, o.controls, o.risk, o.read, o.verdict, o.code, o.policy,
  o.approval_id, o.outcome_index, o.result, o.settled, q.digest as policy_then
from operations o
asof left join policies q on o.index > q.index
join requirements r on r.control = ${literal(control)}
  and r.policy = case when o.policy in (select digest from policies) then o.policy
    else coalesce(q.digest, (select arg_min(digest, index) from policies)) end
where o.in_period and ${where}
  and ${matched(control)}`.trim()

/** Operations of which a crash left no more than that they were let through: what they showed, and how, nobody can tell. */
export const lostToACrash = (control: string, asks: string): string =>
  `
select p.time as starts_at, coalesce(p.outcome_time, p.time) as ends_at,
  'what the operation of entry ' || p.index || ' showed is unknown: its guard ended before it did' as why
from (
${covered(control, `o.result = 'unknown' and ${asks}`)}
) p`.trim()

const matched = (control: string): string =>
  `(r.effective_from is null or o.time >= r.effective_from)
  and (r.observed_until is null or o.time >= r.observed_until)
  and (list_contains(o.controls, ${literal(control)})
    or ((r.risk is null or r.risk = o.risk) and len(list_filter(range(len(o.resources)), lambda i:
      regexp_full_match(o.resources[i + 1], r.resource_pattern)
      and (r.action_pattern is null or regexp_full_match(o.actions[i + 1], r.action_pattern)))) > 0))`

/** A time of the views, moved on by so many milliseconds, in SQL: to be compared with one that is wrapped in `moment`. */
export const later = (time: string, milliseconds: string): string =>
  `(${moment(time)} + to_milliseconds(${milliseconds}))`
export const moment = (time: string): string => `${time}::timestamptz`

/** Roles by subject and policy, and which of the asked ones somebody lacked: only where the rules are disclosed. */
export const heldRoles = `held as (
  select m.policy, n.subject, list(distinct m.role) as roles
  from memberships m join (select distinct subject, name from principals) n on n.name = m.member
  group by all
)`
export const lacks = (asked: string, held: string): string =>
  `len(list_filter(${asked}, lambda role: not list_contains(coalesce(${held}, []::varchar[]), role))) > 0`

/** Whether a control claims one of these criteria. */
export const claims =
  (...criteria: readonly string[]): Procedure['applies'] =>
  ({ criteria: claimed }) =>
    criteria.some(id => claimed.includes(id))

/** Joins the names of the attributes that failed. */
export const reasons = (attributes: readonly (readonly [name: string, failed: string])[]): string =>
  `list_filter([\n    ${attributes
    .map(([name, failed]) => `case when ${failed} then '${name}' end`)
    .join(',\n    ')}\n  ], lambda reason: reason is not null)`
