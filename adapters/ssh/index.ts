/** The SSH gateway: any client logs in as LOGIN@HOST, and every command, file and forward goes through the gate. */
import { createServer, type Socket } from 'node:net'
import ssh2 from 'ssh2'
import { holdNotice as toldWhileHeld } from '../../lib/approvals/hold-notice.ts'
import type { Gate } from '../../lib/gate.ts'
import { type SshKeys, sshKeys } from '../../lib/identity/ssh-keys.ts'
import { listenOn, whereIs } from '../../lib/listening.ts'
import { algorithms } from './algorithms.ts'
import { serve } from './connection.ts'
import { checkHosts, parse, type SshHost } from './hosts.ts'
import { socketOf } from './internals.ts'

export { type SshHost, type SshKeys, sshKeys }

export interface SshOptions {
  readonly gate: Gate
  /** The listener's name, first segment of every resource. */
  readonly target: string
  /** By the name that clients ask for. Its keys are secrets: never logged. */
  readonly hosts: Readonly<Record<string, SshHost>>
  /** Private keys by which the gateway proves itself to clients, in PEM or OpenSSH's form; one of each type. Secrets. */
  readonly hostKeys: readonly string[]
  /** Public keys that subjects log in with. Without them: by token or local key, as password or keyboard-interactive, alone. */
  readonly keys?: SshKeys
  /** Names of environment variables that a client may set on the host: whole names, `*` for any end. `['LANG', 'LC_*']` */
  readonly environment?: readonly string[]
  /** Text of the notice shown on stderr while a command waits for an approval. */
  readonly holdNotice?: (approval: string) => string
  /** How long a client may take to log in, in milliseconds: 30 000. */
  readonly handshakeMs?: number
  /** How many connections that have not logged in there may be at once: 100, and of one address a quarter of them. */
  readonly mostUnauthenticated?: number
}

export interface SshGateway {
  /** @param port 0 for any that is free */
  listen(port: number, host: string): Promise<{ readonly port: number }>
  /** Where it listens; undefined before. */
  readonly address: { readonly host: string; readonly port: number } | undefined
  /** Takes no more connections, closes those there are, and resolves when their ends are recorded. */
  close(): Promise<void>
}

const defaultNotice = (approval: string) => `counterfoil: ${toldWhileHeld(approval)}`

/** @throws Misuse ERR_OPTION_INVALID: a key that cannot be read, a host without one */
export async function sshGateway(options: SshOptions): Promise<SshGateway> {
  const { gate, target, keys, environment = ['LANG', 'LC_*'], holdNotice = defaultNotice } = options
  const { handshakeMs = 30_000, mostUnauthenticated = 100 } = options
  const parts = {
    ...{ gate, target, holdNotice, hosts: checkHosts(options.hosts) },
    identifyKey: keys === undefined ? undefined : (blob: Uint8Array) => keys.identify(blob),
    environment: environment.map(variable),
  }
  for (const key of options.hostKeys) parse(key, undefined, "the gateway's own key")
  const sockets = new Set<Socket>()
  const serving = new Set<Promise<void>>()
  /** Those that have not logged in, by where they come from. */
  const waiting = new Map<Socket, string>()
  const ssh = new ssh2.Server({
    ...{ hostKeys: [...options.hostKeys], algorithms: algorithms(), ident: 'counterfoil' },
    ...{ keepaliveInterval: 15_000, keepaliveCountMax: 3 },
  })
  ssh.on('connection', (connection, info) => {
    const socket = socketOf(connection)
    const served = serve(connection, socket, info, parts, () => waiting.delete(socket))
    serving.add(served)
    void served.finally(() => serving.delete(served))
  })
  const server = createServer({ noDelay: true }, socket => {
    const address = socket.remoteAddress ?? ''
    const alike = [...waiting.values()].filter(other => other === address).length
    if (waiting.size >= mostUnauthenticated || alike >= Math.ceil(mostUnauthenticated / 4)) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    waiting.set(socket, address)
    const deadline = setTimeout(() => {
      if (waiting.has(socket)) socket.destroy()
    }, handshakeMs)
    socket.once('close', () => {
      clearTimeout(deadline)
      waiting.delete(socket)
      sockets.delete(socket)
    })
    ssh.injectSocket(socket)
  })
  return {
    listen: (port, host) => listenOn(server, port, host),
    get address() {
      return whereIs(server)
    },
    async close() {
      const closed = server.listening ? new Promise<void>(resolve => server.close(() => resolve())) : undefined
      for (const socket of sockets) socket.destroy()
      await closed
      while (serving.size > 0) await Promise.allSettled(serving)
    },
  }
}

const variable = (name: string) =>
  new RegExp(`^${name.replaceAll(/[^A-Za-z0-9_*]/g, '\\$&').replaceAll('*', '[A-Za-z0-9_]*')}$`)
