/**
 * Any interleaving of what can happen to a ledger, against a plain list of what must be in it then.
 * `COUNTERFOIL_RUNS=1000` draws so many.
 */
import fc from 'fast-check'
import { beforeAll, describe, it } from 'vitest'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, type SigningKey } from '../../lib/openpgp.ts'
import { requirePrefixes } from './model/judging.ts'
import { endRecordings, step, take } from './model/steps.ts'
import { World } from './model/world.ts'

const { COUNTERFOIL_RUNS: runs = '10' } = process.env
let pool: SigningKey[]

beforeAll(async () => {
  const made = Array.from({ length: 4 }, () => generateKey({ name: 'Ledger', date: new Date('2026-01-01T00:00:00Z') }))
  pool = await Promise.all(made.map(async key => readPrivateKey((await key).privateKey)))
})

describe('any interleaving of appends, kills, openings, rotations, erasures, holds, recordings, seals', () => {
  it(
    'leaves every acknowledged entry in its place, opens what was not erased and nothing else, and verifies from the pin of before',
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 3, maxLength: 14 }),
          fc.constantFrom(3, 1e8),
          async (steps, publishMs) => {
            const world = new World({ sealer: openpgpSealer(pool[0]!) }, publishMs)
            try {
              await world.begin()
              for (const each of steps) await take(world, each, pool)
              await endRecordings(world)
              await world.look()
              world.checkpoints.push(await world.ledger.publish())
              await world.verify()
              await world.do(world.closing())
              world.published()
              await world.verify()
              requirePrefixes(world.belief, world.checkpoints)
            } finally {
              await world.end()
            }
          },
        ),
        { numRuns: Number(runs) },
      )
    },
    300_000 + Number(runs) * 10_000,
  )
})
