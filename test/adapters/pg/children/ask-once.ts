/** Asks once through a guarded pool, and ends nothing: a pool that may be left idle keeps no process. */
import pg from 'pg'
import { guardedPool } from '../../../../adapters/pg/pool/index.ts'
import { fixture, requester } from '../../../support/guard.ts'

const { guard } = await fixture([])
const pool = guardedPool(guard, new pg.Pool({ connectionString: process.argv[2]!, allowExitOnIdle: true }))
const { rows } = await pool.as(requester).query('select 1 as a')
process.stdout.write(`${JSON.stringify(rows)}\n`)
