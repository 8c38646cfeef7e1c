/** Which fault a seed stands for. */
import type { Campaign, Round } from './campaign.ts'
import { Dice } from './dice.ts'
import { describeInjection, faults, type Injection } from './strace.ts'

export interface FaultRound {
  /** The call and its fault. */
  readonly name: string
  readonly run: (campaign: Campaign) => Promise<Round>
}

export function faultOf(seed: number, { strace, prlimit }: { strace: string; prlimit: string }): FaultRound {
  const dice = new Dice(seed)
  if (dice.below(8) === 0) {
    // Tiles and checkpoints are small, segments of the log are not.
    const bytes = dice.of([dice.below(300), dice.below(4096), dice.below(70_000), dice.below(400_000)])
    return { name: `file size ${bytes}`, run: campaign => campaign.limit(prlimit, bytes) }
  }
  const { call, errors, most } = dice.of(faults)
  const fault = dice.below(3) === 0 ? 'KILL' : dice.of(errors)
  const when = 1 + dice.below(most)
  const again = fault !== 'KILL' && dice.below(2) === 0 ? { every: 5 + dice.below(most) } : {}
  const injection: Injection = { call, fault, when, ...again }
  return { name: describeInjection(injection), run: campaign => campaign.fault(strace, injection) }
}

/** Writers killed three times over, each time at some other moment: within the opening, or later. */
export function killsOf(seed: number): {
  readonly ledgers: number
  readonly run: (campaign: Campaign) => Promise<readonly Round[]>
} {
  const dice = new Dice(seed)
  const ledgers = 8
  const lives = Array.from({ length: 3 }, () => ({
    lines: dice.below(dice.of([1, 10, 150, 600])),
    milliseconds: dice.below(dice.of([1, 10, 100])),
  }))
  return { ledgers, run: campaign => campaign.kill(ledgers, lives) }
}
