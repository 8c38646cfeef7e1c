/** What the conformance suite asks for, as statements for a real server, and how that server says what became of them. */
import pg from 'pg'
import { beforeEach } from 'vitest'
import { postgres, type Served } from '../../support/postgres.ts'
import { type Answer, canary, type OpenDoor, type Work } from '../conformance.ts'

const schema = `
  create table customers (id int primary key, name text not null, email text, ssn text);
  insert into customers values (1, 'Customer 0001', 'c1@customer.example', '123-45-0001');
  create table orders (id int primary key, note text, changes int not null default 0);
  insert into orders values (1, 'first order');
  create table spare (n int);
  create table spare_too (n int);
  create role clerk;
`

// biome-ignore format: a table
export const statements: Readonly<Record<Work, readonly string[]>> = {
  'read':            ['select name from customers where id = 1'],
  'masked':          ['select name, ssn, email from customers where id = 1'],
  'change':          ['update orders set changes = changes + 1 where id = 1'],
  'destroy':         ['drop table spare'],
  'destroy another': ['drop table spare_too'],
  'silent':          ['select pg_sleep(30)'],
  'silent change':   ['update orders set changes = changes + 1 where id = 1', 'select pg_sleep(30)'],
  'breaks':          ["select 1 / (3000 - n), repeat('x', 100) from generate_series(1, 3000) n"],
  'long':            ["select repeat('x', 1000) from generate_series(1, 1100) n"],
  'flood':           ["select repeat('x', 65536) from generate_series(1, 1024) n"],
  'secret':          [`alter role clerk password '${canary}'`],
}

export interface Asked extends Pick<OpenDoor, 'done' | 'running'> {
  readonly url: string
}

/** A server with what the works need, for the file that it is called in; every test finds it in the same state. */
export function upstream(): () => Promise<Asked> {
  const served: () => Served = postgres(schema)
  beforeEach(async () => {
    await served().direct.query(`
      create table if not exists spare (n int);
      create table if not exists spare_too (n int);
      update orders set changes = 0`)
  })
  const one = async (sql: string): Promise<number> => (await served().direct.query(sql)).rows[0].n
  const settledReads = async () => {
    await served().direct.query('select pg_stat_force_next_flush(), pg_stat_clear_snapshot()')
    return one(reads)
  }
  return async () => {
    const before = await settledReads()
    return {
      url: served().server.url(),
      done: async work => {
        if (work === 'change') return one('select changes as n from orders where id = 1')
        if (work === 'destroy')
          return 1 - (await one("select count(*)::int as n from pg_class where relname = 'spare'"))
        return (await settledReads()) - before
      },
      running: () => one(sleeping),
    }
  }
}

const reads =
  "select coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::int as n from pg_stat_user_tables where relname = 'customers'"
const sleeping =
  "select count(*)::int as n from pg_stat_activity where query ~ 'pg_sleep' and state = 'active' and pid <> pg_backend_pid()"

/** Asks for works, each once the one before is over, and keeps what is shown. */
export class Asking {
  readonly told: string[] = []
  bytes = 0

  /** @param kept whether rows are kept, or counted only */
  async ask(client: Pick<pg.Client, 'query'>, texts: readonly string[], kept: boolean): Promise<void> {
    for (const text of texts) {
      const query = new pg.Query<Record<string, unknown>>({ text })
      query.on('row', row => {
        const shown = JSON.stringify(row)
        this.bytes += shown.length
        if (kept) this.told.push(shown)
      })
      const over = new Promise<void>((resolve, reject) => {
        query.on('end', () => resolve())
        query.on('error', reject)
      })
      client.query(query)
      await over
    }
  }

  get whole(): Answer {
    return { said: this.told.join('\n'), bytes: this.bytes, whole: true }
  }

  failed(error: unknown, code: string | undefined): Answer {
    const { message, detail, hint } = error as pg.DatabaseError
    return { said: [...this.told, message, detail, hint].join('\n'), bytes: this.bytes, whole: false, code }
  }
}
