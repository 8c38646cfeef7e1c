/** Bypass: have the server call an operator of one's own that no text names: every comparison that is made by `=` unasked. */
import { expect, test } from 'vitest'
import { gateway } from '../adapters/pg/support.ts'

const setup = gateway([], {
  sql: `create table u (n int);
    create function f() returns int language sql as 'insert into u values (1) returning n';
    create type kind as enum ('a'); create table kinds (k kind); create table same_kinds (k kind);
    insert into kinds values ('a'); insert into same_kinds values ('a');
    create function like_kind(kind, kind) returns bool language sql as 'select f() = 1';
    create operator = (leftarg = kind, rightarg = kind, function = like_kind, negator = <>);
    create function unlike_kind(kind, kind) returns bool language sql as 'select f() = 2';
    create operator <> (leftarg = kind, rightarg = kind, function = unlike_kind);`,
})

test.each([
  'select 1 from kinds natural join same_kinds',
  'select 1 from kinds join same_kinds using (k)',
  'select 1 from kinds left join same_kinds using (k) as j',
  'delete from u using kinds natural join same_kinds where n = 1',
  'select 1 from kinds where k in (select k from same_kinds)',
  'select 1 from kinds where k not in (select k from same_kinds)',
  'select 1 from kinds where k = any (select k from same_kinds)',
  "select case k when 'a' then 1 end from kinds",
  "select nullif(k, 'a') from kinds",
  "select k is distinct from 'a' from kinds",
  "select k in ('a') from kinds",
])('%s', async text => {
  const client = await setup().client()
  await client.query(text)
  const { accesses, read } = (await setup().of('decision')).at(-1)!
  expect(accesses).toContainEqual({ action: 'call', resource: 'crm/operator' })
  expect(read).toBe(false)
})

test.each([
  'select n from u order by n',
  'select distinct n from u union select 1',
  'select 1 from kinds cross join same_kinds',
  'select case when n > 1 then 1 end from u',
])('no such comparison: %s', async text => {
  await (await setup().client()).query(text)
  expect((await setup().of('decision')).at(-1)).toMatchObject({ read: true })
})
