/** Test 19: the writers' signs of life came when they were due, their counters and clocks went on, and no gap is unexplained. */
import { claims, later, moment, type Procedure, reasons, skewSeconds } from './procedure.ts'

// Longer than two intervals is a gap; a stop in order explains itself, since nothing can pass.
const overdue = later('p.previous_at', '2000 * p.previous_interval')

// biome-ignore format: a table
const attributes = [
  ['sign-of-life-overdue', `p.previous_kind <> 'stopped' and p.previous_interval > 0 and ${moment('p.time')} > ${overdue}`],
  ['counter-went-back', 'p.seq <= p.previous_seq'],
  ['clock-went-back', `${later('p.time', String(skewSeconds * 1000))} < ${moment('p.previous_at')}`],
  ['never-came-back', `p.is_last and p.kind <> 'stopped' and p.promised > 0
      and ${later('p.time', '2000 * p.promised')} < ${moment('p.known_until')}`],
] as const

export const logContinuous: Procedure = {
  name: 'log-continuous',
  title: 'The log goes on without a gap: counters, clocks and signs of life',
  applies: claims('CC7.2', 'CC2.1'),
  population: () =>
    `
select * from (
  select h.index, h.time, h.in_period, h.writer, h.seq, h.kind, h.promised, h.epoch, h.torn,
    lag(h.time) over w as previous_at, lag(h.kind) over w as previous_kind, lag(h.seq) over w as previous_seq,
    lag(h.promised) over w as previous_interval, lead(h.index) over w is null as is_last, n.known_until
  from (
    select *, coalesce(interval, max(interval) over (partition by writer order by index)) as promised from heartbeats
  ) h cross join (
    select max(time) as known_until from (
      select time from operations union all select outcome_time from operations union all select time from heartbeats)
  ) n
  window w as (partition by h.writer order by h.index)
) where in_period`.trim(),
  exceptions: () =>
    `
with tested as (
  select p.index, p.time, p.writer,
  ${reasons(attributes)} as reasons
  from population p
),
found as (
  select index, time, writer, reasons from tested where len(reasons) > 0
  union all
  select index, ends_at, writer, ['gap-' || kind] from gaps where in_period and kind <> 'stopped'
  union all
  select min(index), min(time), null, ['no-sign-of-life'] from operations
  where in_period and not exists (from population) having count(*) > 0
)
select index, null as exchange, min(time) as time, null as subject, writer, list_sort(flatten(list(reasons))) as reasons
from found group by index, writer`.trim(),
}
