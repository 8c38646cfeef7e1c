/** Bypass: have a statement read under one definition, and executed under another. */

import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { failure, gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact', email: 'redact' },
}
const names = ['by_driver', 'by_sql', 'by_cursor', 'by_portal', 'by_transaction', 'steady']
const setup = gateway([masked], {
  sql: `${crm}
    ${names.map(name => `create view ${name} as select id as n, note as x from orders;`).join('\n')}
    create view held as select id as n, ssn as x from customers;
    create table parent (ssn text);
    create table ruled (x text);
    create rule shows as on insert to ruled do instead select ssn as x from customers;
    alter table customers add unique (name, ssn) deferrable initially deferred;
  `,
})
const raw = /123-45-/
const turn = (view: string) => `create or replace view ${view} as select id as n, ssn as x from customers`

test('a statement that was prepared before its view was replaced is read anew', async () => {
  const client = await setup().client()
  const query = { name: 'q', text: 'select x from by_driver' }
  expect((await client.query(query)).rows[0]).toEqual({ x: 'first order' })
  await (await setup().client()).query(turn('by_driver'))
  const { rows } = await client.query(query)
  expect(rows).toHaveLength(20)
  expect(JSON.stringify(rows)).not.toMatch(raw)
})

test('and so is one that was prepared in SQL', async () => {
  const client = await setup().client()
  await client.query('prepare q as select x from by_sql')
  expect((await client.query('execute q')).rows[0]).toEqual({ x: 'first order' })
  await (await setup().client()).query(turn('by_sql'))
  const { rows } = await client.query('execute q')
  expect(rows).toHaveLength(20)
  expect(JSON.stringify(rows)).not.toMatch(raw)
})

test('a cursor that outlives its transaction shows what it was declared over, and is masked as that', async () => {
  const client = await setup().client()
  await client.query('begin; declare c cursor with hold for select x from held; commit')
  await client.query('create or replace view held as select id as n, note as x from orders')
  const { rows } = await client.query('fetch 3 from c')
  expect(rows).toHaveLength(3)
  expect(JSON.stringify(rows)).not.toMatch(raw)
})

test('a cursor whose tables did not change is masked as ever, whatever else is defined meanwhile', async () => {
  const client = await setup().client()
  await client.query('begin; declare c cursor with hold for select id, name, ssn from customers; commit')
  await (await setup().client()).query('create table anything (n int)')
  expect((await client.query('fetch 1 from c')).rows).toEqual([{ id: 1, name: 'Customer 0001', ssn: '[redacted]' }])
})

test('a view that is replaced keeps its oid, and shows nothing before the replacement is committed', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query(turn('by_transaction'))
  expect(JSON.stringify((await client.query('select x from by_transaction')).rows)).not.toMatch(raw)
  await client.query('rollback')
  expect((await client.query('select x from by_transaction')).rows[0]).toEqual({ x: 'first order' })
})

test('a table that takes another parent does not show through it before the commit', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query('alter table customers inherit parent')
  const { rows } = await client.query('select ssn from parent')
  expect(rows).toHaveLength(20)
  expect(JSON.stringify(rows)).not.toMatch(raw)
  await client.query('rollback')
})

test('what a rule puts in the place of a write is unknown', async () => {
  const client = await setup().client()
  const answer = await client.query(`insert into ruled values ('a')`).catch((error: Error) => error.message)
  expect(JSON.stringify(answer)).not.toMatch(raw)
})

test('pg_settings is no way around the settings that may not be changed', async () => {
  const client = await setup().client()
  const { code } = await failure(
    client.query(
      `update pg_settings set setting = (select ssn from customers limit 1) where name = 'application_name'`,
    ),
  )
  expect(code).toBe('42501')
  expect((await failure(client.query(`update pg_settings set setting = 'x' where name = 'search_path'`))).code).toBe(
    '42501',
  )
})

test.each([
  [
    'COMMIT',
    async (run: (text: string) => Promise<unknown>) => {
      await run('begin')
      await run(`update customers set name = 'Customer 0002' where id = 1`)
      await run(`update customers set ssn = '123-45-0002' where id = 1`)
      return failure(run('commit'))
    },
  ],
  [
    'SET CONSTRAINTS',
    async (run: (text: string) => Promise<unknown>) => {
      await run('begin')
      await run(`update customers set name = 'Customer 0002', ssn = '123-45-0002' where id = 1`)
      const failed = await failure(run('set constraints all immediate'))
      await run('rollback')
      return failed
    },
  ],
])('a constraint that was put off quotes no value at %s', async (_, provoke) => {
  const client = await setup().client()
  const failed = await provoke(async text => {
    try {
      return await client.query(text)
    } catch (error) {
      expect((error as { detail?: string }).detail ?? '').not.toMatch(raw)
      throw error
    }
  })
  expect(failed.code).toBe('23505')
})
