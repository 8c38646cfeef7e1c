/**
 * Ways past `query()` of a guarded pool: pg's private parts, a pool or client that somebody still holds, another's turn. In process it is
 * cooperation, not containment: what is reached all the same is named, and no way that an application takes by accident is open.
 */
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { guardedClient, guardedPool } from '../../adapters/pg/pool/index.ts'
import { type Fixture, fixture, owner, requester } from '../support/guard.ts'
import { crm, postgres } from '../support/postgres.ts'

const served = postgres(crm)
const secret = 'select ssn from customers where id = 1'

interface Inside {
  connection: pg.Connection & {
    stream: Duplex
    query(text: string): void
    parse(of: object): void
    sync(): void
    flush(): void
  }
  _queryQueue: unknown[]
  _pulseQueryQueue(): void
}
const inside = (client: unknown) => client as Inside

let at: Fixture
let raw: pg.Pool
let pool: ReturnType<typeof guardedPool>
beforeAll(async () => {
  at = await fixture([])
  raw = new pg.Pool({ connectionString: served().server.url(), max: 2 })
  pool = guardedPool(at.guard, raw)
})
afterAll(async () => {
  await pool?.end()
  await at?.guard.close()
})

/** What a client says on its connection, until it is ready. */
const answers = (client: unknown): Promise<string[]> =>
  new Promise(resolve => {
    const said: string[] = []
    const { connection } = inside(client)
    const events = connection as unknown as NodeJS.EventEmitter
    const hear = (message: { name: string; routine?: string }) => {
      said.push(message.routine ?? message.name)
      if (message.name === 'readyForQuery') {
        events.off('message', hear)
        resolve(said)
      }
    }
    events.on('message', hear)
  })

const isNobodys = async () => {
  expect((await at.of('decision')).at(-1)).toMatchObject({ verdict: 'deny', code: 'ERR_UNIDENTIFIED' })
}

describe('what is asked past query()', () => {
  test('on the connection is nobody’s, after a query as before one', async () => {
    const client = await pool.connect()
    client.on('error', () => undefined)
    for (const _ of ['before', 'after']) {
      const said = answers(client)
      inside(client).connection.query(secret)
      expect(await said).toEqual(['ERR_UNIDENTIFIED', 'readyForQuery'])
      await isNobodys()
      await client
        .as(requester)
        .query('select 1 as a')
        .catch(() => undefined)
    }
    client.release(true)
  })

  test('in the extended protocol is nobody’s, and is not even planned', async () => {
    const client = await pool.connect()
    client.on('error', () => undefined)
    const said = answers(client)
    const { connection } = inside(client)
    connection.parse({ text: secret, name: 'kept', types: [] })
    connection.flush()
    connection.sync()
    expect(await said).toEqual(['ERR_UNIDENTIFIED', 'readyForQuery'])
    await isNobodys()
    client.release(true)
  })

  test('by pg’s own queue is nobody’s', async () => {
    const client = await pool.connect()
    const error = await new Promise<unknown>(resolve => {
      inside(client)._queryQueue.push(Object.assign(new pg.Query(secret), { callback: resolve }))
      inside(client)._pulseQueryQueue()
    })
    expect(error).toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    client.release(true)
  })

  test('by pg’s own query function is nobody’s', async () => {
    const client = await pool.connect()
    const query = pg.Client.prototype.query as (...asked: unknown[]) => Promise<unknown>
    await expect(query.call(client, secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    client.release(true)
  })

  test('with another’s word, used already or made up, ends in nobody’s turn', async () => {
    const client = await pool.connect()
    const { stream } = inside(client).connection
    const written: Buffer[] = []
    const write = stream.write
    stream.write = ((...given: unknown[]) => {
      written.push(given[0] as Buffer)
      return write.apply(stream, given as never)
    }) as never
    await client.as(requester).query('select 1 as a')
    stream.write = write
    const turn = written.find(chunk => chunk[0] === 0)!
    expect(turn.length).toBeGreaterThan(30)
    for (const word of [turn, Buffer.from(turn).fill(0x61, 5, turn.length - 1)]) {
      const said = answers(client)
      stream.write(word)
      inside(client).connection.query(secret)
      expect(await said).toEqual(['ERR_UNIDENTIFIED', 'readyForQuery'])
    }
    client.release(true)
  })

  test('while a query of that client is in flight is judged as that one’s: this is the limit', async () => {
    const client = await pool.connect()
    client.on('error', () => undefined)
    const before = (await at.of('decision')).length
    const asked = client
      .as(owner)
      .query('select 1 as a')
      .catch(error => error)
    inside(client).connection.query(secret)
    expect(await asked).toMatchObject({ routine: 'ERR_ACCESS_DENIED' })
    await expect.poll(async () => (await at.of('decision')).length - before).toBe(2)
    for (const decision of (await at.of('decision')).slice(before)) expect(decision.verdict).toBe('deny')
    client.release(true)
  })
})

describe('whoever still holds', () => {
  test('the raw pool holds a guarded one', async () => {
    expect(raw).toBe(pool)
    await expect(raw.query(secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    const { query, connect } = pg.Pool.prototype as unknown as Record<string, (...asked: unknown[]) => Promise<never>>
    await expect(query!.call(raw, secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    const client: pg.PoolClient = await connect!.call(raw)
    await expect(client.query(secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    client.release(true)
  })

  test('the pool’s Client makes a guarded one', async () => {
    const { Client, options } = raw as unknown as { Client: typeof pg.Client; options: object }
    const client = new Client(options)
    await client.connect()
    await expect(client.query(secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
    await client.end()
  })

  test('the raw client has nothing that connects', async () => {
    const client = new pg.Client(served().server.url())
    guardedClient(at.guard, client)
    expect(() => client.connect()).toThrow('guardedClient')
    expect(() => client.query(secret)).toThrow('guardedClient')
  })

  test('a client that was given back asks as whoever asks then, not as who had it', async () => {
    const client = await pool.as(requester).connect()
    expect((await client.query('select 1 as a')).rows).toEqual([{ a: 1 }])
    client.release()
    await expect(client.query(secret)).rejects.toMatchObject({ routine: 'ERR_UNIDENTIFIED' })
  })
})

test('nothing that is told to an application holds what the server was logged in to with', async () => {
  const { guard } = at
  const url = new URL(served().server.url())
  const password = decodeURIComponent(url.password)
  const config = { host: url.hostname, port: Number(url.port), user: url.username, database: 'postgres', password }
  const made = guardedPool(guard, new pg.Pool(config))
  const client = await made.connect()
  const { inspect } = await import('node:util')
  expect(password.length).toBeGreaterThan(5)
  expect(inspect([made, client], { depth: 12 })).not.toContain(password)
  client.release()
  await made.end()
})
