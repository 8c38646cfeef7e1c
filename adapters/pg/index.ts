/** The PostgreSQL wire gateway: any client logs in with its credential as password, and every execution goes through the gate. */
import { createServer, type Socket } from 'node:net'
import { createSecureContext } from 'node:tls'
import { holdNotice as toldWhileHeld } from '../../lib/approvals/hold-notice.ts'
import type { Gate } from '../../lib/gate.ts'
import { listenOn, whereIs } from '../../lib/listening.ts'
import { Analyser } from './analyser.ts'
import { Catalog } from './catalog.ts'
import { serve } from './connection.ts'
import { loadParser } from './tree.ts'
import { newClient } from './upstream.ts'

export interface PostgresOptions {
  readonly gate: Gate
  /** The listener's name, first segment of every resource. */
  readonly target: string
  /** A connection string, with the credential that subjects never see. A secret: never logged. */
  readonly upstream: string
  /** PEM, towards clients. Without it a credential is taken from loopback only. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** What names without a schema mean, for the server and for policy alike; sessions cannot change it. `['public']` */
  readonly searchPath?: readonly string[]
  /** Text of the notice shown while a statement waits for an approval. */
  readonly holdNotice?: (approval: string) => string
  /** Told of an upstream that cannot be reached, or lets nobody in: what the client is not told, for the operator. */
  readonly onUpstreamFault?: (reason: UpstreamFault) => void
  /** How long a client may take to log in, in milliseconds: 10 000. */
  readonly handshakeMs?: number
}

export interface PostgresGateway {
  /** @param port 0 for any that is free */
  listen(port: number, host: string): Promise<{ readonly port: number }>
  /** Connects to the upstream once, and leaves. @returns why it could not; undefined where it could */
  probe(): Promise<UpstreamFault | undefined>
  /** Where it listens; undefined before. */
  readonly address: { readonly host: string; readonly port: number } | undefined
  /** Takes no more connections, closes those there are, and resolves when their ends are recorded. */
  close(): Promise<void>
}

/** How long the server may take to let us in. */
const connectTimeoutMs = 10_000

/** A stable word, never a text of the server: an SQLSTATE (`3D000`, `28P01`) or an errno (`ECONNREFUSED`). */
export interface UpstreamFault {
  readonly code: string
}

export async function postgresGateway(options: PostgresOptions): Promise<PostgresGateway> {
  await loadParser()
  const { gate, target, tls, searchPath = ['public'], holdNotice = toldWhileHeld, handshakeMs = 10_000 } = options
  const upstream = { config: { connectionString: options.upstream }, target, searchPath, connectTimeoutMs }
  const catalog = new Catalog({ target, searchPath, connect: () => newClient(upstream) })
  // The database itself, and what the operator calls it.
  const databases = new Set([newClient(upstream).database ?? target, target])
  const parts = {
    ...{ gate, target, databases, searchPath, upstream, handshakeMs, holdNotice, catalog },
    onUpstreamFault: (cause: unknown) => options.onUpstreamFault?.(faultOf(cause)),
    analyser: new Analyser(catalog),
    secureContext: tls === undefined ? undefined : createSecureContext({ ...tls, minVersion: 'TLSv1.2' }),
    cancels: new Map(),
  }
  const sockets = new Map<Socket, Promise<void>>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.set(
      socket,
      serve(socket, parts).finally(() => sockets.delete(socket)),
    )
  })
  return {
    listen: (port, host) => listenOn(server, port, host),
    async probe() {
      const client = newClient(upstream)
      client.on('error', () => undefined)
      try {
        await client.connect()
        return undefined
      } catch (error) {
        return faultOf(error)
      } finally {
        client.end().catch(() => undefined)
      }
    },
    get address() {
      return whereIs(server)
    },
    async close() {
      const closed = server.listening ? new Promise<void>(resolve => server.close(() => resolve())) : undefined
      for (const socket of sockets.keys()) socket.destroy()
      await Promise.all(sockets.values())
      await Promise.all([catalog.close(), closed])
    },
  }
}

function faultOf(error: unknown): UpstreamFault {
  const { code } = (error ?? {}) as { code?: unknown }
  return { code: typeof code === 'string' && /^[A-Z0-9_]{1,32}$/.test(code) ? code : 'unknown' }
}
