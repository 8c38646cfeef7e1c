/** What happens around statements: held, cancelled, cut, hung up, garbage, silence, TLS. */
import { connect } from 'node:net'
import type pg from 'pg'
import { expect, test } from 'vitest'
import { postgresGateway } from '../../../adapters/pg/index.ts'
import { Refusal } from '../../../lib/errors.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { testCertificate, testKey } from '../../config/tls.ts'
import { approvalControl, dba, grantControl, owner, requester } from '../../support/guard.ts'
import { crm } from '../../support/postgres.ts'
import { failure, gateway } from './support.ts'

const subjects = [requester, owner, dba]
const withdrawn = new Refusal('ERR_UNIDENTIFIED', 'this key was revoked')

const setup = gateway([grantControl, approvalControl], {
  parts: {
    identify: async ({ secret }) => {
      const known = subjects.find(({ id }) => id === secret)
      if (known !== undefined) return known
      if (secret !== 'withdrawn') throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
      // Taken back while the session is being recorded.
      const cutAtOnce: Subject['withdrawn'] = cut => {
        cut(withdrawn)
        return () => undefined
      }
      return { ...requester, withdrawn: cutAtOnce }
    },
  },
  sql: `${crm} create table doomed (n int); create table spared (n int);`,
  gateway: { handshakeMs: 3000 },
})

test('a login that fails is told so, and recorded', async () => {
  const error = await failure(setup().client('nobody'))
  expect(error).toMatchObject({ code: '28P01', ours: 'ERR_UNIDENTIFIED' })
  expect((await setup().of('decision')).at(-1)).toMatchObject({ verdict: 'deny', code: 'ERR_UNIDENTIFIED' })
})

test('a login whose identification ends while it is recorded is told so', async () => {
  const error = await failure(setup().client('withdrawn'))
  expect(error).toMatchObject({ code: '57P01', ours: 'ERR_UNIDENTIFIED' })
})

test('a statement that needs approval is held, told of, and runs once it is given', async () => {
  const client = await setup().client()
  const notice = new Promise<string>(resolve => client.on('notice', ({ message }) => resolve(message ?? '')))
  const dropped = client.query('drop table doomed')
  const approval = /a-[0-9a-z]+/.exec(await notice)![0]
  await setup().guard.desk.approve(dba, approval)
  expect((await dropped).command).toBe('DROP')
  expect((await setup().of('decision')).at(-1)).toMatchObject({ approval, risk: 'high' })
})

test('a held statement that is cancelled stops waiting, and nothing is forwarded', async () => {
  const client = await setup().client()
  const notice = new Promise<void>(resolve => client.on('notice', () => resolve()))
  const dropped = failure(client.query('drop table spared'))
  await notice
  await cancel(client)
  expect(await dropped).toMatchObject({ code: '57014' })
  expect((await setup().direct.query('select * from spared')).rows).toEqual([])
})

test('in an open transaction nothing is held', async () => {
  const client = await setup().client()
  await client.query('begin')
  expect(await failure(client.query('drop table spared'))).toMatchObject({ ours: 'ERR_APPROVAL_PENDING' })
  await client.query('rollback')
})

test('a running statement is cancelled by the key that the gateway gave', async () => {
  const client = await setup().client()
  const slept = failure(client.query('select pg_sleep(100)'))
  await expect.poll(sleepers).toBe(1)
  await cancel(client)
  expect(await slept).toMatchObject({ code: '57014' })
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('a client that hangs up in the middle of a statement takes the server out of it', async () => {
  const client = await setup().client()
  client.query('select pg_sleep(100)').catch(() => undefined)
  await expect.poll(sleepers).toBe(1)
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
  await expect.poll(sleepers).toBe(0)
})

test('a grant that is revoked cuts its session at once, even while the server is silent', async () => {
  const client = await setup().client()
  const { desk } = setup().guard
  const id = await grant()
  expect((await client.query("update orders set note = 'changed' where id = 1")).rowCount).toBe(1)
  const slept = failure(client.query('select pg_sleep(100)'))
  await expect.poll(sleepers).toBe(1)
  await desk.revoke(owner, id, 'the work is done')
  expect(await slept).toMatchObject({ code: '57P01' })
  await expect.poll(sleepers).toBe(0)

  async function grant(): Promise<string> {
    const made = await desk.request(requester, {
      resource: 'crm/public.orders',
      actions: ['update'],
      seconds: 60,
      reason: 'a test of revocation',
    })
    await desk.approve(owner, made)
    return made
  }
})

test('the database is asked for by its own name or the target’s, and any other is refused and recorded', async () => {
  for (const database of ['crm', 'postgres']) {
    const client = await setup().client(undefined, { database })
    expect((await client.query('select current_database() as name')).rows).toEqual([{ name: 'postgres' }])
  }
  for (const asked of [{ database: 'template1' }, { database: 'CRM' }, { database: '', user: 'template1' }]) {
    const error = await failure(setup().client(undefined, asked))
    expect(error).toMatchObject({ code: '3D000', ours: 'ERR_ACCESS_DENIED' })
    expect((await setup().of('decision')).at(-1)).toMatchObject({
      verdict: 'deny',
      accesses: [{ action: 'connect', resource: 'crm' }],
    })
  }
})

test('who is not known is not told of databases', async () => {
  const { code } = await failure(setup().client('nobody@crm.example', { database: 'template1' }))
  expect(code).toBe('28P01')
})

test('garbage, an impossible length and silence close that connection alone', async () => {
  const client = await setup().client()
  const said = await Promise.all([
    talk('GET / HTTP/1.1\r\n\r\n'),
    talk(Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0])),
    talk(''),
  ])
  expect(said[0]).toContain('08P01')
  expect(said[1]).toContain('08P01')
  expect(said[2]).toBe('')
  expect((await client.query('select 1 as still')).rows).toEqual([{ still: 1 }])
})

test('bytes that come before the TLS handshake are not taken for what comes through it', async () => {
  const secure = await postgresGateway({
    gate: setup().guard,
    target: 'crm',
    upstream: setup().server.url(),
    tls: { key: testKey, cert: testCertificate },
  })
  const { port } = await secure.listen(0, '127.0.0.1')
  const ssl = Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f])
  expect(await talk(Buffer.concat([ssl, Buffer.from('injected')]), port)).toContain('08P01')
  const client = await setup().client(requester.id, { port, ssl: { ca: testCertificate, servername: 'localhost' } })
  expect((await client.query('select 1 as a')).rows).toEqual([{ a: 1 }])
  const direct = await setup().client(requester.id, {
    port,
    ssl: { ca: testCertificate, servername: 'localhost' },
    sslnegotiation: 'direct',
  } as unknown as pg.ClientConfig)
  expect((await direct.query('select 2 as a')).rows).toEqual([{ a: 2 }])
  await client.end()
  await direct.end()
  await secure.close()
})

test('the upstream that dies in the middle of a statement ends the session with an error', async () => {
  const client = await setup().client()
  const slept = failure(client.query('select pg_sleep(100)'))
  await expect.poll(sleepers).toBe(1)
  await setup().direct.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where query ~ 'pg_sleep' and pid <> pg_backend_pid()",
  )
  expect(await slept).toMatchObject({ code: '57P01' })
  expect((await (await setup().client()).query('select 1 as a')).rows).toEqual([{ a: 1 }])
})

async function sleepers(): Promise<number> {
  const { rows } = await setup().direct.query(
    "select count(*)::int as n from pg_stat_activity where query ~ 'pg_sleep' and state = 'active' and pid <> pg_backend_pid()",
  )
  return rows[0].n
}

/** As libpq does it: a connection of its own, with the key. */
async function cancel(client: pg.Client): Promise<void> {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number }
  const bytes = Buffer.alloc(16)
  bytes.writeInt32BE(16, 0)
  bytes.writeInt32BE(80877102, 4)
  bytes.writeInt32BE(processID, 8)
  bytes.writeInt32BE(secretKey, 12)
  await talk(bytes)
}

/** Says something, and hears everything until the other side closes. */
function talk(bytes: Buffer | string, port = setup().port): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let heard = ''
    socket.on('data', chunk => {
      heard += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(heard))
  })
}
