/** Test 2: every agent was a registered one, a person was accountable for it, and whom it acted for, if anybody, was a person. */
import { claims, covered, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = [
  ['agent-unknown', 'p.registered_type is null'],
  ['not-an-agent', `p.registered_type <> 'agent'`],
  ['no-owner', 'p.owner is null'],
  ['owner-not-a-person', `p.owner is not null and o.type is distinct from 'person'`],
  ['another-owner-than-registered', `p.registered_type = 'agent' and p.owner is distinct from p.registered_owner`],
  ['principal-not-a-person', `p.principal is not null and a.type is distinct from 'person'`],
  ['accountable-to-itself', 'p.subject in (p.owner, p.principal)'],
] as const

export const agentAccountable: Procedure = {
  name: 'agent-accountable',
  title: 'Each agent was registered, a person was accountable for it, and whom it acted for was a person',
  applies: claims('CC6.1', 'CC6.3'),
  population: control =>
    `
select o.index, o.time, o.exchange, o.subject, o.subject_name, o.principal, o.principal_name, o.owner, o.owner_name, o.target,
  o.actions, o.resources, k.type as registered_type, k.owner as registered_owner
from (
${covered(control, 'true')}
) o
asof left join principals k on k.subject = o.subject and o.index > k.index
where k.type = 'agent' or o.subject_type = 'agent' or o.principal is not null or o.owner is not null`.trim(),
  exceptions: () =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.principal, p.owner,
  ${reasons(attributes)} as reasons
  from population p
  asof left join principals o on o.subject = p.owner and p.index > o.index
  asof left join principals a on a.subject = p.principal and p.index > a.index
)
select * from tested where len(reasons) > 0`.trim(),
}
