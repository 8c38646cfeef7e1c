/** What a writer that lies may append twice: the views show both, and nothing that was decided is undone by asking again. */
import { beforeAll, describe, expect, test } from 'vitest'
import { deriveViews } from '../../evidence/views.ts'
import { type BuilderKeys, builderKeys, pseudonym } from '../support/ledger-builder.ts'
import { dba, disclosed, Story } from './support.ts'

let keys: BuilderKeys
beforeAll(async () => {
  keys = await builderKeys()
})

const period = { from: '2026-07-01T00:00:00.000Z', to: '2026-10-01T00:00:00.000Z' }
const viewsOf = (story: Story) =>
  deriveViews({ before: [], entries: disclosed(story.builder), period, checkpoints: [], requirements: [] })

describe('what is said twice', () => {
  test('an exchange decided twice is two operations: the second does not hide the first', async () => {
    const story = await Story.begin({ keys })
    const exchange = story.drop(undefined)
    story.read([], { exchange, verdict: 'deny', code: 'ERR_ACCESS_DENIED' })
    const { operations } = viewsOf(story)
    expect(operations.map(row => [row.exchange, row.verdict, row.risk])).toEqual([
      [exchange, 'permit', 'high'],
      [exchange, 'deny', 'low'],
    ])
  })

  test('an outcome after the first changes nothing', async () => {
    const story = await Story.begin({ keys })
    const exchange = story.drop(undefined)
    story.builder.add('outcome', { exchange, result: 'failed', items: 0, bytes: 0, settled: 'rolled-back' })
    expect(viewsOf(story).operations).toMatchObject([{ result: 'completed', settled: 'committed' }])
  })

  test('a grant that is asked for again, with more, is what was asked for first; its denial and revocation stay', async () => {
    const story = await Story.begin({ keys })
    story.grant('g-00000001', {}, { verdict: 'deny' })
    story.grant('g-00000001', { seconds: 9999 })
    expect(viewsOf(story).grants).toMatchObject([{ seconds: 600, verdict: 'deny' }])
  })

  test('an approval that is asked for again, for more, is what was asked for first, with every decision on it', async () => {
    const story = await Story.begin({ keys })
    story.approval('a-00000001', 'drop table old')
    story.builder.add('approval-decided', { approval: 'a-00000001', approver: pseudonym(dba), verdict: 'deny' })
    story.approval('a-00000001', 'drop table customers')
    const { approvals } = viewsOf(story)
    expect(new Set(approvals.map(row => row.action_digest)).size).toBe(1)
    expect(approvals.map(row => row.verdict)).toEqual(['approve', 'deny', 'approve'])
  })
})
