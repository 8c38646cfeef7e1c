/**
 * Bypass: define something that, once committed, leaves masked data readable where no mask follows: another name, another column,
 * code that the server runs unasked. Every form of ALTER and CREATE that PostgreSQL's grammar has is here, with what becomes of it.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const common = { title: 'masked', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' } as const
const controls: readonly Control[] = [
  { ...common, id: 'CF-01', covers: { resource: 'crm/public.customers' }, mask: { ssn: 'redact', email: 'last4' } },
  { ...common, id: 'CF-02', covers: { resource: 'crm/hr.*' }, mask: { ssn: 'redact' } },
  { ...common, id: 'CF-03', covers: { resource: 'crm/public.people' }, mask: { secret: 'redact' } },
  { ...common, id: 'CF-04', covers: { resource: 'crm/public.shouted' }, mask: { SSN: 'redact' } },
]
const setup = gateway(controls, {
  sql: `${crm}
    alter table customers add unique (ssn);
    create table clients (id int primary key, ssn text, note text);
    create schema hr; create schema other;
    create table shouted (shouted text, ssn text, note text);
    create table hr.staff (id int, ssn text, name text);
    create view hr.people as select id, ssn from hr.staff;
    create table base (id int, ssn text);
    create table parted (id int, ssn text) partition by range (id);
    create table hr.parted (id int, ssn text) partition by range (id);
    create table part partition of hr.parted for values from (0) to (10);
    create table hr.part partition of hr.parted for values from (10) to (20);
    create table child () inherits (hr.staff);
    create table loose (id int, ssn text, name text);
    create type pair as (a int, b int);
    create type ssn_row as (ssn text);
    create table typed of ssn_row;
    create type mood as enum ('ok');
    create sequence counted;
    create index clients_note on clients (note);
    create materialized view kept as select id, note from orders;
    create function f(text) returns text language sql as 'select $1';
    create function unused() returns int language sql as 'select 1';
    create function fires() returns trigger language plpgsql as 'begin return new; end';
    create trigger fires before update on clients for each row execute function fires();
    create rule quiet as on update to loose do also nothing;
    create policy p on clients using (true);
    create statistics st (dependencies) on id, note from clients;
    create domain positive as int check (value > 0);
    create publication pub for table clients;
    create extension unaccent; create extension file_fdw; create server files foreign data wrapper file_fdw;
    create foreign table far (line text) server files options (filename '/dev/null');
    create text search configuration words (copy = simple);
    create text search dictionary dictionary (template = simple);
    create collation plain from "C";
    create aggregate total (int) (sfunc = int4pl, stype = int);
    create operator === (leftarg = int, rightarg = int, function = int4eq);
  `,
})

/** May the data be found under the same masks afterwards? `runs`, or `unmet`: refused. */
// biome-ignore format: a table
const forms: readonly (readonly [form: string, outcome: 'runs' | 'unmet', statement: string])[] = [
  // RENAME
  ['RENAME COLUMN',                    'unmet', 'alter table customers rename ssn to foo'],
  ['RENAME COLUMN, not masked',        'runs',  'alter table customers rename name to full_name'],
  ['RENAME COLUMN, of another table',  'runs',  'alter table clients rename note to remark'],
  ['RENAME COLUMN, of a partition',    'unmet', 'alter table hr.part rename ssn to foo'],
  ['RENAME COLUMN, of a parent',       'unmet', 'alter table hr.parted rename ssn to foo'],
  ['RENAME COLUMN, of a view',         'unmet', 'alter view people rename secret to foo'],
  ['RENAME COLUMN, quoted',            'unmet', 'alter table "customers" rename "ssn" to "foo"'],
  ['RENAME COLUMN, to another case',   'runs',  'alter table "customers" rename "ssn" to "SSN"'],
  ['RENAME COLUMN, masked in another case', 'unmet', 'alter table shouted rename ssn to foo'],
  ['RENAME TO',                        'unmet', 'alter table customers rename to customers2'],
  ['RENAME TO, by ALTER VIEW',         'unmet', 'alter view people rename to people2'],
  ['RENAME TO, by ALTER INDEX',        'unmet', 'alter index customers rename to customers2'],
  ['RENAME TO, under the same mask',   'runs',  'alter table hr.staff rename to employees'],
  ['RENAME TO, twice in one text',     'unmet', 'alter table hr.staff rename to employees; alter table hr.employees set schema other'],
  ['RENAME TO, of another table',      'runs',  'alter table clients rename to clients2'],
  ['RENAME TO, of an index',           'runs',  'alter index clients_note rename to clients_remark'],
  ['RENAME TO, of a materialized view', 'runs', 'alter materialized view kept rename to kept2'],
  ['RENAME SCHEMA',                    'unmet', 'alter schema hr rename to personnel'],
  ['RENAME SCHEMA, with a masked table', 'unmet', 'alter schema public rename to people'],
  ['RENAME SCHEMA, of another',        'runs',  'alter schema other rename to another'],
  ['RENAME CONSTRAINT',                'runs',  'alter table customers rename constraint customers_pkey to pk'],
  ['RENAME TYPE, ATTRIBUTE',           'runs',  'alter type pair rename attribute a to c'],
  ['RENAME ATTRIBUTE CASCADE',         'unmet', 'alter type ssn_row rename attribute ssn to foo cascade'],
  ['RENAME FUNCTION',                  'runs',  'alter function unused() rename to unused2'],
  ['RENAME TRIGGER, RULE, POLICY',     'runs',  'alter trigger fires on clients rename to fires2; alter policy p on clients rename to q'],
  // SET SCHEMA
  ['SET SCHEMA',                       'unmet', 'alter table customers set schema other'],
  ['SET SCHEMA, to a stricter one',    'unmet', 'alter table customers set schema hr'],
  ['SET SCHEMA, of a view',            'unmet', 'alter view people set schema other'],
  ['SET SCHEMA, of another table',     'runs',  'alter table clients set schema other'],
  ['SET SCHEMA, of a function',        'runs',  'alter function unused() set schema other'],
  ['SET SCHEMA, of an extension',      'unmet', 'alter extension unaccent set schema other'],
  // ALTER TABLE
  ['AT_AddColumn',                     'runs',  'alter table customers add column extra int default 1'],
  ['AT_AddColumn, stored from a masked one', 'unmet', 'alter table customers add column foo text generated always as (upper(ssn)) stored'],
  ['AT_AddColumn, virtual from a masked one', 'unmet', 'alter table customers add column foo text generated always as (ssn)'],
  ['AT_AddColumn, generated from another', 'runs', 'alter table customers add column foo text generated always as (upper(name)) stored'],
  ['AT_AddColumn, of a foreign key that follows', 'unmet', 'alter table clients add column foo text references customers (ssn) on update cascade'],
  ['AT_AddColumn, of a foreign key',   'runs',  'alter table clients add column foo text references customers (ssn)'],
  ['AT_AddColumn, with unknown code',  'unmet', `alter table clients add column foo text default f('x')`],
  ['AT_AddColumnToView',               'runs',  'create or replace view people as select id, name as who, ssn as secret, id + 1 as more from customers'],
  ['AT_ColumnDefault',                 'runs',  `alter table customers alter name set default 'x'`],
  ['AT_ColumnDefault, with unknown code', 'unmet', `alter table clients alter note set default f('x')`],
  ['AT_DropNotNull',                   'runs',  'alter table customers alter name drop not null'],
  ['AT_SetNotNull',                    'runs',  'alter table customers alter ssn set not null'],
  ['AT_SetExpression',                 'unmet', 'alter table customers alter name set expression as (ssn)'],
  ['AT_DropExpression',                'runs',  'alter table customers alter name drop expression if exists'],
  ['AT_SetStatistics',                 'runs',  'alter table customers alter name set statistics 10'],
  ['AT_SetOptions',                    'runs',  'alter table customers alter name set (n_distinct = 5)'],
  ['AT_ResetOptions',                  'runs',  'alter table customers alter name reset (n_distinct)'],
  ['AT_SetStorage',                    'runs',  'alter table customers alter name set storage external'],
  ['AT_SetCompression',                'runs',  'alter table customers alter name set compression default'],
  ['AT_DropColumn',                    'runs',  'alter table customers drop column balance'],
  ['AT_AddConstraint',                 'runs',  'alter table customers add constraint positive check (balance >= 0)'],
  ['AT_AddConstraint, a foreign key that follows', 'unmet', 'alter table clients add foreign key (note) references customers (ssn) on update cascade not valid'],
  ['AT_AddConstraint, a foreign key',  'runs',  'alter table clients add foreign key (note) references customers (ssn) not valid'],
  ['AT_AddConstraint, follows another column', 'runs', 'alter table clients add foreign key (id) references customers (id) on update cascade not valid'],
  ['AT_AddConstraint, with unknown code', 'unmet', `alter table clients add check (f(note) = note)`],
  ['AT_AlterConstraint',               'runs',  'alter table orders alter constraint orders_customer_fkey not deferrable'],
  ['AT_ValidateConstraint',            'runs',  'alter table orders validate constraint orders_customer_fkey'],
  ['AT_AddIndexConstraint',            'runs',  'create unique index fresh on clients (id); alter table clients add constraint fresh unique using index fresh'],
  ['AT_DropConstraint',                'runs',  'alter table customers drop constraint customers_email_key'],
  ['AT_AlterColumnType',               'runs',  'alter table customers alter balance type text'],
  ['AT_AlterColumnType, using itself', 'runs',  'alter table customers alter balance type bigint using balance::bigint'],
  ['AT_AlterColumnType, using a masked one', 'unmet', 'alter table customers alter balance type text using ssn'],
  ['AT_AlterColumnType, using the row', 'unmet', 'alter table customers alter balance type text using customers::text'],
  ['AT_AlterColumnType, using a field of the row', 'unmet', 'alter table customers alter balance type text using (customers).ssn'],
  ['AT_AlterColumnType, using a row that a column is called after', 'unmet', 'alter table shouted alter note type text using (shouted.*)::text'],
  ['AT_AlterColumnType, using another', 'runs', 'alter table customers alter balance type text using name'],
  ['AT_AlterColumnGenericOptions',     'unmet', `alter foreign table far alter line options (add x 'y')`],
  ['AT_ChangeOwner',                   'runs',  'alter table customers owner to postgres'],
  ['AT_ClusterOn',                     'runs',  'alter table customers cluster on customers_pkey'],
  ['AT_DropCluster',                   'runs',  'alter table customers set without cluster'],
  ['AT_SetLogged',                     'runs',  'alter table numbers set logged'],
  ['AT_SetUnLogged',                   'runs',  'alter table numbers set unlogged'],
  ['AT_DropOids',                      'runs',  'alter table customers set without oids'],
  ['AT_SetAccessMethod',               'unmet', 'alter table customers set access method heap'],
  ['AT_SetTableSpace',                 'runs',  'alter table customers set tablespace pg_default'],
  ['AT_SetRelOptions',                 'runs',  'alter table customers set (fillfactor = 90)'],
  ['AT_ResetRelOptions',               'runs',  'alter table customers reset (fillfactor)'],
  ['AT_EnableTrig',                    'unmet', 'alter table clients enable trigger fires'],
  ['AT_EnableAlwaysTrig',              'unmet', 'alter table clients enable always trigger fires'],
  ['AT_EnableReplicaTrig',             'unmet', 'alter table clients enable replica trigger fires'],
  ['AT_DisableTrig',                   'runs',  'alter table clients disable trigger fires'],
  ['AT_EnableTrigAll',                 'unmet', 'alter table clients enable trigger all'],
  ['AT_DisableTrigAll',                'runs',  'alter table clients disable trigger all'],
  ['AT_EnableTrigUser',                'unmet', 'alter table clients enable trigger user'],
  ['AT_DisableTrigUser',               'runs',  'alter table clients disable trigger user'],
  ['AT_EnableRule',                    'unmet', 'alter table loose enable rule quiet'],
  ['AT_EnableAlwaysRule',              'unmet', 'alter table loose enable always rule quiet'],
  ['AT_EnableReplicaRule',             'unmet', 'alter table loose enable replica rule quiet'],
  ['AT_DisableRule',                   'runs',  'alter table loose disable rule quiet'],
  ['AT_AddInherit',                    'runs',  'alter table customers inherit base'],
  ['AT_DropInherit',                   'unmet', 'alter table child no inherit hr.staff'],
  ['AT_AddOf',                         'unmet', 'create table empty (ssn text); alter table empty of ssn_row'],
  ['AT_DropOf',                        'runs',  'alter table typed not of'],
  ['AT_ReplicaIdentity',               'runs',  'alter table customers replica identity full'],
  ['AT_EnableRowSecurity',             'runs',  'alter table customers enable row level security'],
  ['AT_DisableRowSecurity',            'runs',  'alter table customers disable row level security'],
  ['AT_ForceRowSecurity',              'runs',  'alter table customers force row level security'],
  ['AT_NoForceRowSecurity',            'runs',  'alter table customers no force row level security'],
  ['AT_GenericOptions',                'unmet', `alter foreign table far options (set filename '/dev/zero')`],
  ['AT_AttachPartition',               'runs',  'alter table parted attach partition base for values from (0) to (10)'],
  ['AT_DetachPartition',               'unmet', 'alter table hr.parted detach partition part'],
  ['AT_DetachPartition, under the same mask', 'runs', 'alter table hr.parted detach partition hr.part'],
  ['AT_DetachPartitionFinalize',       'unmet', 'alter table hr.parted detach partition part finalize'],
  ['AT_AddIdentity',                   'runs',  'alter table customers alter id add generated always as identity'],
  ['AT_SetIdentity',                   'runs',  'create table counts (n int generated always as identity); alter table counts alter n set generated by default'],
  ['AT_DropIdentity',                  'runs',  'alter table customers alter id drop identity if exists'],
  // CREATE
  ['CreateStmt',                       'runs',  'create table fresh (id int primary key, of int references customers (id))'],
  ['CreateStmt, of a foreign key that follows', 'unmet', 'create table fresh (email text references customers (email) on update cascade)'],
  ['CreateStmt, generated under a mask', 'unmet', 'create table hr.fresh (ssn text, foo text generated always as (ssn) stored)'],
  ['CreateStmt, a partition',          'runs',  'create table fresh partition of hr.parted for values from (30) to (40)'],
  ['CreateStmt, an heir',              'runs',  'create table fresh () inherits (customers)'],
  ['CreateStmt, with unknown code',    'unmet', `create table fresh (x text default f('x'))`],
  ['CreateTableAsStmt',                'unmet', 'create table fresh as select ssn from customers'],
  ['CreateTableAsStmt, a materialized view', 'unmet', 'create materialized view fresh as select ssn from customers'],
  ['ViewStmt',                         'runs',  'create view fresh as select ssn as x from customers'],
  ['IndexStmt',                        'runs',  'create index on customers (lower(ssn))'],
  ['IndexStmt, with unknown code',     'unmet', 'create index on clients (f(note))'],
  ['CreateStatsStmt',                  'runs',  'create statistics fresh on (lower(ssn)), name from customers'],
  ['AlterStatsStmt',                   'runs',  'alter statistics st set statistics 10'],
  ['CreateSeqStmt',                    'runs',  'create sequence fresh'],
  ['AlterSeqStmt',                     'runs',  'alter sequence counted restart'],
  ['CreateEnumStmt',                   'runs',  `create type fresh as enum ('x')`],
  ['AlterEnumStmt',                    'runs',  `alter type mood rename value 'ok' to 'fine'`],
  ['CompositeTypeStmt',                'runs',  'create type fresh as (a int)'],
  ['AlterTableStmt, of a type',        'runs',  'alter type pair add attribute c int'],
  ['CreateRangeStmt',                  'runs',  'create type fresh as range (subtype = int)'],
  ['CreateRangeStmt, with unknown code', 'unmet', 'create type fresh as range (subtype = int, subtype_diff = f)'],
  ['AlterTypeStmt',                    'unmet', 'alter type pair set (storage = plain)'],
  ['CreateDomainStmt',                 'runs',  'create domain fresh as int check (value > 0)'],
  ['CreateDomainStmt, with unknown code', 'unmet', 'create domain fresh as text check (f(value) = value)'],
  ['AlterDomainStmt',                  'runs',  'alter domain positive drop constraint positive_check'],
  ['AlterDomainStmt, with unknown code', 'unmet', 'alter domain positive add check (f(value::text) is not null)'],
  ['RuleStmt',                         'unmet', 'create rule r as on delete to customers do also insert into clients values (old.id, old.ssn)'],
  ['RuleStmt, over a masked view',     'unmet', 'create rule r as on update to people do instead insert into clients values (old.id, old.secret)'],
  ['RuleStmt, from a masked table',    'unmet', 'create rule r as on insert to clients do also insert into loose select id, ssn, name from customers'],
  ['RuleStmt, on another table',       'runs',  'create rule r as on delete to clients do also delete from orders where orders.id = old.id'],
  ['RuleStmt, that does nothing',      'runs',  'create rule r as on delete to customers do instead nothing'],
  ['CreatePolicyStmt',                 'runs',  'create policy fresh on customers using (id > 0)'],
  ['CreatePolicyStmt, with unknown code', 'unmet', 'create policy fresh on clients using (f(note) is not null)'],
  ['AlterPolicyStmt',                  'runs',  'alter policy p on clients using (id > 0)'],
  ['CreateTrigStmt',                   'unmet', 'create trigger t before update on customers for each row execute function fires()'],
  ['CreateTrigStmt, on another table', 'unmet', 'create trigger t before update on clients for each row execute function fires()'],
  ['CreateTrigStmt, of the server',    'runs',  'create trigger t before update on customers for each row execute function suppress_redundant_updates_trigger()'],
  ['CreateTrigStmt, that copies into another column', 'unmet', `create trigger t before update on customers for each row execute function tsvector_update_trigger(name, 'pg_catalog.simple', ssn)`],
  ['CreateTrigStmt, that copies elsewhere', 'runs', `create trigger t before update on clients for each row execute function tsvector_update_trigger(ssn, 'pg_catalog.simple', note)`],
  ['CreateEventTrigStmt',              'unmet', 'create event trigger t on ddl_command_end execute function fires()'],
  ['AlterEventTrigStmt',               'unmet', 'alter event trigger watch enable'],
  ['CreateFunctionStmt',               'runs',  `create function fresh() returns text language sql as 'select 1::text'`],
  ['CreateFunctionStmt, of what a trigger runs', 'unmet', `create or replace function fires() returns trigger language plpgsql as 'begin insert into clients select id, ssn from customers; return new; end'`],
  ['CreateFunctionStmt, of what nothing runs', 'runs', `create or replace function unused() returns int language sql as 'select 2'`],
  ['CreateFunctionStmt, of a trusted extension', 'unmet', `create or replace function unaccent(text) returns text stable language sql as 'select string_agg(ssn, $a$,$a$) from customers'`],
  ['CreateFunctionStmt, of the system', 'unmet', `create or replace function pg_catalog.age(timestamptz) returns interval stable language sql as 'select interval $a$1$a$'`],
  ['AlterFunctionStmt',                'runs',  'alter function unused() immutable'],
  ['AlterFunctionStmt, of what a trigger runs', 'unmet', 'alter function fires() set search_path = other'],
  ['CreateCastStmt',                   'unmet', 'create cast (text as pair) with function f(text) as assignment'],
  ['CreateCastStmt, without a function', 'runs', 'create cast (pair as text) with inout as assignment'],
  ['CreateTransformStmt',              'unmet', 'create transform for int language sql (from sql with function f(text))'],
  ['CreateConversionStmt',             'unmet', `create conversion fresh for 'LATIN1' to 'UTF8' from f`],
  ['CreateOpClassStmt',                'unmet', 'create operator class fresh for type int using btree as operator 3 ===, function 1 f(text)'],
  ['CreateOpFamilyStmt',               'unmet', 'create operator family fresh using btree'],
  ['AlterOpFamilyStmt',                'unmet', 'alter operator family integer_ops using btree add operator 3 === (int, int)'],
  ['AlterOperatorStmt',                'unmet', 'alter operator === (int, int) set (restrict = eqsel)'],
  ['CreateAmStmt',                     'unmet', 'create access method fresh type table handler heap_tableam_handler'],
  ['CreatePLangStmt',                  'unmet', 'create language fresh handler plpgsql_call_handler'],
  ['DefineStmt, an aggregate',         'runs',  'create aggregate fresh (int) (sfunc = int4pl, stype = int)'],
  ['DefineStmt, an operator',          'runs',  'create operator ==== (leftarg = int, rightarg = int, function = int4eq)'],
  ['DefineStmt, a shell type',         'runs',  'create type fresh'],
  ['DefineStmt, a base type',          'unmet', 'create type fresh (input = f, output = f)'],
  ['DefineStmt, a parser',             'unmet', 'create text search parser fresh (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)'],
  ['DefineStmt, a configuration',      'runs',  'create text search configuration fresh (copy = simple)'],
  ['DefineStmt, a collation',          'runs',  'create collation fresh from "C"'],
  ['AlterTSConfigurationStmt',         'runs',  'alter text search configuration words alter mapping for word with simple'],
  ['AlterTSDictionaryStmt',            'runs',  'alter text search dictionary dictionary (stopwords)'],
  ['AlterCollationStmt',               'runs',  'alter collation plain refresh version'],
  ['CreateExtensionStmt',              'runs',  'create extension citext'],
  ['AlterExtensionStmt',               'runs',  'alter extension unaccent update'],
  ['AlterExtensionContentsStmt',       'unmet', 'alter extension unaccent add function f(text)'],
  ['LoadStmt',                         'unmet', `load '$libdir/plpgsql'`],
  ['CreatePublicationStmt',            'unmet', 'create publication fresh for table customers'],
  ['CreatePublicationStmt, of a masked column', 'unmet', 'create publication fresh for table customers (id, ssn)'],
  ['CreatePublicationStmt, of other columns', 'runs', 'create publication fresh for table customers (id, name)'],
  ['CreatePublicationStmt, of a schema', 'unmet', 'create publication fresh for tables in schema hr'],
  ['CreatePublicationStmt, of all',    'unmet', 'create publication fresh for all tables'],
  ['CreatePublicationStmt, of another table', 'runs', 'create publication fresh for table orders'],
  ['AlterPublicationStmt',             'unmet', 'alter publication pub add table customers'],
  ['AlterPublicationStmt, that takes away', 'runs', 'alter publication pub drop table clients'],
  ['CreateSubscriptionStmt',           'unmet', `create subscription fresh connection 'dbname=postgres' publication pub with (connect = false)`],
  ['AlterSubscriptionStmt',            'unmet', 'alter subscription fresh refresh publication'],
  ['CreateForeignTableStmt',           'unmet', `create foreign table fresh (x text) server files options (filename '/dev/null')`],
  ['ImportForeignSchemaStmt',          'unmet', 'import foreign schema public from server files into other'],
  ['CreateFdwStmt',                    'unmet', 'create foreign data wrapper fresh handler file_fdw_handler'],
  ['AlterFdwStmt',                     'unmet', 'alter foreign data wrapper file_fdw no validator'],
  ['CreateForeignServerStmt',          'runs',  'create server fresh foreign data wrapper file_fdw'],
  ['AlterForeignServerStmt',           'unmet', `alter server files version '2'`],
  ['CreateUserMappingStmt',            'runs',  'create user mapping for public server files'],
  ['AlterUserMappingStmt',             'unmet', `alter user mapping for public server files options (add user 'x')`],
  ['CreateSchemaStmt',                 'runs',  'create schema fresh create table t (n int)'],
  ['CreateSchemaStmt, with a trigger in it', 'unmet', 'create schema fresh create table t (n int) create trigger u before update on t execute function public.fires()'],
  ['CreateSchemaStmt, with a foreign key in it', 'unmet', 'create schema fresh create table t (x text references public.customers (ssn) on update cascade)'],
  ['CreatedbStmt',                     'runs',  'create database fresh'],
  ['CreatedbStmt, from a template',    'unmet', 'create database fresh template postgres'],
  // what neither moves data nor plants code
  ['AlterObjectDependsStmt',           'runs',  'alter function unused() depends on extension unaccent'],
  ['AlterTableMoveAllStmt',            'runs',  'alter table all in tablespace pg_default set tablespace pg_default'],
  ['CommentStmt',                      'runs',  `comment on table customers is 'people'`],
  ['DropStmt',                         'runs',  'drop table customers cascade'],
  ['DropStmt, of what is not there',   'runs',  'drop table if exists nothing'],
  ['TruncateStmt',                     'runs',  'truncate customers cascade'],
  ['RefreshMatViewStmt',               'runs',  'refresh materialized view kept'],
  ['VacuumStmt',                       'runs',  'analyze customers'],
  ['ReindexStmt',                      'runs',  'reindex table customers'],
  ['ClusterStmt',                      'runs',  'cluster customers using customers_pkey'],
  ['CheckPointStmt',                   'runs',  'checkpoint'],
  ['LockStmt',                         'runs',  'lock table customers'],
  ['GrantStmt',                        'runs',  'grant select on customers to public'],
  ['GrantRoleStmt',                    'runs',  'grant pg_monitor to pg_read_all_data'],
  ['AlterDefaultPrivilegesStmt',       'runs',  'alter default privileges grant select on tables to public'],
  ['CreateRoleStmt',                   'runs',  'create role fresh'],
  ['AlterRoleStmt',                    'runs',  'create role fresh; alter role fresh nologin'],
  ['AlterRoleSetStmt',                 'runs',  `create role fresh; alter role fresh set work_mem = '4MB'`],
  ['DropRoleStmt',                     'runs',  'create role fresh; drop role fresh'],
  ['DropOwnedStmt',                    'runs',  'create role fresh; drop owned by fresh'],
  ['ReassignOwnedStmt',                'runs',  'create role fresh; reassign owned by fresh to postgres'],
  ['AlterOwnerStmt',                   'runs',  'alter function f(text) owner to postgres'],
  ['AlterDatabaseSetStmt',             'runs',  `alter database postgres set work_mem = '4MB'`],
  ['DropUserMappingStmt',              'runs',  'drop user mapping if exists for public server files'],
]

/** One session for all of them, each undone before the next: to log in takes longer than what is asked. */
let client: Awaited<ReturnType<ReturnType<typeof setup>['client']>>
beforeAll(async () => {
  client = await setup().client()
})
afterAll(() => client.end())

test.each(forms)('%s %s: %s', async (_, outcome, statement) => {
  const [alone] = /^(create database fresh$|analyze|checkpoint|reindex)/.exec(statement) ?? []
  if (alone === undefined) await client.query('begin')
  const error = (await client.query(statement).then(
    () => undefined,
    (reason: unknown) => reason,
  )) as { routine?: string; message: string } | undefined
  await client.query('rollback')
  if (outcome === 'unmet') expect(error).toMatchObject({ routine: 'ERR_OBLIGATION_UNMET' })
  else expect(error?.message).toBeUndefined()
})

describe('the list is whole', () => {
  const types = readFileSync(
    createRequire(import.meta.url)
      .resolve('@pgsql/types')
      .replace(/index\.js$/, 'enums.d.ts'),
    'utf8',
  )
  const named = new Set(forms.map(([form]) => form.split(',')[0]!))

  test('of the parts of ALTER TABLE', () => {
    const parts = /type AlterTableType = ([^;]+);/.exec(types)![1]!.match(/AT_\w+/g)!
    // The server makes these itself, of others: no statement asks for them.
    const inner = /^AT_(CookedColumnDefault|AddIndex|ReAdd\w+|ReplaceRelOptions)$/
    expect(parts.filter(part => !named.has(part) && !inner.test(part))).toEqual([])
  })

  test('of the definitions', () => {
    const trees = readFileSync(
      createRequire(import.meta.url)
        .resolve('@pgsql/types')
        .replace(/index\.js$/, 'types.d.ts'),
      'utf8',
    )
    const kinds = [
      ...trees.matchAll(/export interface ((?:Create|Alter|Define|Import|Rule|View|Index|Composite|Load)\w*Stmt) /g),
    ]
    // Of the whole server, and outside any transaction: neither tables nor columns are named in them.
    const servers = /^(AlterSystem|AlterDatabase|AlterDatabaseRefreshColl|CreateTableSpace|AlterTableSpaceOptions)Stmt$/
    const covered = new Set([...named, 'RenameStmt', 'AlterObjectSchemaStmt', 'AlterTableStmt'])
    expect(kinds.map(([, kind]) => kind!).filter(kind => !covered.has(kind) && !servers.test(kind))).toEqual([])
  })
})
