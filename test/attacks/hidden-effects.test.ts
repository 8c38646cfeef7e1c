/** Bypass: hide a write, a call or a command inside what looks like a read. Every effect must be in the accesses that are judged. */
import { describe, expect, test } from 'vitest'
import { gateway } from '../adapters/pg/support.ts'

const setup = gateway([], {
  sql: `create table t (n int, note text); insert into t values (1, 'x'); create table u (n int);
    create sequence s;
    create function f(int) returns int language sql as 'insert into u values ($1) returning n';
    create function of_row(t) returns int language sql as 'insert into u values (1) returning n';
    create function lower(int) returns int language sql as 'select 1';
    create function same(int, int) returns bool language sql as 'select true';
    create operator === (leftarg = int, rightarg = int, function = same);
    create domain checked as int check (f(value) > 0);
    create view calling as select f(n) as n from t;`,
})

/** What the decision of a statement says; the statement itself may fail. */
async function judged(text: string, values?: unknown[]) {
  const client = await setup().client()
  await client.query(text, values as []).catch(() => undefined)
  await client.query('rollback').catch(() => undefined)
  await client.end()
  const decisions = (await setup().of('decision')).filter(({ action }) => action !== undefined)
  const { accesses, read, risk } = decisions.at(-2)!
  return { accesses: accesses.map(({ action, resource }) => `${action} ${resource}`), read, risk }
}

// biome-ignore format: a table
describe('a write is seen wherever it stands', () => {
  test.each([
    ['with w as (insert into u values (1) returning n) select * from w',        'insert crm/public.u',    'low'],
    ['with w as (delete from u returning n) select * from t',                   'delete crm/public.u',    'high'],
    ['explain analyze delete from u',                                           'delete crm/public.u',    'high'],
    ['explain (analyze, verbose) update u set n = 1',                           'update crm/public.u',    'high'],
    ['select n into v from t',                                                  'create crm/public.v',    'low'],
    ['create table w as select n from t',                                       'create crm/public.w',    'low'],
    ["copy t to program 'cat'",                                                 'execute crm/server',     'high'],
    ["copy t from '/etc/passwd'",                                               'execute crm/server',     'high'],
    ['copy u from stdin',                                                       'insert crm/public.u',    'low'],
    ["do 'begin delete from u; end'",                                           'execute crm/code',       'high'],
    ['select f(1)',                                                             'call crm/public.f',      'low'],
    ['select (t).of_row from t',                                                'call crm/unknown.of_row','low'],
    ['select t.of_row from t',                                                  'call crm/unknown.of_row','low'],
    ['select lower(1)',                                                         'call crm/public.lower',  'low'],
    ['select 1 === 2',                                                          'call crm/operator',      'low'],
    ['select 1 operator(public.===) 2',                                         'call crm/operator',      'low'],
    ['select 1::checked',                                                       'call crm/unknown.checked','low'],
    ["select nextval('s')",                                                     'call crm/pg_catalog.nextval','low'],
    ["select pg_read_file('/etc/passwd')",                                      'call crm/pg_catalog.pg_read_file','high'],
    ["select lo_export(1, '/tmp/x')",                                           'call crm/pg_catalog.lo_export','high'],
    ["select query_to_xml('delete from u', true, true, '')",                    'call crm/pg_catalog.query_to_xml','high'],
    ['select * from generate_series(1, f(1))',                                  'call crm/public.f',      'low'],
    ['values (f(1))',                                                           'call crm/public.f',      'low'],
    ['select n from t order by f(n)',                                           'call crm/public.f',      'low'],
    ['select n from t limit f(1)',                                              'call crm/public.f',      'low'],
    ['merge into u using t on u.n = t.n when not matched then insert values (t.n)', 'insert crm/public.u', 'low'],
    ['insert into u values (1) on conflict do nothing',                         'insert crm/public.u',    'low'],
    ['prepare p as select 1; execute p; deallocate p; truncate u',              'truncate crm/public.u',  'high'],
    ['select 1; select 2; drop table u',                                        'drop crm/public.u',      'high'],
    ['/* select */ dr\\op table u',                                             undefined,                undefined],
    ['delete from u where true',                                                'delete crm/public.u',    'high'],
    ['delete from u where 1 = 1 or n = 3',                                      'delete crm/public.u',    'high'],
    ['delete from u where n = n',                                               'delete crm/public.u',    'high'],
    ['delete from u where not false',                                           'delete crm/public.u',    'high'],
    ['delete from u where n = 3',                                               'delete crm/public.u',    'low'],
    ['grant select on t to public',                                             'grant crm/public.t',     'high'],
    ['revoke select on t from public',                                          'revoke crm/public.t',    'high'],
    ['alter table t add column extra int',                                      'alter crm/public.t',     'low'],
    ['alter table t add column extra int, drop column note',                    'alter crm/public.t',     'high'],
    ['alter table t disable row level security',                                'alter crm/public.t',     'high'],
    ['create role somebody',                                                    'create crm/role',        'high'],
    ["create function g() returns int language sql as 'select 1'",              'create crm/schema',      'high'],
    ['drop function f(int)',                                                    'drop crm/public.f',      'high'],
    ['lock table t',                                                            'lock crm/public.t',      'high'],
    ['select * from pg_authid',                                                 'select crm/pg_catalog.pg_authid', 'high'],
    ['select * from u&"\\0074"',                                                'select crm/public.t',    'low'],
    ['with t as (select * from t) select * from t',                             'select crm/public.t',    'low'],
    ['select * from calling',                                                   'select crm/public.calling', 'low'],
    ['select * from nowhere',                                                   'select crm/unknown.nowhere', 'low'],
    ['select * from pg_temp.anything',                                          'select crm/pg_temp.anything', 'low'],
  ] as const)('%s', async (text, access, risk) => {
    if (access === undefined) return
    const found = await judged(`begin; ${text}`)
    expect(found.accesses).toContain(access)
    expect(found.risk).toBe(risk)
  })
})

test.each([
  'with w as (insert into u values (1) returning n) select * from w',
  'explain analyze delete from u where n = 3',
  'select f(1)',
  'select t.of_row from t',
  'select 1 === 2',
  'select 1::checked',
  'select * from calling',
  "select nextval('s')",
  'select n from t for update',
])('no pure read: %s', async text => {
  expect((await judged(`begin; ${text}`)).read).toBe(false)
})

test.each([
  'select n, upper(note), now() from t where n = 1 order by 1 limit 3',
  'explain select n from t',
  'with x as (select n from t) select * from x union all select 1',
  'select * from pg_catalog.pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname operator(pg_catalog.~) $$x$$',
  'begin',
  'show all',
])('a pure read: %s', async text => {
  const found = await judged(`begin; ${text}`)
  expect(found.read).toBe(true)
})
