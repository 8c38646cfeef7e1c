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
}

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
select o.*, r.grant_longest_ms, r.approval_people, r.mask_fields, r.resource_pattern, r.action_pattern
from operations o
join requirements r on r.policy = o.policy and r.control = ${literal(control)}
where o.in_period and o.verdict = 'permit' and ${asks}
  and (r.effective_from is null or o.time >= r.effective_from)
  and (r.observed_until is null or o.time >= r.observed_until)
  and (list_contains(o.controls, ${literal(control)})
    or ((r.risk is null or r.risk = o.risk) and len(list_filter(range(len(o.resources)), lambda i:
      regexp_full_match(o.resources[i + 1], r.resource_pattern)
      and (r.action_pattern is null or regexp_full_match(o.actions[i + 1], r.action_pattern)))) > 0))`.trim()

/** Joins the names of the attributes that failed. */
export const reasons = (attributes: readonly (readonly [name: string, failed: string])[]): string =>
  `list_filter([\n    ${attributes
    .map(([name, failed]) => `case when ${failed} then '${name}' end`)
    .join(',\n    ')}\n  ], lambda reason: reason is not null)`
