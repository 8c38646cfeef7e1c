/** Bypass: give masked data another name in a transaction that nobody else can see yet, and read it there. */

import { describe, expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact' },
}
const setup = gateway([masked], { sql: crm })

describe('what is renamed or wrapped before the commit stays masked', () => {
  test.each([
    ['alter table customers rename to clients', 'select ssn from clients'],
    ['alter table orders rename to o; alter table customers rename to orders', 'select ssn from orders'],
    ['create view fresh as select ssn as x from customers', 'select x from fresh'],
    ['create or replace view people as select id, ssn as who, name as secret from customers', 'select who from people'],
    ['alter table customers rename ssn to harmless', 'select harmless from customers'],
    ['create schema s; alter table customers set schema s', 'select ssn from s.customers'],
  ])('%s', async (change, read) => {
    for (const together of [false, true]) {
      const client = await setup().client()
      const seen: unknown[] = []
      const ask = async (text: string) => {
        const result = (await client.query(text).catch(() => undefined)) as unknown
        for (const one of [result].flat() as ({ rows?: unknown[] } | undefined)[]) seen.push(...(one?.rows ?? []))
      }
      for (const text of together ? [`begin; ${change}; ${read}`] : ['begin', change, read]) await ask(text)
      await ask('rollback')
      expect(seen.length).toBeGreaterThan(0)
      expect(JSON.stringify(seen)).not.toMatch(/123-45-/)
      await client.end()
    }
  })
})

test('nor can it be copied there', async () => {
  const client = await setup().client()
  await client.query('begin; alter table customers rename to clients')
  const error = await client.query('create table copied as select ssn from clients').catch(e => e)
  expect(error).toMatchObject({ routine: 'ERR_OBLIGATION_UNMET' })
  await client.query('rollback')
})

test('a session in the middle of an ALTER TABLE holds up neither itself nor the others', async () => {
  const one = await setup().client()
  const other = await setup().client()
  await one.query('begin; alter table customers add column extra int')
  await setup().direct.query('create table newer (n int)')
  expect((await other.query('select * from newer')).rows).toEqual([])
  expect((await one.query('select count(*) from customers')).rows).toEqual([{ count: '20' }])
  await one.query('rollback')
})
