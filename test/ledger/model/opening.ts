/** What an opening finds and says: each entry that was not known before is accounted for. */
import { expect } from 'vitest'
import { longestChunk } from '../../../lib/format/attachment.ts'
import type { Stored } from '../../../lib/ledger/ledger.ts'
import { type Believed, believe, difference } from './belief.ts'
import type { Group, Recording, Reopening } from './work.ts'
import type { World } from './world.ts'

/**
 * Every entry that was not known is one of these: what may have become durable, what the opening owes, twice where it was killed itself.
 * @param perhaps what may have become durable before: so many of these groups as did, from the first on
 */
export function account(
  world: World,
  tail: readonly Stored[],
  perhaps: readonly Group[],
  { as, rewrap }: Omit<Reopening, 'killedAt'>,
): void {
  let rest = tail
  const take = (believed: readonly Believed[]) => {
    world.believe(believed, rest.slice(0, believed.length))
    rest = rest.slice(believed.length)
  }
  for (const { believed, acknowledged } of perhaps) {
    const there =
      believed.length <= rest.length && believed.every((one, i) => difference(one, rest[i]!.entry) === undefined)
    if (acknowledged !== undefined) {
      const ids = (stored: readonly Stored[]) => stored.map(({ entry }) => entry.id)
      expect(ids(rest.slice(0, believed.length)), 'what was acknowledged').toEqual(ids(acknowledged))
    }
    if (!there) break
    take(believed)
  }
  const rewrapped = believe(as, { kind: 'vault-rewrapped' })
  const said = tail.filter(({ entry }) => entry.kind === 'vault-rewrapped')
  expect(said).toHaveLength(rewrap ? 1 : 0)
  const openings = rest.filter(({ entry }) => entry.kind === 'started' && entry.writer === as)
  for (let i = 0; i < openings.length; i += 1) {
    take(opening(world, as, rest))
    if (rest[0]?.entry.kind === 'vault-rewrapped') take([rewrapped])
  }
  expect(rest.map(({ entry }) => entry)).toEqual([])
}

export const started = (writer: string): Believed => believe(writer, { kind: 'started' })

/** What an opening says, in the order in which it was said: after a kill, what was in flight, and what was being recorded. */
function opening({ belief, left, recordings }: World, as: string, tail: readonly Stored[]): readonly Believed[] {
  left.clear()
  for (const writer of belief.atWork()) if (writer !== as) left.add(writer)
  const stopped = belief.entries.at(-1)?.kind === 'stopped'
  const open = belief.open()
  // A kill while the ledger was being closed may have torn what follows the last entry.
  const torn = stopped && tail[0]?.entry.kind === 'recovered' && tail[0].entry.torn > 0
  const recovered = !stopped || torn || open.length > 0
  const cut = recordings.filter(({ bytes }) => Buffer.concat(bytes).length >= longestChunk)
  const owed = [
    ...cut.map(({ of, scope, writer }) =>
      believe(as, { kind: 'attachment-cut', attachment: writer.id, ...of }, { scope }),
    ),
    ...open.map(exchange => believe(as, { kind: 'outcome', exchange, result: 'unknown', items: 0, bytes: 0 })),
  ]
  recordings.length = 0
  const first = recovered ? [believe(as, { kind: 'recovered' })] : []
  const actual = tail.slice(first.length, first.length + owed.length)
  const inOrder = actual.flatMap(({ entry }) => owed.filter(one => difference(one, entry) === undefined))
  expect(inOrder, JSON.stringify(tail.map(({ entry }) => entry))).toHaveLength(owed.length)
  for (const { entry } of actual) if (entry.kind === 'attachment-cut') requireWithin(cut, entry)
  return [...first, ...inOrder, started(as)]
}

function requireWithin(cut: readonly Recording[], { attachment, bytes }: { attachment: string; bytes: number }): void {
  const written = Buffer.concat(cut.find(({ writer }) => writer.id === attachment)!.bytes).length
  expect(bytes).toBeLessThanOrEqual(written)
}
