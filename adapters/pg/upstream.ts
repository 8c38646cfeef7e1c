/**
 * The connection to the server. pg.Client logs in (TLS, SCRAM, certificates), then its authenticated socket is taken over. What
 * we and the server must agree on is part of the login, so that RESET and DISCARD lead back to it.
 */
import type { Duplex } from 'node:stream'
import pg from 'pg'
import { Fault } from '../../lib/errors.ts'
import { Messages } from './messages.ts'
import { searchPathText, toOptions } from './settings.ts'
import { terminate } from './wire.ts'

export interface UpstreamOptions {
  /** Where it is, and as whom: `connectionString`, or whatever else pg takes. Secrets: never logged. */
  readonly config: pg.ClientConfig
  readonly target: string
  readonly searchPath: readonly string[]
  readonly connectTimeoutMs: number
}

export interface Upstream {
  readonly socket: Duplex
  readonly messages: Messages
  /** As the server reported them at login. */
  readonly parameters: ReadonlyMap<string, string>
  cancel(): void
  /** Sends Terminate, and closes. */
  end(): void
  /** Closes at once. */
  destroy(): void
}

/** What pg keeps and does not type. */
interface Inside {
  connection: pg.Connection & { stream: Duplex }
  connectionParameters: { options?: string; application_name?: string }
  processID: number
  secretKey: number
  host: string
  port: number
  ssl: boolean | object
  sslNegotiation: string
}
const inside = (client: pg.Client) => client as unknown as Inside

/** Rows may be as long as the server makes them. */
const longest = 2 ** 30

/** A client that is not connected yet, with our settings over whatever the connection string asks for. */
export function newClient(options: UpstreamOptions, settings: ReadonlyMap<string, string> = new Map()): pg.Client {
  const { config, target, searchPath, connectTimeoutMs } = options
  const client = new pg.Client({ keepAlive: true, ...config, connectionTimeoutMillis: connectTimeoutMs })
  const { connectionParameters } = inside(client)
  // The last of several options for one setting wins.
  connectionParameters.options = [
    connectionParameters.options ?? '',
    toOptions(settings),
    toOptions(pins(searchPath)),
  ].join(' ')
  connectionParameters.application_name = applicationName(target)
  return client
}

/** How the server's own log tells our connections from direct ones. */
export const applicationName = (target: string): string => `counterfoil:${target}`

const pins = (searchPath: readonly string[]) =>
  new Map([
    ['search_path', searchPathText(searchPath)],
    ['standard_conforming_strings', 'on'],
    ['backslash_quote', 'safe_encoding'],
  ])

/** @throws Fault ERR_UPSTREAM */
export async function connectUpstream(
  options: UpstreamOptions,
  settings: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<Upstream> {
  const client = newClient(options, settings)
  const parameters = new Map<string, string>()
  const of = inside(client)
  const listening = of.connection as unknown as NodeJS.EventEmitter
  listening.on('parameterStatus', (status: { parameterName: string; parameterValue: string }) => {
    parameters.set(status.parameterName, status.parameterValue)
  })
  client.on('error', () => undefined)
  const stop = () => of.connection.stream.destroy()
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    await client.connect()
  } catch (error) {
    client.end().catch(() => undefined)
    throw new Fault('ERR_UPSTREAM', 'the upstream cannot be reached, or does not let the gateway in', {}, error)
  } finally {
    signal.removeEventListener('abort', stop)
  }
  const socket = of.connection.stream
  // pg would decode every cell: from here on the bytes are ours alone.
  for (const event of ['data', 'end', 'close', 'error', 'readable']) socket.removeAllListeners(event)
  const messages = new Messages(socket, () => longest)
  return {
    socket,
    messages,
    parameters,
    cancel: () => cancel(of, options.config.stream),
    end: () => {
      if (socket.writable) socket.end(terminate)
      setTimeout(() => socket.destroy(), 1000).unref()
    },
    destroy: () => socket.destroy(),
  }
}

/** Asks the server, over a connection of its own as the protocol has it, to stop what runs. Nothing is answered. */
function cancel(of: Inside, stream: pg.ClientConfig['stream']): void {
  const Connection = pg.Connection as unknown as new (
    config: object,
  ) => NodeJS.EventEmitter & {
    connect(port: number, host: string): void
    requestSsl(): void
    cancel(pid: number, key: number): void
    stream: Duplex
  }
  const connection = new Connection({ ssl: of.ssl, sslNegotiation: of.sslNegotiation, stream })
  const send = () => connection.cancel(of.processID, of.secretKey)
  connection.on('error', () => connection.stream.destroy())
  connection.on('connect', () => (of.ssl ? connection.requestSsl() : send()))
  connection.on('sslconnect', send)
  if (of.host.startsWith('/')) {
    ;(connection as unknown as { connect(path: string): void }).connect(`${of.host}/.s.PGSQL.${of.port}`)
  } else connection.connect(of.port, of.host)
}
