/**
 * What a guard in front costs: the same load on a door that is bare and on one with controls on and everything sealed into a ledger in a
 * directory, in turns; and how much memory a slow reader of a gigabyte makes it hold. Each door and each load is a process of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as http from './doors/http.ts'
import * as pool from './doors/pool.ts'
import * as postgres from './doors/postgres.ts'
import * as ssh from './doors/ssh.ts'
import { row } from './measure.ts'
import type { Row } from './row.ts'

const mebibyte = 1024 * 1024

export async function suite(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-doors-'))
  const held = async (door: string, measure: Promise<number>): Promise<Row> =>
    row(
      {
        ...{
          suite: 'doors',
          name: `${door}: held for a slow reader of 1 GB`,
          unit: 'MiB',
          value: (await measure) / mebibyte,
        },
        against: { what: 'the limit', value: 64 },
      },
      { most: 1 },
    )
  try {
    const rows = [...(await http.rates('express', 0.8, folder)), ...(await http.rates('koa', 0.5, folder))]
    rows.push(await held('express', http.slowReader('express', folder)))
    rows.push(await held('koa', http.slowReader('koa', folder)))
    const pooled = await pool.measure(folder)
    rows.push(...pooled.rows, await held('pool', Promise.resolve(pooled.held)))
    rows.push(await held('PostgreSQL gateway', postgres.slowReader(folder)))
    if (!ssh.isThere()) return rows
    rows.push(await held('SSH gateway', ssh.slowReader(folder)))
    return [...rows, ...(await ssh.copies(0.8, folder))]
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
