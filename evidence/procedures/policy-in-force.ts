/** Test 26, as far as the ledger shows it: each decision cites a recorded policy, and the one that was in force when it was asked for. */
import { claims, decided, later, moment, type Procedure, reasons, skewSeconds } from './procedure.ts'

// biome-ignore format: a table
const attributes = [
  ['no-policy-cited', 'p.policy is null'],
  ['policy-not-recorded', 'p.policy is not null and f.recorded = 0'],
  ['policy-not-in-force', 'f.recorded > 0 and f.in_force = 0'],
] as const

export const policyInForce: Procedure = {
  name: 'policy-in-force',
  title: 'Each decision cites the recorded policy that was in force',
  applies: claims('CC8.1', 'CC7.1', 'CC5.2'),
  // Who is refused before policy is asked, as with no credential, has none to cite.
  population: control => decided(control, `(o.verdict = 'permit' or o.policy is not null)`),
  // What was asked for under one policy may be recorded under the next, which judged it anew.
  exceptions: () =>
    `
with spans as (
  select digest, index, lead(time) over (order by index) as until from policies
),
cited as (
  select p.index, count(s.index) as recorded,
    count(*) filter (where s.index < p.index
      and (s.until is null or ${later('s.until', String(skewSeconds * 1000))} >= ${moment('p.asked_at')})) as in_force
  from population p left join spans s on s.digest = p.policy
  group by p.index
),
tested as (
  select p.index, p.exchange, p.time, p.subject, p.policy,
  ${reasons(attributes)} as reasons
  from population p join cited f on f.index = p.index
)
select * from tested where len(reasons) > 0`.trim(),
}
