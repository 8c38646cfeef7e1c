/** `counterfoil tail`, before a gateway that is at work and over entries of every kind: what happens shows at once, in lines that fit. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf } from '../../cli/tail/event.ts'
import { type Layout, lineOf } from '../../cli/tail/line.ts'
import { Teller } from '../../cli/tail/teller.ts'
import { Memory, type Told } from '../../cli/tail/told.ts'
import { widthOf } from '../../cli/width.ts'
import { Follower } from '../../evidence/index.ts'
import { type Entry, kindNames } from '../../lib/format/entry.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { ledgerOptions } from '../support/directory-ledger.ts'
import { postgres } from '../support/postgres.ts'
import { freePort, install, type Running, read, shell, start } from '../support/samples.ts'

const slow = 300_000

describe('lines', () => {
  const vectors = JSON.parse(read('fixtures/vectors/entries.json')) as readonly { readonly entry: Entry }[]
  const entries = vectors.map(({ entry }) => entry)
  const paint: Layout['paint'] = text => text
  const tell = (all: readonly Entry[]): Told[] => {
    const memory = new Memory()
    return all.map((entry, index) => memory.tell({ index, entry, sealed: [] }))
  }
  const lines = (all: readonly Entry[], columns: number, who = 'somebody@crm.example') =>
    eventsOf(tell(all)).map(event => lineOf(event, who, undefined, { columns, paint }))

  it('there are for every kind of entry, none wider than the terminal', () => {
    expect(new Set(entries.map(({ kind }) => kind))).toEqual(new Set(kindNames))
    for (const columns of [40, 60, 80, 109, 110, 140]) {
      for (const entry of entries) {
        const [line] = lines([entry], columns, '名前の長い人@crm.example.example.example')
        expect(widthOf(line!)).toBeLessThanOrEqual(columns)
        expect(line!.length).toBeGreaterThan(30)
      }
    }
  })

  it('are one for an operation that is over, and two for one that was read before it was', () => {
    const exchange = '0190b0a0-0000-7000-8000-000000000001'
    const head = { v: 1, id: exchange, writer: 'w', seq: 1 } as const
    const decision: Entry = {
      ...{ ...head, kind: 'decision', time: '2026-01-01T00:00:00.000Z', exchange, protocol: 'postgres', target: 'crm' },
      ...{ action: 'x', accesses: [{ action: 'update', resource: 'crm/public.customers' }], controls: ['AC-03'] },
      ...{ risk: 'low', read: false, verdict: 'permit', durability: 'durable', grant: 'g-11111111' },
    }
    const outcome: Entry = {
      ...{
        ...head,
        kind: 'outcome',
        time: '2026-01-01T00:00:00.250Z',
        exchange,
        result: 'completed',
        items: 2,
        bytes: 1500,
      },
      masked: ['ssn'],
    }
    const settled: Entry = {
      ...{ ...head, kind: 'settled', time: '2026-01-01T00:00:01.000Z', exchanges: [exchange], result: 'committed' },
    }
    expect(lines([decision, outcome, settled], Number.POSITIVE_INFINITY).map(line => line.slice(63))).toEqual([
      'permit   update crm/public.customers  completed  committed  2 rows, 1.5 kB  250 ms  g-11111111  AC-03  masked ssn  0190b0a0-0000-7000-8000-000000000001',
    ])
    const told = tell([decision, outcome, settled])
    const apart = told.flatMap(one => eventsOf([one]))
    expect(apart.map(event => [event.what, event.details.map(([, text]) => text)])).toEqual([
      ['update crm/public.customers', ['under way', 'g-11111111', 'AC-03', exchange]],
      ['update crm/public.customers', ['completed', '2 rows, 1.5 kB', '250 ms', 'masked ssn', exchange]],
      ['update crm/public.customers', ['committed']],
    ])
  })

  it('have a number that `show` takes, whatever else had to go, and no id is cut', () => {
    const ids = /[agh]-[0-9a-z]{8,}|[0-9a-f]{8}-[0-9a-f-]{27}/g
    const everything = lines(entries, Number.POSITIVE_INFINITY)
    for (const columns of [80, 110, 140]) {
      for (const [i, line] of lines(entries, columns).entries()) {
        expect(line).toMatch(/ #\d+ /)
        const whole = everything[i]!.match(ids) ?? []
        for (const id of line.match(ids) ?? []) expect(whole).toContain(id)
        for (const id of whole) if (line.includes(id.slice(0, 8))) expect(line).toContain(id)
      }
    }
    const [asked] = lines([entries.find(({ kind }) => kind === 'approval-requested')!], 80)
    expect(asked).toMatch(/ ask +a-[0-9a-z]+: \S.*…/)
  })

  it('tell the day above them where a terminal has no room for it in each, once until it changes', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    const follower = await Follower.open(options.directory, undefined)
    const of = (time: string, index: number) => ({ index, entry: { ...entries[0]!, time } as Entry, sealed: [] })
    const batch = ['2026-01-01T23:59:59.000Z', '2026-01-02T00:00:00.000Z', '2026-01-02T00:00:01.000Z'].map(of)
    const told = async (columns: number) => {
      const filter = { denied: false, all: true } as const
      const layout = () => ({ columns, paint })
      const teller = new Teller(follower!, { json: false, filter, wrapping: undefined, layout })
      return (await teller.lines(batch)).flatMap(({ text }) => text.split('\n')).map(line => line.split('  ')[0])
    }
    for (const columns of [60, 80, 110, 139])
      expect(await told(columns)).toEqual(['2026-01-01 (UTC)', '23:59:59', '2026-01-02 (UTC)', '00:00:00', '00:00:01'])
    for (const columns of [140, Number.POSITIVE_INFINITY])
      expect(await told(columns)).toEqual(batch.map(({ entry }) => entry.time))
  })

  it('show what a name or a message would do to a terminal, and do not do it', () => {
    const [event] = eventsOf(tell([entries.find(({ kind }) => kind === 'event')!]))
    const line = lineOf(event!, 'a\u001b[2J\u202eb', 'done\u0007\n2026 forged', { columns: 200, paint })
    expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(line).toContain('a\\u{001b}[2J\\u{202e}b')
    expect(line).toContain('\\u{000a}2026 forged')
  })
})

describe('tail of a gateway at work', () => {
  const database = postgres(`
    create database crm;
  `)
  let where: string
  let running: Running
  let early: Running
  let gateway: string
  let user: { readonly person: string; readonly key: string }

  beforeAll(async () => {
    where = mkdtempSync(join(tmpdir(), 'counterfoil-tail-'))
    install(where)
    const upstream = { DATABASE_URL: database().server.url('crm') }
    const direct = new pg.Client(upstream.DATABASE_URL)
    await direct.connect()
    for (let n = 1; n <= 5; n += 1) await direct.query(`create table t${n} (n int)`)
    await direct.end()
    const line =
      'counterfoil init --name crm --upstream env:DATABASE_URL --people user@crm.example,approver@crm.example --json'
    user = JSON.parse((await shell(line, where, upstream)).text).keys[0]
    gateway = await freePort()
    const file = join(where, 'counterfoil.yaml')
    const controls = join(where, 'controls.yaml')
    writeFileSync(
      controls,
      readFileSync(controls, 'utf8').replace(/( +)mask: .*\n/, '$&$1record: { response: masked }\n'),
    )
    const config = readFileSync(file, 'utf8')
      .replace('6432', gateway)
      .replace('9090', await freePort())
    writeFileSync(file, config)
    early = await start(['counterfoil', 'tail'], /waiting for one/, where)
    running = await start(['counterfoil', 'serve'], /admin address/, where, upstream)
  }, slow)

  afterAll(async () => {
    await early.stop()
    await running.stop()
    rmSync(where, { recursive: true, force: true })
  })

  async function login(): Promise<pg.Client> {
    const client = new pg.Client({
      ...{ host: '127.0.0.1', port: Number(gateway), database: 'crm', user: user.person, password: user.key },
    })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }

  const lastLines = async (options: string) => {
    const { status, text } = await shell(`counterfoil tail --no-follow ${options}`, where)
    expect(status, text).toBe(0)
    return text.split('\n').filter(line => line !== '')
  }

  it(
    'shows an operation while it is under way, and again when it is over',
    async () => {
      await early.says(/is recording/)
      const client = await login()
      await early.says(/user@crm\.example +session +postgres crm/)
      for (let n = 1; n <= 5; n += 1) {
        // What is answered is recorded.
        await client.query(`select n from t${n}`)
        await early.says(new RegExp(`permit +select crm/public\\.t${n} +completed`))
      }
      await expect(client.query('update t1 set n = 1')).rejects.toThrow(/grant/)
      await early.says(/deny +update crm\/public\.t1 +ERR_GRANT_REQUIRED/)
      const slowly = client.query("select repeat('x', 100), pg_sleep(0.001) from generate_series(1, 1500)")
      await early.says(/permit +session crm\/session +under way/)
      await slowly
      await early.says(/permit +session crm\/session +completed +1500 rows, \d+\.\d kB +\d\.\d s/)
      await client.end()
      await early.says(/session +closed: client/)
    },
    slow,
  )

  it(
    'begins where it is told, and shows only what is asked for',
    async () => {
      const all = await lastLines('-n 1000')
      expect(await lastLines('-n 3')).toEqual(all.slice(-3))
      expect(await lastLines('-n 0')).toEqual([])
      expect(await lastLines('--since 1h')).toEqual(all)
      expect(await lastLines('--since 1h --subject user@crm.example')).toEqual(
        all.filter(line => line.includes('user@crm.example')),
      )
      expect(await lastLines('-n 1000 --subject nobody@crm.example')).toEqual([])
      expect(await lastLines('-n 1000 --resource "crm/session"')).toEqual(
        all.filter(line => line.includes('crm/session')),
      )
      expect(await lastLines('-n 1000 --resource "fleet/**"')).toEqual([])
      const denied = await lastLines('-n 1000 --denied')
      expect(denied).toEqual(all.filter(line => / deny /.test(line)))
      expect(denied.length).toBeGreaterThan(0)
      expect((await lastLines('-n 1000 --all')).length).toBeGreaterThan(all.length)
    },
    slow,
  )

  it(
    'gives programs an entry a line, with what it belongs to and who it names',
    async () => {
      const told = (await lastLines('-n 1000 --json')).map(line => JSON.parse(line))
      const decisions = told.filter(({ entry }) => entry.kind === 'decision' && entry.subject !== undefined)
      const outcomes = told.filter(({ entry }) => entry.kind === 'outcome')
      expect(outcomes.length).toBeGreaterThan(0)
      for (const { entry, names } of decisions) expect(names[entry.subject]).toBe('user@crm.example')
      for (const { entry, of, milliseconds } of outcomes) {
        const decision = told.find(one => one.entry.kind === 'decision' && one.entry.exchange === entry.exchange)
        expect(of).toEqual([{ index: decision.index, actors: expect.anything(), accesses: decision.entry.accesses }])
        expect(milliseconds).toBe(Date.parse(entry.time) - Date.parse(decision.entry.time))
      }
    },
    slow,
  )

  it(
    'names sessions, which replay shows in order: each statement, its result or that there is none, and its end',
    async () => {
      const client = await login()
      await client.query("insert into t1 select 1 where 'x' = $1", ['y']).catch(() => undefined)
      await client.query('select n, 2 as two from t1 where n = any($1) or $2', [[1], null])
      await client.query('select 1 as unrecorded')
      await client.query('select missing from t1').catch(() => undefined)
      await client.end()
      let closed: Entry | undefined
      while (closed?.kind !== 'session-closed') closed = JSON.parse((await lastLines('--json -n 1'))[0]!).entry
      const replayed = `counterfoil replay ${closed.session}`
      // What replay shows is published and verified, up to a second later.
      let ran = await shell(replayed, where)
      while (!ran.text.includes('closed: client')) ran = await shell(replayed, where)
      const { status, text } = ran
      expect(status, text).toBe(0)
      expect(
        text
          .replaceAll(/[0-9T:.-]{23}Z/g, 'TIME')
          .replaceAll(/[0-9a-f-]{36}/g, 'ID')
          .replaceAll(/\d+ ms/g, 'MS'),
      ).toBe(
        [
          '-- TIME  postgres crm, by key, session ID',
          '',
          '-- TIME',
          "crm=> insert into t1 select 1 where 'x' = $1 \\bind 'y' \\g",
          '-- refused: ERR_GRANT_REQUIRED (exchange ID)',
          '',
          '-- TIME',
          'crm=> select n, 2 as two from t1 where n = any($1) or $2 \\bind \'{"1"}\' NULL \\g',
          ' n | two ',
          '---+-----',
          '(0 rows)',
          '',
          '-- completed after MS, masked CF-01:email:absent,CF-01:ssn:absent',
          '',
          '-- TIME',
          'crm=> select 1 as unrecorded;',
          '-- not recorded (completed, 1 row, 12 bytes): no control asked for it, or nothing was shown (exchange ID)',
          '-- completed after MS',
          '',
          '-- TIME',
          'crm=> select missing from t1;',
          'ERROR:  column "missing" does not exist',
          'LINE 1: select missing from t1',
          '               ^',
          '-- failed 42703 after MS',
          '',
          '-- TIME  closed: client',
          '',
        ].join('\n'),
      )
      const json = JSON.parse((await shell(`${replayed} --json`, where)).text)
      const kinds = json.map(({ entry }: { entry: Entry }) => entry.kind)
      expect(kinds.filter((kind: string) => kind === 'decision')).toHaveLength(4)
      expect([kinds[0], kinds.at(-1)]).toEqual(['session-opened', 'session-closed'])
    },
    slow,
  )

  it(
    'names nobody without the key of the vault, and takes it beside a directory',
    async () => {
      const bare = await lastLines('ledger -n 1000')
      expect(bare.join('\n')).not.toContain('@crm.example')
      expect(await lastLines('ledger --vault keys/vault.key -n 1000')).toEqual(await lastLines('-n 1000'))
      const ran = await shell('counterfoil tail ledger --no-follow --subject user@crm.example', where)
      expect(ran).toMatchObject({ status: 2, text: expect.stringContaining('--vault') })
    },
    slow,
  )

  // biome-ignore format: a table
  it.each([
    ['two beginnings',          'counterfoil tail -n 1 --since 1h',        2, /--since and --lines/],
    ['a count that is none',    'counterfoil tail -n many',                2, /--lines takes/],
    ['a time that is none',     'counterfoil tail --since yesterday',      2, /not a duration/],
    ['a key without a ledger',  'counterfoil tail --vault keys/vault.key', 2, /--vault goes with/],
    ['no ledger',               'counterfoil tail keys --no-follow',       4, /ERR_LEDGER_MISSING/],
  ])('refuses %s', async (_, line, status, text) => {
    expect(await shell(line, where)).toMatchObject({ status, text: expect.stringMatching(text) })
  }, slow)

  it(
    'ends well when it is told to, and when whoever reads has seen enough',
    async () => {
      const other = await start(['counterfoil', 'tail', '-n', '1'], /\d/, where)
      other.signal('SIGINT')
      expect(await other.ended).toMatchObject({ status: 0, text: expect.not.stringMatching(/rror/) })
      const piped = shell('{ counterfoil tail -n 5; echo status $? >&2; } | head -1', where)
      const client = await login()
      // Each of these is a line that nobody reads.
      let over = false
      void piped.then(() => (over = true))
      while (!over) await client.query('select 1')
      await client.end()
      const { text } = await piped
      expect(text.trim().split('\n')).toEqual([expect.stringMatching(/^\d{4}-/), 'status 0'])
    },
    slow,
  )

  it(
    'says that the ledger has gone, or that another has taken its place',
    async () => {
      await running.stop()
      const [ledger, moved] = [join(where, 'ledger'), join(where, 'moved')]
      const gone = await start(['counterfoil', 'tail', '-n', '1'], /stopped recording/, where)
      renameSync(ledger, moved)
      expect(await gone.ended).toMatchObject({ status: 4, text: expect.stringContaining('no longer there') })
      renameSync(moved, ledger)
      const other = await start(['counterfoil', 'tail', '-n', '1'], /stopped recording/, where)
      const checkpoint = join(ledger, 'checkpoint')
      writeFileSync(`${checkpoint}.tmp`, readFileSync(checkpoint, 'utf8').replace(/^.*\n/, 'another\n'))
      renameSync(`${checkpoint}.tmp`, checkpoint)
      expect(await other.ended).toMatchObject({ status: 3, text: expect.stringContaining('was replaced') })
    },
    slow,
  )
})
