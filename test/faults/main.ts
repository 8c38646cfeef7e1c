/**
 * `npm run faults -- [--rounds N] [--kill N] [--seconds N] [--seed S]`: N rounds of a fault injected into a system call, and N writers killed at
 * random moments. Prints how many there were of each; ends with status 1 at the first round that lost an entry, signed a fork or told an untruth,
 * and says which seed repeats it.
 */
import { parseArgs } from 'node:util'
import { findTool } from '../support/interop.ts'
import { Campaign, type Round } from './campaign.ts'
import { faultOf, killsOf } from './rounds.ts'
import { Tally } from './tally.ts'

const number = { type: 'string' } as const
const { values } = parseArgs({ options: { rounds: number, kill: number, seconds: number, seed: number } })
const count = (name: keyof typeof values, otherwise: number) => {
  const value = Number(values[name] ?? otherwise)
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`--${name} is a whole number`)
  process.exit(2)
}
const [rounds, kills] = [count('rounds', values.kill === undefined ? 40 : 0), count('kill', 0)]
const seed = count('seed', Date.now() % 1_000_000)
const until = Date.now() + count('seconds', 1_000_000) * 1000

const strace = findTool('strace')
const prlimit = findTool('prlimit')
if (rounds > 0 && (strace === undefined || prlimit === undefined)) {
  console.error('faults are injected by strace and prlimit (packages strace and util-linux), which are not installed')
  process.exit(2)
}

const tally = new Tally()
const campaign = await Campaign.begin()
let bad = false

/** @param repeat what repeats it. @returns whether to go on */
function judge(name: string, of: readonly Round[], repeat: string): boolean {
  for (const round of of) tally.add(name, round)
  const wrong = of.flatMap(round => round.wrong)
  if (wrong.length === 0) return Date.now() < until
  bad = true
  console.log(`${name}\n${wrong.map(line => `  ${line}`).join('\n')}\nrepeat it with: npm run faults -- ${repeat}`)
  return false
}

try {
  // In turns, so that a bound on the time cuts both.
  for (let i = 0, killed = 0, on = true; on && (i < rounds || killed < kills); i += 1) {
    if (i < rounds) {
      const { name, run } = faultOf(seed + i, { strace: strace!, prlimit: prlimit! })
      on = judge(name, [await run(campaign)], `--rounds 1 --seed ${seed + i}`)
    }
    if (!on || killed >= kills) continue
    const { ledgers, run } = killsOf(seed + i)
    const lives = await run(campaign)
    killed += ledgers * lives.length
    on = judge(`kill ${ledgers} writers`, lives, `--rounds 0 --kill 1 --seed ${seed + i}`)
  }
} finally {
  campaign.end()
}
console.log(`${tally.table()}\nseed ${seed}: ${tally.summary()}`)
process.exit(bad ? 1 : 0)
