/** Bypass: have a statement approved whose literals nobody was shown, and run it with others. */

import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { failure, gateway } from '../adapters/pg/support.ts'
import { dba } from '../support/guard.ts'
import { crm } from '../support/postgres.ts'

const approved: Control = {
  ...{ id: 'AC-07', title: 'AC-07', criteria: ['CC6.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/**', risk: 'high' },
  require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs: 0 } },
}
const setup = gateway([approved], { sql: crm })

async function approveLast(): Promise<void> {
  const { approval } = (await setup().of('approval-requested')).at(-1)!
  await setup().guard.desk.approve(dba, approval)
}

test('an approval of a statement that is shown without its literals is of no other literals', async () => {
  const client = await setup().client()
  const harmless = `alter role postgres password 'canary-one'; delete from customers where id = 1`
  expect((await failure(client.query(harmless))).ours).toBe('ERR_APPROVAL_PENDING')
  await approveLast()
  const other = `alter role postgres password 'canary-two'; delete from customers where id = 2`
  expect((await failure(client.query(other))).ours).toBe('ERR_APPROVAL_PENDING')
  expect((await setup().direct.query('select 1 from customers where id = 2')).rowCount).toBe(1)
})

test('no password is kept, not even as a part of what was prepared beside it', async () => {
  const client = await setup().client()
  const text = `prepare q as select 1 as one; alter role nobody password 'canary-three'`
  expect((await failure(client.query(text))).ours).toBe('ERR_APPROVAL_PENDING')
  await approveLast()
  await client.query(text).catch(() => undefined)
  await client.query('execute q').catch(() => undefined)
  let kept = ''
  for await (const { entry, index } of setup().ledger.entries()) {
    kept += JSON.stringify([entry, await setup().ledger.disclosures(index)])
  }
  expect(kept).toContain('prepare q')
  expect(kept).not.toContain('canary')
})
