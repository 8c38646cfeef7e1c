/**
 * The commands about evidence, as a person at a terminal has them: a ledger that a gateway left
 * behind, its bundle, and a reader who goes away.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { exit } from '../../cli/exit.ts'
import { freePort, install, shell, start } from '../support/samples.ts'

const slow = 300_000
const environment = { DATABASE_URL: 'postgres://127.0.0.1:1/crm' }

let where: string

beforeAll(async () => {
  where = mkdtempSync(join(tmpdir(), 'counterfoil-evidence-'))
  install(where)
  const init = 'counterfoil init --name crm --upstream env:DATABASE_URL --people user@crm.example,a@crm.example --json'
  const [{ person, key }] = JSON.parse((await shell(init, where)).text).keys
  const file = join(where, 'counterfoil.yaml')
  const text = readFileSync(file, 'utf8')
  const port = await freePort()
  writeFileSync(file, text.replace('6432', port).replace('9090', await freePort()))
  const gateway = await start(['counterfoil', 'serve'], /admin address/, where, environment)
  // Nothing is behind the gateway: what is asked for is decided, recorded, and fails.
  const client = new pg.Client({ host: '127.0.0.1', port: Number(port), database: 'crm', user: person, password: key })
  client.on('error', () => undefined)
  await expect(client.connect()).rejects.toThrow()
  await gateway.stop()
}, slow)
afterAll(() => rmSync(where, { recursive: true, force: true }))

const run = (line: string) => shell(line, where, environment)
const key = '--key keys/ledger.pub.asc'
const bundle = 'counterfoil bundle --from 2020-01-01'

it(
  'a first verification is told how to make the first pin, and later ones compare with it',
  async () => {
    const first = await run(`counterfoil verify ledger ${key} --pin pin`)
    expect(first.text).toContain('no pin at pin; if this is the first verification, a person says --first')
    expect(first.status).toBe(exit.incomplete)
    expect((await run(`counterfoil verify ledger ${key} --pin pin --first`)).status).toBe(exit.good)
    const depth = await run(`counterfoil verify ledger ${key} --depth all`)
    expect(depth.text).toContain('--depth all needs --vault')
    expect(depth.status).toBe(exit.usage)
  },
  slow,
)

it(
  'another key is shown beside the one that the ledger names, and a directory that is not there is no lecture',
  async () => {
    const other = await run(`counterfoil verify ledger --key ${'0'.repeat(40)}`)
    expect(other.text).toMatch(/expected 0{40}\n +actual +[0-9A-F]{40}\n/)
    expect(other.text).not.toContain('no ledger')
    expect(other.text.trim().split('\n').at(-1)).toMatch(/^TAMPERED {2}a ledger for which the given key does not speak/)
    const nowhere = await run(`counterfoil verify nowhere ${key}`)
    expect(nowhere.text).not.toMatch(/operates|rewritten/)
    expect(nowhere.text.trim().split('\n').at(-1)).toBe('INCOMPLETE  no ledger')
  },
  slow,
)

it(
  'a bundle says what its columns are, its stamps, when the ledger begins, and how many files it counts',
  async () => {
    const made = await run(`${bundle} --to 2099-01-01 --out b --pin pin`)
    expect(made.status, made.text).toBe(exit.good)
    expect(made.text).toMatch(/control +attribute +result +exceptions \/ population/)
    expect(made.text).toContain('PROVISIONAL')
    expect(made.text).toMatch(/the ledger begins on \d{4}-\d\d-\d\d, after the beginning of this period/)
    const count = /(\d+) files in b/.exec(made.text)?.[1]
    expect(Number((await run('find b -type f | wc -l')).text)).toBe(Number(count))
    const verified = await run(`counterfoil verify-bundle b ${key} --pin pin`)
    expect(verified.text).toContain(`files: ${count} files`)
    expect(verified.text.trim().split('\n').at(-1)).toBe('OK  the bundle is what it was')
    const early = await run(`${bundle} --to 2020-02-01 --out early`)
    expect(early.text).toMatch(/the ledger begins on \d{4}-\d\d-\d\d, after this period/)
    const without = await run(`${bundle} --to 2099-01-01 --out c --pin nowhere`)
    expect(without.text).toContain('no pin at nowhere')
    expect(without.status).toBe(exit.usage)
  },
  slow,
)

/** Runs it with a standard output that nobody reads any more when it begins. */
async function unread(line: string): Promise<{ status: number; errors: string }> {
  const { PATH } = process.env
  const child = spawn('sh', ['-c', `read -r go; exec ${line}`], {
    cwd: where,
    env: { ...process.env, PATH: `${join(where, 'node_modules/.bin')}:${PATH}` },
  })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', part => (errors += part))
  child.stdout.destroy()
  await once(child.stdout, 'close')
  child.stdin.end('go\n')
  const [status] = (await once(child, 'close')) as [number]
  return { status, errors }
}

it(
  'a reader that goes away leaves no trace of an error, and the verdict as the status',
  async () => {
    expect(await unread(`counterfoil verify ledger ${key}`)).toEqual({ status: exit.good, errors: '' })
    const other = await unread(`counterfoil verify ledger --key ${'0'.repeat(40)}`)
    expect(other).toEqual({ status: exit.broken, errors: '' })
    expect(await unread(`counterfoil verify ledger ${key} --json`)).toEqual({ status: exit.good, errors: '' })
    expect(await unread('counterfoil --help')).toEqual({ status: exit.good, errors: '' })
  },
  slow,
)
