/**
 * The one door to DuckDB, imported only when a test is run: views become tables, then the outside is locked away before any
 * SQL of a user runs.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DuckDBConnection } from '@duckdb/node-api'
import { Misuse } from '../lib/errors.ts'
import { type Cell, openSql, type Row, toNdjson, viewNames, views } from './view-columns.ts'
import type { Views } from './views.ts'

export interface Answer {
  /** In the order of the SELECT. */
  readonly columns: readonly string[]
  /** Ordered by content, so that the same rows are always in the same order. */
  readonly rows: readonly Row[]
}

export interface Database {
  /** Runs one SELECT, and keeps its rows as a table. @throws Misuse ERR_OPTION_INVALID where it is no single SELECT, or fails */
  select(name: string, sql: string): Promise<Answer>
  close(): void
}

/** @throws Misuse ERR_PACKAGE_MISSING naming the install command */
async function loadDuckDb(): Promise<typeof import('@duckdb/node-api')> {
  try {
    return await import('@duckdb/node-api')
  } catch (cause) {
    const what = 'control tests need DuckDB: npm install @duckdb/node-api'
    throw new Misuse('ERR_PACKAGE_MISSING', what, { package: '@duckdb/node-api' }, cause)
  }
}

/** Rows of an answer: more than a bundle can have entries, and what fits in memory. */
const mostRows = 1_000_000

/** Of a view, up to which a second thread costs more than it gives: over some rows a query takes 7 ms with one, 10 ms with two. */
const mostForOneThread = 20_000

/** A query of a user, or of a stranger's bundle, that runs longer than this is ended. */
const longestQueryMs = 60_000

/** @param limitMs after which a query is ended, and said to have failed */
export async function openDatabase(rows: Views, limitMs = longestQueryMs): Promise<Database> {
  const duckdb = await loadDuckDb()
  const many = viewNames.some(name => rows[name].length > mostForOneThread)
  // What does not fit in memory is no query of a test: nothing of it goes to the disk of who runs it.
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    ...{ threads: many ? '2' : '1', memory_limit: '1GB' },
    ...{ temp_directory: '', max_temp_directory_size: '0MB' },
  })
  const connection = await instance.connect()
  const folder = await mkdtemp(join(tmpdir(), 'counterfoil-'))
  try {
    for (const name of viewNames) await writeFile(join(folder, `${name}.jsonl`), toNdjson(views[name], rows[name]))
    await connection.run(openSql(folder))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  // From here on no file, no network, no extension, and no way to change that.
  await connection.run('set enable_external_access = false; set lock_configuration = true;')
  return {
    select: async (name, sql) => {
      await requireSelect(duckdb, connection, sql)
      const timer = setTimeout(() => connection.interrupt(), limitMs)
      try {
        await connection.run(`create or replace table "${name}" as\n${sql}`)
        const counted = await connection.runAndReadAll(`select count(*) > ${mostRows} from "${name}"`)
        if (counted.getRows()[0]?.[0] === true) throw new Error(`it gives over ${mostRows} rows`)
        const result = await connection.runAndReadAll(`select * from "${name}"`)
        const found = result.getRowObjectsJson().map(row => row as Row)
        return { columns: result.columnNames(), rows: sorted(found) }
      } catch (error) {
        throw new Misuse('ERR_OPTION_INVALID', `the query for ${name} failed: ${firstLine(error)}`, {}, error)
      } finally {
        clearTimeout(timer)
      }
    },
    close: () => {
      connection.closeSync()
      instance.closeSync()
    },
  }
}

async function requireSelect(
  duckdb: typeof import('@duckdb/node-api'),
  connection: DuckDBConnection,
  sql: string,
): Promise<void> {
  try {
    const statements = await connection.extractStatements(sql)
    if (statements.count === 1) {
      const prepared = await statements.prepare(0)
      const is = prepared.statementType === duckdb.StatementType.SELECT
      prepared.destroySync()
      if (is) return
    }
  } catch (error) {
    throw new Misuse('ERR_OPTION_INVALID', `a query could not be read: ${firstLine(error)}`, {}, error)
  }
  throw new Misuse('ERR_OPTION_INVALID', 'a test is one SELECT, and nothing else')
}

const firstLine = (error: unknown) => (error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unknown')

/** By index where there is one, then by everything. BIGINTs come as text, so as not to lose digits. */
function sorted(rows: readonly Row[]): Row[] {
  const key = (row: Row) => `${position(row.index)} ${JSON.stringify(row)}`
  return rows
    .map(row => [key(row), row] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, row]) => row)
}

const position = (index: Cell | undefined) => String(index ?? '').padStart(20, '0')
