/** Ledgers whose tests would report nothing though the entries show a deviation, and honest ones that they would accuse. */
import { beforeAll, describe, expect, test } from 'vitest'
import { Continuity } from '../../evidence/continuity.ts'
import { runControlTests } from '../../evidence/control-test.ts'
import { requirementRows } from '../../evidence/mapping.ts'
import { timelineOf } from '../../evidence/report/timeline.ts'
import { type Disclosed, deriveViews } from '../../evidence/views.ts'
import type { Control } from '../../lib/control.ts'
import { JsonRecords } from '../../lib/masking/records.ts'
import { controls, disclosed, Story } from '../evidence/support.ts'
import { type BuilderKeys, builderKeys } from '../support/ledger-builder.ts'

let keys: BuilderKeys
beforeAll(async () => {
  keys = await builderKeys()
})

const period = { from: '2026-07-01T00:00:00.000Z', to: '2026-10-01T00:00:00.000Z' }

interface Version {
  readonly policy: string
  readonly controls: readonly Control[]
}

async function results(story: Story, versions: readonly Version[]) {
  const mapping = { versions, unreadable: [] }
  const views = deriveViews({
    before: [],
    entries: disclosed(story.builder),
    period,
    checkpoints: [],
    requirements: requirementRows(mapping),
  })
  const runs = await runControlTests(views, mapping, period)
  return runs.map(({ result, exceptions }) => ({ ...result, reasons: exceptions.rows.map(row => row.reasons) }))
}

const [grants, approvals, masks] = controls as [Control, Control, Control]

describe('a change of the controls', () => {
  // Table: what the newest version says of a control under which an update ran without a grant.
  // biome-ignore format: a table
  const weaker: readonly [what: string, control: Control][] = [
    ['asks for no grant any more', (({ require: _, ...rest }) => rest)(grants)],
    ['has tests of its own, which find nothing', { ...grants, tests: [{ population: 'select * from operations', exceptions: 'select * from population where false' }] }],
  ]
  for (const [what, newest] of weaker) {
    test(`does not take away the tests of what ran before it, where it ${what}`, async () => {
      const story = await Story.begin({ keys }, [grants])
      const before = story.policy
      story.update(undefined)
      story.policy = story.builder.policy(JSON.stringify([newest]))
      const found = await results(story, [
        { policy: before, controls: [grants] },
        { policy: story.policy, controls: [newest] },
      ])
      const window = found.find(result => result.test === 'grant-window')
      expect(window).toMatchObject({ word: 'exceptions-noted', reasons: [['no-grant']] })
    })
  }
})

test('a second decision of one exchange does not hide behind the approval of the first', async () => {
  const story = await Story.begin({ keys }, [approvals])
  story.approval('a-00000001', 'drop table old')
  const drop = {
    statement: 'drop table old',
    accesses: [{ action: 'drop', resource: 'crm/public.old' }],
    risk: 'high' as const,
    controls: ['AC-07'],
  }
  const exchange = story.ran({ ...drop, approval: 'a-00000001' })
  story.ran({ ...drop, exchange, statement: 'drop table customers', approval: 'a-0badc0de' }, null)
  const found = await results(story, [{ policy: story.policy, controls: [approvals] }])
  const tested = found.find(result => result.test === 'approval-by-another')
  expect(tested?.reasons.flat()).toContain('approval-unknown')
})

describe('masks', () => {
  test('fields beyond ASCII, and with a colon, are found in what an honest guard says of them', async () => {
    const named: Control = { ...masks, mask: { Straße: 'redact', 'a:b': 'redact', '100%': 'redact' } }
    const story = await Story.begin({ keys }, [named])
    const rules = Object.keys(named.mask!).map(field => ({
      control: named.id,
      resource: 'crm/public.customers',
      field,
      strategy: 'redact' as const,
    }))
    const masker = new JsonRecords('lines', rules)
    masker.push(Buffer.from('{"Straße":"Hauptstraße 1","a:b":1}\n'))
    story.ran(
      { accesses: [{ action: 'select', resource: 'crm/public.customers' }], controls: [named.id] },
      { items: 1, masked: [...masker.applied] },
    )
    const found = await results(story, [{ policy: story.policy, controls: [named] }])
    expect(found.find(result => result.test === 'masking-applied')).toMatchObject({
      word: 'no-exceptions-noted',
      population: 1,
    })
  })

  // Table: the test, the control that it is of.
  const lost: readonly [test: string, control: Control][] = [
    ['masking-applied', masks],
    ['recorded-whole', { ...masks, mask: {}, record: { response: 'masked' } }],
  ]
  for (const [name, control] of lost) {
    test(`${name}: what a crash left unknown may have shown something, and is no pass`, async () => {
      const story = await Story.begin({ keys }, [control])
      const read = { accesses: [{ action: 'select', resource: 'crm/public.customers' }], controls: [control.id] }
      story.ran(read, { result: 'unknown', items: 0, bytes: 0 })
      const found = await results(story, [{ policy: story.policy, controls: [control] }])
      expect(found.find(result => result.test === name)).toMatchObject({ word: 'unable-to-test', exceptions: 0 })
    })
  }
})

describe('a day that never was', () => {
  const dated = (one: Disclosed): Disclosed => ({
    ...one,
    entry: { ...(one.entry as object), time: '2026-09-31T00:00:00.000Z' } as Disclosed['entry'],
  })

  test('is told of an entry: what is dated so can be tested by nobody', async () => {
    const story = await Story.begin({ keys, start: Date.parse('2026-09-29T00:00:00Z') })
    const continuity = new Continuity({})
    for (const { index, entry } of disclosed(story.builder)) {
      continuity.add(index, index === 3 ? dated({ index, entry, values: {} }).entry : entry)
    }
    expect(continuity.findings.all()).toContainEqual(
      expect.objectContaining({ code: 'TIME_ORDER', what: 'entry 3 is of a day that never was' }),
    )
  })

  test('does not end the report, where a policy is dated so', async () => {
    const story = await Story.begin({ keys })
    const given: readonly Disclosed[] = disclosed(story.builder)
    const entries = given.map(one => (one.entry.kind === 'policy' ? dated(one) : one))
    const views = deriveViews({ before: [], entries, period, checkpoints: [], requirements: [] })
    const { intervals } = timelineOf(views, period, { first: period.from, last: period.to })
    expect(intervals.length).toBeGreaterThan(0)
  })
})
