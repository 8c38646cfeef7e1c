/** The small CRM that the demo guards: a schema, made-up rows, and a web service over them that knows nothing of the guard. */
import { type AddressInfo, createServer } from 'node:net'
import type { Pool } from 'pg'

/** What must never be found in ledger, log or bundle. Numbers from 900 to 999 are never issued as an SSN. */
export const canaries = ['900-12-3456', '900-65-4321'] as const

export const schema = `
create table customers (id integer primary key, name text not null, email text not null, ssn text not null, tier text not null);
insert into customers values
  (1, 'Customer 0001', 'customer-0001@customers.example', '${canaries[0]}', 'silver'),
  (2, 'Customer 0002', 'customer-0002@customers.example', '${canaries[1]}', 'gold');
create table legacy_import (line text);
insert into legacy_import select 'line ' || n from generate_series(1, 10) n;
`

/** A free port on loopback. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** The routes of the service, to be mounted behind `controlled(gate)`. */
export function customerRoutes(express: typeof import('express'), pool: Pool) {
  const router = express.Router()
  router.get('/:id', async (request, response) => {
    const { rows } = await pool.query('select * from customers where id = $1', [request.params.id])
    if (rows.length === 0) response.status(404).json({ title: 'no such customer' })
    else response.json(rows[0])
  })
  return router
}
