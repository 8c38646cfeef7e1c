/** Test 18: whatever was shown under a control that records was kept: all of it, before its outcome, and of its own session. */
import { covered, literal, lostToACrash, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = (control: string) => [
  ['control-not-applied', `not list_contains(p.controls, ${literal(control)})`],
  ['not-recorded', 'p.recordings = 0'],
  // A recording holds each byte that was shown, and when.
  ['shorter-than-shown', 'p.recorded_bytes < p.bytes'],
  ['outside-its-span', 'p.first_recording < p.index or p.last_recording > p.outcome_index'],
  ['of-another-session', 'p.of_other_sessions > 0'],
] as const

export const recordedWhole: Procedure = {
  name: 'recorded-whole',
  title: 'Everything that was shown was recorded, whole, between decision and outcome',
  applies: control => control.record?.response === 'masked',
  population: control =>
    `
select o.index, o.time, o.exchange, o.session, o.subject, o.subject_name, o.target, o.actions, o.resources, o.controls,
  o.outcome_index, o.items, o.bytes, count(c.index) as recordings, sum(c.bytes)::bigint as recorded_bytes,
  min(c.index) as first_recording, max(c.index) as last_recording,
  count(*) filter (where c.index is not null and c.session is distinct from o.session) as of_other_sessions
from (
${covered(control, `r.record_response = 'masked'`)}
) o
left join recordings c on c.exchange = o.exchange and c.part <> 'request' and not c.cut
where coalesce(o.bytes, 0) > 0 or c.index is not null
group by all`.trim(),
  exceptions: control =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.bytes, p.recorded_bytes,
  ${reasons(attributes(control))} as reasons
  from population p
)
select * from tested where len(reasons) > 0`.trim(),
  unable: control => lostToACrash(control, `r.record_response = 'masked'`),
}
