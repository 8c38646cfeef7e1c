/**
 * A process of its own with one pg pool, bare or guarded, that asks it itself: in process there is no wire between.
 * Told by messages what to do; answers with `{ queries }` or `{ held }`.
 */
import pg from 'pg'
import { to } from 'pg-copy-streams'
import { guardedPool } from '../../../adapters/pg/pool/index.ts'
import { requester } from '../../support/guard.ts'
import { floodBytes } from './flood.ts'
import { benchGuard } from './guard.ts'
import { readSlowly } from './slow-reader.ts'

export type Asked =
  | { readonly do: 'queries'; readonly clients: number; readonly seconds: number }
  | { readonly do: 'slow reader' }

const { way, upstream, directory } = JSON.parse(process.argv[2]!) as {
  readonly way: 'bare' | 'guarded'
  readonly upstream: string
  readonly directory: string
}

const raw = new pg.Pool({ connectionString: upstream, max: 8 })
const pool = way === 'bare' ? raw : guardedPool(await benchGuard(directory), raw, { target: 'crm' }).as(requester)

async function queries(clients: number, seconds: number): Promise<number> {
  const until = performance.now() + seconds * 1000
  let count = 0
  const one = async () => {
    while (performance.now() < until) {
      await pool.query('select balance from accounts where aid = $1', [1 + Math.floor(Math.random() * 1000)])
      count += 1
    }
  }
  await Promise.all(Array.from({ length: clients }, one))
  return count
}

async function slowReader(): Promise<number> {
  const rowBytes = 65_536
  await pool.query('select 1')
  const base = process.memoryUsage.rss()
  let peak = base
  const sampling = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 20)
  const client = await pool.connect()
  const sql = `copy (select repeat('x', ${rowBytes}) from generate_series(1, ${floodBytes / rowBytes})) to stdout`
  const bytes = await readSlowly(client.query(to(sql)) as never)
  clearInterval(sampling)
  client.release()
  if (bytes < floodBytes) throw new Error(`the pool gave ${bytes} bytes`)
  return peak - base
}

process.on('message', async (asked: Asked) => {
  if (asked.do === 'queries') process.send!({ queries: await queries(asked.clients, asked.seconds) })
  else process.send!({ held: await slowReader() })
})
process.on('disconnect', () => process.exit())
process.send!('ready')
