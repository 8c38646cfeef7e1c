/** Bypass: pass code of one's own off as a function of an extension that is trusted; and what is trusted goes through. */
import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { failure, gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact' },
}
const setup = gateway([masked], {
  sql: `${crm}
    create schema shim;
    create extension "uuid-ossp"; create extension pgcrypto; create extension moddatetime; create extension dblink;
    create table stored (id text default uuid_generate_v4()::text, note text, changed timestamp);
    create function shim.uuid_generate_v4() returns uuid volatile language sql as 'select gen_random_uuid()';
    create function shim.gen_salt(text) returns text volatile language sql as 'select max(ssn) from customers';
    alter extension pgcrypto add function shim.gen_salt(text);
    create function public.gen_salt(int) returns text volatile language sql as 'select max(ssn) from customers';
    create function public.late() returns trigger language plpgsql as 'begin return new; end';
    create function pg_catalog.reading(int) returns text stable language sql as 'select max(ssn) from customers';
    create function shim.taking(int, int) returns text stable language sql as 'select max(ssn) from customers';
    create operator pg_catalog.@@@@ (leftarg = int, rightarg = int, function = shim.taking);
  `,
})

test.each([
  `insert into stored (id) values (uuid_generate_v4()::text)`,
  `update stored set note = encode(digest(note, 'sha256'), 'hex')`,
  `update stored set note = crypt('given', public.crypt('given', '$1$x'))`,
  `insert into stored (note) select encode(gen_random_bytes(4), 'hex')`,
  `update stored set note = encode(pgp_sym_encrypt('given', 'key'), 'hex')`,
  `create table fresh (id uuid default uuid_generate_v1())`,
  `create trigger changed before update on stored for each row execute function moddatetime(changed)`,
])('is stored: %s', async statement => {
  const client = await setup().client()
  await client.query(statement)
})

test.each([
  ['a shim of the same name', `insert into stored (id) values (shim.uuid_generate_v4()::text)`],
  ['code that was made a member of the extension', `insert into stored (note) values (shim.gen_salt('x'))`],
  ['a variant that is no member', `insert into stored (note) values (gen_salt(1))`],
  ['a function of an extension that is not listed', `insert into stored (note) values (dblink_connect('x', 'y'))`],
  ['a function that was put among the system’s', `insert into stored (note) values (reading(1))`],
  ['the same, by its schema', `insert into stored (note) values (pg_catalog.reading(1))`],
  ['an operator that was put among the system’s', `update stored set note = (1 operator(pg_catalog.@@@@) 1)::text`],
  ['a trigger that is no member', 'create trigger late before update on stored for each row execute function late()'],
])('%s is not trusted', async (_, statement) => {
  const client = await setup().client()
  expect((await failure(client.query(statement))).ours).toBe('ERR_OBLIGATION_UNMET')
})

test('nor is what they give shown', async () => {
  const client = await setup().client()
  for (const text of ['reading(1)', 'pg_catalog.reading(1)', `shim.gen_salt('x')`, 'gen_salt(1)']) {
    expect((await client.query(`select ${text} as x`)).rows).toEqual([{ x: '[redacted]' }])
  }
})
