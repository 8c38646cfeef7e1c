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

/** Whatever a transaction shows of the rows that it reads, statement by statement and as one text. */
async function shown(change: string, read: string): Promise<readonly unknown[]> {
  const seen: unknown[] = []
  for (const together of [false, true]) {
    const client = await setup().client()
    const ask = async (text: string) => {
      const result = (await client.query(text).catch(() => undefined)) as unknown
      for (const one of [result].flat() as ({ rows?: unknown[] } | undefined)[]) seen.push(...(one?.rows ?? []))
    }
    for (const text of together ? [`begin; ${change}; ${read}`] : ['begin', change, read]) await ask(text)
    await ask('rollback')
    await client.end()
  }
  return seen
}

/** A change that the gateway cannot read, since code makes it. */
const unseen = (change: string) => `do $$ begin ${change}; end $$`

describe('what is renamed or wrapped before the commit stays masked', () => {
  test.each([
    ['create view fresh as select ssn as x from customers', 'select x from fresh'],
    ['create or replace view people as select id, ssn as who, name as secret from customers', 'select who from people'],
    [unseen('alter table customers rename to clients'), 'select ssn from clients'],
    [unseen('alter table orders rename to o; alter table customers rename to orders'), 'select ssn from orders'],
    [unseen('alter table customers rename ssn to harmless'), 'select harmless from customers'],
    [unseen('create schema s; alter table customers set schema s'), 'select ssn from s.customers'],
    [
      unseen('create or replace view people as select id, ssn as who, name as secret from customers'),
      'select who from people',
    ],
  ])('%s', async (change, read) => {
    const seen = await shown(change, read)
    expect(seen.length).toBeGreaterThan(0)
    expect(JSON.stringify(seen)).not.toMatch(/123-45-/)
  })
})

test('what would take it from under its mask once it is committed is refused before', async () => {
  for (const change of ['rename to clients', 'rename ssn to harmless', 'set schema pg_temp']) {
    const client = await setup().client()
    await client.query('begin')
    const error = await client.query(`alter table customers ${change}`).catch(e => e)
    expect(error).toMatchObject({ routine: 'ERR_OBLIGATION_UNMET' })
    await client.end()
  }
})

test.each([
  unseen('alter table customers rename to clients'),
  unseen('alter table orders rename to o; alter table customers rename to orders'),
])('nor can it be copied there: %s', async change => {
  const client = await setup().client()
  await client.query('begin')
  await client.query(change)
  const name = change.includes('to clients') ? 'clients' : 'orders'
  const error = await client.query(`create table copied as select ssn from ${name}`).catch(e => e)
  expect(error).toMatchObject({ routine: 'ERR_OBLIGATION_UNMET' })
  await client.query('rollback')
})

test.each([false, true])(
  'a parent that was taken before the commit hands no name down (as one text: %s)',
  async together => {
    await setup().direct.query('create table if not exists parent (ssn text); create table if not exists apart (a int)')
    const change = ['begin', 'alter table customers inherit parent', 'alter table parent rename ssn to harmless']
    const client = await setup().client()
    for (const text of together ? [] : change.slice(0, -1)) await client.query(text)
    const error = await client.query(together ? change.join('; ') : change.at(-1)!).catch(e => e)
    expect(error).toMatchObject({ routine: 'ERR_OBLIGATION_UNMET' })
    await client.query('rollback')
    await client.query('begin; alter table orders add column more int; alter table apart rename a to b; rollback')
  },
)

test('a session in the middle of an ALTER TABLE holds up neither itself nor the others', async () => {
  const one = await setup().client()
  const other = await setup().client()
  await one.query('begin; alter table customers add column extra int')
  await setup().direct.query('create table newer (n int)')
  expect((await other.query('select * from newer')).rows).toEqual([])
  expect((await one.query('select count(*) from customers')).rows).toEqual([{ count: '20' }])
  await one.query('rollback')
})
