/** Test 10: once a grant was revoked or had lapsed, nothing more was let through under it, and what ran was cut in time. */
import { covered, later, literal, moment, type Procedure, reasons } from './procedure.ts'

const due = later('p.time', 'p.allowed_ms')
const inTime = (time: string) => `${moment(time)} > ${due}`

// biome-ignore format: a table
const attributes = [
  ['let-through-afterwards', inTime('p.last_let_through_at')],
  ['went-on-afterwards', inTime('p.last_outcome_at')],
  ['end-not-known', inTime('p.last_unknown_at')],
  ['still-under-way', `p.under_way > 0 and ${inTime('p.known_until')}`],
  ['session-went-on', inTime('p.last_session_closed_at')],
  ['session-still-open', `p.sessions_open > 0 and ${inTime('p.known_until')}`],
] as const

export const grantEnded: Procedure = {
  name: 'grant-ended',
  title: 'After its end, revoked or lapsed, nothing was let through under a grant, and what ran was cut in time',
  applies: control => control.require?.grant !== undefined,
  population: control =>
    `
with ended as (
  select g.*, coalesce(r.revocation_ms, 5000) as allowed_ms
  from grants g
  asof left join policies q on g.over_at >= q.time
  left join requirements r on r.policy = q.digest and r.control = ${literal(control)}
  where g.over_in_period and (list_contains(g.controls, ${literal(control)}) or g.grant_id in (select grant_id from (
${covered(control, 'r.grant_longest_ms is not null')}
  )))
),
used as (
  select o.grant_id, count(*) as operations,
    max(case when o.read then o.asked_at else o.time end) as last_let_through_at,
    max(o.outcome_time) filter (where o.result <> 'unknown') as last_outcome_at,
    max(o.outcome_time) filter (where o.result = 'unknown') as last_unknown_at,
    count(*) filter (where o.outcome_index is null) as under_way
  from operations o where o.verdict = 'permit' group by o.grant_id
),
bound as (
  select o.grant_id, max(s.closed_at) as last_session_closed_at, count(*) filter (where s.closed_at is null) as sessions_open
  from (select distinct grant_id, session from operations where verdict = 'permit') o
  join sessions s on s.session = o.session
  group by o.grant_id
),
known as (
  select max(time) as known_until from (
    select time from operations union all select outcome_time from operations union all select time from heartbeats
    union all select decided_at from grants union all select revoked_at from grants)
)
select coalesce(e.revoked_index, e.decided_index) as index, e.over_at as time, e.grant_id, e.subject, e.subject_name, e.principal,
  e.owner, e.resource, e.actions, case when e.over_at = e.revoked_at then 'revoked' else 'lapsed' end as ended_by, e.revoked_by,
  e.allowed_ms, coalesce(u.operations, 0) as operations, u.last_let_through_at, u.last_outcome_at, u.last_unknown_at,
  coalesce(u.under_way, 0) as under_way, b.last_session_closed_at, coalesce(b.sessions_open, 0) as sessions_open,
  greatest(0, epoch_ms(greatest(u.last_outcome_at, b.last_session_closed_at)::timestamp) - epoch_ms(e.over_at::timestamp)) as latency_ms,
  n.known_until
from ended e left join used u using (grant_id) left join bound b using (grant_id) cross join known n`.trim(),
  exceptions: () =>
    `
with tested as (
  select p.index, null as exchange, p.time, p.subject, p.grant_id, p.latency_ms,
  ${reasons(attributes)} as reasons
  from population p
)
select * from tested where len(reasons) > 0`.trim(),
}
