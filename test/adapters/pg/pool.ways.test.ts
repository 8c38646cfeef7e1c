/** Every way into node-postgres works through a guarded pool as it does without, and every one of them is an exchange. */
import { execFile } from 'node:child_process'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type GuardedPoolClient, guardedClient } from '../../../adapters/pg/pool/index.ts'
import { compiledScript } from '../../support/compiled.ts'
import { requester } from '../../support/guard.ts'
import { crm } from '../../support/postgres.ts'
import { pools } from './pool.support.ts'
import { failure } from './support.ts'

const setup = pools([], {
  sql: `${crm} create table stock (n int, t text); create table deferred (n int unique deferrable initially deferred);`,
})

let client: GuardedPoolClient
let recorded: number
const decisions = async () => (await setup().of('decision')).length
/** How many exchanges there have been since the test began. */
const exchanges = async () => (await decisions()) - recorded

beforeEach(async () => {
  client = (await setup().pool().as(requester).connect()) as GuardedPoolClient
  recorded = await decisions()
})
afterEach(() => {
  client.release()
})

const named = { text: 'select name from customers where id = $1', values: [3] }
const third = [{ name: 'Customer 0003' }]

const text = "select name from customers where id = '3'"
type Result = pg.QueryResult<Record<string, unknown>>
type On = Pick<pg.Client, 'query'>
const byCallback = (ask: (done: (error: Error | null, result: Result) => void) => void) =>
  new Promise<Result>((resolve, reject) => ask((error, result) => (error ? reject(error) : resolve(result))))

// biome-ignore format: a table
const ways: readonly (readonly [name: string, exchanges: number, ask: (on: On) => Promise<Result>])[] = [
  ['a text',                          1, on => on.query(text)],
  ['a text and values',               1, on => on.query(named.text, named.values)],
  ['a configuration',                 1, on => on.query({ ...named })],
  ['a configuration and values',      1, on => on.query({ text: named.text }, named.values)],
  ['a name',                          1, on => on.query({ ...named, name: 'third' })],
  ['the extended protocol',           1, on => on.query({ text, queryMode: 'extended' } as pg.QueryConfig)],
  ['rows in pieces',                  2, on => on.query({ ...named, rows: 1 } as pg.QueryConfig)],
  ['a callback',                      1, on => byCallback(done => on.query(named.text, named.values, done))],
  ['a callback without values',       1, on => byCallback(done => on.query(text, done))],
  ['a callback in the configuration', 1, on => byCallback(done => on.query({ ...named, callback: done } as never))],
]

test.each(ways)('a query by %s answers as pg does, in %i exchanges', async (_, count, ask) => {
  const { rows, rowCount, command, fields } = await ask(client)
  const bare = await ask(setup().direct)
  expect({ rows, rowCount, command, fields }).toEqual({
    ...{ rows: bare.rows, rowCount: bare.rowCount, command: bare.command, fields: bare.fields },
  })
  expect(rows).toEqual(third)
  expect(await exchanges()).toBe(count)
  expect(await setup().lastDecision()).toMatchObject({
    verdict: 'permit',
    accesses: [{ action: 'select', resource: 'crm/public.customers' }],
  })
})

test('rows come as arrays, and values by types of the query’s own', async () => {
  const arrays = await client.query({ ...named, rowMode: 'array' })
  expect(arrays.rows).toEqual([['Customer 0003']])
  const types = { getTypeParser: () => (value: string) => `<${value}>` }
  expect((await client.query({ ...named, types: types as unknown as pg.CustomTypesConfig })).rows).toEqual([
    { name: '<Customer 0003>' },
  ])
})

test('several statements in one text give several results, and are one exchange', async () => {
  const results = (await client.query('select 1 as a; select 2 as b')) as unknown as pg.QueryResult[]
  expect(results.map(({ rows }) => rows)).toEqual([[{ a: 1 }], [{ b: 2 }]])
  expect(await exchanges()).toBe(1)
})

test('pg’s own Query emits its rows', async () => {
  const rows: unknown[] = []
  const query = client.query(new pg.Query<{ n: number }>('select n from numbers order by n limit 3'))
  query.on('row', row => rows.push(row.n))
  await new Promise((resolve, reject) => query.on('end', resolve).on('error', reject))
  expect(rows).toEqual([1, 2, 3])
})

test('anything with submit is guarded', async () => {
  const heard: string[] = []
  await new Promise<void>((resolve, reject) => {
    client.query({
      submit: (connection: pg.Connection) =>
        void (connection as unknown as { query(text: string): void }).query('select 7 as seven'),
      handleRowDescription: () => heard.push('described'),
      handleDataRow: ({ fields }: { fields: Buffer[] }) => heard.push(String(fields[0])),
      handleCommandComplete: () => undefined,
      handleReadyForQuery: () => resolve(),
      handleError: reject,
    } as unknown as pg.Submittable)
  })
  expect(heard).toEqual(['described', '7'])
  expect(await exchanges()).toBe(1)
})

test('a cursor is read in pieces, each an exchange', async () => {
  const cursor = client.query(new Cursor<{ n: number }>('select n from numbers order by n'))
  expect((await cursor.read(3)).map(({ n }) => n)).toEqual([1, 2, 3])
  expect((await cursor.read(2)).map(({ n }) => n)).toEqual([4, 5])
  await cursor.close()
  expect(await exchanges()).toBe(2)
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('a stream of rows comes whole, and one that is destroyed leaves the client usable', async () => {
  const seen: number[] = []
  for await (const { n } of client.query(new QueryStream('select n from numbers order by n limit 1000'))) seen.push(n)
  expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1))
  for await (const _ of client.query(new QueryStream('select n from numbers'))) break
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('COPY goes both ways, and is recorded', async () => {
  const rows = Array.from({ length: 20_000 }, (_, i) => `${i}\tvalue ${i}\n`)
  const into = client.query(copyFrom('copy stock from stdin'))
  await pipeline(Readable.from(rows), into)
  expect(into.rowCount).toBe(20_000)
  expect((await setup().lastDecision()).accesses).toEqual([{ action: 'insert', resource: 'crm/public.stock' }])
  let bytes = 0
  const out = client.query(copyTo('copy stock to stdout'))
  for await (const chunk of out) bytes += (chunk as Buffer).length
  expect(bytes).toBe(rows.join('').length)
  expect(
    await setup()
      .of('outcome')
      .then(all => all.at(-1)),
  ).toMatchObject({ result: 'completed', items: 20_000 })
  expect((await client.query('select count(*)::int as n from stock')).rows).toEqual([{ n: 20_000 }])
})

test('a COPY whose source breaks is no copy', async () => {
  const before = (await client.query('select count(*)::int as n from stock')).rows[0].n
  const broken = Readable.from(
    (async function* () {
      yield '1\tone\n'
      throw new Error('the source broke')
    })(),
  )
  await expect(pipeline(broken, client.query(copyFrom('copy stock from stdin')))).rejects.toThrow()
  expect((await client.query('select count(*)::int as n from stock')).rows[0].n).toBe(before)
})

test('what the server does not like comes as pg’s own error, and the client goes on', async () => {
  for (const values of [undefined, [1]]) {
    const error = await client
      .query('select nothing from customers where 1 = $1'.replace('$1', values ? '$1' : '1'), values)
      .catch(e => e)
    expect(error).toBeInstanceOf(pg.DatabaseError)
    expect(error.code).toBe('42703')
    expect(error.stack).toContain('pool.ways.test')
  }
  expect(await failure(client.query('selec'))).toMatchObject({ code: '42601' })
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('what is no query at all is pg’s to say', async () => {
  expect(() => client.query(undefined as never)).toThrow(TypeError)
  expect(() => client.query('select 1', [], 'nothing' as never)).toThrow('callback is not a function')
  await expect(client.query({} as never)).rejects.toThrow('must have either text or a name')
  expect(await exchanges()).toBe(0)
})

test('a query that takes too long for its client is given up', async () => {
  const slow = { text: 'select pg_sleep(1.5)', query_timeout: 50 } as pg.QueryConfig
  await expect(client.query(slow)).rejects.toThrow('Query read timeout')
})

describe('a transaction', () => {
  test('that is committed settles its changes, and one that is rolled back does, too', async () => {
    for (const [end, result] of [
      ['commit', 'committed'],
      ['rollback', 'rolled-back'],
    ] as const) {
      await client.query('begin')
      await client.query('insert into stock values ($1, $2)', [-1, end])
      const { exchange } = (await setup().of('outcome')).at(-1)!
      await client.query(end)
      await expect
        .poll(() => setup().of('settled'))
        .toContainEqual(expect.objectContaining({ exchanges: [exchange], result }))
    }
  })

  test('whose COMMIT fails settles as rolled back', async () => {
    await client.query('begin')
    await client.query('insert into deferred values (1), (1)')
    const { exchange } = (await setup().of('outcome')).at(-1)!
    expect(await failure(client.query('commit'))).toMatchObject({ code: '23505' })
    await expect
      .poll(() => setup().of('settled'))
      .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'rolled-back' }))
  })

  test('that has failed answers ROLLBACK to COMMIT', async () => {
    await client.query('begin')
    expect(await failure(client.query('select nothing'))).toMatchObject({ code: '42703' })
    expect(await failure(client.query('select 1'))).toMatchObject({ code: '25P02' })
    expect((await client.query('commit')).command).toBe('ROLLBACK')
  })
})

test('notices and notifications reach the client, and LISTEN is judged', async () => {
  const heard: string[] = []
  client.on('notice', ({ message }) => heard.push(message ?? ''))
  client.on('notification', ({ payload }) => heard.push(payload ?? ''))
  await client.query("do $$ begin raise notice 'told'; end $$")
  await client.query('listen news')
  expect(await setup().lastDecision()).toMatchObject({ verdict: 'permit' })
  await setup().direct.query("notify news, 'fresh'")
  await expect.poll(() => heard).toEqual(['told', 'fresh'])
})

test('a pool’s own query takes promises and callbacks, and gives its client back', async () => {
  const pool = setup().pool({ max: 2 })
  const asked = pool.as(requester)
  expect((await asked.query({ ...named })).rows).toEqual(third)
  const rows = await new Promise(resolve => asked.query(named.text, named.values, (_, result) => resolve(result.rows)))
  expect(rows).toEqual(third)
  expect({ total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount }).toEqual({
    total: 1,
    idle: 1,
    waiting: 0,
  })
  const byCallback = await new Promise((resolve, reject) =>
    asked.connect((error, taken, done) => {
      if (error !== undefined || taken === undefined) return reject(error)
      taken.query(named.text, named.values).then(result => {
        done()
        resolve(result.rows)
      }, reject)
    }),
  )
  expect(byCallback).toEqual(third)
})

test('a pool keeps to its own rules: max, idle clients, events, and the end', async () => {
  const pool = setup().pool({ max: 1, idleTimeoutMillis: 20 })
  const events: string[] = []
  for (const name of ['connect', 'acquire', 'release', 'remove'] as const)
    pool.on(name as 'connect', () => void events.push(name))
  const first = await pool.as(requester).connect()
  const second = pool.as(requester).query('select 2 as two')
  expect(pool.waitingCount).toBe(1)
  first.release()
  expect((await second).rows).toEqual([{ two: 2 }])
  await expect.poll(() => pool.totalCount).toBe(0)
  const third = await pool.as(requester).connect()
  third.release(true)
  await expect
    .poll(() => events)
    .toEqual([
      'connect',
      'acquire',
      'release',
      'acquire',
      'release',
      'remove',
      'connect',
      'acquire',
      'release',
      'remove',
    ])
  await pool.end()
  await expect(pool.as(requester).query('select 1')).rejects.toThrow('after calling end')
})

test('pipelined queries come back in order, each its own exchange', async () => {
  const pool = setup().pool({ max: 1, pipeline: true } as pg.PoolConfig)
  const one = await pool.connect()
  const asked = Array.from({ length: 20 }, (_, i) => one.as(requester).query('select $1::int as i', [i]))
  expect((await Promise.all(asked)).map(({ rows }) => rows[0].i)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(await exchanges()).toBe(20)
  one.release()
})

test('a single client is guarded alike, and the one that was given is of no use any more', async () => {
  const raw = new pg.Client({ connectionString: setup().server.url(), statement_timeout: 4321 })
  raw.setTypeParser(23, value => `int ${value}`)
  const one = guardedClient(setup().guard, raw)
  await one.connect()
  expect((await one.as(requester).query('select 1 as a, $1 as b', ['x'])).rows).toEqual([{ a: 'int 1', b: 'x' }])
  expect((await one.as(requester).query('show statement_timeout')).rows).toEqual([{ statement_timeout: '4321ms' }])
  expect(await failure(one.query('select 1'))).toMatchObject({ ours: 'ERR_UNIDENTIFIED' })
  expect(() => raw.connect()).toThrow('given to guardedClient')
  await one.end()
})

test('a process whose pool is idle may end, where the pool allows it', async () => {
  const child = compiledScript(new URL('children/ask-once.ts', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [child, setup().server.url()])
  expect(stdout).toBe('[{"a":1}]\n')
})

test('a running query is cancelled by another client of the pool, as pg has it', async () => {
  const query = new pg.Query('select pg_sleep(100)')
  const over = new Promise((resolve, reject) => query.on('end', resolve).on('error', reject))
  const cancelled = failure(over)
  client.query(query)
  await expect
    .poll(
      async () =>
        (
          await setup().direct.query(
            "select 1 from pg_stat_activity where query ~ '^select pg_sleep' and state = 'active'",
          )
        ).rowCount,
    )
    .toBe(1)
  const another = new (client.constructor as unknown as new () => { cancel(of: object, query: object): void })()
  another.cancel(client, query)
  expect(await cancelled).toMatchObject({ code: '57014' })
})
