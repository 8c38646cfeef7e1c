/** What a subject leaves on a connection: the next one finds nothing of it; what a transaction holds rests on live rights. */
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { type GuardedPoolClient, guardedClient, guardedPool } from '../../../adapters/pg/pool/index.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { approvalControl, dba, grantControl, requester, secondDba } from '../../support/guard.ts'
import { crm } from '../../support/postgres.ts'
import { pools } from './pool.support.ts'
import { failure } from './support.ts'

const rules = `
p, role:user, crm/**, *, allow
p, role:approver, crm/**, approve, allow
p, role:approver, crm/**, revoke, allow
g, requester@crm.example, role:user
g, dba@crm.example, role:user
g, dba@crm.example, role:approver
g, second-dba@crm.example, role:user
g, dba@crm.example, role:dba
`
const setup = pools([grantControl, approvalControl], {
  rules,
  sql: `${crm} create table stock (n int); create sequence counted; create table doomed (n int); create table spared (n int);`,
})

const one = requester
const two = secondDba
const taken: GuardedPoolClient[] = []
afterEach(() => {
  for (const client of taken.splice(0)) client.release()
})
const take = async (config: pg.PoolConfig = {}) => {
  const client = await setup()
    .pool({ max: 1, options: '-c timezone=UTC', ...config })
    .connect()
  taken.push(client)
  return client
}
const ask = (client: GuardedPoolClient, subject: Subject, text: string, values?: unknown[]) =>
  client.as(subject).query(text, values)
const backend = async (client: GuardedPoolClient, subject: Subject) =>
  (await ask(client, subject, 'select pg_backend_pid() as pid')).rows[0].pid as number
const grant = async (subject: Subject, seconds = 60) => {
  const { desk } = setup().guard
  const request = { resource: 'crm/public.orders', actions: ['update'], seconds, reason: 'a test' }
  const id = await desk.request(subject, request)
  await desk.approve(dba, id)
  return id
}
const settledAs = (exchange: string, result: string) =>
  expect.poll(() => setup().of('settled')).toContainEqual(expect.objectContaining({ exchanges: [exchange], result }))

describe('a connection that passes to another subject', () => {
  test.each<readonly [what: string, leave: string, find: string, left: unknown, nothing: unknown]>([
    ['a setting', "set timezone = 'Asia/Tokyo'", 'show timezone', { TimeZone: 'Asia/Tokyo' }, { TimeZone: 'UTC' }],
    [
      'what code has set',
      "do $$ begin perform set_config('timezone', 'Asia/Tokyo', false); end $$",
      'show timezone',
      { TimeZone: 'Asia/Tokyo' },
      { TimeZone: 'UTC' },
    ],
    ['a temporary table', 'create temp table kept as select 1 as n', 'select n from kept', { n: 1 }, '42P01'],
    [
      'a temporary table that hides another',
      'create temp table numbers as select -5 as n',
      'select n from numbers order by n limit 1',
      { n: -5 },
      { n: 1 },
    ],
    [
      'a temporary table that code has made',
      'do $$ begin create temp table numbers as select -5 as n; end $$',
      'select n from numbers order by n limit 1',
      { n: -5 },
      { n: 1 },
    ],
    [
      'a cursor that outlives its transaction',
      'declare c cursor with hold for select 1 as n',
      'fetch 1 from c',
      { n: 1 },
      '34000',
    ],
    ['what was prepared in SQL', 'prepare p as select 1 as n', 'execute p', { n: 1 }, '26000'],
    [
      'what code has prepared',
      "do $$ begin execute 'prepare p as select 1 as n'; end $$",
      'execute p',
      { n: 1 },
      '26000',
    ],
    [
      'an advisory lock',
      'select pg_advisory_lock(4711)',
      "select count(*)::int as n from pg_locks where locktype = 'advisory'",
      { n: 1 },
      { n: 0 },
    ],
    ['the last number of a sequence', "select nextval('counted')", 'select lastval() > 0 as n', { n: true }, '55000'],
    ['a channel', 'listen channel', 'select count(*)::int as n from pg_listening_channels()', { n: 1 }, { n: 0 }],
  ])('has lost %s', async (_, leave, find, left, nothing) => {
    const client = await take()
    const pid = await backend(client, two)
    await ask(client, one, leave)
    // Whoever left it finds it again, until another has come.
    expect((await ask(client, one, find)).rows[0]).toEqual(left)
    const found = await ask(client, two, find).then(
      ({ rows }) => rows[0],
      error => error.code,
    )
    expect(found).toEqual(nothing)
    expect(await backend(client, two)).toBe(pid)
  })

  test('keeps what pg has prepared by name, and each execution is right for whoever executes it', async () => {
    const client = await take()
    const named = { name: 'first', text: 'select n from numbers order by n limit 1' }
    const first = async (subject: Subject) => (await client.as(subject).query(named)).rows[0].n
    expect(await first(one)).toBe(1)
    expect(await first(two)).toBe(1)
    await ask(client, one, 'create temp table numbers as select -5 as n')
    expect(await first(one)).toBe(-5)
    expect((await setup().lastDecision()).accesses).toContainEqual({
      action: 'select',
      resource: 'crm/pg_temp.numbers',
    })
    expect(await first(two)).toBe(1)
    expect((await setup().lastDecision()).accesses).toEqual([{ action: 'select', resource: 'crm/public.numbers' }])
  })

  test('is still logged in as the pool has it', async () => {
    const client = await take({ options: '-c work_mem=5MB', statement_timeout: 4321 })
    await ask(client, one, "set work_mem = '6MB'; set statement_timeout = 99")
    const { rows } = await ask(
      client,
      two,
      "select current_setting('work_mem') as a, current_setting('statement_timeout') as b, current_setting('search_path') as c, current_setting('application_name') as d",
    )
    expect(rows).toEqual([{ a: '5MB', b: '4321ms', c: '"public"', d: 'counterfoil:crm' }])
  })

  test('says nothing of it where the subject is the same', async () => {
    const client = await take()
    await ask(client, one, "set timezone = 'Asia/Tokyo'")
    const again = { ...one, credential: 'another key', method: 'oidc' as const }
    expect((await ask(client, again, 'show timezone')).rows).toEqual([{ TimeZone: 'Asia/Tokyo' }])
  })
})

describe('a client that is given back inside a transaction', () => {
  test('is closed, and what it changed is rolled back', async () => {
    const pool = setup().pool({ max: 1 })
    const client = await pool.as(one).connect()
    await client.query('begin')
    await client.query('insert into stock values (-10)')
    const { exchange } = (await setup().of('outcome')).at(-1)!
    client.release()
    await settledAs(exchange, 'rolled-back')
    expect((await pool.as(two).query('select n from stock where n = -10')).rows).toEqual([])
  })

  test('while its BEGIN still waits is none that another goes on with', async () => {
    const pool = setup().pool({ max: 1 })
    const client = await pool.as(one).connect()
    const asked = Promise.allSettled([client.query('begin'), client.query('insert into stock values (-11)')])
    client.release()
    await expect(pool.as(two).query('select 1 as a')).rejects.toThrow()
    await asked
    expect((await pool.as(two).query('select n from stock where n = -11')).rows).toEqual([])
  })
})

describe('a transaction of one client', () => {
  test('that several subjects share settles each one’s changes, and gives none of them another’s rights', async () => {
    const client = await take()
    await ask(client, one, 'begin')
    await ask(client, one, 'insert into stock values (-1)')
    const first = (await setup().of('outcome')).at(-1)!.exchange
    await ask(client, two, 'insert into stock values (-2)')
    const second = (await setup().of('outcome')).at(-1)!.exchange
    await ask(client, two, 'commit')
    await expect
      .poll(() => setup().of('settled'))
      .toContainEqual(expect.objectContaining({ exchanges: [first, second], result: 'committed' }))
    await ask(client, one, "set timezone = 'Asia/Tokyo'")
    expect((await ask(client, two, 'show timezone')).rows).toEqual([{ TimeZone: 'UTC' }])
  })

  test('lets nobody read another’s temporary table in it', async () => {
    const client = await take()
    await ask(client, one, 'begin')
    await ask(client, one, 'create temp table kept as select 1 as n')
    expect((await ask(client, one, 'select n from kept')).rows).toEqual([{ n: 1 }])
    expect(await failure(ask(client, two, 'select n from kept'))).toMatchObject({
      code: '42501',
      ours: 'ERR_ACCESS_DENIED',
    })
    await ask(client, two, 'rollback')
  })

  test('rests on its grant: once that is revoked, nothing of it can be committed', async () => {
    const client = await take()
    const ended = new Promise(resolve => client.once('end', resolve))
    const id = await grant(one)
    await ask(client, one, 'begin')
    await ask(client, one, "update orders set note = 'changed' where id = 2")
    const { exchange } = (await setup().of('outcome')).at(-1)!
    await setup().guard.desk.revoke(dba, id, 'enough')
    await ended
    await expect(ask(client, one, 'commit')).rejects.toThrow()
    await settledAs(exchange, 'rolled-back')
    expect((await setup().direct.query('select note from orders where id = 2')).rows).toEqual([{ note: 'first order' }])
  })

  test('rests on the identification of whoever changed something in it', async () => {
    const client = await take()
    const ended = new Promise(resolve => client.once('end', resolve))
    const brief = { ...one, expires: Date.now() + 1500 }
    await ask(client, brief, 'begin')
    await ask(client, brief, 'insert into stock values (-20)')
    await ended
    expect((await setup().direct.query('select 1 from stock where n = -20')).rows).toEqual([])
  })

  test('that is over leaves its grant to itself', async () => {
    const client = await take()
    const id = await grant(one)
    await ask(client, one, 'begin')
    await ask(client, one, "update orders set note = 'kept' where id = 3")
    await ask(client, one, 'commit')
    await setup().guard.desk.revoke(dba, id, 'enough')
    expect((await ask(client, one, 'select note from orders where id = 3')).rows).toEqual([{ note: 'kept' }])
    expect(await failure(ask(client, one, "update orders set note = 'more' where id = 3"))).toMatchObject({
      ours: 'ERR_GRANT_EXPIRED',
    })
  })
})

describe('a grant that is revoked while a query runs under it', () => {
  test('cuts that query and its connection, no other, and the pool opens a new one', async () => {
    const pool = setup().pool({ max: 2 })
    const errors: unknown[] = []
    pool.on('error', error => errors.push(error))
    const bystander = await pool.as(one).connect()
    const pid = await backend(bystander, one)
    const id = await grant(one)
    const cut = failure(pool.as(one).query("update orders set note = 'changed' where id = 4; select pg_sleep(100)"))
    await expect
      .poll(
        async () =>
          (
            await setup().direct.query(
              "select 1 from pg_stat_activity where query ~ 'pg_sleep' and state = 'active' and pid <> pg_backend_pid()",
            )
          ).rowCount,
      )
      .toBe(1)
    await setup().guard.desk.revoke(dba, id, 'enough')
    expect(await cut).toMatchObject({ ours: 'ERR_GRANT_EXPIRED' })
    expect(await backend(bystander, one)).toBe(pid)
    bystander.release()
    expect((await pool.as(one).query('select note from orders where id = 4')).rows).toEqual([{ note: 'first order' }])
    expect(errors).toEqual([])
  })
})

describe('a query that needs an approval', () => {
  test('is held, told of by onHeld and by a notice, and runs once it is given', async () => {
    const told: string[] = []
    const pool = setup().pool({ max: 1 }, { onHeld: ({ approval }) => void told.push(approval) })
    const client = await pool.as(one).connect()
    const notice = new Promise<string>(resolve => client.once('notice', ({ message }) => resolve(message ?? '')))
    const dropped = client.query('drop table doomed')
    const said = await notice
    expect(said).toContain(told[0])
    await setup().guard.desk.approve(dba, told[0]!)
    expect((await dropped).command).toBe('DROP')
    client.release()
  })

  test('is not held inside a transaction', async () => {
    const client = await take()
    await ask(client, one, 'begin')
    expect(await failure(ask(client, one, 'drop table spared'))).toMatchObject({ ours: 'ERR_APPROVAL_PENDING' })
    await ask(client, one, 'rollback')
  })
})

describe('what cannot be guarded is refused', () => {
  const url = () => setup().server.url()
  const misuse = { code: 'ERR_OPTION_INVALID' }

  test('a pool or client that has been connected, guarded or ended', async () => {
    const { guard } = setup()
    const connected = new pg.Pool({ connectionString: url() })
    await connected.query('select 1')
    expect(() => guardedPool(guard, connected)).toThrow(expect.objectContaining(misuse))
    await connected.end()
    expect(() => guardedPool(guard, connected)).toThrow(expect.objectContaining(misuse))
    const twice = new pg.Pool({ connectionString: url() })
    guardedPool(guard, twice)
    expect(() => guardedPool(guard, twice)).toThrow(expect.objectContaining(misuse))
    await twice.end()
    const client = new pg.Client(url())
    await client.connect()
    expect(() => guardedClient(guard, client)).toThrow(expect.objectContaining(misuse))
    await client.end()
  })

  test('another client than pg’s own, a stream that is one connection, replication, an option that there is not', () => {
    const { guard } = setup()
    class Native {}
    const pool = (config: object) => new pg.Pool({ connectionString: url(), ...config })
    for (const config of [{ Client: Native }, { stream: process.stdin }, { replication: 'database' }]) {
      expect(() => guardedPool(guard, pool(config))).toThrow(expect.objectContaining(misuse))
    }
    expect(() => guardedPool(guard, pool({}), { tarket: 'crm' } as never)).toThrow('did you mean "target"?')
  })
})

test('a server that cannot be reached, or lets nobody in, is told of as pg tells of it', async () => {
  const nowhere = setup().pool({ connectionString: 'postgres://user:canary@127.0.0.1:1/crm' })
  await expect(nowhere.as(one).query('select 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  const wrong = new URL(setup().server.url())
  wrong.password = 'wrong'
  const refused = await setup()
    .pool({ connectionString: wrong.href })
    .as(one)
    .query('select 1')
    .catch(e => e)
  expect(refused).toMatchObject({ code: '28P01' })
})

test('a password may be a function, and options may be given apart', async () => {
  const at = new URL(setup().server.url())
  let asked = 0
  const password = async () => {
    asked += 1
    return decodeURIComponent(at.password)
  }
  const config = { host: at.hostname, port: Number(at.port), user: at.username, database: at.pathname.slice(1) }
  const pool = setup().pool({ connectionString: undefined as never, ...config, password })
  expect((await pool.as(one).query('select 1 as a')).rows).toEqual([{ a: 1 }])
  expect(asked).toBeGreaterThan(0)
})

test('a server that closes an idle connection is heard of by the pool, and the next query has another', async () => {
  const pool = setup().pool({ max: 1 })
  const heard = new Promise(resolve => pool.once('error', resolve))
  const pid = (await pool.as(one).query('select pg_backend_pid() as pid')).rows[0].pid
  await setup().direct.query('select pg_terminate_backend($1)', [pid])
  await heard
  expect((await pool.as(one).query('select 1 as a')).rows).toEqual([{ a: 1 }])
})
