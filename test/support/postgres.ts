/** One PostgreSQL server for a test file, with a small CRM in it, stopped by itself. */
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { type RunningPostgres, startPostgres } from '../../cli/demo/postgres.ts'

export const crm = `
  create table customers (id int primary key, name text not null, email text unique, ssn text, balance numeric default 0);
  insert into customers select n, format('Customer %s', lpad(n::text, 4, '0')), format('c%s@customer.example', n),
    format('123-45-%s', lpad(n::text, 4, '0')), n * 10 from generate_series(1, 20) n;
  create table orders (id serial primary key, customer int references customers deferrable initially deferred, note text);
  insert into orders (customer, note) select n, 'first order' from generate_series(1, 20) n;
  create view people as select id, name as who, ssn as secret from customers;
  create table numbers (n int primary key);
  insert into numbers select generate_series(1, 50000);
`

export interface Served {
  readonly server: RunningPostgres
  /** A connection that does not go through any gateway. */
  readonly direct: pg.Client
}

/** @param sql run before the tests, as the superuser */
export function postgres(sql: string = crm): () => Served {
  let served: Served | undefined
  beforeAll(async () => {
    const server = await startPostgres()
    const direct = new pg.Client(server.url())
    await direct.connect()
    await direct.query(sql)
    served = { server, direct }
  })
  afterAll(async () => {
    await served?.direct.end()
    await served?.server.stop()
  })
  return () => served!
}
