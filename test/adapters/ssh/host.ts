/** A host to put behind the gateway whose commands do as a test says: a real SSH server, by ssh2. */
import type { AddressInfo } from 'node:net'
import ssh2, { type Connection, type ServerChannel, type Session, type SFTPWrapper } from 'ssh2'
import type { SshHost } from '../../../adapters/ssh/index.ts'
import { keyPair } from './support.ts'

export interface FakeHost {
  readonly host: SshHost
  readonly connections: () => number
  close(): Promise<void>
}

export interface Behaviour {
  readonly exec?: (
    command: string,
    channel: ServerChannel,
    env: Readonly<Record<string, string>>,
    session: Session,
  ) => void
  readonly pty?: (info: object) => void
  readonly shell?: (channel: ServerChannel) => void
  readonly sftp?: (sftp: SFTPWrapper) => void
  readonly connected?: (connection: Connection) => void
}

/** Its one login is `deploy`. @param pinned another key than the one it shows */
export async function fakeHost(behaviour: Behaviour, pinned?: string): Promise<FakeHost> {
  const [hostKey, userKey] = [keyPair(), keyPair()]
  const allowed = ssh2.utils.parseKey(userKey.public) as ssh2.ParsedKey
  const connections = new Set<Connection>()
  let count = 0
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, connection => {
    connections.add(connection)
    count += 1
    behaviour.connected?.(connection)
    connection.on('error', () => undefined)
    connection.on('close', () => connections.delete(connection))
    connection.on('authentication', context => {
      const proved =
        context.method === 'publickey' &&
        context.username === 'deploy' &&
        context.key.data.equals(allowed.getPublicSSH()) &&
        (context.signature === undefined || allowed.verify(context.blob!, context.signature, context.hashAlgo) === true)
      if (proved) context.accept()
      else context.reject(['publickey'])
    })
    connection.on('session', accept => {
      const env: Record<string, string> = {}
      const session = accept()
      session.on('env', (_, __, { key, val }) => {
        env[key] = val
      })
      session.on('pty', (taken, _, info) => {
        behaviour.pty?.(info)
        taken?.()
      })
      session.on('window-change', taken => taken?.())
      session.on('exec', (taken, _, { command }) => behaviour.exec?.(command, quiet(taken()), env, session))
      session.on('shell', taken => behaviour.shell?.(quiet(taken())))
      session.on('sftp', taken => behaviour.sftp?.(taken()))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    host: {
      address: { host: '127.0.0.1', port },
      hostKeys: [pinned ?? hostKey.public],
      logins: { deploy: { key: userKey.private } },
      login: 'deploy',
    },
    connections: () => count,
    close: async () => {
      for (const connection of connections) connection.end()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function quiet(channel: ServerChannel): ServerChannel {
  channel.on('error', () => undefined)
  return channel
}
