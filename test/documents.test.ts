/** What is written is checked: every sample of README.md is run as it stands, every file, subpath, command and code it names exists. */
import { execSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, normalize } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { problemOf } from '../adapters/http/problem.ts'
import { errorFields, errorResponse } from '../adapters/pg/errors.ts'
import { exit, exitStatusOf } from '../cli/exit.ts'
import { loadConfig } from '../lib/config/config.ts'
import { type AnyError, Fault, LedgerError, Misuse, Refusal } from '../lib/errors.ts'
import { kindNames } from '../lib/format/entry.ts'
import { openGuard } from '../lib/open.ts'
import { authority } from './support/certificates.ts'
import { findTool, interop, without } from './support/interop.ts'
import { postgres } from './support/postgres.ts'
import {
  freePort,
  install,
  manifest,
  plain,
  type Running,
  read,
  root,
  sample,
  samples,
  shell,
  sourceOf,
  start,
} from './support/samples.ts'

const readme = read('README.md')
const slow = 300_000
const temporary: string[] = []
const running: Running[] = []

/** A folder that goes away again, with the command and the package installed in it. */
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'counterfoil-documents-'))
  temporary.push(made)
  install(made)
  return made
}

afterAll(async () => {
  for (const one of running) await one.stop()
  for (const made of temporary) rmSync(made, { recursive: true, force: true })
})

/** Lines of a sample, without what is said about them. */
const linesOf = (name: string) =>
  sample(name)
    .split('\n')
    .filter(line => line !== '')

const edit = (file: string, change: (text: string) => string) =>
  writeFileSync(file, change(readFileSync(file, 'utf8')), { mode: 0o600 })

/** Runs, and expects it to have gone well. */
async function good(text: string, where: string, extra: Readonly<Record<string, string>> = {}): Promise<string> {
  const ran = await shell(text, where, extra)
  expect(ran.status, `${text}\n${ran.text}`).toBe(0)
  return ran.text
}

describe('the samples of the README', () => {
  it('are all run below', () => {
    const fences = readme.match(/^```\w*$/gm)!.length / 2
    const pictures = 1
    expect(samples.size).toBe(fences - pictures)
    // biome-ignore format: a list
    expect([...samples.keys()]).toEqual([
      'try', 'gateway', 'grant', 'express', 'counterfoil.yaml', 'controls.yaml', 'policy.csv', 'pool', 'remote', 'ci', 'keys', 'github', 'gitlab', 'witness', 'prove', 'bundle', 'stranger',
    ])
  })

  it('begin with scripts that there are', () => {
    const named = [...sample('try').matchAll(/npm (?:run )?(\w+)(?= |$)/gm)].map(([, script]) => script!)
    expect(named).toEqual(['ci', 'demo', 'ci', 'test'])
    for (const script of named.filter(name => name !== 'ci')) expect(manifest.scripts).toHaveProperty(script)
    expect(existsSync(join(root, 'package-lock.json'))).toBe(true)
  })

  it('say before they build that they do: the compiler is silent for as long as it takes', () => {
    const [told, build] = manifest.scripts.demo!.split(' && ')
    expect(build).toBe('npm run --silent build')
    expect(execSync(told!, { encoding: 'utf8' })).toMatch(/^building first\b.*\n$/)
    // To cmd.exe and to sh alike: `echo` prints quotes in the one, and what is special to the other must not be in it.
    expect(told).toMatch(/^echo [a-z, ]+$/)
  })

  it('have a picture that fits a terminal', () => {
    const picture = /```\n([\s\S]*?)```/.exec(readme)![1]!.split('\n')
    expect(Math.max(...picture.map(line => line.length))).toBeLessThanOrEqual(100)
  })
})

describe('the gateway of the README', () => {
  const database = postgres(`
    create database crm;
  `)
  const environment: Record<string, string> = {}
  let where: string
  let upstream: string
  let fill: (text: string) => string

  /** Through psql where it is installed, as the README does; else through pg, to the same place. */
  async function query(line: string) {
    if (findTool('psql') !== undefined) return shell(line, where, environment)
    const { Client } = (await import('pg')).default
    const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = environment
    const client = new Client({
      host: PGHOST!,
      port: Number(PGPORT),
      user: PGUSER!,
      password: PGPASSWORD!,
      database: PGDATABASE!,
    })
    await client.connect()
    const sql = /-c (["'])(.*?)\1/.exec(line)![2]!
    const found = await client.query(sql).then(
      ({ rows, command }) => ({ status: 0, text: `${command} ${JSON.stringify(rows)}` }),
      (error: Error) => ({ status: 1, text: error.message }),
    )
    await client.end()
    return found
  }

  beforeAll(async () => {
    where = folder()
    const { server } = database()
    upstream = server.url('crm')
    const { Client } = (await import('pg')).default
    const direct = new Client(upstream)
    await direct.connect()
    await direct.query(`
      create table customers (id integer primary key, name text not null, email text not null, ssn text not null);
      insert into customers values (1, 'Customer 0001', 'customer-0001@customers.example', '900-12-3456')
    `)
    await direct.end()
    const [gateway, admin] = [await freePort(), await freePort()]
    const keys: string[] = []
    fill = text =>
      text
        .replace(/postgres:\/\/\S+/, upstream)
        .replaceAll(/\b6432\b/g, gateway)
        .replaceAll(/\b9090\b/g, admin)
        .replaceAll('cfk_...', () => keys.shift() ?? 'cfk_...')

    for (const line of linesOf('gateway')) {
      if (line.startsWith('psql')) continue
      if (line.startsWith('counterfoil serve')) {
        edit(join(where, 'counterfoil.yaml'), fill)
        running.push(await start(['counterfoil', 'serve'], /admin address/, where, environment))
        continue
      }
      if (line.startsWith('export ')) {
        for (const [, name, value] of fill(line).matchAll(/(\w+)=(\S+)/g)) {
          environment[name!] = value!.replace(/^\$(\w+)$/, (_, other: string) => environment[other]!)
        }
        continue
      }
      const text = await good(line, where, environment)
      if (!line.includes('init')) continue
      keys.push(...(text.match(/cfk_\w+_[\w-]+/g) ?? []))
      environment.FINGERPRINT = /^\s+([0-9A-F]{40})$/m.exec(text)![1]!
    }
    mkdirSync(join(where, 'monitor'))
    environment.MONITOR = join(where, 'monitor')
  }, slow)

  it(
    'shows rows masked, and refuses an update with what to ask for',
    async () => {
      const [select, update] = linesOf('gateway').filter(line => line.startsWith('psql'))
      const rows = await query(select!)
      expect(rows.status, rows.text).toBe(0)
      expect(rows.text).toContain('Customer 0001')
      expect(rows.text).toContain('****3456')
      expect(rows.text).not.toMatch(/900-12|customers\.example/)
      const refused = await query(update!)
      expect(refused.status).not.toBe(0)
      expect(refused.text).toContain('counterfoil request crm/public.customers --action update')
    },
    slow,
  )

  it(
    'lets the update run once another person has approved the grant',
    async () => {
      let id = 'g-...'
      for (const line of linesOf('grant')) {
        if (line.startsWith('psql')) {
          expect(await query(line)).toMatchObject({ status: 0, text: expect.stringContaining('UPDATE') })
          continue
        }
        const text = await good(fill(line).replace('g-...', id), where, environment)
        id = /\bg-[\w-]{6,}/.exec(text)?.[0] ?? id
      }
      // It shows what is published, which is a second behind.
      await expect.poll(() => good(`counterfoil show ${id}`, where, environment)).toContain('grant-decided')
    },
    slow,
  )

  it(
    'is verified with a pin of its own, and a pin that is gone is a failure',
    async () => {
      const [first, each] = linesOf('ci')
      expect((await shell(each!, where, environment)).status).toBe(exit.incomplete)
      await good(first!, where, environment)
      expect(await good(each!, where, environment)).toContain('OK')
    },
    slow,
  )

  it(
    'becomes a bundle that verifies',
    async () => {
      const now = new Date()
      const day = (months: number) =>
        new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months, 1)).toISOString().slice(0, 10)
      const period = (line: string) => line.replace('2026-07-01', day(0)).replace('2026-10-01', day(3))
      const [bundle, check] = linesOf('bundle').map(period)
      await good(bundle!, where, environment)
      expect(await good(check!, where, environment)).toContain('OK')
    },
    slow,
  )

  interop(
    ['gpg', 'sha256sum'],
    'is checked by a stranger with gpg, by its status lines, and sha256sum',
    async () => {
      const home = join(where, 'gnupg')
      mkdirSync(home, { mode: 0o700 })
      const text = await good(sample('stranger'), where, { GNUPGHOME: home, LC_ALL: 'C' })
      expect(text).toMatch(/GOODSIG/)
      expect(text).toMatch(new RegExp(`VALIDSIG .*${environment.FINGERPRINT}`))
      expect(text).not.toMatch(/REVKEYSIG|EXPKEYSIG|BADSIG/)
      writeFileSync(join(where, 'crm-2026-q3', 'one-more'), '')
      expect((await shell(sample('stranger'), where, { GNUPGHOME: home, LC_ALL: 'C' })).status).not.toBe(0)
    },
    slow,
  )

  interop('psql', 'was asked with psql', async () => {
    expect(await query("psql -At -c 'select name from customers'")).toMatchObject({ status: 0 })
  })
})

/** A ledger of its own, that has been open once. @returns its folder, and its fingerprint */
async function ledgerOnce(environment: Record<string, string>): Promise<string> {
  const where = folder()
  const made = await good('counterfoil init --name crm', where)
  environment.FINGERPRINT = /^\s+([0-9A-F]{40})$/m.exec(made)![1]!
  await openAndClose(where, environment)
  return where
}

async function openAndClose(where: string, environment: Record<string, string>): Promise<void> {
  const config = await loadConfig(join(where, 'counterfoil.yaml'), { env: environment })
  await (await openGuard(config, { software: 'counterfoil/test', placement: 'gateway' })).close()
}

describe('the keys of the README', () => {
  it(
    'are rotated, revoked and shown, and who has pinned the old fingerprint is led to the new one',
    async () => {
      const environment: Record<string, string> = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/crm' }
      const where = await ledgerOnce(environment)
      const told: string[] = []
      for (const line of linesOf('keys')) told.push(await good(line, where, environment))
      const [, rotated, , shown, verified] = told
      const fresh = /\b[0-9A-F]{40}\b/g
      const [now] = rotated!.match(fresh)!.filter(one => one !== environment.FINGERPRINT)
      expect(shown).toContain(now)
      expect(shown).toContain('superseded')
      expect(verified).toContain('OK')
      await openAndClose(where, environment)
      expect(await good(linesOf('keys').at(-1)!, where, environment)).toContain('OK')
    },
    slow,
  )
})

describe('what others vouch for, of the README', () => {
  it(
    'is cosigned by a witness, verified with its key, and an entry of it proved',
    async () => {
      const where = folder()
      const environment: Record<string, string> = { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/crm' }
      const port = await freePort()
      const made = await good('counterfoil init --name crm', where)
      environment.FINGERPRINT = /^\s+([0-9A-F]{40})$/m.exec(made)![1]!
      for (const line of linesOf('witness').map(text => text.replaceAll('8440', port))) {
        if (line.startsWith('counterfoil witness serve')) {
          const command = line.replace(/ &.*$/, ` --address 127.0.0.1:${port}`)
          running.push(await start(['sh', '-c', `exec ${command}`], /"message":"witness"/, where, environment))
          await openAndClose(where, environment)
          continue
        }
        const text = await good(line, where, environment)
        environment.WITNESS_KEY ??= text.split('\n')[0]!
        environment.LOG ??= /--origin (\S+)/.exec(text)?.[1] ?? ''
        if (environment.LOG === '') delete environment.LOG
        if (line.startsWith('counterfoil verify'))
          expect(text).toMatch(/witness w1\.example vouches for (\d+) of \1 entries/)
      }
      environment.LOG_KEY = environment.LOG!.slice('crm='.length)
      for (const line of linesOf('prove')) await good(line, where, environment)
      writeFileSync(join(where, 'entry-1.tlog-proof.entry'), '{}')
      expect((await shell(linesOf('prove')[1]!, where, environment)).status).toBe(exit.broken)
      expect((await shell(linesOf('prove')[2]!, where, environment)).status).toBe(1)
    },
    slow,
  )
})

describe('the TypeScript of the README', () => {
  it(
    'compiles, all of it at once',
    async () => {
      const where = folder()
      const files = ['express', 'pool'].map(name => `${name}.ts`)
      for (const file of files) writeFileSync(join(where, file), sample(file.slice(0, -3)))
      const compilerOptions = { typeRoots: [join(root, 'node_modules/@types')] }
      const settings = { extends: join(root, 'tsconfig.json'), include: [], files, compilerOptions }
      writeFileSync(join(where, 'tsconfig.json'), JSON.stringify(settings))
      await good(`"${process.execPath}" "${join(root, 'node_modules/typescript/bin/tsc')}" -p .`, where)
    },
    slow,
  )
})

describe('the express application of the README', () => {
  let where: string

  beforeAll(async () => {
    where = folder()
    const init = /`counterfoil init --name api`/.exec(readme)![0].slice(1, -1)
    await good(init, where)
    for (const file of ['counterfoil.yaml', 'controls.yaml', 'policy.csv'])
      writeFileSync(join(where, file), sample(file))
  }, slow)

  it('has a configuration that is read without a problem', async () => {
    const config = await loadConfig(join(where, 'counterfoil.yaml'))
    expect(config.policy.controls.map(control => control.id)).toEqual(['CF-01', 'AC-03'])
  })

  it('has ten lines', () => {
    expect(linesOf('express').length).toBeLessThanOrEqual(11)
  })

  it(
    'runs: masked, refused with what to ask for, unidentified',
    async () => {
      const port = await freePort()
      writeFileSync(join(where, 'app.ts'), sample('express').replace('3000', port))
      const { key } = JSON.parse(await good('counterfoil credentials issue user@example.com --json', where)) as {
        key: string
      }
      running.push(await start(plain('app.ts', where), undefined, where))
      const url = `http://127.0.0.1:${port}/customers/1`
      const headers = { authorization: `Bearer ${key}` }
      const shown = await untilItAnswers(() => fetch(url, { headers }))
      expect(await shown.json()).toEqual({ id: '1', name: 'Customer 0001', ssn: '****3456' })
      expect((await fetch(url)).status).toBe(401)
      const refused = await fetch(url, { method: 'PUT', headers })
      expect(refused.status).toBe(403)
      expect(await refused.json()).toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    },
    slow,
  )

  it(
    'takes grants at the address that its README says how to open',
    async () => {
      const [port, admin] = [await freePort(), await freePort()]
      const call = /`(await serveAdmin\(\{[^`]*?\}\))`/.exec(readme)![1]!.replaceAll('\n', ' ').replace('9090', admin)
      const app = `import { serveAdmin } from 'counterfoil/admin'\n${sample('express').replace('3000', port)}\n${call}\n`
      writeFileSync(join(where, 'with-admin.ts'), app.replaceAll(/'counterfoil.yaml'/g, "'second.yaml'"))
      writeFileSync(join(where, 'second.yaml'), sample('counterfoil.yaml').replace('./ledger', './second'))
      const keyOf = async (person: string) =>
        (JSON.parse(await good(`counterfoil credentials issue ${person} --json`, where)) as { key: string }).key
      const [user, approver] = [await keyOf('user@example.com'), await keyOf('approver@example.com')]
      running.push(await start(plain('with-admin.ts', where), undefined, where))
      const put = () =>
        fetch(`http://127.0.0.1:${port}/customers/1`, { method: 'PUT', headers: { authorization: `Bearer ${user}` } })
      expect((await untilItAnswers(put)).status).toBe(403)
      const server = `--server http://127.0.0.1:${admin}`
      await good(`counterfoil login ${server} --key env:KEY`, where, { KEY: user })
      const asked = await good("counterfoil request api/customers/1 --action put --for 5m --reason 'a test'", where)
      await good(`counterfoil login ${server} --key env:KEY`, where, { KEY: approver })
      await good(`counterfoil approve ${/\bg-[\w-]{6,}/.exec(asked)![0]}`, where)
      // Nothing in the sample answers a PUT, and a page that says so is no JSON: it is the mask that refuses it now.
      expect(await (await put()).json()).toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    },
    slow,
  )
})

describe('the guarded pool of the README', () => {
  const database = postgres(`
    create table customers (id integer primary key, name text not null, ssn text not null);
    insert into customers values (1, 'Customer 0001', '900-12-3456')
  `)

  it(
    'asks the database as whoever asks the route, by the right that the README names',
    async () => {
      const where = folder()
      await good(/`counterfoil init --name api`/.exec(readme)![0].slice(1, -1), where)
      const policy = join(where, 'policy.csv')
      const right = /`(p, role:user, crm\/[^`]+)`/.exec(readme)![1]!
      for (const file of ['controls.yaml', 'policy.csv']) writeFileSync(join(where, file), sample(file))
      writeFileSync(join(where, 'counterfoil.yaml'), sample('counterfoil.yaml').replace('[api]', '[api, crm]'))
      const { key } = JSON.parse(await good('counterfoil credentials issue user@example.com --json', where)) as {
        key: string
      }
      const get = async () => {
        const port = await freePort()
        writeFileSync(join(where, 'app.ts'), sample('pool').replace('3000', port))
        const app = await start(plain('app.ts', where), undefined, where, { DATABASE_URL: database().server.url() })
        running.push(app)
        const headers = { authorization: `Bearer ${key}` }
        const answer = await untilItAnswers(() => fetch(`http://127.0.0.1:${port}/customers/1`, { headers }))
        const said = { status: answer.status, text: await answer.text() }
        await app.stop()
        return said
      }
      expect(await get()).not.toMatchObject({ status: 200 })
      edit(policy, text => `${text}${right}\n`)
      expect(await get()).toEqual({ status: 200, text: '[{"name":"Customer 0001","ssn":"****3456"}]' })
    },
    slow,
  )
})

describe.skipIf(without('openssl'))('the application of the README on another host (with openssl)', () => {
  it(
    'appends through the host that has the ledger, under its own name',
    async () => {
      const [host, other] = [folder(), folder()]
      await good(/`counterfoil init --name api`/.exec(readme)![0].slice(1, -1), host)
      const { key } = JSON.parse(await good('counterfoil credentials issue user@example.com --json', host)) as {
        key: string
      }
      const tls = authority()
      const files = { controls: 'controls.yaml', policy: 'policy.csv' } as const
      for (const [where, issued] of [
        [host, tls.issue({ names: ['IP.1=127.0.0.1'], use: 'serverAuth' })],
        [other, tls.issue({ names: ['URI.1=counterfoil:api:web-1'], use: 'clientAuth' })],
      ] as const) {
        mkdirSync(join(where, 'tls'))
        for (const [name, text] of Object.entries(issued))
          writeFileSync(join(where, `tls/${name}.pem`), String(text), { mode: 0o600 })
        for (const file of Object.values(files)) writeFileSync(join(where, file), sample(file))
      }
      writeFileSync(join(other, 'keys.json'), readFileSync(join(host, 'keys.json')), { mode: 0o600 })
      const [port, listening] = [await freePort(), await freePort()]
      const fill = (text: string) => text.replace('10.0.0.5:7443', `127.0.0.1:${listening}`)
      const [, shared, writer, listen] = /`(shared: true)`, `(writer: [^`]*)`[\s\S]*?`(listen: [^`]*)`/.exec(readme)!
      const shares = [shared, writer, fill(listen!)].map(line => `  ${line}\n`).join('')
      const config = sample('counterfoil.yaml').replace(/^ledger:\n/m, `ledger:\n${shares}`)
      writeFileSync(join(host, 'counterfoil.yaml'), config)
      writeFileSync(join(other, 'counterfoil.yaml'), fill(sample('remote')))
      writeFileSync(join(other, 'app.ts'), sample('express').replace('3000', port))

      const leader = await openGuard(await loadConfig(join(host, 'counterfoil.yaml')), {
        ...{ software: 'counterfoil/test', placement: 'embedded' },
      })
      try {
        const app = await start(plain('app.ts', other), undefined, other)
        running.push(app)
        const headers = { authorization: `Bearer ${key}` }
        const shown = await untilItAnswers(() => fetch(`http://127.0.0.1:${port}/customers/1`, { headers }))
        expect(await shown.json()).toEqual({ id: '1', name: 'Customer 0001', ssn: '****3456' })
        const kinds: string[] = []
        for await (const { entry } of leader.ledger.entries()) if (entry.writer === 'web-1') kinds.push(entry.kind)
        expect(kinds).toEqual(expect.arrayContaining(['started', 'decision', 'outcome']))
        await app.stop()
      } finally {
        await leader.close()
      }
    },
    slow,
  )
})

async function untilItAnswers(ask: () => Promise<Response>): Promise<Response> {
  for (const until = Date.now() + 60_000; ; ) {
    try {
      return await ask()
    } catch (error) {
      if (Date.now() > until) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

describe('the tables of the README', () => {
  const families = { Refusal, Fault, LedgerError, Misuse }
  const who: Record<string, string> = {
    Refusal: 'the subject',
    Fault: 'the operator',
    LedgerError: 'the auditor',
    Misuse: 'the developer',
  }
  const declared = [...read('lib/errors.ts').matchAll(/type (\w+)Code =\n((?: {2}\| '\w+'\n)+)/g)].flatMap(
    ([, family, codes]) =>
      codes!.match(/ERR_\w+/g)!.map(code => [family === 'Ledger' ? 'LedgerError' : family!, code] as const),
  )
  const rows = [...readme.matchAll(/^\| (the \w+) \| (.*) \| (\d{3}) \| (\w{5}) \| (\d) \|$/gm)]
  const written = rows.flatMap(([, actor, codes, ...rest]) =>
    codes!.match(/ERR_\w+/g)!.map(code => [actor!, code, ...rest]),
  )

  it('name every error code once, with what it is on each wire', () => {
    expect(declared.length).toBeGreaterThan(25)
    const real = declared.map(([family, code]) => {
      const error: AnyError = new families[family as keyof typeof families](code as never, 'text')
      const sqlstate = errorFields(errorResponse(error)).get('C')
      return [who[family], code, String(problemOf(error, '').status), sqlstate, String(exitStatusOf(error))]
    })
    const byCode = (a: readonly unknown[], b: readonly unknown[]) => String(a[1]).localeCompare(String(b[1]))
    expect(written.sort(byCode)).toEqual(real.sort(byCode))
  })

  it('of the core name each stage in its order, and the facts that it learns', () => {
    const rows = [
      ...read('lib/README.md').matchAll(/^\| (\w+) +\| `(stages\/\w+\.ts)` +\| (in|out) +\| .*? \| ([^|]*) \|$/gm),
    ]
    const stack = /const stack: [\s\S]*?\n {2}\]/.exec(read('lib/guard.ts'))![0]
    const built = [...stack.matchAll(/^ {4}(\w+)\(.*\/\/ (in|out):/gm)].map(([, stage, way]) => `${stage} ${way}`)
    expect(rows.map(([, stage, , way]) => `${stage} ${way}`)).toEqual(built)
    for (const [, , file, , facts] of rows) {
      const learned = [...read(join('lib', file!)).matchAll(/\.learn\(\s*'(\w+)'/g)].map(([, fact]) => fact!)
      expect((facts!.match(/\w+/g) ?? []).sort(), file).toEqual([...new Set(learned)].sort())
    }
  })

  it('of the format name every kind of entry', () => {
    const named = [...read('lib/format/README.md').matchAll(/`([a-z-]+)`/g)].map(([, kind]) => kind!)
    expect(kindNames.filter(kind => !named.includes(kind))).toEqual([])
  })

  it('name every exit status', () => {
    const statuses = [...readme.matchAll(/^\| (\d) \| [a-z]/gm)].map(([, status]) => Number(status))
    expect(statuses).toEqual(Object.values(exit))
  })
})

describe('what the documents name', () => {
  const documents = [...documentsIn('.')]

  it('is there: files and folders', () => {
    expect(documents.length).toBeGreaterThan(25)
    const missing = documents.flatMap(document => {
      const text = read(document).replaceAll(/```[\s\S]*?```/g, '')
      const named = [...text.matchAll(/`([\w.@/-]+\/|[\w./-]+\.(?:ts|md|json|csv|yaml|asc|sh))`/g)].map(
        ([, path]) => path!,
      )
      const linked = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path!)
      const bad = [
        ...named.filter(path => !somewhere(document, path)),
        ...linked.filter(path => !existsSync(join(root, dirname(document), path))),
      ]
      return bad.map(path => `${document}: ${path}`)
    })
    expect(missing).toEqual([])
  })

  it('is there: every subpath, and its source', () => {
    const named = [...new Set(readme.match(/\bcounterfoil\/[a-z][\w*./-]*\w/g))].filter(name => !name.includes('.yaml'))
    const known = Object.keys(manifest.exports).map(subpath => subpath.replace(/^\./, 'counterfoil'))
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter(name => !known.includes(name))).toEqual([])
    const targets = Object.values(manifest.exports).flatMap(target =>
      typeof target === 'string' ? [] : [target.types, target.default],
    )
    expect(targets.length).toBeGreaterThan(6)
    expect(
      [...targets, `./${manifest.bin.counterfoil}`].filter(target => !existsSync(join(root, sourceOf(target)))),
    ).toEqual([])
  })

  it('is there: every command and each of its options', async () => {
    const program = new Command()
    for (const file of readdirSync(join(root, 'cli/commands')).filter(name => name.endsWith('.ts'))) {
      const name = file.slice(0, -3).replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
      const registers = (await import(join(root, 'cli/commands', file))) as Record<string, (program: Command) => void>
      registers[name]!(program)
    }
    const known = new Map(
      program.commands.map(command => [
        command.name(),
        [command, ...command.commands].flatMap(one => one.options.map(option => option.long)),
      ]),
    )
    const text = ['README.md', 'CONTRIBUTING.md'].map(read).join('\n')
    const named = [...text.matchAll(/(?:^|`)counterfoil ([a-z-]+)([^`#\n]*)/gm)]
    expect(named.length).toBeGreaterThan(10)
    const unknown = named.flatMap(([, command, rest]) => {
      const options = known.get(command!)
      if (options === undefined) return [command]
      return (rest!.match(/--[a-z-]+/g) ?? []).filter(option => !options.includes(option)).map(o => `${command} ${o}`)
    })
    expect(unknown).toEqual([])
  })

  it('promises nothing that nobody can keep', () => {
    const words = /tamper-?proof|\bcompliant\b|audit opinion|military-grade|unbreakable|guarantee/i
    expect(documents.filter(document => words.test(read(document)))).toEqual([])
  })
})

function* documentsIn(path: string): Generator<string> {
  for (const name of readdirSync(join(root, path))) {
    const inside = normalize(join(path, name))
    if (/^(node_modules|dist|coverage|demo-out|\..*)$/.test(name)) continue
    if (statSync(join(root, inside)).isDirectory()) yield* documentsIn(inside)
    else if (name.endsWith('.md')) yield inside
  }
}

/** Files that a ledger, a bundle or a user's folder holds, and not this repository. */
const elsewhere =
  /^(keys|anchors|proofs|samples|populations|results|report\/(rows|entries)|recordings|oscal|imports|log|state|views|statements|mapping|config|ledger)\/|^(MANIFEST\.json|README\.html|VERIFY\.txt|verify-inclusion\.sh|keys\.json|counterfoil\.yaml|controls\.yaml|policy\.csv|agents\.yaml|entries\.jsonl|expected\.json|pin)$/

/** From the document's own folder, or from the root. */
const somewhere = (document: string, path: string) =>
  elsewhere.test(path) || [dirname(document), '.'].some(base => existsSync(join(root, base, path)))
