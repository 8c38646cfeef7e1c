/** `counterfoil serve` with an SSH listener, as an operator sets it up and as people use it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { exec, keyPair, login, type Sshd, sshd } from '../adapters/ssh/support.ts'
import { findTool } from '../support/interop.ts'
import { freePort, install, type Running, shell, start } from '../support/samples.ts'

const slow = 300_000

describe.skipIf(findTool('sshd') === undefined)('serve, before SSH hosts', () => {
  let where: string
  let host: Sshd
  let running: Running
  let port: number
  let user: { readonly person: string; readonly key: string }
  const [own, people] = [keyPair(), keyPair()]

  const write = (name: string, text: string) => writeFileSync(join(where, name), text, { mode: 0o600 })

  beforeAll(async () => {
    where = mkdtempSync(join(tmpdir(), 'counterfoil-serve-ssh-'))
    install(where)
    host = await sshd()
    port = Number(await freePort())
    const line = 'counterfoil init --name fleet --people user@crm.example,approver@crm.example --json'
    const initialised = await shell(line, where)
    user = JSON.parse(initialised.text).keys[0]
    const [pinned] = host.host.hostKeys
    const { key } = host.host.logins[host.user]!
    write('keys/gateway', own.private)
    write('keys/login', key)
    write('ssh-keys', `${people.public} ${user.person}\n`)
    write(
      'hosts.yaml',
      `web1:\n  address: 127.0.0.1:${host.port}\n  hostKey: ${pinned}\n  logins: { ${host.user}: file:./keys/login }\n`,
    )
    write('controls.yaml', '- { id: A, title: t, criteria: [CC6.1], covers: { resource: fleet/** } }\n')
    write('policy.csv', `p, role:user, fleet/web1/${host.user}/**, *, allow\ng, ${user.person}, role:user\n`)
    const config = readFileSync(join(where, 'counterfoil.yaml'), 'utf8')
      .replace(/ {2}- \{ name: fleet.*\n/, '')
      .replace(
        'listen:\n',
        `listen:\n  - name: fleet\n    protocol: ssh\n    address: 127.0.0.1:${port}\n    hostKey: file:./keys/gateway\n    upstream: ./hosts.yaml\n`,
      )
      .replace('  keys: ./keys.json\n', '  keys: ./keys.json\n  sshKeys: ./ssh-keys\n')
      .replace('9090', await freePort())
    write('counterfoil.yaml', config)
    running = await start(['counterfoil', 'serve'], /admin address/, where)
  }, slow)

  afterAll(async () => {
    await running.stop()
    await host.stop()
    rmSync(where, { recursive: true, force: true })
  })

  it(
    'is found sound by check, which names its listener',
    async () => {
      const { status, text } = await shell('counterfoil check --json', where)
      expect({ status, listeners: JSON.parse(text).listeners }).toEqual({ status: 0, listeners: ['fleet'] })
    },
    slow,
  )

  it(
    'lets people in by SSH key and by local key, and ends what a key opened when it is taken away',
    async () => {
      const username = `${host.user}@web1`
      const byPassword = await login({ port, username, password: user.key })
      expect(await exec(byPassword, 'echo one')).toMatchObject({ stdout: 'one\n', status: 0 })
      byPassword.end()
      const byKey = await login({ port, username, password: undefined as never, privateKey: people.private })
      expect(await exec(byKey, 'echo two')).toMatchObject({ stdout: 'two\n', status: 0 })
      const closed = new Promise<void>(resolve => byKey.once('close', () => resolve()))
      write('ssh-keys', '# nobody\n')
      await closed
      await expect(
        login({ port, username, password: undefined as never, privateKey: people.private }),
      ).rejects.toThrow()
    },
    slow,
  )
})
