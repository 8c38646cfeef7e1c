/** Masking on the wire: by origin, in both formats, and refused where it cannot be done. */
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import type { Control } from '../../../lib/control.ts'
import { crm } from '../../support/postgres.ts'
import { failure, gateway } from './support.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'last4', email: 'redact' },
}
const setup = gateway([masked], {
  sql: `${crm}
    create table parent (id int, ssn text); create table child () inherits (parent);
    create view counted as select count(*) as n from customers;
    create function leak(int) returns text language sql stable as 'select ssn from customers where id = $1';
    create function shout() returns void language plpgsql as $$ begin
      raise exception 'it was %', (select ssn from customers where id = 1); end $$;
    create view through_function as select leak(1) as x;`,
})
const raw = /123-45-/

const shown = async (text: string, values?: unknown[]) => {
  const client = await setup().client()
  const { rows } = await client.query({ text, ...(values === undefined ? {} : { values }), rowMode: 'array' } as never)
  await client.end()
  return rows as unknown[][]
}

test('a masked column is masked under every name it comes by, and the others are not', async () => {
  expect(await shown('select id, ssn, email, name from customers where id = 1')).toEqual([
    [1, expect.stringMatching(/0001$/), expect.not.stringContaining('@'), 'Customer 0001'],
  ])
  for (const text of [
    'select ssn from customers where id = 1',
    'select c.ssn as harmless from customers c where id = 1',
    'with x as (select ssn as y from customers where id = 1) select y from x',
    'select a.ssn from customers a join orders o on o.customer = a.id where a.id = 1',
  ]) {
    for (const values of [undefined, []]) {
      const [[cell]] = (await shown(text, values)) as [[string]]
      expect(cell).toMatch(/0001$/)
      expect(cell).not.toMatch(raw)
    }
  }
})

describe('an unknown origin is redacted', () => {
  const texts = [
    'select upper(ssn) from customers',
    'select ssn || $$$$ from customers',
    'select ssn from customers union all select ssn from customers',
    'select customers from customers',
    'select row_to_json(c) from customers c',
    'select string_agg(ssn, $$,$$) from customers',
    'select max(ssn) from customers',
    'select array_agg(ssn) from customers',
    'select to_jsonb(c) from customers c',
    'select secret from people',
    'select who from people where secret is not null',
    'select leak(1)',
    'select x from through_function',
    'select (select ssn from customers where id = 1)',
    'select case when true then ssn end from customers',
    "select most_common_vals::text from pg_stats where tablename = 'customers'",
    "select query_to_xml('select ssn from customers', true, true, '')",
  ]
  test.each(texts)('%s', async text => {
    for (const values of [undefined, []]) {
      expect(JSON.stringify(await shown(text, values))).not.toMatch(raw)
    }
  })
})

test('counts and constants stay', async () => {
  expect(await shown('select count(*), 1, 1 + 1, current_user from customers')).toEqual([['20', 1, null, 'postgres']])
})

test('a statement that is prepared once stays masked without a Describe', async () => {
  const client = await setup().client()
  for (const id of [1, 2, 3]) {
    const { rows } = await client.query({
      name: 'again',
      text: 'select ssn from customers where id = $1',
      values: [id],
    })
    expect(rows[0].ssn).toMatch(new RegExp(`000${id}$`))
    expect(rows[0].ssn).not.toMatch(raw)
  }
})

test('binary format is masked too', async () => {
  const client = await setup().client()
  const { rows } = await client.query({
    text: 'select id, ssn, email from customers where id = $1',
    values: [1],
    binary: true,
  } as pg.QueryConfig)
  expect(rows[0].id).toBe(1)
  expect(JSON.stringify(rows)).not.toMatch(raw)
})

test('RETURNING and cursors are masked', async () => {
  const client = await setup().client()
  const { rows } = await client.query("update customers set name = 'Customer 0009' where id = 9 returning ssn")
  expect(rows[0].ssn).toMatch(/0009$/)
  expect(rows[0].ssn).not.toMatch(raw)
  await client.query('begin; declare c cursor for select ssn from customers')
  expect(JSON.stringify((await client.query('fetch 5 from c')).rows)).not.toMatch(raw)
  await client.query('prepare p as select ssn from customers')
  expect(JSON.stringify((await client.query('execute p')).rows)).not.toMatch(raw)
})

describe('what would copy masked data in the server is refused', () => {
  test.each([
    'create table copied as select ssn from customers',
    'select ssn into copied from customers',
    'create temp table copied as select * from customers',
    'insert into orders (note) select ssn from customers',
    'update customers set name = ssn where id = 1',
    'update orders set note = c.ssn from customers c where c.id = customer',
    'merge into orders o using customers c on c.id = o.customer when matched then update set note = c.ssn',
    'with d as (delete from customers where id = 99 returning *) insert into orders (note) select ssn from d',
    'insert into orders (note) values ((select ssn from customers where id = 1))',
    'create materialized view copied as select * from people',
    'copy customers to stdout',
    'copy (select ssn from customers) to stdout',
  ])('%s', async text => {
    const client = await setup().client()
    expect(await failure(client.query(text))).toMatchObject({ code: '42501', ours: 'ERR_OBLIGATION_UNMET' })
    expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
    await client.end()
  })
})

test('a write of constants and of the column itself is no copy', async () => {
  const client = await setup().client()
  expect((await client.query('update customers set balance = balance + 1 where id = 2')).rowCount).toBe(1)
  expect((await client.query("insert into customers (id, name) values (777, 'Customer 0777')")).rowCount).toBe(1)
})

test('errors and notices of the server do not quote masked values', async () => {
  const client = await setup().client()
  const notices: unknown[] = []
  client.on('notice', notice => notices.push(notice))
  for (const text of [
    "insert into customers (id, name, email) values (900, 'Customer 0900', 'c1@customer.example')",
    'select ssn::int from customers where id = 1',
    'select 1 / (ssn = $$123-45-0001$$)::int::numeric, ssn::date from customers where id = 1',
    'select shout()',
  ]) {
    const error = await client.query(text).catch(e => e)
    expect(JSON.stringify({ ...error, message: error.message })).not.toMatch(/123-45-|c1@customer/)
    expect(error.code).toMatch(/^[0-9A-Z]{5}$/)
  }
  await client.query("do $$ begin raise notice '%', (select ssn from customers where id = 1); end $$")
  expect(notices).toHaveLength(1)
  expect(JSON.stringify(notices)).not.toMatch(raw)
})
