/**
 * `npm run bench [-- SUITE] [--json]`: every figure as a ratio against a yardstick of the same run, since machines are noisy. It
 * prints whether a target is met; it never fails for being slow.
 */
import type { Row } from './row.ts'

const suites: Readonly<Record<string, () => Promise<{ suite(): Promise<readonly Row[]> }>>> = {
  doors: () => import('./doors.ts'),
  ledger: () => import('./ledger.ts'),
  masking: () => import('./masking.ts'),
  postgres: () => import('./postgres.ts'),
  verify: () => import('./verify.ts'),
}

const wanted = process.argv.slice(2).filter(argument => !argument.startsWith('--'))
const json = process.argv.includes('--json')
const unknown = wanted.filter(name => !Object.hasOwn(suites, name))
if (unknown.length > 0) {
  console.error(`no suite ${unknown.join(', ')}; there are: ${Object.keys(suites).join(', ')}`)
  process.exit(2)
}

const rows: Row[] = []
for (const [name, load] of Object.entries(suites)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  if (!json) console.log(`${name} ...`)
  const { suite } = await load()
  rows.push(...(await suite()))
}

if (json) console.log(JSON.stringify(rows, null, 2))
else {
  const width = Math.max(0, ...rows.map(({ name }) => name.length))
  for (const row of rows) console.log(line(row, width))
}

function line({ suite, name, value, unit, yardstick, ratio, target, met }: Row, width: number): string {
  const verdict = target === undefined ? '' : `  target ${target}: ${met ? 'met' : 'MISSED'}`
  return `${suite.padEnd(9)} ${name.padEnd(width)} ${format(value)} ${unit.padEnd(10)} ${format(ratio)} x ${yardstick}${verdict}`
}

function format(value: number): string {
  return (value >= 100 ? value.toFixed(0) : value.toPrecision(3)).padStart(9)
}
