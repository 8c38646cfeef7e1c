/** Test 1: whoever did something was identified: known by then, by a method that is told, in a session that was theirs. */
import { claims, covered, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = [
  ['not-identified', 'p.subject is null'],
  ['subject-unknown', 'p.subject is not null and p.known_at is null'],
  ['method-missing', 'p.method is null'],
  ['session-unknown', 'p.session is not null and (s.session is null or s.index > p.index)'],
  ["session-of-another", `s.session is not null and (s.subject is distinct from p.subject
      or s.principal is distinct from p.principal or s.owner is distinct from p.owner)`],
  ['another-method', 's.session is not null and s.method is distinct from p.method'],
  ['asked-after-its-session', 'p.asked_at > s.closed_at'],
] as const

export const identityComplete: Procedure = {
  name: 'identity-complete',
  title: 'Who did it was identified by then, by a recorded method, in a session of their own',
  applies: claims('CC6.1'),
  population: control =>
    `
select o.index, o.time, o.asked_at, o.exchange, o.subject, o.subject_name, o.subject_type, o.principal, o.owner, o.target,
  o.actions, o.resources, o.method, s.strength, s.credential, o.session, k.time as known_at
from (
${covered(control, 'true')}
) o
asof left join principals k on k.subject = o.subject and o.index > k.index
left join sessions s on s.session = o.session`.trim(),
  exceptions: () =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.session,
  ${reasons(attributes)} as reasons
  from population p left join sessions s on s.session = p.session
)
select * from tested where len(reasons) > 0`.trim(),
}
