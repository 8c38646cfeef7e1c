/** Whose an erasure was to make, as entries in clear tell it. */

import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { Erasures } from '../../evidence/erasures.ts'
import { type VerifyOptions, verifyLedger } from '../../evidence/index.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

const [customer, officer, counsel, robot] = ['customer', 'officer', 'counsel', 'robot']
const session = 'the session'
type Made = Record<string, unknown>

const people: Made[] = [
  ...[customer, officer, counsel].map(subject => ({ kind: 'principal', subject, type: 'person' })),
  { kind: 'principal', subject: robot, type: 'agent', owner: counsel },
  { kind: 'session-opened', session, subject: robot, principal: customer, owner: counsel },
]
const erasure = (more: Made = {}): Made => ({
  ...{ kind: 'erasure', scope: 'principal', of: customer, by: officer, approvers: [counsel], slots: [1] },
  ...more,
})
const ofSession = (more: Made) => erasure({ scope: 'session', of: session, ...more })

function findings(...entries: Made[]): string[] {
  const all = [...[...people, ...entries].entries()]
  const first = new Erasures()
  for (const [index, entry] of all) first.add(index, entry as unknown as Entry)
  // Who acted in a session is kept of those that were erased: these are known then.
  const erasures = new Erasures(first.ofSessions, first.names)
  for (const [index, entry] of all) erasures.add(index, entry as unknown as Entry)
  return erasures.findings.map(({ what }) => what)
}

describe('an erasure', () => {
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
  ])('that %s is told', (_, entry, what) => {
    expect(findings(entry)).toEqual([expect.stringContaining(what)])
  })

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
    expect(findings(hold, erasure())).toEqual(told('under a hold'))
    expect(findings(hold, released(officer), erasure())).toEqual(told('who released the hold'))
    expect(findings(hold, released(counsel), erasure())).toEqual([])
  })

  it('holds are placed once, and released once', () => {
    const hold = { kind: 'hold-placed', hold: 'h-1', scope: 'ledger', by: counsel }
    const released = { kind: 'hold-released', hold: 'h-1', by: officer }
    expect(findings(hold, released, released)).toEqual([expect.stringContaining('does not stand')])
    expect(findings(hold, hold)).toEqual([expect.stringContaining('again')])
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
})
