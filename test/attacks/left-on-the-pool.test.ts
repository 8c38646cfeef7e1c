/** What one subject's work with a pool does to another's: a client that is given back twice, hooks of the pool, a refusal in between. */
import { expect, test } from 'vitest'
import type { GuardedPoolClient } from '../../adapters/pg/pool/index.ts'
import { onBehalfOf } from '../../lib/current.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { pools } from '../adapters/pg/pool.support.ts'
import { agent, operation, owner, requester } from '../support/guard.ts'

const setup = pools()

/** As within a request of theirs. */
function asRequestOf<T>(subject: Subject, work: () => T): T {
  return onBehalfOf(setup().guard.exchange({ operation: operation(), subject, address: '127.0.0.1' }), work)
}

test('a client that is given back twice stays whose it is by then, and so does their transaction', async () => {
  const pool = setup().pool({ max: 1 })
  const first = await pool.as(agent).connect()
  const { release } = first
  release()
  const second = await pool.as(requester).connect()
  await second.query('begin')
  expect(() => release()).toThrow('already been released')
  // Nobody's right, were it not still theirs: the owner has none.
  expect((await asRequestOf(owner, () => second.query('select 1 as a'))).rows).toEqual([{ a: 1 }])
  await second.query('commit')
  second.release()
})

test('what was prepared in SQL is gone for the next but one, where the next was refused', async () => {
  const client = await setup().pool({ max: 1 }).connect()
  await client.as(requester).query("prepare p as select name from customers where ssn = '900-12-3456'")
  await expect(client.as(owner).query('select 1 from customers')).rejects.toMatchObject({
    routine: 'ERR_ACCESS_DENIED',
  })
  const left = await client.as(agent).query('select name, statement from pg_prepared_statements')
  expect(left.rows).toEqual([])
  client.release()
})

test('a hook of the pool asks on behalf of nobody, not of whoever gives back or comes as another waits', async () => {
  const pool = setup().pool({ max: 1 })
  const asked: Promise<unknown>[] = []
  for (const event of ['connect', 'acquire', 'release'] as const) {
    pool.on(event as 'connect', (...given: unknown[]) => {
      const client = given.at(-1) as GuardedPoolClient
      asked.push(client.query('select 1 as a').catch(error => error.routine))
    })
  }
  const first = await asRequestOf(requester, () => pool.connect())
  const second = asRequestOf(agent, () => pool.connect())
  asRequestOf(requester, () => first.release())
  await asRequestOf(requester, async () => (await second).release())
  await asRequestOf(requester, async () => (await pool.connect()).release())
  expect(asked.length).toBe(7)
  expect(new Set(await Promise.all(asked))).toEqual(new Set(['ERR_UNIDENTIFIED']))
})

test('a subject that the application changes after it has asked is not asked for', async () => {
  const client = await setup().pool({ max: 1 }).connect()
  const job: { id: string } & Subject = { ...owner }
  const asked = [client.as(requester).query('select 1 as a'), client.as(job).query('select ssn from customers')]
  const later = client.as(job)
  job.id = requester.id
  const denied = { status: 'rejected', reason: { routine: 'ERR_ACCESS_DENIED' } }
  const results = await Promise.allSettled([...asked, later.query('select ssn from customers')])
  expect(results).toMatchObject([{ status: 'fulfilled' }, denied, denied])
  client.release()
})

test('a transaction rests on each identification that something was changed by, be it of one person', async () => {
  const client = await setup().pool({ max: 1 }).connect()
  const ended = new Promise(resolve => client.once('end', resolve))
  const brief = { ...requester, expires: Date.now() + 1500 }
  await client.as(requester).query('begin')
  await client.as(requester).query("update customers set name = 'first' where id = 1")
  await client.as(brief).query("update customers set name = 'second' where id = 1")
  await ended
  await expect(client.as(requester).query('commit')).rejects.toThrow()
  const { rows } = await setup().direct.query('select name from customers where id = 1')
  expect(rows).toEqual([{ name: 'Customer 0001' }])
  client.release(true)
})
