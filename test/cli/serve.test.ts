/** `counterfoil serve` as an operator has it: a process of its own, told things by signals and by files. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postgres } from '../support/postgres.ts'
import { freePort, install, type Running, shell, start } from '../support/samples.ts'

const database = postgres(`
  create database crm;
`)
const slow = 300_000

let where: string
let running: Running
let gateway: string
let user: { readonly person: string; readonly key: string }

beforeAll(async () => {
  where = mkdtempSync(join(tmpdir(), 'counterfoil-serve-'))
  install(where)
  const upstream = { DATABASE_URL: database().server.url('crm') }
  const line =
    'counterfoil init --name crm --upstream env:DATABASE_URL --people user@crm.example,approver@crm.example --json'
  const { text } = await shell(line, where, upstream)
  user = JSON.parse(text).keys[0]
  gateway = await freePort()
  const file = join(where, 'counterfoil.yaml')
  const config = readFileSync(file, 'utf8')
    .replace('6432', gateway)
    .replace('9090', await freePort())
  writeFileSync(file, config)
  running = await start(['counterfoil', 'serve'], /admin address/, where, upstream)
}, slow)

afterAll(async () => {
  await running.stop()
  rmSync(where, { recursive: true, force: true })
})

async function login(key = user.key): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: Number(gateway),
    database: 'crm',
    user: user.person,
    password: key,
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

describe('on SIGHUP', () => {
  it(
    'reads policy and controls again, and keeps the sessions that it has',
    async () => {
      const client = await login()
      await client.query('select 1')
      const rules = readFileSync(join(where, 'policy.csv'), 'utf8')
      appendFileSync(join(where, 'policy.csv'), 'p, role:user, crm/session, session, deny\n')
      running.signal('SIGHUP')
      await running.says(/policy and controls reloaded/)
      await expect(client.query('select 1')).rejects.toThrow(/no right to session/)
      writeFileSync(join(where, 'policy.csv'), `${rules}# as it was\n`)
      running.signal('SIGHUP')
      await running.says(/(policy and controls reloaded[\s\S]*){2}/)
      expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
      await client.end()
      const { text } = await shell('counterfoil show policy --json', where)
      expect(text.match(/"kind": ?"policy"/g)).toHaveLength(3)
    },
    slow,
  )

  it(
    'keeps the policy that it has where the new one is malformed, and says where',
    async () => {
      const rules = readFileSync(join(where, 'policy.csv'), 'utf8')
      appendFileSync(join(where, 'policy.csv'), 'p, role:user, crm/session, session, perhaps\n')
      running.signal('SIGHUP')
      await running.says(/not reloaded.*policy\.csv:\d+:\d+/)
      const client = await login()
      expect((await client.query('select 1 as n')).rows).toEqual([{ n: 1 }])
      await client.end()
      writeFileSync(join(where, 'policy.csv'), rules)
    },
    slow,
  )
})

describe('a key that is revoked', () => {
  it(
    'ends the connection that it opened, and says why',
    async () => {
      const issued = JSON.parse((await shell(`counterfoil credentials issue ${user.person} --json`, where)).text)
      const client = await login(issued.key)
      await client.query('select 1')
      const ended = new Promise<Error>(resolve => client.once('error', resolve))
      expect((await shell(`counterfoil credentials revoke ${issued.id}`, where)).status).toBe(0)
      expect(await ended).toMatchObject({ message: expect.stringContaining('this key was revoked') })
      await expect(login(issued.key)).rejects.toThrow('this key was revoked')
      const kept = await login()
      await kept.end()
    },
    slow,
  )
})

describe('while it stops', () => {
  it(
    'a SIGHUP does not keep it from sealing its ledger',
    async () => {
      running.signal('SIGTERM')
      await running.says(/stopping/)
      running.signal('SIGHUP')
      await running.says(/the ledger is sealed/)
    },
    slow,
  )
})

describe('an address or an upstream that cannot be used', () => {
  const served = async (change: (config: string) => string, url: string) => {
    const config = join(where, 'counterfoil.yaml')
    const text = readFileSync(config, 'utf8')
      .replace('./ledger', './another')
      .replaceAll(gateway, await freePort())
    writeFileSync(
      join(where, 'another.yaml'),
      change(text.replace(/address: 127.0.0.1:\d+ }\n/, `address: 127.0.0.1:0 }\n`)),
    )
    return { command: ['counterfoil', 'serve', '--config', 'another.yaml'], env: { DATABASE_URL: url } }
  }

  it(
    'is told to the operator at the start',
    async () => {
      const port = await freePort()
      const { command, env } = await served(text => text, `postgres://127.0.0.1:${port}/crm`)
      const other = await start(command, /admin address/, where, env)
      await other.says(/upstream cannot be reached.*ECONNREFUSED|ECONNREFUSED.*upstream cannot be reached/)
      expect((await other.stop()).status).toBe(0)
    },
    slow,
  )

  it(
    'is named where the port is taken',
    async () => {
      const holder = createServer()
      await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
      const { port } = holder.address() as AddressInfo
      const taken = (text: string) =>
        text.replace(/address: 127.0.0.1:\d+, upstream/, `address: 127.0.0.1:${port}, upstream`)
      const { command, env } = await served(taken, database().server.url('crm'))
      const ran = await shell(command.join(' '), where, env)
      expect(ran.text).toContain(`the listener crm: 127.0.0.1:${port} is in use already`)
      expect(ran.status).toBe(2)
      await new Promise(resolve => holder.close(resolve))
    },
    slow,
  )
})
