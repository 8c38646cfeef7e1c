import { beforeAll, describe, expect, test } from 'vitest'
import { runControlTests } from '../../evidence/control-test.ts'
import { openDatabase } from '../../evidence/duckdb.ts'
import { requirementRows } from '../../evidence/mapping.ts'
import { anyOf, globPattern } from '../../evidence/pattern.ts'
import { deriveViews } from '../../evidence/views.ts'
import type { Control } from '../../lib/control.ts'
import { matches } from '../../lib/glob.ts'
import { type BuilderKeys, builderKeys, digestOf, pseudonym } from '../support/ledger-builder.ts'
import { agent, controls, dba, disclosed, owner, requester, Story } from './support.ts'

let keys: BuilderKeys
beforeAll(async () => {
  keys = await builderKeys()
})

const period = { from: '2026-07-01T00:00:00.000Z', to: '2026-10-01T00:00:00.000Z' }

async function results(story: Story, declared: readonly Control[] = controls) {
  const mapping = { versions: [{ policy: story.policy, controls: declared }], unreadable: [] }
  const entries = disclosed(story.builder)
  const views = deriveViews({ before: [], entries, period, checkpoints: [], requirements: requirementRows(mapping) })
  const runs = await runControlTests(views, mapping, period)
  return runs.map(({ result, exceptions }) => ({
    ...result,
    reasons: exceptions.rows.map(row => row.reasons),
  }))
}

const begin = (declared?: readonly Control[]) => Story.begin({ keys }, declared)

/** The reasons of the one exception that the story's fault gives. */
async function fault(test: string, tell: (story: Story) => void, also: Readonly<Record<string, string[]>> = {}) {
  const story = (await begin()).inOrder()
  tell(story)
  const found = (await results(story)).filter(result => result.word === 'exceptions-noted')
  expect(found.map(result => result.exceptions)).toEqual(found.map(() => 1))
  const reasons = Object.fromEntries(found.map(result => [result.test, result.reasons[0]]))
  const { [test]: named, ...others } = reasons
  expect(others).toEqual(also)
  return named
}

describe('control tests', () => {
  test('a ledger in order has no exceptions, and each population is counted', async () => {
    const story = (await begin()).inOrder()
    expect((await results(story)).map(r => [r.control, r.test, r.word, r.population])).toEqual([
      ['AC-03', 'grant-window', 'no-exceptions-noted', 1],
      ['AC-03', 'grant-given', 'no-exceptions-noted', 1],
      ['AC-03', 'grant-ended', 'not-occurring', 0],
      ['AC-03', 'identity-complete', 'no-exceptions-noted', 1],
      ['AC-03', 'agent-accountable', 'no-exceptions-noted', 1],
      ['AC-03', 'denial-held', 'no-exceptions-noted', 1],
      ['AC-07', 'approval-by-another', 'no-exceptions-noted', 1],
      ['AC-07', 'identity-complete', 'no-exceptions-noted', 1],
      ['AC-07', 'agent-accountable', 'no-exceptions-noted', 1],
      ['AC-07', 'denial-held', 'not-occurring', 0],
      ['AC-07', 'policy-in-force', 'no-exceptions-noted', 1],
      ['CF-01', 'masking-applied', 'no-exceptions-noted', 1],
    ])
  })

  test('an empty population is not-occurring, which is no pass', async () => {
    const words = (await results(await begin())).map(result => result.word)
    expect([...new Set(words)]).toEqual(['not-occurring'])
  })

  // Table: each attribute of the grant test, and the fault that makes it fire.
  // biome-ignore format: a table
  const grantFaults: [reasons: string[], tell: (s: Story) => void, given?: string[]][] = [
    [['no-grant'], s => s.update(undefined)],
    [['control-not-applied'], s => { s.grant('g-00000002'); s.update('g-00000002', { controls: ['CF-01'] }) }],
    [['grant-unknown'], s => s.update('g-00000009')],
    [['grant-not-approved'], s => { s.grant('g-00000002', {}, { verdict: 'deny', from: undefined, until: undefined }); s.update('g-00000002') }],
    [['before-its-start'], s => { s.grant('g-00000002', {}, { from: '2026-07-01T01:00:00.000Z', until: '2026-07-01T01:10:00.000Z' }); s.update('g-00000002') }],
    [['at-or-after-its-end'], s => { s.grant('g-00000002'); s.builder.now += 601_000; s.builder.add('heartbeat', { open: 0, interval: 0 }); s.update('g-00000002') }],
    [['at-or-after-its-revocation'], s => { s.grant('g-00000002'); s.builder.add('grant-revoked', { grant: 'g-00000002', by: pseudonym(dba) }); s.update('g-00000002') }],
    [['another-subject'], s => { s.grant('g-00000002', { principal: pseudonym(owner) }, {}); s.update('g-00000002') }],
    [['outside-its-scope'], s => { s.grant('g-00000002', { actions: ['insert'] }); s.update('g-00000002') }],
    [['self-approved'], s => { s.grant('g-00000002', {}, { approver: pseudonym(requester) }); s.update('g-00000002') }, ['self-approved']],
    [['self-approved'], s => { s.grant('g-00000002', {}, { approver: pseudonym(owner) }); s.update('g-00000002') }, ['self-approved']],
    [['self-approved', 'approver-not-a-person'], s => { s.grant('g-00000002', {}, { approver: pseudonym(agent) }); s.update('g-00000002') }, ['self-approved', 'approver-not-a-person']],
    [['longer-than-allowed'], s => { s.grant('g-00000002', {}, { until: '2026-07-01T01:00:00.000Z' }); s.update('g-00000002') }, ['longer-than-allowed', 'longer-than-asked-for']],
  ]
  test.each(grantFaults)('a grant: %j fires', async (reasons, tell, given) => {
    // The silence in one of the stories is not what is tested here: its heartbeat interval is as long as it needs.
    const also = given === undefined ? {} : { 'grant-given': given }
    expect(await fault('grant-window', tell, also)).toEqual(reasons)
  })

  // biome-ignore format: a table
  const approvalFaults: [reasons: string[], tell: (s: Story) => void][] = [
    [['no-approval'], s => s.drop(undefined)],
    [['control-not-applied'], s => { s.approval('a-00000002', 'drop table old'); s.drop('a-00000002', { controls: [] }) }],
    [['approval-unknown'], s => s.drop('a-00000009')],
    [['too-few-people', 'self-approved'], s => { s.approval('a-00000002', 'drop table old', requester); s.drop('a-00000002') }],
    [['too-few-people', 'self-approved'], s => { s.approval('a-00000002', 'drop table old', owner); s.drop('a-00000002') }],
    [['too-few-people', 'self-approved', 'approver-not-a-person'], s => { s.approval('a-00000002', 'drop table old', agent); s.drop('a-00000002') }],
    [['role-not-asked-for'], s => { s.approval('a-00000002', 'drop table old', dba, { roles: [] }); s.drop('a-00000002') }],
    [['approver-without-the-role'], s => { s.builder.principal('visitor', 'person'); s.approval('a-00000002', 'drop table old', 'visitor'); s.drop('a-00000002') }],
    [['another-action'], s => { s.approval('a-00000002', 'drop table older'); s.drop('a-00000002') }],
    [['another-subject'], s => { s.approval('a-00000002', 'drop table old', dba, { principal: pseudonym(owner) }); s.drop('a-00000002') }],
    [['used-after-its-time'], s => { s.approval('a-00000002', 'drop table old', dba, { until: '2026-07-01T00:00:01.000Z' }); s.drop('a-00000002') }],
    [['denied'], s => { s.approval('a-00000002', 'drop table old'); s.builder.add('approval-decided', { approval: 'a-00000002', approver: pseudonym(dba), verdict: 'deny' }); s.drop('a-00000002') }],
    [['too-few-people', 'approved-after-the-event'], s => {
      const { digest } = s.builder.action({ statement: 'drop table old' })
      const asked = { ...s.actors, action: digest, accesses: [], controls: ['AC-07'], people: 1, roles: ['role:dba'], until: '2026-08-01T00:00:00.000Z' }
      s.builder.add('approval-requested', { approval: 'a-00000002', exchange: s.builder.uuid(), ...asked })
      s.drop('a-00000002')
      s.builder.add('approval-decided', { approval: 'a-00000002', approver: pseudonym(dba), verdict: 'approve' })
    }],
  ]
  test.each(approvalFaults)('an approval: %j fires', async (reasons, tell) => {
    expect(await fault('approval-by-another', tell)).toEqual(reasons)
  })

  test('an approval used twice is an exception of both uses', async () => {
    const story = (await begin()).inOrder()
    story.drop('a-00000001')
    const found = (await results(story)).find(result => result.test === 'approval-by-another')
    expect(found?.reasons).toEqual([['used-again'], ['used-again']])
  })

  // biome-ignore format: a table
  const maskFaults: [reasons: string[], tell: (s: Story) => void][] = [
    [['nothing-masked', 'field-not-accounted-for'], s => s.read([])],
    [['field-not-accounted-for'], s => s.read(['CF-01:email:redact'])],
    [['field-not-accounted-for'], s => s.read(['CF-01:email:redact', 'CF-011:ssn:last4', 'CF-01:ssn2:last4'])],
    [['control-not-applied'], s => s.read(undefined, { controls: [] })],
  ]
  test.each(maskFaults)('a mask: %j fires', async (reasons, tell) => {
    expect(await fault('masking-applied', tell)).toEqual(reasons)
  })

  test('a masked field that the reply did not contain is accounted for', async () => {
    const story = await begin()
    story.read(['CF-01:email:absent', 'CF-01:ssn:absent'])
    expect((await results(story)).at(-1)?.word).toBe('no-exceptions-noted')
  })

  test('a proven read counts from when it was asked for, since its decision is recorded with its outcome', async () => {
    const declared = controls.map(c => (c.id === 'AC-03' ? { ...c, covers: { resource: 'crm/public.orders' } } : c))
    const story = await begin(declared)
    story.grant('g-00000002', { actions: ['select'] })
    const { builder } = story
    builder.now += 590_000
    builder.add('heartbeat', { open: 1, interval: 0 })
    const asked = builder.uuid()
    builder.now += 20_000
    story.ran({ exchange: asked, controls: ['AC-03'], read: true, grant: 'g-00000002' }, { exchange: asked })
    const grant = (await results(story, declared)).find(result => result.test === 'grant-window')
    expect([grant?.population, grant?.exceptions]).toEqual([1, 0])
  })

  test('a silence makes every control unable-to-test for its interval, and hides no exception', async () => {
    const story = (await begin()).inOrder()
    story.builder.now += 3_600_000
    story.update(undefined)
    const found = await results(story)
    expect(found.map(result => result.word)).toEqual([
      'exceptions-noted',
      ...found.slice(1).map(() => 'unable-to-test'),
    ])
    expect(found[1]?.unable[0]?.why).toContain('silent for')
  })

  test('a control in observe mode is unable-to-test, and what it would have refused is no population of it', async () => {
    const declared = controls.map(control =>
      control.id === 'AC-03' ? { ...control, mode: { observeUntil: '2026-08-01' } } : control,
    )
    const story = await begin(declared)
    story.update(undefined, { observed: ['AC-03'] })
    const [grant] = await results(story, declared)
    expect([grant?.word, grant?.population]).toEqual(['unable-to-test', 0])
    expect(grant?.unable[0]).toMatchObject({ to: '2026-08-01T00:00:00.000Z', why: 'only observed, not enforced' })
  })

  test("a user's SQL is one SELECT with no way out, and what fails is unable-to-test, never a pass", async () => {
    const attempts = [
      "copy (select 1) to '/tmp/out'",
      'select 1; select 2',
      "select * from read_text('/etc/hostname')",
      "select * from '/etc/hostname'",
      'set enable_external_access = true',
      "attach '/tmp/x.db'",
      'select no_such_column from operations',
      'selec',
    ]
    for (const population of attempts) {
      const tests = [{ population, exceptions: 'select * from population' }]
      const declared = controls.slice(0, 1).map(control => ({ ...control, tests }))
      const story = (await begin()).inOrder()
      const [result] = await results(story, declared)
      expect(result?.word, population).toBe('unable-to-test')
      expect(result?.why, population).toBeTruthy()
    }
  })

  test('what ran under a policy that no entry holds is passed over by no control', async () => {
    const story = (await begin()).inOrder()
    story.ran({ policy: digestOf('nobody recorded this') })
    const found = await results(story)
    const words = (name: string) =>
      found.filter(({ test: n }) => (n === 'policy-in-force') === (name === n)).map(r => r.word)
    expect([...new Set(words(''))]).toEqual(['unable-to-test'])
    expect(found[0]?.unable[0]?.why).toContain('a policy that no entry holds')
  })

  test('a query spills nothing to the disk of who runs it', async () => {
    const database = await openDatabase(
      deriveViews({ before: [], entries: [], period, checkpoints: [], requirements: [] }),
    )
    const settings =
      "select name, value from duckdb_settings() where name in ('temp_directory', 'max_temp_directory_size')"
    const { rows } = await database.select('settings', settings)
    database.close()
    expect(rows).toEqual([
      { name: 'max_temp_directory_size', value: '0 bytes' },
      { name: 'temp_directory', value: '' },
    ])
  })

  test('a query that does not end is ended', async () => {
    const views = deriveViews({ before: [], entries: [], period, checkpoints: [], requirements: [] })
    const database = await openDatabase(views, 300)
    const endless = 'with recursive r(i) as (select 1 union all select i + 1 from r) select count(*) from r'
    await expect(database.select('population', endless)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    database.close()
  })

  test('a query that gives more rows than fit is not read, and its test is unable, not a crash', async () => {
    const tests = [
      {
        population: 'select range as index from range(20_000_000)',
        exceptions: 'select * from population where false',
      },
    ]
    const story = (await begin()).inOrder()
    const [found] = await results(
      story,
      controls.slice(0, 1).map(control => ({ ...control, tests })),
    )
    expect([found?.word, found?.why]).toEqual(['unable-to-test', expect.stringContaining('over 1000000 rows')])
  })

  test("a user's own test runs over the same views", async () => {
    const tests = [
      {
        population: "select * from operations where risk = 'high' and settled <> 'rolled-back'",
        exceptions: `select p.* from population p left join approvals a using (exchange)
          where a.exchange is null or a.approver in (p.subject, p.principal, p.owner)
             or a.decided_at >= p.time or not a.action_matches`,
      },
    ]
    const declared = controls.slice(1, 2).map(control => ({ ...control, tests }))
    const story = (await begin()).inOrder()
    expect((await results(story, declared))[0]?.word).toBe('no-exceptions-noted')
    story.drop(undefined)
    expect((await results(story, declared))[0]?.word).toBe('exceptions-noted')
  })

  test('patterns for SQL match what the globs of the guard match', () => {
    const globs = [
      'crm/**',
      'crm/public.*',
      'crm/*',
      '*',
      '**',
      'crm/public.c*s',
      'a.b',
      'crm/**.x',
      'insert',
      'a+b(c)|d',
    ]
    const texts = [
      'crm/public.customers',
      'crm/public.',
      'crm/',
      'crm/a.x',
      'crm/a/b.x',
      'a.b',
      'axb',
      'insert',
      'a+b(c)|d',
      'crm',
    ]
    for (const glob of globs) {
      for (const text of texts) {
        expect(new RegExp(`^(?:${globPattern(glob)})$`).test(text), `${glob} ${text}`).toBe(matches(glob, text))
      }
    }
    expect(new RegExp(`^(?:${anyOf(['insert', 'up*'])})$`).test('update')).toBe(true)
  })
})
