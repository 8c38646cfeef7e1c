/** A guarded pool against a bare one, each in a process that asks it itself; and what a slow reader makes it hold. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { startPostgres } from '../../../cli/demo/postgres.ts'
import { quantile, row } from '../measure.ts'
import type { Row } from '../row.ts'
import { said } from './open.ts'
import type { Asked } from './pool-process.ts'

const rounds = 5
const seconds = 2
const ways = ['bare', 'guarded'] as const

const sql = `
  create table accounts (aid int primary key, balance int not null);
  insert into accounts select n, n from generate_series(1, 1000) n;
`

/** @returns rates, and bytes that the guarded one held more than before, at most */
export async function measure(folder: string): Promise<{ readonly rows: readonly Row[]; readonly held: number }> {
  const server = await startPostgres({ settings: { log_statement: 'none', log_connections: 'off' } })
  const open: Partial<Record<(typeof ways)[number], ChildProcess>> = {}
  try {
    const admin = new pg.Client(server.url())
    await admin.connect()
    await admin.query(sql)
    await admin.end()
    for (const way of ways) open[way] = await start(way, server.url(), folder)
    const rows: Row[] = []
    for (const clients of [1, 8]) {
      const found = { bare: [] as number[], guarded: [] as number[] }
      for (let round = 0; round <= rounds; round += 1) {
        for (const way of ways) {
          const { queries } = await ask<{ queries: number }>(open[way]!, { do: 'queries', clients, seconds })
          if (round > 0) found[way].push(queries / seconds)
        }
      }
      const [value, bare] = [quantile(found.guarded, 0.5), quantile(found.bare, 0.5)]
      const against = { what: 'a bare pool', value: bare }
      rows.push(row({ suite: 'doors', name: `pool, ${clients} at once`, value, unit: '1/s', against }))
    }
    return { rows, held: (await ask<{ held: number }>(open.guarded!, { do: 'slow reader' })).held }
  } finally {
    for (const child of Object.values(open)) child.kill()
    await server.stop()
  }
}

async function start(way: (typeof ways)[number], upstream: string, folder: string): Promise<ChildProcess> {
  const file = fileURLToPath(new URL('./pool-process.ts', import.meta.url))
  const directory = join(mkdtempSync(join(folder, 'pool-')), 'ledger')
  const child = fork(file, [JSON.stringify({ way, upstream, directory })], { stdio: 'inherit' })
  await said(child)
  return child
}

async function ask<T>(child: ChildProcess, asked: Asked): Promise<T> {
  child.send(asked)
  return (await said(child)) as T
}
