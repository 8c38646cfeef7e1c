/** What can happen to a ledger, drawn at random. A step that has nothing to be about does nothing. */
import fc from 'fast-check'
import type { SigningKey } from '../../../lib/openpgp.ts'
import { sayable } from './drafts.ts'
import type { Kill, Reopening, Work } from './work.ts'
import {
  appending,
  type Batch,
  type Erasing,
  erasing,
  erasingMeanwhile,
  joining,
  leaving,
  publishing,
  type Rotating,
  record,
  recorded,
  rotating,
} from './works.ts'
import type { World } from './world.ts'

/** What may be killed in its midst. */
type Interruptible =
  | { readonly does: 'append'; readonly batches: readonly Batch[] }
  | { readonly does: 'publish' | 'seal' | 'close' }
  | { readonly does: 'join'; readonly writer: string }
  | { readonly does: 'leave'; readonly of: number; readonly how: 'stops' | 'is lost' }
  | { readonly does: 'end recording'; readonly of: number }
  | ({ readonly does: 'erase' } & Erasing)
  | ({ readonly does: 'rotate' } & Rotating)

export type Step =
  | Interruptible
  | { readonly does: 'record'; readonly of: number; readonly sizes: readonly number[] }
  | ({ readonly does: 'erase meanwhile' } & Erasing)
  | { readonly does: 'wait'; readonly hours: number }
  | { readonly does: 'look' | 'verify' }
  | ({ readonly does: 'reopen' } & Reopening)
  | ({ readonly does: 'kill'; readonly during?: Interruptible | undefined } & Kill & Reopening)

const is = fc.constant
const nat = fc.nat({ max: 999 })
const writer = fc.constantFrom('crm-gateway', 'web', 'job')
const saying = fc.record({
  what: fc.oneof(...sayable.map(({ what, weight }) => ({ weight, arbitrary: is(what) }))),
  of: nat,
})
const batch: fc.Arbitrary<Batch> = fc.record({
  writer: nat,
  level: fc.constantFrom('durable', 'written', 'signed', 'witnessed'),
  says: fc.array(saying, { minLength: 1, maxLength: 6 }),
})
const append = fc.record({ does: is('append' as const), batches: fc.array(batch, { minLength: 1, maxLength: 4 }) })
const erasure = {
  scope: fc.constantFrom('principal' as const, 'session' as const),
  of: nat,
  judged: fc.nat({ max: 9 }),
}
const rotate = fc.record({
  does: is('rotate' as const),
  key: fc.constantFrom('note' as const, 'seal' as const),
  revoke: fc.boolean(),
})

const interruptible: fc.Arbitrary<Interruptible> = fc.oneof(
  { weight: 5, arbitrary: append },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('publish' as const, 'seal' as const, 'close' as const) }) },
  { weight: 1, arbitrary: fc.record({ does: is('join' as const), writer }) },
  {
    weight: 1,
    arbitrary: fc.record({ does: is('leave' as const), of: nat, how: fc.constantFrom('stops', 'is lost') }),
  },
  { weight: 2, arbitrary: fc.record({ does: is('end recording' as const), of: nat }) },
  { weight: 3, arbitrary: fc.record({ does: is('erase' as const), ...erasure }) },
  { weight: 2, arbitrary: rotate },
)
const reopening = {
  as: writer,
  rewrap: fc.boolean(),
  killedAt: fc.oneof({ weight: 2, arbitrary: is(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) }),
}
const kill = {
  at: fc.integer({ min: 1, max: 40 }),
  rubbish: fc.oneof({ weight: 3, arbitrary: is(new Uint8Array()) }, fc.uint8Array({ minLength: 1, maxLength: 99 })),
  judged: fc.boolean(),
}

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: append },
  { weight: 6, arbitrary: interruptible.filter(({ does }) => does !== 'append' && does !== 'close') },
  {
    weight: 3,
    arbitrary: fc.record({
      does: is('record' as const),
      of: nat,
      sizes: fc.array(fc.nat({ max: 100_000 }), { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: is('erase meanwhile' as const), ...erasure }) },
  { weight: 1, arbitrary: fc.record({ does: is('wait' as const), hours: fc.integer({ min: 1, max: 30 }) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('look' as const, 'verify' as const) }) },
  { weight: 2, arbitrary: fc.record({ does: is('reopen' as const), ...reopening }) },
  {
    weight: 5,
    arbitrary: fc.record({
      does: is('kill' as const),
      during: fc.option(interruptible, { nil: undefined }),
      ...kill,
      ...reopening,
    }),
  },
)

async function workOf(world: World, step: Interruptible, pool: readonly SigningKey[]): Promise<Work | undefined> {
  switch (step.does) {
    case 'append':
      return appending(world, step.batches)
    case 'publish':
    case 'seal':
      return publishing(world, step.does)
    case 'close':
      return world.closing()
    case 'join':
      return joining(world, step.writer)
    case 'leave':
      return leaving(world, step.of, step.how)
    case 'end recording':
      return recorded(world, step.of)
    case 'erase':
      return erasing(world, step)
    case 'rotate':
      return rotating(world, step, pool)
  }
}

/** @param pool OpenPGP keys to rotate to */
export async function take(world: World, step: Step, pool: readonly SigningKey[]): Promise<void> {
  switch (step.does) {
    case 'record':
      return record(world, step.of, step.sizes)
    case 'erase meanwhile':
      return erasingMeanwhile(world, step)
    case 'wait':
      return wait(world, step.hours)
    case 'look':
      return world.look()
    case 'verify':
      world.checkpoints.push(await world.ledger.publish())
      return world.verify()
    case 'reopen':
      await endRecordings(world)
      return world.closeAndOpen(step)
    case 'kill':
      if (step.during?.does === 'close' || step.during?.does === 'rotate') await endRecordings(world)
      return world.killAndOpen(step.during && (await workOf(world, step.during, pool)), step, step)
    default: {
      if (step.does === 'rotate') await endRecordings(world)
      const work = await workOf(world, step, pool)
      if (work === undefined) return
      await world.do(work)
      // The keys of an open ledger change once.
      if (work.keys !== undefined) await world.reopenAsBefore()
    }
  }
}

/** Whoever closes a ledger has ended what it recorded. */
export async function endRecordings(world: World): Promise<void> {
  for (let work = recorded(world, 0); work !== undefined; work = recorded(world, 0)) await world.do(work)
}

/** Time goes by: whoever is at work says that it lives. */
async function wait(world: World, hours: number): Promise<void> {
  world.now += hours * 3_600_000
  for (const writer of world.joined()) await world.beat(writer)
}
