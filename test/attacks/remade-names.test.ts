/** Bypass: have one statement decided under a name, and another one executed under it. */

import { expect, test } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { gateway } from '../adapters/pg/support.ts'
import { crm } from '../support/postgres.ts'

const masked: Control = {
  ...{ id: 'CF-01', title: 'CF-01', criteria: ['C1.1'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/public.customers' },
  mask: { ssn: 'redact' },
}
const setup = gateway([masked], { sql: crm })
const raw = /123-45-/

/** Messages of the extended protocol as they are, and everything that comes back until `count` ReadyForQuery. */
async function raws(messages: readonly Buffer[], count: number): Promise<string> {
  const client = await setup().client()
  const { stream } = (
    client as unknown as { connection: { stream: NodeJS.EventEmitter & { write(bytes: Buffer): void } } }
  ).connection
  stream.removeAllListeners('data')
  let heard = Buffer.alloc(0)
  const done = new Promise<void>(resolve => {
    stream.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk])
      if (heard.toString('latin1').split('Z\0\0\0\x05').length > count) resolve()
    })
  })
  stream.write(Buffer.concat(messages))
  await done
  return heard.toString('latin1')
}

const frame = (type: string, body: Buffer) => {
  const header = Buffer.alloc(5)
  header.write(type)
  header.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([header, body])
}
const parse = (name: string, text: string) => frame('P', Buffer.from(`${name}\0${text}\0\0\0`))
const bind = (portal: string, name: string) => frame('B', Buffer.from(`${portal}\0${name}\0\0\0\0\0\0\0`))
const execute = (portal: string) => frame('E', Buffer.from(`${portal}\0\0\0\0\0`))
const query = (text: string) => frame('Q', Buffer.from(`${text}\0`))
const sync = frame('S', Buffer.alloc(0))
const flush = frame('H', Buffer.alloc(0))

const secret = 'select ssn from customers'

test('a second Parse under a name that is taken fails, and the first statement stays what it was', async () => {
  const heard = await raws(
    [parse('s', secret), sync, parse('s', 'select 1::text'), sync, bind('', 's'), execute(''), sync],
    3,
  )
  expect(heard).toContain('42P05')
  expect(heard).toContain('SELECT 20')
  expect(heard).not.toMatch(raw)
})

test('code that prepares another statement under a known name does not get it executed', async () => {
  const evil = `do $$ begin execute 'deallocate s'; execute 'prepare s as ${secret}'; end $$`
  const heard = await raws([parse('s', 'select 1::text'), sync, query(evil), bind('', 's'), execute(''), sync], 3)
  expect(heard).toContain('SELECT 1')
  expect(heard).not.toMatch(raw)
})

test('a cursor that takes the name of a portal is what it was declared for', async () => {
  const heard = await raws(
    [
      parse('', 'select 1::text'),
      bind('c', ''),
      execute('c'),
      sync,
      query(`begin; declare c cursor for ${secret}`),
      execute('c'),
      sync,
      query('commit'),
    ],
    4,
  )
  expect(heard).toContain('SELECT')
  expect(heard).not.toMatch(raw)
})

test('a portal that code closes and opens anew is unknown, and masked as such', async () => {
  const evil = `do $$ declare r refcursor := 'c'; begin close r; open r for ${secret}; end $$`
  const heard = await raws(
    [
      query('begin'),
      parse('', 'select 1::text from generate_series(1, 3)'),
      bind('c', ''),
      flush,
      query(evil),
      execute('c'),
      sync,
      query('fetch all from c'),
      query('rollback'),
    ],
    5,
  )
  expect(heard).not.toMatch(raw)
})

test('and what was proved of the portal that it was is proved no more', async () => {
  const evil = `do $$ declare r refcursor := 'c'; begin close r; open r for select ssn || '' from customers; end $$`
  const heard = await raws(
    [
      query('begin'),
      parse('', 'select 1::text from generate_series(1, 3)'),
      bind('c', ''),
      flush,
      query(evil),
      execute('c'),
      sync,
      query('rollback'),
    ],
    4,
  )
  expect(heard).not.toMatch(raw)
})

test('a function that is made in the transaction is not taken for the harmless one of the same name', async () => {
  const client = await setup().client()
  await client.query('begin')
  await client.query(`create function public.lower(int) returns text language sql as 'select max(ssn) from customers'`)
  const { rows } = await client.query('select lower(1) as a, 1 as b, count(*) as c from customers')
  expect(rows).toEqual([{ a: '[redacted]', b: 1, c: '20' }])
  await client.query('rollback')
})

test('SQL names of another meaning are followed, and unknown ones are opaque', async () => {
  const client = await setup().client()
  await client.query('prepare p as select 1')
  await client.query('deallocate p')
  await client.query(`prepare p as ${secret}`)
  expect(JSON.stringify((await client.query('execute p')).rows)).not.toMatch(raw)
  await client.query(`do $$ begin execute 'prepare q as ${secret}'; end $$`)
  expect(JSON.stringify((await client.query('execute q')).rows)).not.toMatch(raw)
  expect((await setup().of('decision')).at(-1)).toMatchObject({ risk: 'high', read: false })
})

test('a temporary table that shadows a real one hides neither', async () => {
  const client = await setup().client()
  await client.query('create temp table orders (n int)')
  await client.query('select * from orders')
  const { accesses } = (await setup().of('decision')).at(-1)!
  expect(accesses.map(access => access.resource).sort()).toEqual(['crm/pg_temp.orders', 'crm/public.orders'])
})

test('the function call protocol is refused', async () => {
  const heard = await raws([frame('F', Buffer.alloc(12)), query('select 1')], 2)
  expect(heard).toContain('ERR_ACCESS_DENIED')
  expect(heard).toContain('SELECT 1')
})

test('a text nested beyond what can be parsed is refused, and the next one is read as ever', async () => {
  const client = await setup().client()
  for (const text of [`select ${'('.repeat(50_000)}1${')'.repeat(50_000)}`, `select ${'1+'.repeat(50_000)}1`]) {
    for (let i = 0; i < 5; i++) {
      const error = await client.query(text).catch(e => e)
      expect(['42601', '54001']).toContain(error.code)
    }
  }
  expect((await client.query('select 1 as a')).rows).toEqual([{ a: 1 }])
})

test('a password in a statement is in no entry', async () => {
  const client = await setup().client()
  await client.query("create role canary_role password 'canary-secret-value'")
  const { ledger } = setup()
  for (let index = 0; index < ledger.size; index++) {
    expect(JSON.stringify(await ledger.disclosures(index))).not.toContain('canary-secret-value')
  }
  await setup().direct.query('drop role canary_role')
})
