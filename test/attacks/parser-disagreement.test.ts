/** Bypass: make the server read another statement than the gateway did, so that a DROP rides in what was read as a string. */
import { describe, expect, test } from 'vitest'
import { failure, gateway } from '../adapters/pg/support.ts'

const setup = gateway([], {
  sql: 'create table target (n int); create table other (n int); create schema evil; create table evil.target (n int)',
})

describe('a setting that moves how statements are read, or who acts, is refused', () => {
  test.each([
    'set standard_conforming_strings = off',
    'set local standard_conforming_strings to false',
    "select set_config('standard_conforming_strings', 'off', false)",
    "select pg_catalog.set_config('standard_conforming' || '_strings', 'off', false)",
    "set client_encoding = 'SJIS'",
    "set names 'LATIN1'",
    'set search_path = evil, public',
    "select set_config('search_path', 'evil', true)",
    'set backslash_quote = on',
    'set role pg_monitor',
    'set session authorization postgres',
    'set session_replication_role = replica',
    'set application_name = elsewhere',
    'set unknown.setting = 1',
    "select 1; set standard_conforming_strings = off; select 'a\\'; drop table target; --'",
  ])('%s', async text => {
    const client = await setup().client()
    expect(await failure(client.query(text))).toMatchObject({ code: '42501' })
    expect(await failure(client.query(text.includes(';') ? 'set role postgres' : text, []))).toMatchObject({
      code: '42501',
    })
    expect((await setup().of('decision')).at(-1)).toMatchObject({ verdict: 'deny', code: 'ERR_ACCESS_DENIED' })
    await client.end()
  })
})

test.each([
  '-c standard_conforming_strings=off',
  '--search_path=evil',
  '-c client_encoding=sjis',
  '-crole=pg_monitor',
  '-d 5',
])('a startup option cannot either: %s', async options => {
  expect(await failure(setup().client(undefined, { options }))).toMatchObject({ code: '42501' })
})

test('harmless settings may be changed, and the pinned ones set to what they are', async () => {
  const client = await setup().client(undefined, { options: '-c statement_timeout=4321 -c TimeZone=UTC' })
  expect((await client.query('show statement_timeout')).rows).toEqual([{ statement_timeout: '4321ms' }])
  for (const text of [
    "set timezone = 'Europe/Prague'",
    'set standard_conforming_strings = on',
    'set search_path = public',
    "set client_encoding = 'UTF8'",
    'reset all',
    'discard all',
    'set transaction isolation level serializable',
  ]) {
    await client.query(text)
  }
  expect((await client.query('show search_path')).rows).toEqual([{ search_path: '"public"' }])
})

test('defaults of the role and the database do not move them', async () => {
  const { direct } = setup()
  await direct.query('alter role postgres set standard_conforming_strings = off')
  await direct.query('alter database postgres set search_path = evil')
  try {
    const client = await setup().client()
    expect((await client.query('show standard_conforming_strings')).rows).toEqual([
      { standard_conforming_strings: 'on' },
    ])
    expect(
      (await client.query("select 'target'::regclass::oid = 'public.target'::regclass::oid as pinned")).rows,
    ).toEqual([{ pinned: true }])
    await client.query('reset all')
    expect((await client.query('show search_path')).rows).toEqual([{ search_path: '"public"' }])
  } finally {
    await direct.query('alter role postgres reset all; alter database postgres reset all')
  }
})

test('code in the database that moves it ends the session', async () => {
  const client = await setup().client()
  const closed = new Promise<void>(resolve => client.on('end', () => resolve()))
  await client
    .query("do $$ begin perform set_config('standard_conforming_strings', 'off', false); end $$")
    .catch(() => undefined)
  await closed
})

test('code in the database that moves the search path finds it pinned again', async () => {
  const client = await setup().client()
  for (const values of [undefined, []]) {
    await client.query("do $$ begin perform set_config('search_path', 'evil', false); end $$")
    await client.query('insert into target values (1)', values as [])
    expect((await setup().direct.query('select n from evil.target')).rows).toEqual([])
    expect((await client.query("select current_setting('search_path') as path", values as [])).rows).toEqual([
      { path: '"public"' },
    ])
  }
  await client.query('begin')
  await client.query("do $$ begin perform set_config('search_path', 'evil', false); end $$")
  await client.query('insert into target values (2)')
  await client.query('rollback')
  expect((await client.query('show search_path')).rows).toEqual([{ search_path: '"public"' }])
})

test('a string of bytes that is no UTF-8, or holds a NUL, is refused', async () => {
  const client = await setup().client()
  const { connection } = client as unknown as { connection: { stream: { write(bytes: Buffer): void } } }
  for (const [body, code] of [
    [Buffer.from([0x27, 0xff, 0x27, 0]), '22021'],
    [Buffer.from('select 1\0; drop table target\0'), '08P01'],
  ] as const) {
    const said = new Promise<string>(resolve => {
      ;(connection as unknown as NodeJS.EventEmitter).once('errorMessage', (error: { code: string }) =>
        resolve(error.code),
      )
    })
    const header = Buffer.from([0x51, 0, 0, 0, body.length + 4])
    connection.stream.write(Buffer.concat([header, body]))
    expect(await said).toBe(code)
  }
  expect((await setup().direct.query("select to_regclass('public.target') is not null as there")).rows).toEqual([
    { there: true },
  ])
})
