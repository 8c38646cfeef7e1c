/**
 * `npm run faults -- [--rounds N] [--kill N] [--seconds N] [--seed S]`: N rounds of a fault injected into a system
 * call, and N writers killed at random moments. Prints how many there were of each; ends with status 1 at the first
 * round that lost an entry, signed a fork or told an untruth, and says which seed repeats it.
 *
 * `npm run faults -- --every [--only CALL[:FAULT[:N]]]`: each fault at each call of a brief script. `--cuts`: the
 * write-ahead log cut at each offset. These go on to the end, and name each round that does not hold.
 */
import { parseArgs } from 'node:util'
import { findTool } from '../support/interop.ts'
import { Campaign, type Round } from './campaign.ts'
import { Cuts } from './cuts.ts'
import { Every } from './every.ts'
import { faultOf, killsOf } from './rounds.ts'
import { Tally } from './tally.ts'

const number = { type: 'string' } as const
const { values } = parseArgs({
  options: {
    ...{ rounds: number, kill: number, seconds: number, seed: number },
    ...{ every: { type: 'boolean' }, only: { type: 'string' }, cuts: { type: 'boolean' } },
  },
})
const count = (name: 'rounds' | 'kill' | 'seconds' | 'seed', otherwise: number) => {
  const value = Number(values[name] ?? otherwise)
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`--${name} is a whole number`)
  process.exit(2)
}
const systematic = values.every === true || values.cuts === true
const [rounds, kills] = [count('rounds', values.kill !== undefined || systematic ? 0 : 40), count('kill', 0)]
const seed = count('seed', Date.now() % 1_000_000)
const until = Date.now() + count('seconds', 1_000_000) * 1000

const strace = findTool('strace')
const prlimit = findTool('prlimit')
if ((rounds > 0 || values.every === true) && (strace === undefined || prlimit === undefined)) {
  console.error('faults are injected by strace and prlimit (packages strace and util-linux), which are not installed')
  process.exit(2)
}

const tally = new Tally()
const campaign = await Campaign.begin()
let bad = false

function tell(name: string, wrong: readonly string[], repeat: string): void {
  if (wrong.length === 0) return
  bad = true
  console.log(`${name}\n${wrong.map(line => `  ${line}`).join('\n')}\nrepeat it with: npm run faults -- ${repeat}`)
}

/** @param repeat what repeats it. @returns whether to go on */
function judge(name: string, of: readonly Round[], repeat: string): boolean {
  for (const round of of) tally.add(name, round)
  const wrong = of.flatMap(round => round.wrong)
  tell(name, wrong, repeat)
  return wrong.length === 0 && Date.now() < until
}

async function everyCall(): Promise<void> {
  const [call, fault, when] = (values.only ?? '').split(':')
  const every = await Every.begin(campaign, { strace: strace!, prlimit: prlimit! })
  const chosen = { ...(call ? { call } : {}), ...(fault ? { fault } : {}), ...(when ? { when: Number(when) } : {}) }
  let unmet = 0
  await every.run([chosen], round => {
    if (round.met) tally.add(round.kind, round)
    else unmet += 1
    tell(round.only, round.wrong, `--every --only ${round.only}`)
    return Date.now() < until
  })
  await every.end()
  console.log(`${every.counts()}\n${unmet} more rounds in which there was no such call any more`)
}

async function everyCut(): Promise<void> {
  const cuts = await Cuts.begin(campaign)
  let [done, refused] = [0, 0]
  for (let at = 0; at < cuts.offsets && Date.now() < until; at += 1) {
    for (const zeros of [0, 64]) {
      const cut = await cuts.at(at, zeros)
      done += 1
      if (cut.refused) refused += 1
      tell(`cut at ${at}, ${zeros} zeros behind`, cut.wrong, '--cuts')
    }
  }
  console.log(
    `${done} cuts at ${cuts.offsets} offsets: ${refused} refused as behind the checkpoint, ${done - refused} recovered`,
  )
}

try {
  if (values.every === true) await everyCall()
  if (values.cuts === true) await everyCut()
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
console.log(`${tally.table()}\n${systematic ? '' : `seed ${seed}: `}${tally.summary()}`)
process.exit(bad ? 1 : 0)
