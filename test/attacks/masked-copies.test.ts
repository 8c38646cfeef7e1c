/** Bypass: move a masked value, on the server, to where no mask reaches, and read it there. */

import type pg from 'pg'
import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { failure, gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact', email: 'redact' },
}
const inherited: Control = { ...masked, id: 'CF-02', covers: { resource: 'crm/public.heir' }, mask: { ssn: 'redact' } }
const setup = gateway([masked, inherited], {
  sql: `${crm}
    create table scratch (id int, ssn text);
    insert into scratch values (1, '-');
    create sequence hidden;
    create schema sub; create table sub.customers (id int, ssn text);
    insert into sub.customers values (1, '-');
    create table ruled (id int);
    insert into ruled values (1);
    create table docs (id int, doc jsonb, list text[]);
    insert into docs values (1, '{}', '{}');
    create table parent (id int, ssn text, note text);
    create table heir () inherits (parent);
    insert into heir values (1, '-', '-');
    create rule taking as on delete to ruled do also insert into scratch select id, ssn from customers;
    analyze customers;
  `,
})

const byText = `query_to_xml('select ssn from customers', true, true, '')::text`

// biome-ignore format: a table
const copies: readonly (readonly [string, readonly string[]])[] = [
  ['an alias that frees the name of the target',  ['update scratch s set ssn = scratch.ssn from customers scratch']],
  ['a table called excluded, in an UPDATE',       ['update scratch set ssn = excluded.ssn from customers excluded']],
  ['a table called excluded, in a MERGE',         ['merge into scratch s using customers excluded on s.id = excluded.id when matched then update set ssn = excluded.ssn']],
  ['a prepared statement as a source',            ['prepare p as select ssn from customers', 'create table taken as execute p']],
  ['a prepared statement that code has made',     [`do $$ begin execute 'prepare q as select ssn from customers'; end $$`, 'create table taken as execute q']],
  ['a query inside a text',                       [`create table taken as select ${byText} as x`]],
  ['a query inside a text, assigned',             [`update scratch set ssn = ${byText}`]],
  ['a query inside a text, as a default',         [`create table taken (id int, ssn text default ${byText})`]],
  ['statistics of the table',                     [`insert into scratch select 2, most_common_vals::text from pg_stats where tablename = 'customers'`]],
  ['a temporary view',                            ['create temp view t as select ssn from customers', 'insert into scratch select 3, ssn from t']],
  ['a view that is temporary unasked',            ['create temp table one as select 1 as n', 'create view u as select ssn from customers, one', 'insert into scratch select 4, ssn from u']],
  ['the payload of a notification',               [`select pg_notify('channel', ssn) from customers`]],
  ['the value of a sequence',                     [`select setval('hidden', replace(ssn, '-', '')::bigint) from customers`]],
  ['a rule in the place of a DELETE',             ['delete from ruled where id = 1']],
  ['a table of another schema with the same name', ['update sub.customers set ssn = public.customers.ssn from public.customers']],
  ['the same, in a MERGE',                        ['merge into sub.customers using public.customers on true when matched then update set ssn = public.customers.ssn']],
  ['a large object',                              [`select lo_from_bytea(4711, ssn::bytea) from customers limit 1`]],
  ['a file of the server',                        [`copy scratch from '/tmp/any'`]],
  ['a program on the server',                     [`copy scratch from program 'cat /tmp/any'`]],
  ['the name of a column, as a row',              [`update pg_attribute set attname = 'foo' where attrelid = 'customers'::regclass and attname = 'ssn'`]],
  ['a row by an alias that a column has, too',    ['update customers as name set name = (name.*)::text']],
  ['such a row, on conflict',                     [`insert into customers as name (id, name) values (1, 'x') on conflict (id) do update set name = (name.*)::text`]],
  ['such a row, in a MERGE',                      ['merge into customers as name using numbers on name.id = n when matched then update set name = (name.*)::text']],
  ['a view that is updated',                      ['update people set who = secret']],
  ['a view, in a MERGE',                          ['merge into people p using numbers on p.id = n when matched then update set who = p.secret']],
  ['what an update of a view gives back',         ['with r as (update people set who = who returning secret) insert into scratch select 1, secret from r']],
  ['what a delete from a view gives back',        ['with r as (delete from people where id > 100 returning secret) insert into scratch select 1, secret from r']],
  ['an heir, by its parent',                      ['update parent set note = ssn']],
  ['a key inside a document',                     [`update docs set doc[(select ssn from customers limit 1)] = '1'`]],
  ['the same, of a join',                         [`update docs set doc[ssn] = '1' from customers`]],
  ['the same, on conflict',                       [`insert into docs values (1) on conflict (id) do update set doc[(select ssn from customers limit 1)] = '1'`]],
  ['the place in a list',                         [`update docs set list[(select replace(ssn, '-', '')::int from customers limit 1)] = 'x'`]],
  ['what chance starts from',                     [`select setseed(('0.' || replace(ssn, '-', ''))::float8) from customers`]],
  ['the key of a lock',                           [`select pg_advisory_lock(replace(ssn, '-', '')::bigint) from customers`]],
]

test.each(copies)('%s carries nothing away', async (_, statements) => {
  const client = await setup().client()
  for (const statement of statements.slice(0, -1)) await client.query(statement)
  expect((await failure(client.query(statements.at(-1)!))).ours).toBe('ERR_OBLIGATION_UNMET')
})

test('what the client gave itself is stored, notified and set as ever', async () => {
  const client = await setup().client()
  await client.query(`insert into orders (note) values ('given')`)
  await client.query(`update orders set note = note || upper('x') where id = 1`)
  await client.query(
    `insert into orders (id, note) values (1, 'again') on conflict (id) do update set note = excluded.note`,
  )
  await client.query('select pg_notify($1, $2::text)', ['channel', 'given'])
  await client.query(`update docs set doc['given'] = '1', list[1] = 'given'`)
  await client.query(`update people set who = who || ' (given)' where id = 20`)
  await client.query('select setseed(0.5)')
  expect((await client.query(`select setval('hidden', 7::bigint)`)).rows).toEqual([{ setval: '7' }])
})

// biome-ignore format: a table
const hidden: readonly (readonly [string, readonly string[]])[] = [
  ['a temporary view',                      ['create temp view t as select ssn as x from customers', 'select x from t']],
  ['a temporary view with a name of others', ['create temp view orders as select ssn as x from customers', 'select x from orders']],
  ['a view that is temporary unasked',      ['create temp table one as select 1 as n', 'create view v as select ssn as x from customers, one', 'select x from v']],
  ['a temporary view that code has made',   [`do $$ begin execute 'create temp view w as select ssn as x from customers'; end $$`, 'select x from w']],
  ['the same, asked for by its schema',     [`do $$ begin execute 'create temp view w as select ssn as x from customers'; end $$`, 'select x from pg_temp.w']],
]

test.each(hidden)('%s shows nothing', async (_, statements) => {
  // Somebody else has asked the same before, and been answered rightly.
  await (await setup().client()).query(statements.at(-1)!).catch(() => undefined)
  const client = await setup().client()
  for (const statement of statements.slice(0, -1)) await client.query(statement)
  const { rows } = await client.query(statements.at(-1)!)
  expect(rows).toHaveLength(20)
  expect(JSON.stringify(rows)).not.toMatch(/123-45-/)
})

// biome-ignore format: a table
const quoted = [
  'select ssn::regclass from customers',
  'select ssn::regnamespace from customers',
  'select ssn::regrole from customers',
  'select ssn::int from customers',
  'select current_setting(ssn) from customers',
  `select (ssn || ' &&')::tsquery from customers`,
  `select (repeat('x', 3000) || ssn)::tsquery from customers`,
  `select has_database_privilege(ssn, 'connect') from customers`,
  `select pg_get_serial_sequence(ssn, 'x') from customers`,
  `select ('int "' || ssn || '"')::regtype from customers`,
  `select ('f(int "' || ssn || '")')::regprocedure from customers`,
  `select (repeat(' ', right(ssn, 4)::int) || '"a" "b"')::regtype from customers`,
  `select set_bit(ssn::bytea, 1000, 1), ssn::uuid from customers`,
]

test.each(quoted)('an error that a value provokes does not quote it: %s', async statement => {
  const client = await setup().client()
  const told = await client.query(statement).then(String, (error: pg.DatabaseError) => error)
  expect(JSON.stringify(told)).not.toMatch(/123-45-/)
  expect(told).toMatchObject({ message: expect.stringContaining('withheld'), position: undefined })
})

test('an error about the statement itself still says what is wrong', async () => {
  const client = await setup().client()
  expect((await failure(client.query('select nosuch from customers'))).message).toMatch(/nosuch/)
  expect((await failure(client.query('select lower(ssn, 1) from customers'))).message).toMatch(/lower/)
  expect((await failure(client.query(`insert into customers (id, name) values (1, 'x')`))).message).toMatch(
    /customers_pkey/,
  )
})
