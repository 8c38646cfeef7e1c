/** Test 15: what was refused did not happen: no outcome, no settlement, no recording, and no second decision that lets it through. */
import { claims, decided, type Procedure, reasons } from './procedure.ts'

// biome-ignore format: a table
const attributes = [
  ['an-outcome-is-recorded', 'p.outcome_index is not null'],
  ['settled', 'p.settled is not null'],
  ['let-through-as-well', 'p.exchange in (select exchange from operations where verdict = \'permit\')'],
  ['something-was-shown', `p.exchange in (select exchange from recordings where part <> 'request')`],
  ['no-code', 'p.code is null'],
] as const

export const denialHeld: Procedure = {
  name: 'denial-held',
  title: 'What was refused did not happen',
  applies: claims('CC6.1'),
  population: control => decided(control, `o.verdict = 'deny'`),
  exceptions: () =>
    `
with tested as (
  select p.index, p.exchange, p.time, p.subject, p.code,
  ${reasons(attributes)} as reasons
  from population p
)
select * from tested where len(reasons) > 0`.trim(),
}
