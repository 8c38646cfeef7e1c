/** The small CRM that the demo guards: a schema, made-up rows, and a web service over them that knows nothing of the guard. */
import type { Router } from 'express'
import type { Pool } from 'pg'

/** What must never be found in ledger, log or bundle. Numbers from 900 to 999 are never issued as an SSN. */
export const canaries = ['900-12-3456', '900-65-4321'] as const

/** The gateway's own login, the web service's, and one that nobody should be using. */
export const logins = { gateway: 'crm_gateway', service: 'crm_service', stray: 'crm_reports' } as const

export const schema = (password: string) => `
create table customers (id integer primary key, name text not null, email text not null, ssn text not null, tier text not null);
insert into customers values
  (1, 'Customer 0001', 'customer-0001@customers.example', '${canaries[0]}', 'silver'),
  (2, 'Customer 0002', 'customer-0002@customers.example', '${canaries[1]}', 'gold');
create table legacy_import (line text);
insert into legacy_import select 'line ' || n from generate_series(1, 10) n;
${Object.values(logins)
  .map(login => `create role ${login} login password '${password}'; grant select, update on customers to ${login};`)
  .join('\n')}
alter table legacy_import owner to ${logins.gateway};
`

/** The routes of the service, to be mounted behind `controlled(gate)`. */
export function customerRoutes(router: Router, pool: Pool): Router {
  return router.get('/:id', async (request, response) => {
    const { rows } = await pool.query('select * from customers where id = $1', [request.params.id])
    if (rows.length === 0) response.status(404).json({ title: 'no such customer' })
    else response.json(rows[0])
  })
}
