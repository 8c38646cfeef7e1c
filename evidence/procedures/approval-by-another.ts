/** Tests 6, 7 and 8: this exact action was approved first, by enough other people, and the approval was used once. */
import { covered, heldRoles, lacks, literal, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = (control: string) => [
  ['control-not-applied', `not list_contains(p.controls, ${literal(control)})`],
  ['no-approval', 'p.approval_id is null'],
  ['approval-unknown', 'p.approval_id is not null and a.approval_id is null'],
  ['too-few-people', 'a.approval_id is not null and a.others < p.approval_people'],
  ['self-approved', 'a.own > 0'],
  ['approver-not-a-person', 'a.not_people > 0'],
  ['role-not-asked-for', 'a.approval_id is not null and p.approval_role is not null and not list_contains(a.roles, p.approval_role)'],
  ['approver-without-the-role', 'a.without_role > 0'],
  ['denied', 'a.denied > 0'],
  ['approved-after-the-event', 'a.late > 0'],
  // A proven read runs before its decision is recorded (together with its outcome).
  ['used-after-its-time', '(case when p.read then p.asked_at else p.time end) >= a.until'],
  ['another-action', 'a.approval_id is not null and not a.action_matches'],
  ['another-subject', 'a.approval_id is not null and (a.subject is distinct from p.subject or a.principal is distinct from p.principal)'],
  ['used-again', 'a.uses > 1'],
] as const

export const approvalByAnother: Procedure = {
  name: 'approval-by-another',
  title: 'This exact action was approved first, by enough other people, once',
  applies: control => control.require?.approval !== undefined,
  population: control => covered(control, 'r.approval_people is not null'),
  exceptions: control =>
    `
with ${heldRoles},
decided as (
  select p.index, a.approval_id, a.until, a.uses, a.subject, a.principal, a.action_matches, a.roles,
    count(distinct a.approver) filter (where a.verdict = 'approve' and a.approver_type = 'person' and a.decided_index < p.index
      and not coalesce(a.approver in (p.subject, p.principal, p.owner), false)) as others,
    count(*) filter (where a.approver in (p.subject, p.principal, p.owner, a.subject, a.principal, a.owner)) as own,
    count(*) filter (where a.verdict = 'approve' and a.approver_type is distinct from 'person') as not_people,
    count(*) filter (where a.verdict = 'deny') as denied,
    count(*) filter (where a.verdict = 'approve' and a.decided_index >= p.index) as late,
    count(*) filter (where a.verdict = 'approve' and d.rules_disclosed and ${lacks('a.roles', 'h.roles')}) as without_role
  from population p join approvals a on a.approval_id = p.approval_id and a.exchange = p.exchange
  asof left join policies d on coalesce(a.decided_index, -1) > d.index
  left join held h on h.policy = d.digest and h.subject = a.approver
  group by all
),
tested as (
  select p.index, p.exchange, p.time, p.subject, p.approval_id,
  ${reasons(attributes(control))} as reasons
  from population p left join decided a on a.index = p.index
)
select * from tested where len(reasons) > 0`.trim(),
  unable: () =>
    `
select p.time as starts_at, p.time as ends_at,
  'the rules in force are withheld: whether who approved ' || a.approval_id || ' held the role cannot be told' as why
from population p
join approvals a on a.approval_id = p.approval_id and a.exchange = p.exchange
asof left join policies d on coalesce(a.decided_index, -1) > d.index
where a.verdict = 'approve' and len(a.roles) > 0 and not coalesce(d.rules_disclosed, false)`.trim(),
}
