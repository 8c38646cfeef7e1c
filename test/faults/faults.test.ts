/** A short sample of the campaigns that `npm run faults` runs for as long as wanted: one fault of each family, from a fixed seed. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findTool, interop } from '../support/interop.ts'
import { Campaign } from './campaign.ts'
import { Cuts } from './cuts.ts'
import { Dice } from './dice.ts'
import { Every, type EveryRound } from './every.ts'
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

describe('a fault at the n-th call of a script', () => {
  interop(['strace', 'prlimit'], 'is met by that call, and leaves the ledger whole', async strace => {
    const every = await Every.begin(campaign, { strace, prlimit: findTool('prlimit')! })
    const rounds: EveryRound[] = []
    const chosen = [
      { call: 'rename', fault: 'EIO', when: 2 },
      { call: 'unlink', fault: 'KILL', when: 11 },
      { call: 'short', fault: 'seal', when: 200 },
    ]
    await every.run(chosen, round => rounds.push(round) > 0)
    await every.end()
    expect(rounds.flatMap(({ wrong }) => wrong)).toEqual([])
    const told = (only: string) => rounds.filter(round => round.met && round.only === only)
    expect(told('rename:EIO:2').map(({ end, refusals }) => end === 'done' && refusals > 0)).toEqual([true, true])
    expect(told('unlink:KILL:11').map(({ end }) => end)).toEqual(['killed'])
    expect(told('short:seal:200').map(({ refusals }) => refusals > 0)).toEqual([true])
  })
})

describe('a write-ahead log that is cut', () => {
  it('opens with the whole frames before the cut and verifies, or is refused as behind its checkpoint', async () => {
    const cuts = await Cuts.begin(campaign)
    expect(cuts.offsets).toBeGreaterThan(cuts.covered + 500)
    for (const [at, refused] of [
      [0, true],
      [cuts.covered - 1, true],
      [cuts.covered, false],
      [cuts.covered + 100, false],
      [cuts.offsets, false],
    ] as const) {
      expect(await cuts.at(at, 64)).toMatchObject({ at, refused, wrong: [] })
    }
  })
})

describe('the witness', () => {
  it('says what was lost, and which checkpoint is no prefix of what is there', async () => {
    const cuts = await Cuts.begin(campaign)
    const witness = cuts.witness()
    const [lost, fork] = ['0190b0a0-0000-7000-8000-00000000bbbb', Buffer.alloc(32, 1).toString('base64')]
    witness.hear(`+ 1 ${lost}`)
    witness.hear(`= ${Buffer.from(`crm.example/faults\n2\n${fork}\n\n— x AAAAAAAA\n`).toString('base64')}`)
    const wrong = await witness.examine({ again: false })
    expect(wrong.join('\n')).toContain('LOST: entry 1 ')
    expect(wrong.join('\n')).toContain('FORK: a checkpoint of 2 entries')
    expect(witness.hear('? append: Error: EIO')).toContain('EIO')
    expect(witness.hear('! append: ERR_LEDGER_CORRUPT')).toContain('ERR_LEDGER_CORRUPT')
    expect(witness.hear('! append: ERR_LEDGER_UNAVAILABLE')).toBeUndefined()
  })
})
