/** The PostgreSQL gateway in front of a real server, asked by pg. */
import { connect, type Socket } from 'node:net'
import pg from 'pg'
import { beforeEach } from 'vitest'
import { type PostgresGateway, postgresGateway } from '../../../adapters/pg/index.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { postgres, type Served } from '../../support/postgres.ts'
import { type Answer, type Call, canary, credentialOf, type Door, type OpenDoor, type Work } from '../conformance.ts'

const schema = `
  create table customers (id int primary key, name text not null, email text, ssn text);
  insert into customers values (1, 'Customer 0001', 'c1@customer.example', '123-45-0001');
  create table orders (id int primary key, note text, changes int not null default 0);
  insert into orders values (1, 'first order');
  create table spare (n int);
  create role clerk;
`

// biome-ignore format: a table
const statements: Readonly<Record<Work, readonly string[]>> = {
  'read':          ['select name from customers where id = 1'],
  'masked':        ['select name, ssn, email from customers where id = 1'],
  'change':        ['update orders set changes = changes + 1 where id = 1'],
  'destroy':       ['drop table spare'],
  'silent':        ['select pg_sleep(30)'],
  'silent change': ['update orders set changes = changes + 1 where id = 1', 'select pg_sleep(30)'],
  'breaks':        ["select 1 / (3000 - n), repeat('x', 100) from generate_series(1, 3000) n"],
  'long':          ["select repeat('x', 1000) from generate_series(1, 1100) n"],
  'flood':         ["select repeat('x', 65536) from generate_series(1, 1024) n"],
  'secret':        [`alter role clerk password '${canary}'`],
}

async function open(gate: Gate, { server, direct }: Served): Promise<OpenDoor> {
  const made: PostgresGateway = await postgresGateway({
    gate,
    target: 'crm',
    upstream: server.url(),
    handshakeMs: 800,
  })
  const { port } = await made.listen(0, '127.0.0.1')
  const one = async (sql: string): Promise<number> => (await direct.query(sql)).rows[0].n
  const reads =
    "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::int as n from pg_stat_user_tables where relname = 'customers'"
  const settledReads = async () => {
    await direct.query('select pg_stat_force_next_flush(), pg_stat_clear_snapshot()')
    return one(reads)
  }
  const before = await settledReads()
  return {
    call: (work, as, stall = false) => call(port, work, as, stall),
    done: async work => {
      if (work === 'change') return one('select changes as n from orders where id = 1')
      if (work === 'destroy') return 1 - (await one("select count(*)::int as n from pg_class where relname = 'spare'"))
      return (await settledReads()) - before
    },
    running: () =>
      one(
        "select count(*)::int as n from pg_stat_activity where query ~ 'pg_sleep' and state = 'active' and pid <> pg_backend_pid()",
      ),
    silentClient: () =>
      new Promise(resolve => {
        const socket = connect(port, '127.0.0.1', () => {
          // The first half of a startup packet's length.
          socket.write(Buffer.from([0, 0]))
          socket.resume()
          resolve({ closed: new Promise<void>(done => socket.once('close', () => done())) })
        })
        socket.on('error', () => undefined)
      }),
    close: () => made.close(),
  }
}

function call(port: number, work: Work, as: Subject, stall: boolean): Call {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: 'anyone', database: 'crm', password: credentialOf(as) },
  })
  client.on('error', () => undefined)
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection
  const told: string[] = []
  client.on('notice', ({ message }) => told.push(message ?? ''))
  let bytes = 0
  const run = async (): Promise<Answer> => {
    try {
      await client.connect()
      // Paused after the login, so that the reply is what waits.
      if (stall) stream.pause()
      for (const text of statements[work]) {
        const query = new pg.Query<Record<string, unknown>>({ text })
        query.on('row', row => {
          const shown = JSON.stringify(row)
          bytes += shown.length
          if (work !== 'flood') told.push(shown)
        })
        const over = new Promise<void>((resolve, reject) => {
          query.on('end', () => resolve())
          query.on('error', reject)
        })
        client.query(query)
        await over
      }
      return { said: told.join('\n'), bytes, whole: true }
    } catch (error) {
      const { message, detail, hint, routine } = error as pg.DatabaseError
      const said = [...told, message, detail, hint].join('\n')
      return { said, bytes, whole: false, code: routine }
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  return { answer: run(), hangUp: () => stream.destroy(), resume: () => stream.resume() }
}

/** Registers a server for the file that it is called in. */
export function postgresDoor(): Door {
  const served = postgres(schema)
  // Every test starts from the same server state.
  beforeEach(async () => {
    await served().direct.query('create table if not exists spare (n int); update orders set changes = 0')
  })
  return {
    name: 'the PostgreSQL gateway',
    open: gate => open(gate, served()),
    personal: 'crm/public.customers',
    words: { change: 'update', destroy: 'drop' },
    changed: 'crm/public.orders',
  }
}
