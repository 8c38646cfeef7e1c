/** Who asks: the exchange in flight where a query is asked, or a subject that is given; nobody else, whatever is shared. */

import { AsyncResource } from 'node:async_hooks'
import { type AddressInfo, connect, createServer } from 'node:net'
import express from 'express'
import Koa from 'koa'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, describe, expect, test } from 'vitest'
import { controlled as expressly } from '../../../adapters/express/index.ts'
import { controlled as koaly } from '../../../adapters/koa/index.ts'
import { type GuardedPool, refusal } from '../../../adapters/pg/pool/index.ts'
import { onBehalfOf } from '../../../lib/current.ts'
import { Refusal } from '../../../lib/errors.ts'
import { dba, json, operation, owner, person, requester } from '../../support/guard.ts'
import { crm } from '../../support/postgres.ts'
import { pools } from './pool.support.ts'
import { failure } from './support.ts'

const other = person('other@crm.example')
const stranger = person('stranger@crm.example')
/** `requester` may read customers, `other` orders; both may call the application's routes. */
const rules = `
p, role:support, crm/public.customers, *, allow
p, role:support, crm/session, *, allow
p, role:orders, crm/public.orders, *, allow
p, role:orders, crm/session, *, allow
p, role:caller, crm/asked, get, allow
p, role:dba, crm/**, *, allow
g, requester@crm.example, role:support
g, other@crm.example, role:orders
g, requester@crm.example, role:caller
g, other@crm.example, role:caller
g, dba@crm.example, role:dba
`
/** A bearer token has no `@` in it. */
const tokenOf = (id: string) => Buffer.from(id).toString('base64url')
const setup = pools([], {
  rules,
  sql: crm,
  parts: {
    identify: async ({ secret }) => {
      const known = [requester, other].find(({ id }) => tokenOf(id) === secret)
      if (known === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
      return known
    },
  },
})

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const customers = 'select name from customers where id = 1'
const orders = 'select note from orders where id = 1'

/** Does something as a handler of this subject's request does it. */
async function during<T>(subject: typeof requester, work: () => Promise<T>): Promise<T> {
  const { guard } = setup()
  const asked = operation({ accesses: [{ action: 'get', resource: 'crm/asked' }], read: true })
  const exchange = guard.exchange({ operation: asked, subject, address: '192.0.2.7' })
  let result: Promise<T> | undefined
  await guard.handle(
    exchange,
    taken =>
      (async function* () {
        result = onBehalfOf(taken, work)
        await result.catch(() => undefined)
        yield* json('{}')
      })(),
    () => undefined,
  )
  return result!
}

describe('an application behind controlled(gate)', () => {
  const routes = async (pool: GuardedPool, path: string) => {
    if (path === '/asked') return (await pool.query(customers)).rows
    throw new Error('no such route')
  }
  const frameworks: readonly (readonly [string, (pool: GuardedPool) => (request: never, response: never) => void])[] = [
    [
      'express',
      pool => {
        const app = express()
        app.use(expressly(setup().guard))
        app.get('/asked', async (request, response) => {
          const answer = await routes(pool, request.path).catch(error => ({ refused: refusal(error) }))
          response.json(answer)
        })
        return app as never
      },
    ],
    [
      'koa',
      pool => {
        const app = new Koa()
        app.use(koaly(setup().guard))
        app.use(async context => {
          context.body = await routes(pool, context.path).catch(error => ({ refused: refusal(error) }))
        })
        return app.callback() as never
      },
    ],
  ]

  test.each(frameworks)(
    'on %s asks as the subject of each request, and its queries name that request',
    async (_, app) => {
      const { createServer } = await import('node:http')
      const server = createServer(app(setup().pool({ max: 1 })) as never)
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      closers.push(async () => void server.close())
      const { port } = server.address() as AddressInfo
      const as = async (id: string) => {
        const answer = await fetch(`http://127.0.0.1:${port}/asked`, {
          headers: { authorization: `Bearer ${tokenOf(id)}` },
        })
        return (await answer.json()) as unknown
      }
      expect(await as(requester.id)).toEqual([{ name: 'Customer 0001' }])
      // A read and its outcome are written together, so that the query's is the first of the two.
      const [query, request] = (await setup().of('decision')).slice(-2)
      expect(request).toMatchObject({ protocol: 'http', verdict: 'permit' })
      expect(query).toMatchObject({ protocol: 'postgres', subject: request!.subject, verdict: 'permit' })
      const disclosed = await setup().disclosedOf(query!.exchange)
      expect(disclosed).toMatchObject({ within: request!.exchange, address: '127.0.0.1' })
      expect(await as('nobody')).toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    },
  )
})

describe('nobody', () => {
  const nothingAsked = async () =>
    (
      await setup().direct.query(
        "select query from pg_stat_activity where query ~ 'canary' and pid <> pg_backend_pid()",
      )
    ).rows

  test('is refused, told our code, and recorded with what was asked', async () => {
    const pool = setup().pool()
    const error = await pool.query(`${customers} -- canary`).catch(e => e)
    expect(error).toBeInstanceOf(pg.DatabaseError)
    expect(error.code).toBe('28000')
    const { exchange } = await setup().lastDecision()
    expect(refusal(error)).toEqual({ code: 'ERR_UNIDENTIFIED', exchange })
    expect(await setup().lastDecision()).toMatchObject({
      ...{ verdict: 'deny', code: 'ERR_UNIDENTIFIED' },
      accesses: [{ action: 'select', resource: 'crm/public.customers' }],
    })
    expect(await setup().disclosedOf(exchange)).toMatchObject({ action: { statement: `${customers} -- canary` } })
    expect(await nothingAsked()).toEqual([])
  })

  test.each<readonly [string, (client: pg.PoolClient) => Promise<unknown>]>([
    ['values', client => client.query('select $1::text as canary', ['x'])],
    ['a name', client => client.query({ name: 'canary', text: 'select 1 as canary' })],
    ['a cursor', client => client.query(new Cursor('select 1 as canary')).read(1)],
    ['a stream', client => client.query(new QueryStream('select 1 as canary')).toArray()],
    ['a text that cannot be read', client => client.query('selec canary')],
    ['an empty text', client => client.query('')],
    ['a transaction', client => client.query('begin; select 1 as canary')],
  ])('is refused with %s, nothing of it is forwarded, and the client goes on', async (_, ask) => {
    const client = await setup().pool().connect()
    const before = (await setup().of('decision')).length
    expect(await failure(ask(client))).toMatchObject({ code: '28000', ours: 'ERR_UNIDENTIFIED' })
    expect((await setup().of('decision')).slice(before)).toMatchObject([{ verdict: 'deny', code: 'ERR_UNIDENTIFIED' }])
    expect(await nothingAsked()).toEqual([])
    expect((await client.as(requester).query(customers)).rowCount).toBe(1)
    client.release()
  })

  test('may not execute what somebody else has prepared', async () => {
    const client = await setup().pool().connect()
    const named = { name: 'shared', text: customers }
    await client.as(requester).query(named)
    expect(await failure(client.query(named))).toMatchObject({ ours: 'ERR_UNIDENTIFIED' })
    expect((await setup().lastDecision()).accesses).toEqual([{ action: 'select', resource: 'crm/public.customers' }])
    client.release()
  })

  test('sets up connections: what a pool does as it connects needs a subject, too', async () => {
    const pool = setup().pool()
    const set: Promise<unknown>[] = []
    pool.on('connect', client => void set.push(failure(client.query("set timezone = 'Asia/Tokyo'"))))
    await during(requester, () => pool.query(customers))
    expect(await set[0]).toMatchObject({ ours: 'ERR_UNIDENTIFIED' })
    const configured = setup().pool({ options: '-c timezone=Asia/Tokyo' })
    expect((await configured.as(requester).query('show timezone')).rows).toEqual([{ TimeZone: 'Asia/Tokyo' }])
  })
})

describe('a subject that is given', () => {
  test('is whoever the application says, for a query and for a client until it is given back', async () => {
    const pool = setup().pool({ max: 1 })
    expect((await pool.as(requester).query(customers)).rowCount).toBe(1)
    const client = await pool.as(other).connect()
    expect((await client.query(orders)).rowCount).toBe(1)
    expect(await failure(client.query(customers))).toMatchObject({ ours: 'ERR_ACCESS_DENIED' })
    client.release()
    const again = await pool.connect()
    expect(await failure(again.query(orders))).toMatchObject({ ours: 'ERR_UNIDENTIFIED' })
    again.release()
  })

  test('goes before the exchange in flight', async () => {
    const pool = setup().pool()
    const answer = await during(requester, () => pool.as(other).query(orders))
    expect(answer.rowCount).toBe(1)
  })

  test('that has expired is refused', async () => {
    const asked = setup()
      .pool()
      .as({ ...requester, expires: Date.now() - 1 })
    expect(await failure(asked.query(customers))).toMatchObject({ code: '28000', ours: 'ERR_UNIDENTIFIED' })
  })

  test('that expires while its query runs is cut', async () => {
    const asked = setup()
      .pool()
      .as({ ...dba, expires: Date.now() + 700 })
    await expect(asked.query('select pg_sleep(100)')).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
  })

  test('that policy does not know may do nothing', async () => {
    expect(await failure(setup().pool().as(stranger).query(customers))).toMatchObject({
      code: '42501',
      ours: 'ERR_ACCESS_DENIED',
    })
  })

  test('and is none is an error of the developer', () => {
    const pool = setup().pool()
    for (const none of [undefined, {}, { id: 'dba@crm.example' }, 'dba@crm.example']) {
      expect(() => pool.as(none as never)).toThrow('takes a subject that was verified')
    }
  })

  test('whose job is over has no query left, held or running', async () => {
    const pool = setup().pool()
    const job = new AbortController()
    const slept = failure(pool.as(dba, { signal: job.signal }).query('select pg_sleep(100)'))
    await expect.poll(sleepers).toBe(1)
    job.abort()
    await slept
    await expect.poll(sleepers).toBe(0)
    expect(await failure(pool.as(dba, { signal: job.signal }).query(customers))).toMatchObject({ code: '57014' })
    expect((await pool.as(dba).query(customers)).rowCount).toBe(1)
  })
})

async function sleepers(): Promise<number> {
  const { rows } = await setup().direct.query(
    "select count(*)::int as n from pg_stat_activity where query ~ 'pg_sleep' and state = 'active' and pid <> pg_backend_pid()",
  )
  return rows[0].n
}

describe('two subjects on one pool', () => {
  test('never get each other’s rights, however their queries are interleaved', async () => {
    const pool = setup().pool({ max: 3 })
    const connected = new Set<unknown>()
    pool.on('acquire', client => void connected.add(client))
    /** A client is given back whole, so that both subjects keep meeting on the same few. */
    const ask = async (query: pg.QueryConfig) => {
      const client = await pool.connect()
      try {
        return await client.query(query)
      } finally {
        client.release()
      }
    }
    const ways: readonly ((text: string) => pg.QueryConfig)[] = [
      text => ({ text }),
      text => ({ text: text.replace('1', '$1'), values: [1] }),
      text => ({ text, name: text }),
    ]
    const asked = Array.from({ length: 200 }, (_, i) => {
      const [subject, may, mayNot] = i % 2 === 0 ? [requester, customers, orders] : [other, orders, customers]
      const way = ways[i % 3]!
      return during(subject, () => Promise.all([ask(way(may)), failure(ask(way(mayNot)))]))
    })
    for (const [allowed, denied] of await Promise.all(asked)) {
      expect(allowed.rowCount).toBe(1)
      expect(denied.ours).toBe('ERR_ACCESS_DENIED')
    }
    expect(connected.size).toBe(3)
  })

  test('wait for one client, and each is still itself when its turn comes', async () => {
    const pool = setup().pool({ max: 1 })
    const first = await during(requester, () => pool.connect())
    const waiting = [
      during(other, () => pool.query(orders)),
      during(other, () => failure(pool.query(customers))),
      during(requester, () => pool.query(customers)),
      new Promise((resolve, reject) =>
        during(other, async () =>
          pool.connect((error, client, done) => {
            if (client === undefined) return reject(error)
            client.query(orders).then(({ rowCount }) => {
              done()
              resolve(rowCount)
            }, reject)
          }),
        ),
      ),
    ]
    // Given back by the requester's request: what follows runs in its wake.
    await during(requester, async () => first.release())
    expect(await Promise.all(waiting)).toMatchObject([
      { rowCount: 1 },
      { ours: 'ERR_ACCESS_DENIED' },
      { rowCount: 1 },
      1,
    ])
  })

  test('each callback and listener runs on behalf of whoever asked, not of whoever opened the connection', async () => {
    const pool = setup().pool({ max: 1 })
    await during(requester, () => pool.query(customers))
    const heard = await during(other, () =>
      Promise.all([
        new Promise(resolve => pool.query(orders, () => resolve(failure(pool.query(customers))))),
        (async () => {
          const client = await pool.connect()
          const query = client.query(new pg.Query(orders))
          const inner = await new Promise(resolve =>
            query.on('row', () => resolve(failure(pool.query(customers)))).on('end', () => client.release()),
          )
          return inner
        })(),
      ]),
    )
    expect(heard).toMatchObject([{ ours: 'ERR_ACCESS_DENIED' }, { ours: 'ERR_ACCESS_DENIED' }])
  })

  test('a listener of the connection itself is nobody’s', async () => {
    const pool = setup().pool({ max: 1 })
    const client = await during(dba, () => pool.connect())
    const heard = new Promise(resolve => client.on('notification', () => resolve(failure(client.query(customers)))))
    await during(dba, () => client.query('listen anything'))
    await setup().direct.query('notify anything')
    expect(await heard).toMatchObject({ ours: 'ERR_UNIDENTIFIED' })
    client.release()
  })

  test('a query that is asked again by another belongs to the other', async () => {
    const [one, two] = [await setup().pool().connect(), await setup().pool().connect()]
    const query = () => new Promise((resolve, reject) => reused.once('end', resolve).once('error', reject))
    const reused = new pg.Query(customers)
    one.as(requester).query(reused)
    await query()
    two.as(other).query(reused)
    await expect(query()).rejects.toMatchObject({ routine: 'ERR_ACCESS_DENIED' })
    one.release()
    two.release()
  })

  test('a prepared statement is judged for whoever executes it', async () => {
    const client = await setup().pool().connect()
    const named = { name: 'shared', text: customers }
    expect((await client.as(requester).query(named)).rowCount).toBe(1)
    expect(await failure(client.as(other).query(named))).toMatchObject({ ours: 'ERR_ACCESS_DENIED' })
    expect((await client.as(requester).query(named)).rowCount).toBe(1)
    client.release()
  })
})

test('a request that is aborted takes its queries with it', async () => {
  const { guard } = setup()
  const pool = setup().pool()
  const gone = new AbortController()
  const asked = operation({ accesses: [{ action: 'get', resource: 'crm/asked' }], read: true })
  const exchange = guard.exchange({ operation: asked, subject: dba, signal: gone.signal })
  let slept: Promise<unknown> | undefined
  const over = guard.handle(
    exchange,
    taken =>
      (async function* () {
        slept = onBehalfOf(taken, () => failure(pool.query('select pg_sleep(100)')))
        await slept
        yield* json('{}')
      })(),
    () => undefined,
  )
  const hungUp = expect(over).rejects.toThrow('the client hung up')
  await expect.poll(sleepers).toBe(1)
  gone.abort(new Error('the client hung up'))
  await slept
  await expect.poll(sleepers).toBe(0)
  await hungUp
  expect((await setup().of('outcome')).filter(({ result }) => result === 'aborted').length).toBeGreaterThan(0)
})

test('a request that is aborted inside a transaction loses it, and the next finds nothing of it', async () => {
  const pool = setup().pool({ max: 1 })
  const job = new AbortController()
  const client = await pool.as(dba, { signal: job.signal }).connect()
  await client.query('begin')
  await client.query("update orders set note = 'half done' where id = 5")
  const { exchange } = (await setup().of('outcome')).at(-1)!
  job.abort()
  expect(await failure(client.query('commit'))).toMatchObject({ code: '57014' })
  client.release()
  await expect
    .poll(() => setup().of('settled'))
    .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'rolled-back' }))
  const { rows } = await pool.as(dba).query('select note from orders where id = 5')
  expect(rows).toEqual([{ note: 'first order' }])
})

test('what a refused commit left open is rolled back, though the client leaves before the server has answered wholly', async () => {
  const url = new URL(setup().server.url())
  const { port, hostname } = url
  const server = createServer(near => {
    const far = connect(Number(port), hostname)
    near.on('error', () => far.destroy()).pipe(far)
    far.on('error', () => near.destroy()).on('close', () => near.destroy())
    let refused = false
    far.on('data', (part: Buffer) => {
      refused ||= part[0] === 'E'.charCodeAt(0)
      // Of an error and what follows it, the error alone.
      if (!refused) near.write(part)
      else if (part[0] === 'E'.charCodeAt(0)) near.write(part.subarray(0, 1 + part.readUInt32BE(1)))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => void server.close())
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const pool = setup().pool({ max: 1, connectionString: url.href })
  const job = new AbortController()
  const client = await pool.as(dba, { signal: job.signal }).connect()
  await client.query('begin')
  await client.query("update orders set note = 'half done' where id = 5")
  const { exchange } = (await setup().of('outcome')).at(-1)!
  job.abort()
  expect(await failure(client.query('commit'))).toMatchObject({ code: '57014' })
  client.release()
  await expect
    .poll(() => setup().of('settled'))
    .toContainEqual(expect.objectContaining({ exchanges: [exchange], result: 'rolled-back' }))
})

test('a request that is over leaves its subject to what it started', async () => {
  const pool = setup().pool()
  const later = await during(requester, async () => AsyncResource.bind(() => pool.query(customers)))
  expect((await later()).rowCount).toBe(1)
  const denied = await during(owner, async () => 1).catch(error => error)
  expect(denied).toMatchObject({ code: 'ERR_ACCESS_DENIED' })
})
