/** Bypass: have an error quote a row of a masked table, provoked by a statement that does not name that table. */
import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { failure, gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact', email: 'redact' },
}
const setup = gateway([masked], {
  sql: `${crm}
    create table regions (id int primary key, name text); insert into regions select generate_series(1, 9);
    create table towns (id int primary key, region int references regions on update cascade on delete cascade);
    insert into towns select n, n from generate_series(1, 9) n;
    alter table customers add column town int not null default 1 references towns on delete set null on update cascade,
      add check (town < 100);
    update customers set town = 1 + id % 8;
    create table parted (id int primary key) partition by range (id);
    create table part partition of parted for values from (0) to (10); insert into parted values (1);
    alter table customers add column part int not null default 1 references parted on delete set null;
    alter table customers add column plain int references regions;
  `,
})
const raw = /123-45-|customer\.example/

test.each([
  ['a parent is deleted', 'delete from towns where id = 2'],
  ['a parent is changed', 'update towns set id = 200 where id = 2'],
  [
    'a parent is merged into',
    'merge into towns t using (select 1) s on t.id = 2 when matched then update set id = 200',
  ],
  ['a parent is inserted over', 'insert into towns values (2) on conflict (id) do update set id = 200'],
  ['a parent of the parent is deleted', 'delete from regions where id = 2'],
  ['a partition of the parent is deleted from', 'delete from part where id = 1'],
  ['the parent of partitions is deleted from', 'delete from parted where id = 1'],
])('a row that falls foul when %s', async (_, statement) => {
  const client = await setup().client()
  const { detail, where, ...error } = (await client.query(statement).catch(e => e)) as Record<string, string>
  expect(error.code).toMatch(/^23/)
  expect(JSON.stringify({ ...error, detail, where })).not.toMatch(raw)
})

test('a key that is no masked table’s business is still quoted', async () => {
  const client = await setup().client()
  const error = (await client.query('insert into regions values (1)').catch(e => e)) as { detail?: string }
  expect(error.detail).toMatch(/Key \(id\)=\(1\)/)
})

test.each(['reindex index doubled', 'reindex table customers', 'reindex schema public', 'reindex database postgres'])(
  'a value that stands twice under an index that could not be made: %s',
  async statement => {
    const client = await setup().client()
    await setup().direct.query('drop index if exists doubled')
    const made = failure(client.query('create unique index concurrently doubled on customers (left(ssn, 7))'))
    expect((await made).code).toBe('23505')
    const { detail, where, code } = (await client.query(statement).catch(e => e)) as Record<string, string>
    expect(code).toBe('23505')
    expect(JSON.stringify({ detail, where })).not.toMatch(raw)
  },
)
