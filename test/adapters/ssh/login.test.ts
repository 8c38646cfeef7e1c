/** How subjects log in to the SSH gateway, and what is refused and recorded of it. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ssh2, { type AuthHandlerMiddleware, type ParsedKey } from 'ssh2'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { destinationOf } from '../../../adapters/ssh/hosts.ts'
import { sshKeys } from '../../../lib/identity/ssh-keys.ts'
import { type FakeHost, fakeHost } from './host.ts'
import { exec, keyPair, login, requesterId, type Setup, setUp } from './support.ts'

const [registered, stranger] = [keyPair(), keyPair()]
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs1', format: 'pem' })
  .toString()

let folder: string
let host: FakeHost
let at: Setup

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-ssh-login-'))
  const own = ssh2.utils.parseKey(rsa) as ParsedKey
  const lines = [
    `${registered.public} ${requesterId}`,
    `ssh-rsa ${own.getPublicSSH().toString('base64')} ${requesterId}`,
  ]
  writeFileSync(join(folder, 'ssh-keys'), `${lines.join('\n')}\n`)
  host = await fakeHost({
    exec: (command, channel) => {
      channel.write(command, () => {
        channel.exit(0)
        channel.end()
      })
    },
  })
})
afterAll(async () => {
  await host.close()
  rmSync(folder, { recursive: true, force: true })
})
afterEach(() => at.close())

const open = async (options: Parameters<typeof setUp>[2] = {}) => {
  const keys = sshKeys({ file: join(folder, 'ssh-keys') })
  at = await setUp({ web1: host.host }, [], { ...options, gateway: { keys, ...options.gateway } })
}
const none = { password: undefined as never }
const denials = async () => (await at.of('decision')).filter(({ verdict }) => verdict === 'deny')
/** Only this way, and no other after it. */
const by = (method: object) => ({ ...none, authHandler: [method] as never })

describe('a login', () => {
  it('by a registered key is the session of whom it is registered for', async () => {
    await open()
    const client = await at.client({ ...none, privateKey: registered.private })
    expect(await exec(client, 'hello')).toMatchObject({ stdout: 'hello' })
    expect(await at.of('session-opened')).toMatchObject([
      { protocol: 'ssh', target: 'crm', method: 'ssh-key', credential: expect.stringMatching(/^SHA256:/) },
    ])
    expect(await denials()).toEqual([])
  })

  it('by an RSA key is by SHA-2', async () => {
    await open()
    const client = await at.client({ ...none, privateKey: rsa })
    expect(await exec(client, 'hello')).toMatchObject({ stdout: 'hello' })
  })

  it('by a token or local key is by password, or keyboard-interactive', async () => {
    await open()
    const prompts: string[] = []
    const answer = (
      _: string,
      __: string,
      ___: string,
      asked: { prompt: string; echo?: boolean }[],
      finish: (of: string[]) => void,
    ) => {
      prompts.push(...asked.map(({ prompt, echo }) => `${prompt}${echo}`))
      finish([requesterId])
    }
    await at.client({ password: requesterId })
    await at.client(by({ type: 'keyboard-interactive', username: 'web1', prompt: answer }))
    expect(prompts).toEqual(['Token or key: false'])
    expect((await at.of('session-opened')).map(({ method }) => method)).toEqual(['key', 'key'])
  })

  it('by a key that nobody registered is refused, and recorded once', async () => {
    await open()
    await expect(login({ port: at.port, ...none, privateKey: stranger.private })).rejects.toThrow(/authentication/)
    await expect
      .poll(denials)
      .toMatchObject([{ code: 'ERR_UNIDENTIFIED', accesses: [{ action: 'connect', resource: 'crm' }] }])
  })

  it('by another registered key after one that is not is no failure', async () => {
    await open()
    const tried = [stranger, registered].map(({ private: key }) => ({ type: 'publickey', username: 'web1', key }))
    const client = await at.client({ ...none, authHandler: tried as never })
    await exec(client, 'hello')
    client.end()
    await expect.poll(() => at.of('session-closed')).toHaveLength(1)
    expect(await denials()).toEqual([])
  })

  it('by a registered key whose private half the client does not have is refused, and recorded', async () => {
    await open()
    const shown = ssh2.utils.parseKey(registered.public) as ParsedKey
    const signer = ssh2.utils.parseKey(stranger.private) as ParsedKey
    const forged = Object.assign(Object.create(Object.getPrototypeOf(signer)), signer, {
      getPublicSSH: () => shown.getPublicSSH(),
      isPrivateKey: () => true,
      sign: (data: Buffer) => signer.sign(data),
    })
    await expect(login({ port: at.port, ...by({ type: 'publickey', username: 'web1', key: forged }) })).rejects.toThrow(
      /authentication/,
    )
    await expect.poll(denials).toMatchObject([{ code: 'ERR_UNIDENTIFIED' }])
    expect(await at.of('session-opened')).toEqual([])
  })

  it('without a credential is refused', async () => {
    await open()
    await expect(login({ port: at.port, ...by({ type: 'none', username: 'web1' }) })).rejects.toThrow(/authentication/)
  })

  it('is tried six times on one connection, each failure recorded, and not a seventh', async () => {
    await open()
    let tries = 0
    const guess: AuthHandlerMiddleware = (_, __, next) => {
      tries += 1
      next({ type: 'password', username: 'web1', password: `guess-${tries}` })
    }
    await expect(login({ port: at.port, ...none, authHandler: guess as never })).rejects.toThrow()
    expect(tries).toBe(6)
    expect(await denials()).toHaveLength(6)
  })

  it('that is not made in time is closed, and one that is made is not', async () => {
    await open({ gateway: { handshakeMs: 300 } })
    const client = await at.client()
    const socket = connect(at.port, '127.0.0.1')
    socket.resume()
    await new Promise(resolve => socket.once('close', resolve))
    expect(await exec(client, 'still here')).toMatchObject({ stdout: 'still here' })
  })

  it('waits for no more of those who have not logged in than it may', async () => {
    await open({ gateway: { mostUnauthenticated: 8 } })
    const sockets = Array.from({ length: 2 }, () => connect(at.port, '127.0.0.1').resume())
    await Promise.all(sockets.map(socket => new Promise(resolve => socket.once('data', resolve))))
    // A quarter of eight, of one address.
    const third = connect(at.port, '127.0.0.1').resume()
    await new Promise(resolve => third.once('close', resolve))
    for (const socket of sockets) socket.destroy()
    await expect
      .poll(() =>
        at.client().then(
          () => 'in',
          () => 'out',
        ),
      )
      .toBe('in')
  })

  it('is by strong algorithms, or not at all', async () => {
    await open()
    const weak = [
      { kex: ['diffie-hellman-group14-sha1'] },
      { cipher: ['aes256-cbc'] },
      { cipher: ['aes256-ctr'], hmac: ['hmac-sha1'] },
      { compress: ['zlib@openssh.com'] },
    ]
    for (const algorithms of weak)
      await expect(login({ port: at.port, algorithms } as never)).rejects.toThrow(/no matching/)
  })
})

describe('the host that is asked for', () => {
  const checked = { address: { host: 'h', port: 22 }, pinned: [], logins: new Map([['deploy', {} as ParsedKey]]) }
  const hosts = new Map([
    ['web1', { ...checked, login: 'deploy' }],
    ['db1.internal', { ...checked, login: undefined }],
  ])
  // biome-ignore format: a table
  it.each([
    ['deploy@web1',         'web1',         'deploy',    true],
    ['web1',                'web1',         'deploy',    true],
    ['deploy@WEB1',         'web1',         'deploy',    true],
    ['deploy@db1.internal', 'db1.internal', 'deploy',    true],
    ['db1.internal',        'db1.internal', '',          false],
    ['root@web1',           'web1',         'root',      false],
    ['a@b@web1',            'web1',         'a@b',       false],
    ['deploy@web9',         'web9',         'deploy',    false],
    ['',                    '',             '',          false],
    ['__proto__',           '__proto__',    '',          false],
    ['constructor@web1',    'web1',         'constructor', false],
  ])('%j is host %j and login %j', (user, host, as, known) => {
    const found = destinationOf(user, hosts)
    expect({ host: found.host, login: found.login, known: found.at !== undefined }).toEqual({ host, login: as, known })
  })
})
