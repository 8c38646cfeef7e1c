/** What is recorded of PostgreSQL's replies, shown again, against what psql itself printed of them; and real drivers' ways to ask. */
import { execFile } from 'node:child_process'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, it } from 'vitest'
import { showTimeline } from '../../cli/replay/timeline.ts'
import type { Control } from '../../lib/control.ts'
import { decodeEvents } from '../../lib/format/timeline.ts'
import { gateway, requesterId } from '../adapters/pg/support.ts'
import { findTool, interop } from '../support/interop.ts'

const recorded: Control = {
  ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
  ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
}
const at = gateway([recorded], { rules: 'p, requester@crm.example, crm/**, *, allow\n' })

/** What the recordings of all exchanges since show, in the order of the ledger. */
async function shownSince(count: number, statement?: string): Promise<string> {
  let text = ''
  for (const entry of (await at().of('attachment')).slice(count)) {
    await showTimeline(
      decodeEvents(at().ledger.attachment(entry.attachment)),
      part => {
        text += part
      },
      statement,
    )
  }
  return text
}

const recordings = async () => (await at().of('attachment')).length

function psql(statement: string): Promise<string> {
  const { port } = at()
  const env = { ...process.env, PGPASSWORD: requesterId, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: 'anyone' }
  const args = ['-X', '-d', 'crm', '-c', statement]
  return new Promise(resolve => {
    const child = execFile(findTool('psql')!, args, { env }, (_, stdout, stderr) => resolve(stdout + stderr))
    child.stdin?.end()
  })
}

describe('a replay', () => {
  // biome-ignore format: a table
  const statements: readonly (readonly [title: string, statement: string])[] = [
    ['rows, numbers to the right',        'select id, name, balance, email is null as empty from customers order by id limit 3'],
    ['values of every kind that is text', "select 1 as n, 2.50::numeric as price, null as nothing, true as b, 1.5::float8 as f, '{1,2}'::int[] as l"],
    ['wide and combining characters',     "select '名前' as wide, 'täst' as \"größe\", E'e\\u0301' as combined, '🙂' as emoji, 'x' as last"],
    ['cells of several lines',            "select E'two\\nlines' as multi, 5 as n, E'a\\nb\\nc' as \"head\nline\""],
    ['a long column, whole',              "select repeat('x', 200) as long, 7 as n"],
    ['control characters',                "select E'a\\tb' as tab, E'x\\ry' as cr, E'\\x01\\x1b[31m' as soh, E'\\u0085' as nel"],
    ['no rows, no columns',               'select id from customers where false'],
    ['a row of nothing',                  'select'],
    ['a change, its rows and its tag',    'insert into orders (customer, note) values (1, $$a$$), (2, null) returning customer, note'],
    ['a change, its tag alone',           "update orders set note = 'b' where customer = 1"],
    ['a setting',                         'show server_version_num'],
    ['an error, and where',               'select 1 +  missing_column from customers'],
    ['an error with a detail',            "insert into customers (id, name) values (1, 'again')"],
    ['several statements',                'select 1 as a; select 2 as b, 3 as c; create temporary table t (a int)'],
    ['what a cursor gives',               'begin; declare c cursor for select n from numbers order by n; fetch 2 from c; rollback'],
    ['a notice',                          'do $$ begin raise notice $x$hello %$x$, 1; end $$'],
    ['a plan',                            'explain (costs off) select * from customers where id = 1'],
  ]
  for (const [title, statement] of statements) {
    interop('psql', `shows, as psql did, ${title}`, async () => {
      const before = await recordings()
      const printed = await psql(statement)
      expect(printed.length).toBeGreaterThan(2)
      // Output and errors are two streams: in which order a shell has them is its own.
      const lines = (text: string) => text.split('\n').sort()
      expect(lines(await shownSince(before, statement))).toEqual(lines(printed))
    })
  }

  it('shows values of a driver, whose columns were described before they came', async () => {
    const client = await at().client()
    const before = await recordings()
    const query = { name: 'twice', text: 'select id, name from customers where id = any($1) order by id' }
    for (const ids of [[1, 2], [12]]) await client.query({ ...query, values: [ids] })
    const table = (...rows: string[]) => [' id |     name      ', '----+---------------', ...rows].join('\n')
    expect(await shownSince(before)).toBe(
      `${table('  1 | Customer 0001', '  2 | Customer 0002')}\n(2 rows)\n\n${table(' 12 | Customer 0012')}\n(1 row)\n\n`,
    )
  })

  it('shows what was executed without asking for its columns, and a result without rows', async () => {
    const client = await at().client()
    const before = await recordings()
    for (const text of ["select 1 as n, 'x' as t", 'select id, name from customers where false'])
      await new Promise<void>(resolve =>
        client.query({
          submit: (connection: pg.Connection) => {
            connection.parse({ text, name: '' } as never, true)
            connection.bind({ portal: '', values: [] } as never, true)
            connection.execute({ portal: '', rows: 0 } as never, true)
            connection.sync()
          },
          handleDataRow: () => undefined,
          handleCommandComplete: () => undefined,
          handleReadyForQuery: () => resolve(),
          handleError: () => resolve(),
        } as unknown as pg.Submittable),
      )
    expect(await shownSince(before)).toBe(' n | t \n---+---\n 1 | x\n(1 row)\n\n id | name \n----+------\n(0 rows)\n\n')
  })

  it('shows values that came in binary, by their types', async () => {
    const client = await at().client()
    const before = await recordings()
    const values = [7, 'text']
    await client.query({
      ...{ text: 'select $1::int4 as n, $2::text as t, true as b, 8::int8 as big, now() as at', values },
      ...{ binary: true },
    } as pg.QueryConfig)
    expect(await shownSince(before)).toMatch(/^ +7 \| text \| t \| +8 \| \\x[0-9a-f]{16}$/m)
  })

  it('shows a portal in the pieces that it was fetched in, and says that there was more', async () => {
    const client = await at().client()
    const before = await recordings()
    const cursor = client.query(new Cursor('select n from numbers order by n limit 5'))
    expect(await cursor.read(2)).toHaveLength(2)
    expect(await cursor.read(10)).toHaveLength(3)
    await cursor.close()
    const shown = await shownSince(before)
    const tables = shown.split(/(?<=rows?\)\n\n)/)
    expect(tables[0]).toBe(' n \n---\n 1\n 2\n(2 rows)\n\n')
    expect(shown).toContain('(more rows are to be fetched)\n')
    expect(shown).toContain(' n \n---\n 3\n 4\n 5\n(3 rows)\n\n')
  })

  it('shows rows that came before an error, which were shown, and psql keeps back', async () => {
    const client = await at().client()
    const before = await recordings()
    await expect(client.query('select 100 / (3 - n) as q from generate_series(1, 5) n')).rejects.toThrow()
    expect(await shownSince(before)).toBe('  q  \n-----\n  50\n 100\n(2 rows)\n\nERROR:  division by zero\n')
  })

  it('shows nothing that acts on a terminal, whoever wrote it', async () => {
    const client = await at().client()
    const before = await recordings()
    await client.query("select E'\\u202egnp.exe' as \"\u001b]0;x\u0007\", E'\\x1b[2J' as b")
    const shown = await shownSince(before)
    expect(shown).toContain('\\u202Egnp.exe')
    expect(shown.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })
})
