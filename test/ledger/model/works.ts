/** What can be done to an open ledger, and killed in its midst: each with what it appends. */
import { generateKeyPairSync } from 'node:crypto'
import { expect } from 'vitest'
import { timestamp } from '../../../lib/format/entry.ts'
import type { Reason } from '../../../lib/format/key-text.ts'
import { certificateOf } from '../../../lib/format/layout.ts'
import { noteKeyOf } from '../../../lib/ledger/checkpoint.ts'
import { publishCertificate } from '../../../lib/ledger/directory.ts'
import { replaceFiles } from '../../../lib/ledger/files.ts'
import { type Draft, disclosedOf, type Erasure, type Level } from '../../../lib/ledger/ledger.ts'
import { type BothKeys, keyHistory, pairOf, revocationDraft, rotationDraft } from '../../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../../lib/ledger/sealer.ts'
import { revokeOwn, type SigningKey } from '../../../lib/openpgp.ts'
import { origin } from '../../support/directory-ledger.ts'
import { believe } from './belief.ts'
import { counsel, Drafts, officer, type Saying } from './drafts.ts'
import type { Group, Recording, Work } from './work.ts'
import type { World } from './world.ts'

/** What one writer appends at once. */
export interface Batch {
  readonly writer: number
  readonly level: Level
  readonly says: readonly Saying[]
}

/** Of those who have joined, the opener among them. */
const writerOf = (world: World, of: number): string => {
  const joined = world.joined()
  return joined[of % joined.length]!
}

/** All of them at once. */
export function appending(world: World, batches: readonly Batch[]): Work | undefined {
  const drafts = new Drafts(world.belief, world.now)
  const appends = batches
    .map(({ writer, level, says }) => {
      const name = writerOf(world, writer)
      return { name, level, ...drafts.say(name, says) }
    })
    .filter(({ believed }) => believed.length > 0)
  if (appends.length === 0) return undefined
  const groups: Group[] = appends.map(({ believed }) => ({ believed }))
  return {
    groups,
    run: isOver =>
      Promise.all(
        appends.map(async ({ name, level, drafts }, i) => {
          const stored = await world.ledger.appendAs(name, drafts, { level })
          if (isOver()) return
          groups[i]!.acknowledged = stored
          const covered =
            level === 'signed' || level === 'witnessed' ? world.published().size : Number.POSITIVE_INFINITY
          expect(covered, level).toBeGreaterThan(stored.at(-1)!.index)
        }),
      ),
  }
}

export const publishing = (world: World, how: 'publish' | 'seal'): Work => ({
  groups: [],
  run: async isOver => {
    const checkpoint = await world.ledger[how]()
    if (!isOver()) world.checkpoints.push(checkpoint)
  },
})

/** A writer joins, after whatever is left of it from before is closed; as the leader of a shared ledger lets it in. */
export function joining(world: World, writer: string): Work | undefined {
  if (world.joined().includes(writer)) return undefined
  const { ledger, options } = world
  return {
    groups: [...givenUp(world, writer), { believed: [believe(writer, { kind: 'started' })] }],
    run: async () => {
      await ledger.giveUp(writer)
      await ledger.appendAs(writer, [ledger.started(options)])
    },
    done: () => void world.left.delete(writer),
  }
}

const givenUp = (world: World, writer: string): Group[] => {
  const isUnfinished = world.left.has(writer) || world.joined().includes(writer) || world.belief.open(writer).length > 0
  if (!isUnfinished) return []
  const unknown = { result: 'unknown', items: 0, bytes: 0 } as const
  const open = world.belief.open(writer).map(exchange => believe(writer, { kind: 'outcome', exchange, ...unknown }))
  return [{ believed: [believe(writer, { kind: 'recovered' }), ...open] }]
}

/** A writer other than who opened the ledger stops, or goes without a word and is given up. */
export function leaving(world: World, of: number, how: 'stops' | 'is lost'): Work | undefined {
  const others = world.joined().filter(writer => writer !== world.options.writer)
  const writer = others[of % others.length]
  if (writer === undefined) return undefined
  if (how === 'is lost') return { groups: givenUp(world, writer), run: () => world.ledger.giveUp(writer) }
  const ended = world.belief.open(writer).map((exchange): Draft => {
    return { kind: 'outcome', exchange, result: 'aborted', items: 0, bytes: 0 }
  })
  const drafts: readonly Draft[] = [...ended, { kind: 'stopped' }]
  return {
    groups: [{ believed: drafts.map(draft => believe(writer, draft)) }],
    run: () => world.ledger.appendAs(writer, drafts),
  }
}

/** Begins to record an exchange that is in flight. @param sizes of the pieces, in bytes */
export async function record(world: World, of: number, sizes: readonly number[]): Promise<void> {
  const { belief, recordings, ledger } = world
  const open = belief.of('decision').filter(({ exchange }) => belief.open().includes(exchange))
  const free = open.filter(({ exchange }) => recordings.every(one => one.of.exchange !== exchange))
  const found = free[of % free.length]
  const scope =
    found?.session === undefined ? found?.subject && `principal:${found.subject}` : `session:${found.session}`
  if (found === undefined || scope === undefined) return
  const { exchange, session } = found
  const what = { exchange, ...(session !== undefined && { session }), part: 'response', type: 'text/plain' } as const
  const recording: Recording = { of: what, scope, writer: await ledger.attach({ slot: scope, of: what }), bytes: [] }
  recordings.push(recording)
  for (const [i, size] of sizes.entries()) {
    const bytes = Buffer.alloc(size, `${of} ${i} `)
    recording.bytes.push(bytes)
    await recording.writer.write(bytes)
  }
}

/** Ends a recording, and the exchange that it is of. */
export function recorded(world: World, of: number): Work | undefined {
  const recording = world.recordings[of % world.recordings.length]
  if (recording === undefined) return undefined
  const { exchange } = recording.of
  const writer = world.belief.of('decision').find(one => one.exchange === exchange)!.writer
  const bytes = Buffer.concat(recording.bytes)
  const { scope, writer: attachment } = recording
  const [clear, outcome] = [
    { kind: 'attachment', attachment: attachment.id, ...recording.of, bytes: bytes.length } as Draft,
    { kind: 'outcome', exchange, result: 'completed', items: 1, bytes: bytes.length } as const,
  ]
  const disclosed = { ...clear, disclose: {} }
  const group: { believed: Group['believed'] } = {
    believed: [believe(writer, disclosed, { scope, recording: bytes }), believe(writer, outcome)],
  }
  return {
    groups: [group],
    run: async () => {
      const closed = await attachment.close()
      const { id: _, salt: __, sealed: ___, ...attached } = closed
      const draft = { ...clear, ...attached, disclose: disclosedOf(closed), slot: scope } as Draft
      group.believed = [believe(writer, draft, { scope, recording: bytes }), group.believed[1]!]
      await world.ledger.appendAs(writer, [draft, outcome])
    },
    done: () => void world.recordings.splice(world.recordings.indexOf(recording), 1),
  }
}

export interface Erasing {
  readonly scope: 'principal' | 'session'
  readonly of: number
  /** How many entries before now it was judged. */
  readonly judged: number
}

function erasureOf(
  world: World,
  { scope, of, judged }: Erasing,
): { erasure: Erasure; refused: string | undefined } | undefined {
  const { belief, recordings } = world
  const customers = belief.of('principal').flatMap(({ subject }) => (subject.startsWith('customer') ? [subject] : []))
  const all = scope === 'session' ? belief.of('session-opened').map(({ session }) => session) : [...new Set(customers)]
  const found = all[of % all.length]
  if (found === undefined) return undefined
  const name = `${scope}:${found}`
  // Under a hold it is judged before that: who has it erased now is refused, by whoever judges.
  const opened = belief.entries.findIndex(({ entry }) => entry.kind === 'session-opened' && entry.session === found)
  const [opening] = belief.of('session-opened').filter(({ session }) => session === found)
  const covering = ['ledger:', name, `principal:${opening?.subject}`]
  const isHeld = belief.of('hold-placed').some(one => {
    return belief.standing().includes(one.hold) && covering.includes(`${one.scope}:${one.of ?? ''}`)
  })
  const judgedAt = isHeld ? 0 : Math.max(0, belief.size - judged)
  const isRecorded = recordings.some(one => one.scope === name)
  const refused = belief.heldSince(judgedAt, covering)
    ? 'ERR_OBLIGATION_UNMET'
    : opened >= judgedAt
      ? 'ERR_ACCESS_DENIED'
      : isRecorded || !belief.isThere(name)
        ? 'ERR_LEDGER_MISSING'
        : undefined
  const people = { by: officer, approvers: [counsel] }
  return { erasure: { scope, of: found, ground: 'art-17', basis: 'asked in writing', judgedAt, ...people }, refused }
}

const erased = (world: World, { basis, judgedAt: _, ...clear }: Erasure) =>
  believe(world.options.writer, { kind: 'erasure', ...clear, disclose: { basis } })

export function erasing(world: World, asked: Erasing): Work | undefined {
  const found = erasureOf(world, asked)
  if (found === undefined) return undefined
  const { erasure, refused } = found
  if (refused === undefined) {
    return { groups: [{ believed: [erased(world, erasure)] }], run: () => world.ledger.erase(erasure) }
  }
  return {
    groups: [],
    run: () => expect(world.ledger.erase(erasure)).rejects.toMatchObject({ code: refused }),
  }
}

/** While whom it is about goes on. What is said before the erasure may be erased with it; what is said after it is not. */
export async function erasingMeanwhile(world: World, asked: Erasing): Promise<void> {
  const found = erasureOf(world, { ...asked, scope: 'principal' })
  if (found === undefined || found.refused !== undefined) return
  const { erasure } = found
  const [subject, scope] = [erasure.of, `principal:${erasure.of}`]
  const { writer } = world.options
  const event: Draft = {
    ...{ kind: 'event', source: 'crm', event: 'login', level: 'info', subject },
    ...{ disclose: { message: 'came' }, slot: scope },
  }
  const from = world.belief.size
  const stored = new Map<number, Parameters<typeof world.belief.add>>()
  let over = false
  const say = async () => {
    for (const one of await world.ledger.append([event]))
      stored.set(one.index, [believe(writer, event, { scope }), one])
  }
  const goOn = async () => {
    for (let left = 100; left > 0 && !over; left -= 1) await say()
  }
  const going = [goOn(), goOn()]
  for (const one of await world.ledger.erase(erasure).finally(() => (over = true))) {
    stored.set(one.index, [erased(world, erasure), one])
  }
  await Promise.all([...going, say()])
  for (const [, one] of [...stored].sort(([a], [b]) => a - b)) world.belief.add(...one)
  for (const [index, one] of world.belief.entries.slice(from).entries()) {
    if (one.erased) one.erased = Object.keys(await world.ledger.disclosures(from + index)).length === 0
  }
}

export interface Rotating {
  readonly key: 'note' | 'seal'
  readonly revoke: boolean
}

/**
 * A key is replaced, and perhaps revoked: as the command does it. @param pool OpenPGP keys, of which it takes one that was not used yet
 */
export async function rotating(
  world: World,
  { key, revoke }: Rotating,
  pool: readonly SigningKey[],
): Promise<Work | undefined> {
  const { ledger, keys: before, options } = world
  const history = await keyHistory(ledger.entries())
  const next = pool.find(({ fingerprint }) => !history.used.has(fingerprint))
  if (next === undefined) return undefined
  const after: BothKeys =
    key === 'seal'
      ? { ...before, sealer: openpgpSealer(next) }
      : { ...before, noteKey: noteKeyOf(generateKeyPairSync('ed25519').privateKey, origin) }
  const drafts: [Draft, ...Draft[]] = [await rotationDraft({ origin, history, before, after })]
  let certificate: string | undefined
  if (revoke) {
    if (key === 'seal') certificate = await revokedCertificate(pool, before.sealer.fingerprint)
    drafts.push(await revocation(before, after, key, certificate))
  }
  const { directory } = options
  return {
    groups: [
      { believed: drafts.map(draft => believe(options.writer, draft)) },
      { believed: [believe(options.writer, { kind: 'stopped' })] },
    ],
    run: async isOver => {
      if (certificate !== undefined)
        await replaceFiles(directory, [[certificateOf(before.sealer.fingerprint), certificate]])
      await replaceFiles(directory, [[certificateOf(after.sealer.fingerprint), after.sealer.certificate]])
      const checkpoint = await ledger.rotate(drafts, after)
      if (!isOver()) world.checkpoints.push(checkpoint)
      await publishCertificate(directory, after.sealer)
      await ledger.close()
    },
    keys: after,
  }
}

const reason: Reason = 'superseded'

function revokedCertificate(pool: readonly SigningKey[], fingerprint: string): Promise<string> {
  return revokeOwn(pool.find(one => one.fingerprint === fingerprint)!, reason, new Date())
}

const revocation = (before: BothKeys, after: BothKeys, key: 'note' | 'seal', certificate?: string): Promise<Draft> =>
  revocationDraft({
    ...{ origin, key, revoked: pairOf(before)[key], reason, at: timestamp(Date.now()), by: after.sealer },
    ...(certificate !== undefined && { certificate }),
  })
