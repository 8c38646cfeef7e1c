/** The SSH gateway in front of a real server, asked by ssh2: commands, a shell for changes, sftp for a destruction. */
import { connect, type Socket } from 'node:net'
import ssh2, { type Client, type ClientChannel, type ServerChannel, type SFTPWrapper } from 'ssh2'
import { sshGateway } from '../../../adapters/ssh/index.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import {
  type Answer,
  type Call,
  canary,
  credentialOf,
  type Door,
  type OpenDoor,
  personal,
  type Work,
} from '../conformance.ts'
import { fakeHost } from './host.ts'
import { keyPair } from './support.ts'

/** Told so often that a slow reader's back-pressure is felt. */
const block = Buffer.alloc(64 * 1024, 'x')

function write(channel: ServerChannel, blocks: number, done: () => void): void {
  if (blocks === 0) done()
  else channel.write(block, () => write(channel, blocks - 1, done))
}

async function open(gate: Gate): Promise<OpenDoor> {
  const done = { read: 0, change: 0, destroy: 0 }
  let running = 0
  const hang = (channel: ServerChannel) => {
    running += 1
    channel.resume()
    channel.once('close', () => {
      running -= 1
    })
  }
  const finish = (channel: ServerChannel) => () => {
    channel.exit(0)
    channel.end()
  }
  const host = await fakeHost({
    exec: (command, channel) => {
      channel.resume()
      if (command === 'silent') return hang(channel)
      if (command === 'breaks') return write(channel, 2, () => channel.close())
      if (command === 'long') return write(channel, 20, finish(channel))
      if (command === 'flood') return write(channel, 1024, finish(channel))
      if (command === 'read') done.read += 1
      const said = command === 'masked' ? JSON.stringify(personal) : 'Customer 0001'
      channel.write(said, finish(channel))
    },
    shell: channel => {
      channel.on('data', (typed: Buffer) => {
        if (typed.toString().includes('change')) done.change += 1
        if (typed.toString().includes('sleep')) hang(channel)
        else finish(channel)()
      })
    },
    sftp: sftp => {
      sftp.on('REALPATH', (id, path) =>
        sftp.name(id, [{ filename: path === '.' ? '/' : path, longname: '', attrs: {} as never }]),
      )
      sftp.on('REMOVE', id => {
        done.destroy += 1
        sftp.status(id, 0)
      })
      sftp.on('end', () => sftp.end())
    },
  })
  // Two dozen come at once, on a machine that may have much else to do.
  const made = await sshGateway({
    ...{ gate, target: 'crm', hosts: { web1: host.host }, hostKeys: [keyPair().private], handshakeMs: 4_000 },
  })
  const { port } = await made.listen(0, '127.0.0.1')
  return {
    call: (work, as, stall = false) => call(port, work, as, stall),
    done: async work => done[work],
    running: async () => running,
    silentClient: () =>
      new Promise(resolve => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write('SSH-2.0-')
          socket.resume()
          resolve({ closed: new Promise<void>(over => socket.once('close', () => over())) })
        })
        socket.on('error', () => undefined)
      }),
    close: async () => {
      await made.close()
      await host.close()
    },
  }
}

function call(port: number, work: Work, as: Subject, stall: boolean): Call {
  const client = new ssh2.Client()
  let resume: () => void = () => undefined
  const go = new Promise<void>(resolve => {
    resume = resolve
  })
  if (!stall) resume()
  const answer = new Promise<Answer>(resolve => {
    const fail = (error: Error & { level?: string }) => {
      const unknown = error.level === 'client-authentication'
      const code = unknown ? 'ERR_UNIDENTIFIED' : /ERR_\w+/.exec(error.message)?.[0]
      resolve({ said: error.message, bytes: 0, whole: false, code })
      client.end()
    }
    client.on('error', fail)
    client.on('close', () => fail(new Error('closed')))
    client.on('ready', () => {
      void ask(client, work, go).then(given => {
        resolve(given)
        client.end()
      }, fail)
    })
    client.connect({ host: '127.0.0.1', port, username: 'web1', password: credentialOf(as) })
  })
  return { answer, hangUp: () => (client as unknown as { _sock: Socket })._sock.destroy(), resume: () => resume() }
}

async function ask(client: Client, work: Work, go: Promise<void>): Promise<Answer> {
  if (work === 'destroy') return remove(client, '/spare')
  if (work === 'destroy another') return remove(client, '/spare-too')
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    const done = (error: Error | undefined, made: ClientChannel) => (error ? reject(error) : resolve(made))
    if (work === 'change' || work === 'silent change') client.shell(false, done)
    else if (work === 'secret') client.exec(work, { env: { SECRET_TOKEN: canary } }, done)
    else client.exec(work, done)
  })
  if (work === 'change') channel.write('change\n')
  if (work === 'silent change') channel.write('change and sleep\n')
  if (work === 'secret') channel.write(canary)
  const told: string[] = []
  let bytes = 0
  const over = new Promise<number | null | undefined>(resolve => channel.once('close', resolve))
  await go
  channel.stderr.on('data', (part: Buffer) => told.push(part.toString()))
  channel.on('data', (part: Buffer) => {
    bytes += part.length
    if (work !== 'flood') told.push(part.toString())
  })
  const status = await over
  const said = told.join('')
  return { said, bytes, whole: status === 0, code: /ERR_\w+/.exec(said)?.[0] }
}

function remove(client: Client, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.sftp((error: Error | undefined, sftp: SFTPWrapper) => {
      if (error) return reject(error)
      sftp.unlink(path, refused => {
        const said = refused?.message ?? ''
        resolve({ said, bytes: 0, whole: !refused, code: /ERR_\w+/.exec(said)?.[0] })
      })
    })
  })
}

export const sshDoor: Door = {
  name: 'the SSH gateway',
  open,
  personal: 'crm/web1/deploy/exec',
  words: { change: 'shell', destroy: 'remove' },
  changed: 'crm/web1/deploy/shell',
  unmaskable: true,
  unproven: true,
}
