/** Whose an erasure was to make, as entries in clear tell it. */

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Erasures } from '../../evidence/erasures.ts'
import { type VerifyOptions, verifyLedger } from '../../evidence/index.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

const [customer, officer, counsel, other, robot] = ['customer', 'officer', 'counsel', 'other', 'robot']
const session = 'the session'
type Made = Record<string, unknown>

const people: Made[] = [
  ...[customer, officer, counsel, other].map(subject => ({ kind: 'principal', subject, type: 'person' })),
  { kind: 'principal', subject: robot, type: 'agent', owner: counsel },
  { kind: 'session-opened', session, subject: robot, principal: customer, owner: counsel },
]
const erasure = (more: Made = {}): Made => ({
  ...{ kind: 'erasure', scope: 'principal', of: customer, by: officer, approvers: [counsel], slots: [1] },
  ...more,
})
const ofRobot = (more: Made = {}) => erasure({ of: robot, by: officer, approvers: [other], ...more })
const ofSession = (more: Made) => erasure({ scope: 'session', of: session, ...more })

const findings = (...entries: Made[]) => findingsIn([...people, ...entries])

function findingsIn(entries: readonly Made[]): string[] {
  const all = [...entries.entries()]
  const first = new Erasures()
  for (const [index, entry] of all) first.add(index, entry as unknown as Entry)
  // Who acted in a session is kept of those that were erased: these are known then.
  const erasures = new Erasures(first.ofSessions, first.names)
  for (const [index, entry] of all) erasures.add(index, entry as unknown as Entry)
  return erasures.findings.map(({ what }) => what)
}

/** Writes it as it is by then, and verifies it. @returns from which entry on, and what was found */
function verifier(builder: LedgerBuilder) {
  const scratch = temporaryDirectory()
  const [directory, pin] = [join(scratch, 'ledger'), join(scratch, 'pin.json')]
  const verify = async (more: Partial<VerifyOptions>) => {
    await builder.write(directory, { vault: false })
    const now = builder.now + 1000
    const { from, findings } = await verifyLedger({ directory, fingerprint: builder.fingerprint, now, ...more })
    return [from, findings.map(({ what }) => what)]
  }
  return { pin, verify }
}

describe('an erasure', () => {
  it('is judged by the holds on what it erases, however many there are and were', () => {
    const many = Array.from({ length: 2000 }, (_, i) => i)
    const placed = (i: number) => ({
      kind: 'hold-placed',
      hold: `h-${i}`,
      scope: 'principal',
      of: i % 2 === 0 ? customer : `p-${i}`,
      by: other,
    })
    const released = (i: number) => ({ kind: 'hold-released', hold: `h-${i}`, by: other })
    const entries = [...people, ...many.map(placed), ...many.map(released), ...many.map(() => erasure())]
    expect(findingsIn(entries)).toEqual([])
    const [first, ...rest] = findingsIn([...entries, erasure({ by: other })])
    expect([first, rest]).toEqual([expect.stringContaining('by who released the hold h-0 on it'), []])
  })

  it('that one person asked for and another approved, about neither of them, is theirs to make', () => {
    expect(findings(erasure())).toEqual([])
  })

  // biome-ignore format: a table
  it.each([
    ['nobody approved',                     erasure({ approvers: [] }),                                 'nobody has approved it'],
    ['who asked for it approved',           erasure({ approvers: [officer] }),                          'approved by who asked'],
    ['one person approved twice',           erasure({ approvers: [counsel, counsel] }),                 'twice by one person'],
    ['whom it is about asked for',          erasure({ by: customer }),                                  'whom it is about'],
    ['whom it is about approved',           erasure({ approvers: [customer] }),                         'whom it is about'],
    ['somebody unknown approved',           erasure({ approvers: ['nobody'] }),                         'no person'],
    ['an agent asked for',                  erasure({ by: robot }),                                     'no person'],
    ['is of somebody unknown',              erasure({ of: 'nobody' }),                                  'whom no entry names'],
    ['is of a session that never was',      erasure({ scope: 'session', of: 'none' }),                  'no entry opened'],
    ['the principal of a session approved', ofSession({ approvers: [customer] }),                       'whom it is about'],
    ['the owner of its agent approved', ofSession({ approvers: [counsel] }),                   'whom it is about'],
    ['the owner of an agent approved',      ofRobot({ approvers: [counsel] }),                          'whom it is about'],
    ['the owner of an agent asked for',     ofRobot({ by: counsel }),                                   'whom it is about'],
    ['for whom an agent had a session',     ofRobot({ by: customer }),                                  'whom it is about'],
  ])('that %s is told', (_, entry, what) => {
    expect(findings(entry)).toEqual([expect.stringContaining(what)])
  })

  it.each(['decision', 'session-opened', 'grant-requested', 'approval-requested'])(
    'of an agent concerns for whom it acted, and who was accountable for it, as a %s says',
    kind => {
      const acted = (more: Made) => ({ kind, exchange: 'x', session: 'y', subject: robot, ...more })
      expect(findings(acted({ principal: customer, owner: counsel }), ofRobot())).toEqual([])
      for (const more of [{ principal: officer }, { owner: officer }, { principal: other }, { owner: other }]) {
        expect(findings(acted(more), ofRobot())).toEqual([expect.stringContaining('whom it is about')])
        // What others did concerns others, and what comes later nobody yet.
        expect(findings({ ...acted(more), subject: customer }, ofRobot())).toEqual([])
        expect(findings(ofRobot(), acted(more))).toEqual([])
      }
    },
  )

  // biome-ignore format: a table
  it.each([
    ['of the whole ledger',  { scope: 'ledger' },                  true],
    ['of whom it is about',  { scope: 'principal', of: customer }, true],
    ['of somebody else',     { scope: 'principal', of: counsel },  false],
    ['of a session',         { scope: 'session', of: session },    false],
  ])('under a hold %s, or by who released it, is told', (_, scope, binds) => {
    const hold = { kind: 'hold-placed', hold: 'h-1', by: counsel, ...scope }
    const released = (by: string) => ({ kind: 'hold-released', hold: 'h-1', by })
    const told = (what: string) => (binds ? [expect.stringContaining(what)] : [])
    expect(findings(hold, erasure())).toEqual(told('under the hold'))
    expect(findings(hold, released(officer), erasure())).toEqual(told('who released the hold'))
    expect(findings(hold, released(counsel), erasure())).toEqual([])
  })

  it('of a session is about everybody for whom it was said to be opened before', () => {
    const second = { kind: 'principal', subject: 'second', type: 'person' }
    const again = { kind: 'session-opened', session, subject: counsel }
    const about = [expect.stringContaining('whom it is about')]
    expect(findings(second, again, ofSession({ approvers: ['second'] }))).toEqual([])
    for (const one of [customer, counsel]) {
      expect(findings(second, again, ofSession({ approvers: [one] }))).toEqual(about)
    }
    expect(findings(second, { ...again, subject: 'second' }, ofSession({ approvers: ['second'] }))).toEqual(about)
    expect(findings(second, ofSession({ approvers: ['second'] }), { ...again, subject: 'second' })).toEqual([])
  })

  it('of a session that no entry opened is about who acted in what was decided in it first', () => {
    const decided = (subject: string) => ({ kind: 'decision', exchange: 'x', session: 'none', subject })
    const ofNone = (more: Made) => erasure({ scope: 'session', of: 'none', ...more })
    const about = [expect.stringContaining('whom it is about')]
    const both = [decided(customer), decided(counsel)]
    expect(findings(...both, ofNone({ approvers: [counsel] }))).toEqual([])
    expect(findings(...both, ofNone({ approvers: [customer] }))).toEqual(about)
    // Of one that was opened nothing that is decided in it adds anybody.
    const ofOpened = ofSession({ approvers: [other] })
    expect(findings({ ...decided(other), session }, ofOpened)).toEqual([])
  })

  it('is neither for who was named since somebody was erased whom it concerns, or who released a hold on it', () => {
    const second = { kind: 'principal', subject: 'second', type: 'person' }
    const returned = [expect.stringContaining('named after somebody was erased')]
    const gone = erasure({ approvers: [other] })
    expect(findings(gone, second, ofSession({ by: 'second', approvers: [other] }))).toEqual(returned)
    expect(findings(gone, second, ofSession({ approvers: ['second'] }))).toEqual(returned)
    expect(findings(second, gone, ofSession({ approvers: ['second'] }))).toEqual([])
    const hold = { kind: 'hold-placed', hold: 'h-1', scope: 'session', of: session, by: officer }
    const released = { kind: 'hold-released', hold: 'h-1', by: other }
    const releaser = erasure({ of: other, approvers: [counsel] })
    expect(findings(hold, released, releaser, second, ofSession({ by: officer, approvers: ['second'] }))).toEqual(
      returned,
    )
    expect(findings(releaser, second, ofSession({ by: officer, approvers: ['second'] }))).toEqual([])
  })

  // biome-ignore format: a table
  it.each([
    ['who had it opened',                   robot,    true],
    ['for whom it was opened',              customer, true],
    ['who is accountable for who had it',   counsel,  true],
    ['somebody else',                       other,    false],
  ])('of a session, or of an agent, under a hold on %s, or by who released it, is told', (_, of, binds) => {
    const hold = { kind: 'hold-placed', hold: 'h-1', scope: 'principal', of, by: counsel }
    const released = { kind: 'hold-released', hold: 'h-1', by: officer }
    for (const erased of [ofSession({ approvers: [other] }), ofRobot()]) {
      const told = (what: string) => (binds ? [expect.stringContaining(what)] : [])
      expect(findings(hold, erased)).toEqual(told('under the hold'))
      expect(findings(hold, released, erased)).toEqual(told('who released the hold'))
    }
  })

  it('is held back by a hold on who is concerned, however shortly before it came', () => {
    const hold = { kind: 'hold-placed', hold: 'h-1', scope: 'principal', of: customer, by: counsel }
    const at = (minute: number, entry: Made) => ({ ...entry, time: `2026-01-01T00:0${minute}:00.000Z` })
    for (const erased of [ofSession({ approvers: [other] }), ofRobot(), erasure()]) {
      for (const minute of [0, 1, 2]) {
        expect(findings(at(0, hold), at(minute, erased))).toEqual([expect.stringContaining('under the hold')])
      }
    }
  })

  it('holds are placed once, and released once', () => {
    const hold = { kind: 'hold-placed', hold: 'h-1', scope: 'ledger', by: counsel }
    const released = { kind: 'hold-released', hold: 'h-1', by: officer }
    expect(findings(hold, released, released)).toEqual([expect.stringContaining('does not stand')])
    expect(findings(hold, hold)).toEqual([expect.stringContaining('again')])
  })
})

describe('the disposal of a ledger', () => {
  const [first, second, third] = ['crm', 'crm/2', 'crm/3']
  const named = (subject: string) => ({ kind: 'principal', subject, type: 'person' })
  const hold = (of: string) => ({ kind: 'hold-placed', hold: 'h-1', scope: 'principal', of, by: counsel })
  const disposed = { kind: 'disposed', of: second, by: officer, approvers: [counsel] }
  const begun = [
    { kind: 'opened', origin: third },
    { kind: 'continued', of: second, carried: 3 },
    ...[customer, officer, counsel].map(named),
  ]

  it('under a hold on who was in it, or by who released that, is told', () => {
    const released = (by: string) => ({ kind: 'hold-released', hold: 'h-1', by })
    const found = (...entries: Made[]) => findingsIn([...begun, named(other), ...entries, disposed])
    expect(found()).toEqual([])
    expect(found(hold(customer))).toEqual([expect.stringContaining(`disposes of ${second}, under the hold h-1`)])
    expect(found(hold(customer), released(officer))).toEqual([expect.stringContaining('who released the hold')])
    expect(found(hold(customer), released(counsel))).toEqual([])
    // Who came later was not in it.
    expect(found(hold(other))).toEqual([])
  })

  it('before the last but one is judged by holds on everything alone: who was in it is not known', () => {
    const entries = (on: Made) => [...begun, on, { ...disposed, of: first }]
    expect(findingsIn(entries(hold(customer)))).toEqual([])
    const all = { kind: 'hold-placed', hold: 'h-1', scope: 'ledger', by: counsel }
    expect(findingsIn(entries(all))).toEqual([expect.stringContaining('under the hold')])
  })
})

describe('somebody who was erased', () => {
  const at = (minutes: number) => ({ time: new Date(Date.parse('2026-07-01') + minutes * 60_000).toISOString() })
  const gone = erasure(at(10))
  const named = (minutes: number) => ({
    kind: 'principal',
    subject: customer,
    type: 'person',
    writer: 'w',
    ...at(minutes),
  })

  // biome-ignore format: a table
  it.each<[string, readonly Made[], readonly string[]]>([
    ['and is named before',              [named(0), gone],                                          []],
    ['what was on its way',              [gone, named(10.9)],                                       []],
    ['and is named later',               [gone, named(11.1)],                                       ['entry 1, by w, names customer again, who was erased by entry 0']],
    ['also once more',                   [gone, named(12), erasure(at(12.5)), named(13)],           ['entry 3, by w, names customer again, who was erased by entry 0']],
    ['and is named behind a conclusion', [gone, { kind: 'concluded', ...at(11) }, named(20)],       []],
    ['in the ledger before',             [{ kind: 'continued', carried: 1, of: 'crm', ...at(30) }, named(30), named(31)], ['entry 2, by w, names customer again, who was erased in an earlier ledger of the series']],
    ['in a session of theirs alone',     [ofSession(at(10)), named(20)],                            []],
  ])('%s', (of, entries, told) => {
    const erasures = new Erasures()
    for (const [index, entry] of entries.entries()) erasures.add(index, entry as unknown as Entry)
    const before = of === 'in the ledger before' ? [{ of: customer, ...at(10) }] : []
    expect([...erasures.namedAgain(before)].map(({ what }) => what)).toEqual(told)
  })

  it('and is named again under that pseudonym is told by a verification, by itself and in a series', async () => {
    const pseudonym = (name: string) => name.padEnd(22, '-')
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    const name = (subject: string) => builder.add('principal', { subject: pseudonym(subject), type: 'person' })
    for (const subject of [customer, officer, counsel]) name(subject)
    const people = { by: pseudonym(officer), approvers: [pseudonym(counsel)] }
    builder.add('erasure', { ...people, scope: 'principal', of: pseudonym(customer), ground: 'art-17', slots: [1] })
    for (let i = 0; i < 100; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    const { verify } = verifier(builder)
    expect(await verify({})).toEqual([0, []])
    const { index } = name(customer)
    const told = `entry ${index}, by gateway-1, names ${pseudonym(customer)} again, who was erased`
    expect(await verify({})).toEqual([0, [`${told} by entry 5`]])
    const goneBefore = [{ of: pseudonym(officer), time: '2026-06-01T00:00:00.000Z' }]
    const [, findings] = await verify({ member: { number: 1, goneBefore } })
    const before = `entry 3, by gateway-1, names ${pseudonym(officer)} again, who was erased in an earlier ledger of the series`
    expect(findings).toEqual(expect.arrayContaining([before, `${told} by entry 5`]))
  })
})

describe('a verification', () => {
  it.each([
    ['of all of it', false],
    ['from a pin behind what tells of those concerned', true],
  ])('%s tells whose session it was', async (_, incremental) => {
    const pseudonym = (name: string) => name.padEnd(22, '-')
    const id = '0190b0a0-0000-7000-8000-00000000aaaa'
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    for (const subject of [customer, officer, counsel]) {
      builder.add('principal', { subject: pseudonym(subject), type: 'person' })
    }
    const how = { protocol: 'postgres', target: 'crm', method: 'key', tls: false } as const
    builder.add('session-opened', { session: id, subject: pseudonym(customer), ...how })
    for (let i = 0; i < 300; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    const scratch = temporaryDirectory()
    const [directory, pin] = [join(scratch, 'ledger'), join(scratch, 'pin.json')]
    const now = builder.now + 1000
    const verify = async (more: Partial<VerifyOptions>) => {
      await builder.write(directory, { vault: false })
      const result = await verifyLedger({ directory, fingerprint: builder.fingerprint, now, ...more })
      return [result.from, result.findings.map(({ what }) => what)]
    }
    expect(await verify({ pin, first: true })).toEqual([0, []])
    const from = incremental ? builder.entries.length : 0
    const again = incremental ? { pin, incremental, renew: false } : {}
    const asked = { scope: 'session', of: id, ground: 'art-17', by: pseudonym(officer), slots: [1] } as const
    builder.add('erasure', { ...asked, approvers: [pseudonym(counsel)] })
    expect(await verify(again)).toEqual([from, []])
    builder.add('erasure', { ...asked, approvers: [pseudonym(customer)] })
    expect(await verify(again)).toEqual([from, [expect.stringContaining('whom it is about')]])
  })

  it.each([
    ['of all of it', false],
    ['from a pin behind what it did', true],
  ])('%s tells for whom an agent acted', async (_, incremental) => {
    const pseudonym = (name: string) => name.padEnd(22, '-')
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    for (const subject of [officer, counsel]) builder.add('principal', { subject: pseudonym(subject), type: 'person' })
    builder.add('principal', { subject: pseudonym(robot), type: 'agent' })
    // Decisions are too many to be kept: they are read again.
    builder.add('decision', {
      ...{ exchange: '0190b0a0-0000-7000-8000-00000000bbbb', subject: pseudonym(robot), principal: pseudonym(counsel) },
      ...{
        protocol: 'http',
        target: 'crm',
        action: 'A'.repeat(43),
        accesses: [],
        controls: [],
        risk: 'low',
        read: true,
      },
      ...{ verdict: 'deny', durability: 'durable' },
    } as const)
    for (let i = 0; i < 300; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    const { pin, verify } = verifier(builder)
    expect(await verify({ pin, first: true })).toEqual([0, []])
    const of = pseudonym(robot)
    const people = { by: pseudonym(officer), approvers: [pseudonym(counsel)] }
    const from = incremental ? builder.entries.length : 0
    builder.add('erasure', { scope: 'principal', of, ground: 'art-17', ...people, slots: [1] })
    const again = incremental ? { pin, incremental, renew: false } : {}
    expect(await verify(again)).toEqual([from, [expect.stringContaining('whom it is about')]])
  })

  it.each([
    ['of all of it', false],
    ['from a pin behind the hold', true],
  ])('%s tells what was disposed of under a hold', async (_, incremental) => {
    const pseudonym = (name: string) => name.padEnd(22, '-')
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    for (const subject of [officer, counsel]) builder.add('principal', { subject: pseudonym(subject), type: 'person' })
    builder.add('hold-placed', { hold: 'h-1', scope: 'ledger', by: pseudonym(counsel) })
    const { pin, verify } = verifier(builder)
    expect(await verify({ pin, first: true })).toEqual([0, []])
    const from = incremental ? builder.entries.length : 0
    const people = { by: pseudonym(officer), approvers: [pseudonym(counsel)] }
    builder.add('disposed', { of: 'crm/1', size: 7, root: 'A'.repeat(43), ground: 'retention', ...people })
    const again = incremental ? { pin, incremental, renew: false } : {}
    expect(await verify(again)).toEqual([from, [expect.stringContaining('under the hold h-1')]])
  })
})
