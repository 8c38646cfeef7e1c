/** Test 23: whatever was offered of a masked resource says, for each masked field, how it was masked or that it was not there. */
import { covered, literal, lostToACrash, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = (control: string) => [
  ['control-not-applied', `not list_contains(p.controls, ${literal(control)})`],
  ['nothing-masked', `len(list_filter(p.masked, lambda m: starts_with(m, ${literal(control)} || ':'))) = 0`],
  ['field-not-accounted-for', `len(list_filter(p.mask_fields, lambda f:
      len(list_filter(p.masked, lambda m: starts_with(m, ${literal(control)} || ':' || f || ':'))) = 0)) > 0`],
] as const

export const maskingApplied: Procedure = {
  name: 'masking-applied',
  title: 'Every masked field was masked in what was offered, or was not in it',
  applies: control => control.mask !== undefined && Object.keys(control.mask).length > 0,
  population: control =>
    `
select * from (
${covered(control, 'r.mask_fields is not null')}
) where coalesce(items, 0) > 0`.trim(),
  exceptions: control =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.masked,
  ${reasons(attributes(control))} as reasons
  from population p
)
select * from tested where len(reasons) > 0`.trim(),
  unable: control => lostToACrash(control, 'r.mask_fields is not null'),
}
