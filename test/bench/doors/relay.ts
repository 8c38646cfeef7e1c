/** The least that anything between OpenSSH's client and server can do with ssh2: it logs in on both sides, and passes bytes. */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import ssh2, { type ClientChannel, type ServerChannel } from 'ssh2'
import type { SshHost } from '../../../adapters/ssh/index.ts'

/** @returns the port of a relay that lets everybody in */
export async function relay({ address, logins, login }: SshHost, hostKey: string): Promise<number> {
  const { host, port } = address as { host: string; port: number }
  const { key } = logins[login!] as { key: string }
  const server = new ssh2.Server({ hostKeys: [hostKey] }, client => {
    client.on('error', () => undefined)
    client.on('authentication', context => context.accept())
    client.on('session', acceptSession => {
      const upstream = new ssh2.Client()
      const ready = once(upstream, 'ready')
      upstream.on('error', () => client.end())
      upstream.connect({ host, port, username: login!, privateKey: key })
      client.once('close', () => upstream.end())
      const session = acceptSession()
      const join = async (
        accept: () => ServerChannel,
        open: (done: (error: Error | undefined, channel: ClientChannel) => void) => void,
      ) => {
        const near = accept()
        await ready
        open((error, far) => {
          if (error) return client.end()
          near.pipe(far)
          far.pipe(near)
          far.stderr.pipe(near.stderr)
          far.once('exit', (status: number) => near.exit(status))
          far.once('close', () => near.end())
        })
      }
      session.on('exec', (accept, _, { command }) => void join(accept, done => upstream.exec(command, done)))
      session.on('subsystem', (accept, _, { name }) => void join(accept, done => upstream.subsys(name, done)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
