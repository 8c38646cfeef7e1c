import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { startPostgres } from '../../cli/demo/postgres.ts'
import { buildBundle } from '../../evidence/bundle/build.ts'
import { verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import { escapeCell, parseCsv, toCsv, unescapeCell } from '../../evidence/csv.ts'
import { isImport, readImport, reconcile } from '../../evidence/reconcile.ts'
import { deriveViews } from '../../evidence/views.ts'
import { armorSignature, signDetached } from '../../lib/openpgp.ts'
import { interop } from '../support/interop.ts'
import { type BuilderKeys, builderKeys } from '../support/ledger-builder.ts'
import { controls, disclosed, Story } from './support.ts'

const period = { from: '2026-01-01T00:00:00.000Z', to: '2099-01-01T00:00:00.000Z' }

/** What PostgreSQL itself writes: the gateway's session, one that went around it, and one that is explained. */
async function realLog(): Promise<string> {
  const server = await startPostgres()
  const connect = async (user: string, application_name: string) => {
    const url = new URL(server.url())
    if (user !== 'postgres') Object.assign(url, { username: user, password: 'postgres' })
    const client = new pg.Client({ connectionString: url.href, application_name })
    await client.connect()
    return client
  }
  try {
    const migration = await connect('postgres', 'migration')
    await migration.query('create table customers (id int, ssn text)')
    await migration.query("create role gateway login superuser password 'postgres'")
    await migration.end()
    const gateway = await connect('gateway', 'counterfoil:crm')
    await gateway.query('select * from customers')
    await gateway.query('insert into customers values ($1, $2)', [1, '078-05-1120'])
    await gateway.query("set application_name = 'psql'")
    await gateway.query('select count(*) from customers')
    await gateway.end()
    const around = await connect('postgres', 'psql')
    await around.query('select ssn from customers -- , "quoted",\n where ssn = \'078-05-1120\'')
    await around.end()
    const pretended = await connect('postgres', 'counterfoil:crm')
    await pretended.query('delete from customers')
    await pretended.end()
    return await server.csvlog('delete from customers')
  } finally {
    await server.stop()
  }
}

let keys: BuilderKeys
let log: string

beforeAll(async () => {
  keys = await builderKeys()
  log = await realLog()
}, 300_000)

const source = (more: object = {}) => ({
  name: 'postgres',
  text: log,
  target: 'crm',
  user: 'gateway',
  explained: [{ application: 'migration', why: 'the schema, before the gateway was set up' }],
  ...more,
})

async function views(tell: (story: Story) => void = story => void story.inOrder()) {
  const story = await Story.begin({ keys })
  tell(story)
  return deriveViews({ before: [], entries: disclosed(story.builder), period, checkpoints: [], requirements: [] })
}

describe('reconciliation with the log that PostgreSQL itself writes', () => {
  test('names whoever went around the gateway, also under its application name, and nobody else', async () => {
    const result = reconcile(readImport(source()), await views(), period)
    expect(result.word).toBe('exceptions-noted')
    expect(result.bypasses.map(row => [row.user, row.application, row.tag])).toEqual([
      ['postgres', 'psql', 'SELECT'],
      ['postgres', 'counterfoil:crm', 'DELETE'],
    ])
    expect([result.throughGateway, result.explained]).toEqual([4, 2])
  })

  test('keeps nothing of the text of a statement', () => {
    expect(log).toContain('078-05-1120')
    expect(JSON.stringify(readImport(source()))).not.toMatch(/078-05-1120|ssn|select/)
  })

  test('a log without the gateway, and an empty one, are unable-to-test and no pass', async () => {
    const everybody = [{ why: 'anything' }]
    const other = reconcile(readImport(source({ user: 'somebody', explained: everybody })), await views(), period)
    expect([other.word, other.why]).toEqual(['unable-to-test', expect.stringContaining('log_statement')])
    expect(reconcile(readImport(source({ text: '' })), await views(), period).word).toBe('unable-to-test')
    const before = { from: '2020-01-01T00:00:00.000Z', to: '2020-01-02T00:00:00.000Z' }
    expect(reconcile(readImport(source()), await views(() => undefined), before).word).toBe('not-occurring')
  })

  test('what is no csvlog, or not in UTC, is refused with its line', () => {
    expect(() => readImport(source({ text: 'a,b\n' }))).toThrow("postgres:1: not a line of PostgreSQL's csvlog")
    expect(() => readImport(source({ text: log.replaceAll(' UTC', ' CEST') }))).toThrow('set log_timezone')
    expect(() => readImport(source({ text: '"open' }))).toThrow('does not end')
    expect(() => readImport(source({ name: '../x' }))).toThrow('plain name')
  })

  test('a CSV of another source is read by its header', async () => {
    const text =
      'time,user,application,session\n2026-07-01T00:00:00Z,gateway,counterfoil:crm,1\n2026-07-01T00:00:01Z,dba,psql,2\n'
    const imported = readImport(source({ text, format: 'csv' }))
    expect(reconcile(imported, await views(), period).bypasses.map(row => row.user)).toEqual(['dba'])
    expect(() => readImport(source({ text: 'time,user\n', format: 'csv' }))).toThrow('no column application')
    expect([isImport(imported), isImport(null), isImport({ ...imported, statements: [null] })]).toEqual([
      true,
      false,
      false,
    ])
  })

  test('stands in the bundle, and is derived again from it', async () => {
    const scratch = await mkdtemp(join(tmpdir(), 'reconciled-'))
    try {
      const story = (await Story.begin({ keys })).inOrder()
      await story.builder.write(join(scratch, 'ledger'))
      const bundle = await buildBundle({
        ledger: { directory: join(scratch, 'ledger'), fingerprint: keys.seal.fingerprint },
        out: join(scratch, 'bundle'),
        organisation: 'CRM Example',
        ...period,
        controls,
        imports: [source()],
        sign: async bytes => armorSignature(await signDetached(keys.seal, bytes)),
      })
      expect(bundle.exceptions).toBe(true)
      expect(bundle.files.get('results/bypasses.csv')).toContain('not through the gateway')
      expect([...bundle.files.values()].join('')).not.toContain('078-05-1120')
      const result = await verifyBundle({ directory: bundle.directory, fingerprint: keys.seal.fingerprint })
      expect([result.verdict, result.reconciliations[0]?.bypasses.length]).toEqual(['OK', 2])
    } finally {
      await rm(scratch, { recursive: true, force: true })
    }
  })
})

describe('CSV', () => {
  const nasty = [
    '=1+1',
    '+1',
    '-1',
    '@x',
    "'x",
    '\ttab',
    '\rcr',
    'a\nb',
    'a,b',
    'say "x"',
    '\\n',
    '\\',
    'x\u202ey',
    '\u0000',
    '',
    ' =1',
    'ünïcode',
    'x\\u0041',
  ]

  test('no cell opens a formula, every one can be had back, and our reader reads our writer', () => {
    const text = toCsv(
      ['a', 'b'],
      nasty.map(a => ({ a, b: 1 })),
    )
    const records = [...parseCsv(text)].slice(1)
    expect(records.map(({ cells }) => unescapeCell(cells[0]!))).toEqual(nasty)
    for (const { cells } of records) expect(cells[0]).not.toMatch(/^[=+\-@\t\r ]/)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/)
    expect(escapeCell(['a', 'b'])).toBe('a; b')
    expect(escapeCell(null)).toBe('')
  })

  interop('python3', "Python's reader agrees with ours", python => {
    const text = toCsv(
      ['a', 'b'],
      nasty.map(a => ({ a, b: 1 })),
    )
    const script = 'import csv,sys,json; print(json.dumps(list(csv.reader(sys.stdin))))'
    const rows = JSON.parse(execFileSync(python, ['-c', script], { input: text, encoding: 'utf8' })) as string[][]
    expect(rows).toEqual([...parseCsv(text)].map(({ cells }) => cells))
  })
})
