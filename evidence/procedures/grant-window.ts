/** Tests 3, 4, 6, 8 and 9: an operation ran within a live grant's window and scope, decided by another person, not too long. */
import { covered, literal, type Procedure, reasons } from './procedure.ts'

// A proven read runs before its decision is recorded (together with its outcome), so it counts from when it was asked for.
const event = '(case when p.read then p.asked_at else p.time end)'

// biome-ignore format: a table
const attributes = (control: string) => [
  ['control-not-applied', `not list_contains(p.controls, ${literal(control)})`],
  ['no-grant', 'p.grant_id is null'],
  ['grant-unknown', 'p.grant_id is not null and g.grant_id is null'],
  ['grant-not-approved', `g.grant_id is not null and (g.verdict is distinct from 'approve' or g.starts_at is null or g.ends_at is null)`],
  ['decided-after-the-event', 'g.decided_index >= p.index'],
  ['before-its-start', `${event} < g.starts_at`],
  ['at-or-after-its-end', `${event} >= g.ends_at`],
  ['at-or-after-its-revocation', `${event} >= g.revoked_at and p.index > g.revoked_index`],
  ['another-subject', 'g.grant_id is not null and (g.subject is distinct from p.subject or g.principal is distinct from p.principal)'],
  ['outside-its-scope', `len(list_filter(range(len(p.resources)), lambda i:
      regexp_full_match(p.resources[i + 1], p.resource_pattern)
      and (p.action_pattern is null or regexp_full_match(p.actions[i + 1], p.action_pattern))
      and not (regexp_full_match(p.resources[i + 1], g.resource_pattern)
        and (list_contains(g.actions, '*') or list_contains(g.actions, p.actions[i + 1]))))) > 0`],
  ['self-approved', 'g.approver in (p.subject, p.principal, p.owner, g.subject, g.principal, g.owner)'],
  ['approver-not-a-person', `g.verdict = 'approve' and g.approver_type is distinct from 'person'`],
  ['longer-than-allowed', `epoch_ms(g.ends_at::timestamp) - epoch_ms(g.starts_at::timestamp) > p.grant_longest_ms`],
] as const

export const grantWindow: Procedure = {
  name: 'grant-window',
  title: 'Ran within a live grant, in scope, that another person had decided',
  applies: control => control.require?.grant !== undefined,
  population: control => covered(control, 'r.grant_longest_ms is not null'),
  exceptions: control =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.grant_id,
  ${reasons(attributes(control))} as reasons
  from population p left join grants g on g.grant_id = p.grant_id
)
select * from tested where len(reasons) > 0`.trim(),
}
