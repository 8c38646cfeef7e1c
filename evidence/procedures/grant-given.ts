/** Tests 5, 6, 8 and 9: each grant had a request, a reason, another person's decision, the role that this took, and an end. */
import { covered, heldRoles, lacks, later, literal, moment, type Procedure, reasons, skewSeconds } from './procedure.ts'

const length = 'epoch_ms(p.ends_at::timestamp) - epoch_ms(p.starts_at::timestamp)'

// biome-ignore format: a table
const attributes = [
  ['no-reason', `coalesce(p.grant_reason, false) and (not p.reason_given or trim(p.reason) = '')`],
  ['no-window', 'p.starts_at is null or p.ends_at is null'],
  ['longer-than-allowed', `${length} > least(p.grant_longest_ms, p.longest * 1000)`],
  ['longer-than-asked-for', `${length} > p.seconds * 1000`],
  ['begins-before-its-decision', `${later('p.starts_at', String(skewSeconds * 1000))} < ${moment('p.time')}`],
  ['self-approved', 'p.approver in (p.subject, p.principal, p.owner) or p.approver = k.owner'],
  ['approver-unknown', 'a.subject is null'],
  ['approver-not-a-person', `a.type <> 'person'`],
  ['role-not-asked-for', 'p.grant_role is not null and not list_contains(p.roles, p.grant_role)'],
  ['approver-without-the-role', `d.rules_disclosed and ${lacks('p.roles', 'h.roles')}`],
] as const

export const grantGiven: Procedure = {
  name: 'grant-given',
  title: 'Each grant had a reason, an end, and the decision of another person who held the role',
  applies: control => control.require?.grant !== undefined,
  population: control =>
    `
select g.decided_index as index, g.decided_at as time, g.grant_id, g.requested_index, g.requested_at, g.subject, g.subject_name,
  g.principal, g.owner, g.resource, g.actions, g.seconds, g.longest, g.roles, g.controls, g.reason, g.reason_given,
  g.approver, g.approver_name, g.starts_at, g.ends_at, r.grant_longest_ms, r.grant_reason, r.grant_role
from grants g
asof left join policies q on g.requested_index > q.index
left join requirements r on r.policy = q.digest and r.control = ${literal(control)}
where g.decided_in_period and g.verdict = 'approve'
  and (list_contains(g.controls, ${literal(control)}) or g.grant_id in (select grant_id from (
${covered(control, 'r.grant_longest_ms is not null')}
)))`.trim(),
  exceptions: () =>
    `
with ${heldRoles},
tested as (
  select p.index, null as exchange, p.time, p.subject, p.grant_id, p.approver,
  ${reasons(attributes)} as reasons
  from population p
  asof left join principals k on k.subject = p.subject and p.index > k.index
  asof left join principals a on a.subject = p.approver and p.index > a.index
  asof left join policies d on p.index > d.index
  left join held h on h.policy = d.digest and h.subject = p.approver
)
select * from tested where len(reasons) > 0`.trim(),
  unable: () =>
    `
select p.time as starts_at, p.time as ends_at,
  'the rules in force are withheld: whether the approver of ' || p.grant_id || ' held the role cannot be told' as why
from population p asof left join policies d on p.index > d.index
where len(p.roles) > 0 and not coalesce(d.rules_disclosed, false)`.trim(),
}
