/** A short sample of the campaign that `npm run faults` runs for as long as wanted: one fault of each family, from a fixed seed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findTool, interop } from '../support/interop.ts'
import { Campaign } from './campaign.ts'
import { Dice } from './dice.ts'
import { faultOf, killsOf } from './rounds.ts'

let campaign: Campaign

beforeAll(async () => {
  campaign = await Campaign.begin()
})
afterAll(() => campaign.end())

describe('a ledger under injected faults', () => {
  interop(
    'strace',
    'refuses with a type after an error of a write, and keeps what it acknowledged',
    async strace => {
      const round = await campaign.fault(strace, { call: 'pwrite64', fault: 'EIO', when: 9 })
      expect(round).toMatchObject({ wrong: [], end: 'done' })
      expect(round.refusals).toBeGreaterThan(0)
      expect(round.acknowledged).toBeGreaterThan(200)
    },
    300_000,
  )

  interop(
    'strace',
    'is whole after a kill before a system call',
    async strace => {
      const round = await campaign.fault(strace, { call: 'rename', fault: 'KILL', when: 40 })
      expect(round).toMatchObject({ wrong: [], end: 'killed' })
      expect(round.checkpoints).toBeGreaterThan(2)
    },
    300_000,
  )

  interop(
    'prlimit',
    'keeps what it acknowledged where writes are cut short, and then refused',
    async prlimit => {
      const round = await campaign.limit(prlimit, 140_000)
      expect(round.wrong).toEqual([])
      expect(round.refusals).toBeGreaterThan(0)
    },
    300_000,
  )

  it('is whole after kills at any moment, and the next writer goes on with it', async () => {
    const lives = await campaign.kill(2, [
      { lines: 20, milliseconds: 3 },
      { lines: 9, milliseconds: 1 },
    ])
    expect(lives.map(({ wrong, end }) => ({ wrong, end }))).toEqual(Array(2).fill({ wrong: [], end: 'killed' }))
    expect(lives[1]!.acknowledged).toBeGreaterThan(10)
  }, 300_000)

  it('meets the same faults for the same seed, and others for another', () => {
    const tools = { strace: findTool('strace') ?? '', prlimit: '' }
    const names = (from: number) => Array.from({ length: 50 }, (_, i) => faultOf(from + i, tools).name)
    expect(names(1)).toEqual(names(1))
    expect(new Set(names(1)).size).toBeGreaterThan(40)
    expect(killsOf(1).ledgers).toBeGreaterThan(1)
    expect(new Dice(1).below(1000)).not.toBe(new Dice(2).below(1000))
  })
})
