/** An SSH gateway before a real guard, hosts to put behind it, and clients that log in by their subject's id. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import ssh2, { type Client, type ClientChannel, type ConnectConfig } from 'ssh2'
import { type SshGateway, type SshHost, type SshOptions, sshGateway } from '../../../adapters/ssh/index.ts'
import type { Control } from '../../../lib/control.ts'
import type { GuardParts } from '../../../lib/guard.ts'
import { casbinPolicy } from '../../../lib/policy/policy.ts'
import { type Fixture, fixture } from '../../support/guard.ts'
import { findTool } from '../../support/interop.ts'
import { freePort } from '../../support/samples.ts'

export const requesterId = 'requester@crm.example'

export interface KeyPair {
  readonly private: string
  readonly public: string
}

/** Ed25519, in OpenSSH's own form. One in some hundred that ssh2 makes cannot be read, by ssh-keygen neither. */
export function keyPair(): KeyPair {
  for (;;) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519')
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error)) return { private: pair.private, public: pair.public }
  }
}

export interface Setup extends Fixture {
  readonly gateway: SshGateway
  readonly port: number
  readonly hostKey: KeyPair
  client(config?: ConnectConfig): Promise<Client>
  close(): Promise<void>
}

export interface SetupOptions {
  readonly rules?: string
  readonly parts?: Partial<GuardParts>
  readonly gateway?: Partial<SshOptions>
}

export async function setUp(
  hosts: Readonly<Record<string, SshHost>>,
  controls: readonly Control[] = [],
  options: SetupOptions = {},
): Promise<Setup> {
  const policy = options.rules === undefined ? {} : { policy: await casbinPolicy({ rules: options.rules, controls }) }
  const guarded = await fixture(controls, { ...policy, ...options.parts })
  const hostKey = keyPair()
  const gateway = await sshGateway({
    ...{ gate: guarded.guard, target: 'crm', hosts, hostKeys: [hostKey.private] },
    ...options.gateway,
  })
  const { port } = await gateway.listen(0, '127.0.0.1')
  const clients: Client[] = []
  return {
    ...guarded,
    ...{ gateway, port, hostKey },
    client: async config => {
      const client = await login({ port, ...config })
      clients.push(client)
      return client
    },
    close: async () => {
      for (const client of clients) client.end()
      await gateway.close()
      await guarded.guard.close()
    },
  }
}

/** @throws what ssh2 says of a login that failed */
export function login(config: ConnectConfig): Promise<Client> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client()
    client.once('ready', () => resolve(client))
    client.on('error', reject)
    client.once('close', () => reject(new Error('closed before it was ready')))
    client.connect({ host: '127.0.0.1', username: 'web1', password: requesterId, ...config })
  })
}

export interface Ran {
  readonly stdout: string
  readonly stderr: string
  readonly status: number | null | undefined
  readonly signal?: string | undefined
}

export function exec(client: Client, command: string, options: ssh2.ExecOptions = {}, input?: string): Promise<Ran> {
  return new Promise((resolve, reject) => {
    client.exec(command, options, (error, channel) => {
      if (error) return reject(error)
      channel.end(input)
      resolve(finished(channel))
    })
  })
}

export function finished(channel: ClientChannel): Promise<Ran> {
  const said = { stdout: '', stderr: '' }
  channel.setEncoding('utf8').on('data', (text: string) => {
    said.stdout += text
  })
  channel.stderr.setEncoding('utf8').on('data', (text: string) => {
    said.stderr += text
  })
  return new Promise(resolve => {
    channel.once('close', (status?: number | null, signal?: string) => resolve({ ...said, status, signal }))
  })
}

export interface Sshd {
  readonly host: SshHost
  readonly port: number
  /** Where it may write, and clients too. */
  readonly folder: string
  readonly user: string
  stop(): Promise<void>
}

/** OpenSSH's own server, for the user that runs the tests, on a port of its own. */
export async function sshd(extra = ''): Promise<Sshd> {
  const folder = mkdtempSync(join(tmpdir(), 'counterfoil-sshd-'))
  const [hostKey, userKey] = [keyPair(), keyPair()]
  const user = userInfo().username
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600 })
  write('host_key', hostKey.private)
  write('authorized_keys', `${userKey.public}\n`)
  write(
    'sshd_config',
    `ListenAddress 127.0.0.1
HostKey ${folder}/host_key
AuthorizedKeysFile ${folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PermitUserEnvironment no
AcceptEnv LANG LC_*
Subsystem sftp internal-sftp
${extra}
`,
  )
  // Debian's makes it when the service starts.
  if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const { child, port } = await started(folder)
  return {
    ...{ folder, port, user },
    host: {
      address: { host: '127.0.0.1', port },
      hostKeys: [hostKey.public],
      logins: { [user]: { key: userKey.private } },
      login: user,
    },
    stop: () =>
      new Promise(resolve => {
        child.once('close', () => {
          rmSync(folder, { recursive: true, force: true })
          resolve()
        })
        child.kill()
      }),
  }
}

/** A free port may be another's by the time that it is listened on: then another one is tried. */
async function started(folder: string): Promise<{ readonly child: ChildProcess; readonly port: number }> {
  for (let tries = 0; tries < 5; tries += 1) {
    const port = Number(await freePort())
    const options = ['-D', '-e', '-f', join(folder, 'sshd_config'), '-p', String(port)]
    const child = spawn(findTool('sshd')!, options, { stdio: 'ignore' })
    if (await answers(port, child)) return { child, port }
  }
  throw new Error('sshd did not start')
}

/** @returns false where it has ended instead */
async function answers(port: number, child: ChildProcess): Promise<boolean> {
  while (child.exitCode === null) {
    const banner = await new Promise<string>(resolve => {
      let said = ''
      const socket = connect(port, '127.0.0.1')
      socket.setEncoding('utf8').on('data', (text: string) => {
        said += text
        socket.destroy()
      })
      socket.on('error', () => undefined)
      socket.once('close', () => setTimeout(() => resolve(said), said === '' ? 20 : 0))
    })
    if (banner.startsWith('SSH-2.0-OpenSSH')) return true
  }
  return false
}
