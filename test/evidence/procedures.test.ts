/** Each test that `auto` chooses: in order, and with each fault that makes an attribute of it fire. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { runControlTests } from '../../evidence/control-test.ts'
import { requirementRows } from '../../evidence/mapping.ts'
import { procedures } from '../../evidence/procedures/index.ts'
import { deriveViews } from '../../evidence/views.ts'
import type { Control } from '../../lib/control.ts'
import type { Clear } from '../../lib/format/entry.ts'
import { type BuilderKeys, builderKeys, digestOf, pseudonym } from '../support/ledger-builder.ts'
import { dba, disclosed, owner, requester, rules, Story } from './support.ts'

let keys: BuilderKeys
beforeAll(async () => {
  keys = await builderKeys()
})

const period = { from: '2026-07-01T00:00:00.000Z', to: '2026-10-01T00:00:00.000Z' }

const control: Control = {
  id: 'AC-03',
  title: 'Changes to the CRM need a live grant, and all of it is recorded',
  criteria: ['CC6.1', 'CC6.3', 'CC7.2', 'CC8.1'],
  covers: { resource: 'crm/public.*', actions: ['update'] },
  require: { grant: { longestMs: 30 * 60_000, reason: true, from: 'role:dba' } },
  record: { response: 'masked' },
  mode: 'enforce',
  tests: 'auto',
}

async function results(story: Story, declared: readonly Control[] = [control]) {
  const mapping = { versions: [{ policy: story.policy, controls: declared }], unreadable: [] }
  const entries = disclosed(story.builder)
  const views = deriveViews({ before: [], entries, period, checkpoints: [], requirements: requirementRows(mapping) })
  const runs = await runControlTests(views, mapping, period)
  return runs.map(({ result, exceptions }) => ({ ...result, reasons: exceptions.rows.map(row => row.reasons) }))
}

const resultOf = async (story: Story, name: string, declared?: readonly Control[]) =>
  (await results(story, declared)).find(result => result.test === name)!

const begin = () => Story.begin({ keys }, [control])
const grant = (story: Story, id: string, more: object = {}, decided: object = {}) =>
  story.grant(id, { roles: ['role:dba'], ...more }, decided)

/** An update that shows ten bytes of one row, and the recording of them. */
function shows(story: Story, id: string, more: Partial<Clear<'attachment'>> | null = {}, session?: string): string {
  const { builder } = story
  const exchange = builder.uuid()
  const { digest } = builder.action({ statement: 'update customers' })
  builder.add('decision', {
    exchange,
    ...story.actors,
    ...(session === undefined ? {} : { session }),
    ...{
      protocol: 'postgres',
      target: 'crm',
      method: 'oidc',
      action: digest,
      controls: ['AC-03'],
      risk: 'low' as const,
    },
    accesses: [{ action: 'update', resource: 'crm/public.customers' }],
    ...{ read: false, verdict: 'permit' as const, policy: story.policy, grant: id, durability: 'durable' as const },
  })
  if (more !== null) records(story, exchange, more)
  builder.add('outcome', { exchange, result: 'completed', items: 1, bytes: 10, settled: 'committed' })
  return exchange
}

const records = ({ builder }: Story, exchange: string, more: Partial<Clear<'attachment'>> = {}) =>
  builder.add(
    'attachment',
    {
      ...{
        attachment: builder.uuid(),
        exchange,
        part: 'response' as const,
        type: 'application/vnd.counterfoil.timeline',
      },
      ...{ bytes: 60, chunks: 1, content: digestOf('what was shown') },
      ...more,
    },
    {},
    { v: 2 },
  )

function opens(story: Story, more: Partial<Clear<'session-opened'>> = {}): string {
  const session = story.builder.uuid()
  const clear = { session, ...story.actors, protocol: 'postgres', target: 'crm', method: 'oidc', tls: true, ...more }
  story.builder.add('session-opened', clear)
  return session
}

/** Everything in order: a session, a grant used and revoked, a recording, a refusal, heartbeats. */
async function inOrder(): Promise<Story> {
  const story = await begin()
  const session = opens(story)
  grant(story, 'g-00000001')
  shows(story, 'g-00000001', { session }, session)
  story.builder.add('grant-revoked', { grant: 'g-00000001', by: pseudonym(dba) })
  story.builder.add('session-closed', { session, reason: 'grant-revoked', grant: 'g-00000001' })
  story.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
  story.builder.add('heartbeat', { open: 0, interval: 60 })
  return story
}

const later = (story: Story, seconds: number) => {
  story.builder.now += seconds * 1000
}

describe('the tests that auto chooses', () => {
  test('find nothing where everything is in order, each over a population that is not empty', async () => {
    expect((await results(await inOrder())).map(r => [r.test, r.word, r.population])).toEqual([
      ['grant-window', 'no-exceptions-noted', 1],
      ['grant-given', 'no-exceptions-noted', 1],
      ['grant-ended', 'no-exceptions-noted', 1],
      ['recorded-whole', 'no-exceptions-noted', 1],
      ['identity-complete', 'no-exceptions-noted', 1],
      ['agent-accountable', 'no-exceptions-noted', 1],
      ['denial-held', 'no-exceptions-noted', 1],
      ['policy-in-force', 'no-exceptions-noted', 2],
      ['log-continuous', 'no-exceptions-noted', 2],
    ])
  })

  // Table: test, the attributes that the fault makes fire in its one exception, and the fault.
  // biome-ignore format: a table
  const faults: [test: string, reasons: string[], tell: (s: Story) => void][] = [
    ['identity-complete', ['not-identified'], s => s.update('g-00000001', { subject: undefined, principal: undefined, owner: undefined })],
    ['identity-complete', ['subject-unknown'], s => s.update('g-00000001', { subject: pseudonym('stranger') })],
    ['identity-complete', ['subject-unknown'], s => { s.update('g-00000001', { subject: pseudonym('later') }); s.builder.principal('later', 'person') }],
    ['identity-complete', ['method-missing'], s => s.update('g-00000001', { method: undefined })],
    ['identity-complete', ['session-unknown'], s => s.update('g-00000001', { session: s.builder.uuid() })],
    ['identity-complete', ['session-unknown'], s => { const session = s.builder.uuid(); s.update('g-00000001', { session }); opens(s, { session }) }],
    ['identity-complete', ['session-of-another'], s => s.update('g-00000001', { session: opens(s, { subject: pseudonym(dba) }) })],
    ['identity-complete', ['session-of-another'], s => s.update('g-00000001', { session: opens(s, { owner: pseudonym(dba) }) })],
    ['identity-complete', ['another-method'], s => s.update('g-00000001', { session: opens(s, { method: 'key' }) })],
    ['identity-complete', ['asked-after-its-session'], s => {
      const session = opens(s)
      s.builder.add('session-closed', { session, reason: 'client' })
      s.update('g-00000001', { session })
    }],

    ['agent-accountable', ['agent-unknown'], s => s.update('g-00000001', { subject: pseudonym('agent:stranger') })],
    ['agent-accountable', ['not-an-agent'], s => s.update('g-00000001', { subject: pseudonym(dba) })],
    ['agent-accountable', ['no-owner', 'another-owner-than-registered'], s => s.update('g-00000001', { owner: undefined })],
    ['agent-accountable', ['another-owner-than-registered'], s => s.update('g-00000001', { owner: pseudonym(dba) })],
    ['agent-accountable', ['owner-not-a-person', 'accountable-to-itself'], s => {
      s.builder.principal('agent:own', 'agent', 'agent:own')
      s.update('g-00000001', { subject: pseudonym('agent:own'), owner: pseudonym('agent:own') })
    }],
    ['agent-accountable', ['principal-not-a-person'], s => s.update('g-00000001', { principal: pseudonym('nobody') })],

    ['grant-given', ['no-reason'], s => {
      const asked = { ...s.actors, resource: 'crm/public.*', actions: ['update'], seconds: 600, longest: 1800, roles: ['role:dba'], controls: ['AC-03'] }
      s.builder.add('grant-requested', { grant: 'g-00000002', ...asked })
      const [from, until] = [0, 600_000].map(ms => new Date(s.builder.now + ms).toISOString())
      s.builder.add('grant-decided', { grant: 'g-00000002', approver: pseudonym(dba), verdict: 'approve', from, until })
    }],
    ['grant-given', ['no-window'], s => grant(s, 'g-00000002', {}, { from: undefined, until: undefined })],
    ['grant-given', ['longer-than-allowed', 'longer-than-asked-for'], s => grant(s, 'g-00000002', {}, { until: '2027-01-01T00:00:00.000Z' })],
    ['grant-given', ['longer-than-allowed'], s => grant(s, 'g-00000002', { seconds: 7200, longest: 7200 }, { until: new Date(s.builder.now + 7_000_000).toISOString() })],
    ['grant-given', ['longer-than-asked-for'], s => grant(s, 'g-00000002', { seconds: 60 })],
    ['grant-given', ['longer-than-asked-for', 'begins-before-its-decision'], s => grant(s, 'g-00000002', {}, { from: new Date(s.builder.now - 60_000).toISOString() })],
    ['grant-given', ['self-approved'], s => grant(s, 'g-00000002', {}, { approver: pseudonym(requester) })],
    ['grant-given', ['self-approved'], s => grant(s, 'g-00000002', { owner: undefined }, { approver: pseudonym(owner) })],
    ['grant-given', ['approver-unknown', 'approver-without-the-role'], s => grant(s, 'g-00000002', {}, { approver: pseudonym('stranger') })],
    ['grant-given', ['approver-not-a-person', 'approver-without-the-role'], s => { s.builder.principal('service', 'service'); grant(s, 'g-00000002', { roles: ['role:dba'] }, { approver: pseudonym('service') }) }],
    ['grant-given', ['role-not-asked-for'], s => grant(s, 'g-00000002', { roles: [] })],
    ['grant-given', ['approver-without-the-role'], s => { s.builder.principal('visitor', 'person'); grant(s, 'g-00000002', {}, { approver: pseudonym('visitor') }) }],
    ['grant-given', ['approver-without-the-role'], s => grant(s, 'g-00000002', { roles: ['role:dba', 'role:head'] })],

    ['grant-ended', ['let-through-afterwards', 'went-on-afterwards'], s => { later(s, 10); s.update('g-00000001') }],
    ['grant-ended', ['went-on-afterwards'], s => {
      grant(s, 'g-00000002')
      const exchange = s.update('g-00000002', { verdict: 'permit', exchange: s.builder.uuid() }, null)
      s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(s, 10)
      s.builder.add('outcome', { exchange, result: 'completed', items: 0, bytes: 0 })
    }],
    ['grant-ended', ['end-not-known'], s => {
      grant(s, 'g-00000002')
      const exchange = s.update('g-00000002', {}, null)
      s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(s, 10)
      s.builder.add('outcome', { exchange, result: 'unknown', items: 0, bytes: 0 })
    }],
    ['grant-ended', ['still-under-way'], s => {
      grant(s, 'g-00000002')
      s.update('g-00000002', {}, null)
      s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(s, 10)
      s.builder.add('heartbeat', { open: 1, interval: 60 })
    }],
    ['grant-ended', ['still-under-way'], s => {
      grant(s, 'g-00000002', {}, { until: new Date(s.builder.now + 5000).toISOString() })
      s.update('g-00000002', {}, null)
      later(s, 10)
      s.builder.add('heartbeat', { open: 1, interval: 60 })
    }],
    ['grant-ended', ['session-went-on'], s => {
      const session = opens(s)
      grant(s, 'g-00000002')
      s.update('g-00000002', { session })
      s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(s, 10)
      s.builder.add('session-closed', { session, reason: 'client' })
    }],
    ['grant-ended', ['session-still-open'], s => {
      grant(s, 'g-00000002')
      s.update('g-00000002', { session: opens(s) })
      s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(s, 10)
      s.builder.add('heartbeat', { open: 0, interval: 60 })
    }],

    ['denial-held', ['an-outcome-is-recorded', 'settled'], s => {
      const exchange = s.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
      s.builder.add('outcome', { exchange, result: 'completed', items: 0, bytes: 0, settled: 'committed' })
    }],
    ['denial-held', ['settled'], s => {
      const exchange = s.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
      s.builder.add('settled', { exchanges: [exchange], result: 'committed' })
    }],
    ['denial-held', ['something-was-shown'], s => records(s, s.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' }))],
    ['denial-held', ['no-code'], s => s.update(undefined, { verdict: 'deny' })],
    // Refused before policy was asked: by the policy in force then, the control covers it all the same.
    ['denial-held', ['an-outcome-is-recorded'], s => {
      const exchange = s.update(undefined, { verdict: 'deny', code: 'ERR_UNIDENTIFIED', policy: undefined, controls: [] })
      s.builder.add('outcome', { exchange, result: 'completed', items: 0, bytes: 0 })
    }],

    ['recorded-whole', ['not-recorded'], s => shows(s, 'g-00000001', null)],
    ['recorded-whole', ['shorter-than-shown'], s => shows(s, 'g-00000001', { bytes: 9 })],
    ['recorded-whole', ['of-another-session'], s => shows(s, 'g-00000001', { session: s.builder.uuid() })],
    ['recorded-whole', ['outside-its-span'], s => records(s, shows(s, 'g-00000001'))],
    ['recorded-whole', ['control-not-applied', 'not-recorded'], s => s.ran({ accesses: [{ action: 'update', resource: 'crm/public.orders' }] })],
    // What was typed is no recording of what was shown.
    ['recorded-whole', ['not-recorded'], s => shows(s, 'g-00000001', { part: 'request' })],

    ['policy-in-force', ['no-policy-cited'], s => s.update('g-00000001', { policy: undefined })],
    ['policy-in-force', ['policy-not-recorded'], s => s.update('g-00000001', { policy: digestOf('nobody recorded this') })],
    ['policy-in-force', ['policy-not-in-force'], s => {
      const old = s.policy
      s.builder.policy(JSON.stringify([control]), `${rules}p, role:dba, crm/**, *, allow\n`)
      later(s, 10)
      s.update('g-00000001', { policy: old })
    }],

    ['log-continuous', ['gap-silence', 'sign-of-life-overdue'], s => { later(s, 3600); s.builder.add('heartbeat', { open: 0, interval: 60 }) }],
    // Other entries went on: the silence is of the heartbeats alone.
    ['log-continuous', ['sign-of-life-overdue'], s => {
      for (let i = 0; i < 3; i += 1) { later(s, 50); s.builder.principal(`new-${i}`, 'person') }
      s.builder.add('heartbeat', { open: 0, interval: 60 })
    }],
    ['log-continuous', ['gap-crash', 'sign-of-life-overdue'], s => {
      later(s, 3600)
      s.builder.add('recovered', { epoch: 2, torn: 0 })
    }],
    ['log-continuous', ['gap-sequence'], s => s.builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 99 })],
    ['log-continuous', ['counter-went-back'], s => s.builder.add('heartbeat', { open: 0, interval: 60 }, {}, { seq: 1 })],
    ['log-continuous', ['clock-went-back'], s => { later(s, -11); s.builder.add('heartbeat', { open: 0, interval: 60 }) }],
    ['log-continuous', ['never-came-back'], s => {
      s.builder.writer = 'gateway-2'
      s.builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 0 })
      later(s, 3600)
      s.builder.add('stopped', {})
    }],
  ]
  test.each(faults)('%s: %j fires', async (name, reasons, tell) => {
    const story = await inOrder()
    tell(story)
    const { word, reasons: found } = await resultOf(story, name)
    expect(found).toEqual([reasons])
    expect(word).toBe('exceptions-noted')
  })

  test('a decision that denies and another that lets the same exchange through are an exception', async () => {
    const story = await inOrder()
    const exchange = story.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
    story.update('g-00000001', { exchange })
    const { reasons } = await resultOf(story, 'denial-held')
    expect(reasons).toEqual([['an-outcome-is-recorded', 'settled', 'let-through-as-well']])
  })

  test('operations in a log without any sign of life are an exception, not an empty population', async () => {
    const story = await inOrder()
    const entries = disclosed(story.builder).filter(
      ({ entry }) => !['started', 'heartbeat'].includes((entry as { kind: string }).kind),
    )
    const mapping = { versions: [{ policy: story.policy, controls: [control] }], unreadable: [] }
    const views = deriveViews({ before: [], entries, period, checkpoints: [], requirements: requirementRows(mapping) })
    const runs = await runControlTests(views, mapping, period)
    const run = runs.find(({ result }) => result.test === 'log-continuous')
    expect([run?.result.word, run?.result.population]).toEqual(['exceptions-noted', 0])
    expect(run?.exceptions.rows.map(row => row.reasons)).toContainEqual(['no-sign-of-life'])
  })

  test('what was asked for just before the policy changed may cite the one before, and a start may take a moment', async () => {
    const story = await inOrder()
    const old = story.policy
    const exchange = story.builder.uuid()
    later(story, 30)
    story.builder.policy(JSON.stringify([control]), `${rules}p, role:dba, crm/**, *, allow\n`)
    story.update('g-00000001', { policy: old, exchange })
    expect((await resultOf(story, 'policy-in-force')).word).toBe('no-exceptions-noted')
  })

  test("the time within which what a grant let through must be over is the entity's to say", async () => {
    const tell = async () => {
      const story = await inOrder()
      grant(story, 'g-00000002')
      const exchange = story.update('g-00000002', {}, null)
      story.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
      later(story, 10)
      story.builder.add('outcome', { exchange, result: 'aborted', items: 0, bytes: 0 })
      return story
    }
    expect((await resultOf(await tell(), 'grant-ended')).exceptions).toBe(1)
    const patient = [{ ...control, thresholds: { revocationMs: 60_000 } }]
    expect((await resultOf(await tell(), 'grant-ended', patient)).exceptions).toBe(0)
  })

  test('what is under way as the ledger ends is open, and no exception', async () => {
    const story = await inOrder()
    grant(story, 'g-00000002')
    story.update('g-00000002', { session: opens(story) }, null)
    story.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) })
    expect((await resultOf(story, 'grant-ended')).exceptions).toBe(0)
  })

  test('where the rules are withheld, whether the approver held the role is unable-to-test, and no pass', async () => {
    const story = await inOrder()
    const mapping = { versions: [{ policy: story.policy, controls: [control] }], unreadable: [] }
    const entries = disclosed(story.builder).map(one => {
      const { rules: _, ...values } = one.values
      return { ...one, values }
    })
    const views = deriveViews({ before: [], entries, period, checkpoints: [], requirements: requirementRows(mapping) })
    const { result } = (await runControlTests(views, mapping, period)).find(run => run.result.test === 'grant-given')!
    expect([result.word, result.population]).toEqual(['unable-to-test', 1])
    expect(result.unable[0]?.why).toContain('the rules in force are withheld')
  })

  test('a gap makes each of them unable-to-test for its interval, and is an exception of the log', async () => {
    const story = await inOrder()
    later(story, 3600)
    story.builder.add('heartbeat', { open: 0, interval: 60 })
    const words = new Map((await results(story)).map(result => [result.test, result.word]))
    expect(words.get('log-continuous')).toBe('exceptions-noted')
    words.delete('log-continuous')
    expect([...new Set(words.values())]).toEqual(['unable-to-test'])
  })

  test('have an attribute for each fault here, and a fault for each attribute', () => {
    const named = new Set(faults.flatMap(([name, reasons]) => reasons.map(reason => `${name} ${reason}`)))
    named.add('denial-held let-through-as-well')
    named.add('log-continuous no-sign-of-life')
    const elsewhere = ['grant-window', 'approval-by-another', 'masking-applied']
    const attributes = procedures
      .filter(({ name }) => !elsewhere.includes(name))
      .flatMap(({ name }) => {
        const source = readFileSync(join(import.meta.dirname, `../../evidence/procedures/${name}.ts`), 'utf8')
        const table =
          /const attributes[\s\S]*?\n\] as const/.exec(source)?.[0] ?? /=> \[[\s\S]*?\n\] as const/.exec(source)![0]
        return [...table.matchAll(/^ {2}\[['"]([a-z-]+)['"],/gm)].map(([, reason]) => `${name} ${reason}`)
      })
    expect(attributes.length).toBeGreaterThan(35)
    expect(attributes.filter(attribute => !named.has(attribute))).toEqual([])
  })

  test('are all in the table of their README, with the numbers that their files open with', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../evidence/procedures/README.md'), 'utf8')
    for (const { name } of procedures) {
      const source = readFileSync(join(import.meta.dirname, `../../evidence/procedures/${name}.ts`), 'utf8')
      const numbers = /^\/\*\* Tests? ([\d, and]+)[:,]/.exec(source)?.[1]?.match(/\d+/g)
      const row = new RegExp(`^\\| \`${name}\` *\\| ([\\d, ]+) \\|`, 'm').exec(readme)?.[1]
      expect(row?.trim(), name).toBe(numbers?.join(', '))
    }
  })
})
