/**
 * What the gateway costs: the same load through it, with the real guard and a ledger in a directory, and through a plain pipe between
 * two sockets, in turns. The server is a real one with `fsync=off` and no statement log; what is synced is the ledger.
 */
import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { postgresGateway } from '../../adapters/pg/index.ts'
import { type RunningPostgres, startPostgres } from '../../cli/demo/postgres.ts'
import type { Control } from '../../lib/control.ts'
import { requester } from '../support/guard.ts'
import { findTool } from '../support/interop.ts'
import { benchGuard } from './doors/guard.ts'
import { quantile } from './measure.ts'
import type { Row } from './row.ts'

const rounds = 3
const seconds = 2
const bulkRows = 500_000

const sql = `
  create table accounts (aid int primary key, bid int not null, balance int not null, filler char(84) not null);
  insert into accounts select n, 1, n, '' from generate_series(1, 100000) n;
  create table people (id int primary key, name text not null, email text not null, ssn text not null);
  insert into people select n, format('Customer %s', n), format('c%s@customer.example', n), format('123-45-%s', lpad((n % 10000)::text, 4, '0'))
    from generate_series(1, ${bulkRows}) n;
  vacuum analyze;
`
const script = '\\set aid random(1, 100000)\nSELECT balance FROM accounts WHERE aid = :aid;\n'

const masking = (id: string, table: string, field: string): Control => ({
  id,
  title: id,
  criteria: ['CC6.1'],
  covers: { resource: `crm/public.${table}` },
  mask: { [field]: 'last4' },
  mode: 'enforce',
  tests: 'auto',
})

// Table: the ways to the server. `masked` and `clear` differ in whether the mask matches what is selected.
// biome-ignore format: a table
const ways = {
  pipe:   undefined,
  clear:  [masking('CF-01', 'elsewhere', 'ssn')],
  masked: [masking('CF-01', 'people', 'ssn'), masking('CF-02', 'accounts', 'filler')],
} as const satisfies Record<string, readonly Control[] | undefined>

type Way = keyof typeof ways
type Ports = Readonly<Record<Way, number>>

export async function suite(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-postgres-'))
  const server = await startPostgres({ settings: { log_statement: 'none', log_connections: 'off' } })
  const closing: (() => Promise<void>)[] = []
  try {
    const admin = new pg.Client(server.url())
    await admin.connect()
    for (const statement of sql.split(';').filter(part => part.trim() !== '')) await admin.query(statement)
    await admin.end()
    const pipe = await openPipe(server.port)
    closing.push(pipe.close)
    const clear = await openGateway(server, ways.clear, join(folder, 'clear'))
    closing.push(clear.close)
    const masked = await openGateway(server, ways.masked, join(folder, 'masked'))
    closing.push(masked.close)
    const ports: Ports = { pipe: pipe.port, clear: clear.port, masked: masked.port }
    return [...(await selects(ports, folder)), ...(await bulk(ports))]
  } finally {
    for (const close of closing) await close()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Listening {
  readonly port: number
  readonly close: () => Promise<void>
}

/** The least that anything between a client and its server can cost in this process. */
async function openPipe(to: number): Promise<Listening> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, client => {
    const upstream = connect({ port: to, host: '127.0.0.1', noDelay: true })
    for (const [from, into] of [[client, upstream] as const, [upstream, client] as const]) {
      sockets.add(from)
      from.pipe(into)
      from.on('error', () => into.destroy())
      from.on('close', () => sockets.delete(from))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

async function openGateway(
  server: RunningPostgres,
  controls: readonly Control[],
  directory: string,
): Promise<Listening> {
  const guard = await benchGuard(directory, controls)
  const gateway = await postgresGateway({ gate: guard, target: 'crm', upstream: server.url() })
  const { port } = await gateway.listen(0, '127.0.0.1')
  return {
    port,
    async close() {
      await gateway.close()
      await guard.close()
    },
  }
}

// The pipe leads to the server's own login, the gateways to theirs.
const loginOf = (way: Way) =>
  way === 'pipe' ? { user: 'postgres', password: 'local-only' } : { user: 'anyone', password: requester.id }

type Protocol = 'simple' | 'extended'

interface Load {
  readonly protocol: Protocol
  readonly clients: number
}

interface Measured {
  /** Transactions a second, over all clients. */
  tps: number
  /** Milliseconds. */
  readonly latencies: number[]
}

// Table: the loads, as pgbench -S has them.
// biome-ignore format: a table
const loads: readonly Load[] = [
  { protocol: 'simple',   clients: 1 },
  { protocol: 'simple',   clients: 8 },
  { protocol: 'extended', clients: 1 },
  { protocol: 'extended', clients: 8 },
]

async function selects(ports: Ports, folder: string): Promise<Row[]> {
  const pgbench = findTool('pgbench')
  const measure = pgbench === undefined ? byClient : byPgbench(pgbench, folder)
  const rows: Row[] = []
  for (const load of loads) {
    const found = await interleaved(way => measure(ports[way], loginOf(way), load))
    const name = `select, ${load.protocol}, ${load.clients} client${load.clients > 1 ? 's' : ''}`
    for (const way of ['clear', 'masked'] as const) {
      const suffix = way === 'masked' ? ', a mask in force' : ''
      rows.push(figure(`${name}${suffix}`, '1/s', found[way].tps, found.pipe.tps))
      const p50 = (of: Measured) => quantile(of.latencies, 0.5) * 1000
      rows.push(figure(`${name}${suffix}, p50`, 'us', p50(found[way]), p50(found.pipe)))
    }
  }
  return rows
}

const figure = (name: string, unit: string, value: number, pipe: number): Row => ({
  suite: 'postgres',
  name,
  value,
  unit,
  yardstick: `a plain pipe (${pipe >= 100 ? pipe.toFixed(0) : pipe.toPrecision(3)} ${unit})`,
  ratio: value / pipe,
})

/** Each way in turn, several times, so that all meet the same neighbours. The first turn compiles, and is not counted. */
async function interleaved(measure: (way: Way) => Promise<Measured>): Promise<Record<Way, Measured>> {
  const found = {} as Record<Way, Measured>
  for (let round = 0; round <= rounds; round += 1) {
    for (const way of Object.keys(ways) as Way[]) {
      const { tps, latencies } = await measure(way)
      if (round === 0) found[way] = { tps: 0, latencies: [] }
      else {
        found[way].tps += tps / rounds
        found[way].latencies.push(quantile(latencies, 0.5))
      }
    }
  }
  return found
}

type Measure = (port: number, login: { user: string; password: string }, load: Load) => Promise<Measured>

const run = promisify(execFile)

function byPgbench(tool: string, folder: string): Measure {
  return async (port, { user, password }, { protocol, clients }) => {
    const log = mkdtempSync(join(folder, 'pgbench-'))
    const file = join(log, 'script.sql')
    writeFileSync(file, script)
    const options = ['-n', '-f', file, '-M', protocol, '-c', String(clients), '-j', '1', '-T', String(seconds)]
    const { stdout } = await run(tool, [...options, '-l', '--log-prefix', join(log, 'log'), 'postgres'], {
      env: { ...process.env, PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: user, PGPASSWORD: password },
    })
    const tps = Number(/^tps = ([0-9.]+) \(without/m.exec(stdout)?.[1])
    const logs = readdirSync(log).filter(name => name.startsWith('log.'))
    // Each line: client, transaction, latency in microseconds, ...
    const latencies = logs.flatMap(name =>
      readFileSync(join(log, name), 'latin1')
        .split('\n')
        .filter(line => line !== '')
        .map(line => Number(line.split(' ')[2]) / 1000),
    )
    rmSync(log, { recursive: true })
    return { tps, latencies }
  }
}

/** Where there is no pgbench: clients in this process, whose own cost the figures then hold on both sides. */
const byClient: Measure = async (port, login, { protocol, clients }) => {
  const latencies: number[] = []
  const until = performance.now() + seconds * 1000
  const one = async () => {
    const client = new pg.Client({ ...login, port, host: '127.0.0.1', database: 'postgres' })
    await client.connect()
    while (performance.now() < until) {
      const aid = 1 + Math.floor(Math.random() * 100_000)
      const start = performance.now()
      await (protocol === 'simple'
        ? client.query(`SELECT balance FROM accounts WHERE aid = ${aid}`)
        : client.query('SELECT balance FROM accounts WHERE aid = $1', [aid]))
      latencies.push(performance.now() - start)
    }
    await client.end()
  }
  await Promise.all(Array.from({ length: clients }, one))
  return { tps: latencies.length / seconds, latencies }
}

async function bulk(ports: Ports): Promise<Row[]> {
  const client = fork(fileURLToPath(new URL('./wire-client.ts', import.meta.url)), { stdio: 'inherit' })
  const best: Record<Way, number> = { pipe: 0, clear: 0, masked: 0 }
  let bytes = 0
  try {
    for (let round = 0; round <= rounds; round += 1) {
      for (const way of Object.keys(ways) as Way[]) {
        const { user, password } = loginOf(way)
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@127.0.0.1:${ports[way]}/postgres`
        client.send({ url, sql: 'select id, name, email, ssn from people' })
        const [answer] = (await once(client, 'message')) as [{ error?: string; seconds: number; bytes: number }]
        if (answer.error !== undefined) throw new Error(answer.error)
        // As the server sent them: masking makes no row shorter in the figure.
        if (way === 'pipe') bytes = answer.bytes
        best[way] = Math.max(best[way], bytes / answer.seconds / 1e6)
      }
    }
  } finally {
    client.kill()
  }
  const name = `select of ${bulkRows.toLocaleString('en')} rows`
  return [
    figure(`${name}, unmasked`, 'MB/s', best.clear, best.pipe),
    figure(`${name}, a column masked`, 'MB/s', best.masked, best.pipe),
  ]
}
