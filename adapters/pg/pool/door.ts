/** What the clients of one pool share: where the server is, its catalog, and what statements have been found to mean. */
import pg from 'pg'
import { holdNotice as toldWhileHeld } from '../../../lib/approvals/hold-notice.ts'
import { Misuse } from '../../../lib/errors.ts'
import type { Gate } from '../../../lib/gate.ts'
import { Analyser } from '../analyser.ts'
import { Catalog } from '../catalog.ts'
import { newClient } from '../upstream.ts'
import type { Door } from './client.ts'
import type { GuardedOptions } from './index.ts'

export type Config = pg.PoolConfig & { readonly Client?: unknown }

/** How long the server may take to let us in, where the pool does not say. */
const connectTimeoutMs = 10_000

export function newDoor(gate: Gate, given: Config, options: GuardedOptions): Door & { close(): Promise<void> } {
  const { target = gate.name, searchPath = ['public'], holdNotice = toldWhileHeld, onHeld } = options
  // Both are kept from being listed by pg, and so by a spread.
  const config = { ...given, password: given.password, pipeline: false, connection: undefined }
  if (config.stream !== undefined && typeof config.stream !== 'function') {
    throw new Misuse('ERR_OPTION_INVALID', 'stream must be a function: more than one connection is needed')
  }
  const real = new pg.Client({ ...config, password: undefined, stream: undefined } as object)
  if ((real as unknown as { replication?: unknown }).replication) {
    throw new Misuse('ERR_OPTION_INVALID', 'the replication protocol is not allowed through the guard')
  }
  const upstream = {
    ...{ config, target, searchPath },
    connectTimeoutMs: given.connectionTimeoutMillis || connectTimeoutMs,
  }
  const connect = () => {
    const client = newClient(upstream)
    // It waits for queries of the application, and alone is no reason to go on.
    ;(client as unknown as { unref(): void }).unref()
    return client
  }
  const catalog = new Catalog({ target, searchPath, connect })
  return {
    real,
    serving: {
      ...{ gate, target, searchPath, upstream, holdNotice, catalog },
      ...(onHeld === undefined ? {} : { onHeld }),
      analyser: new Analyser(catalog),
      cancels: new Map(),
    },
    close: () => catalog.close(),
  }
}

/** What a client was made with, as far as it keeps it. */
export function configOf(client: pg.Client): Config {
  const { connectionParameters: at, ...of } = client as unknown as {
    connectionParameters: Record<string, unknown>
    enableChannelBinding: boolean
    scramMaxIterations: number
    binary: boolean
    _connectionTimeoutMillis: number
  }
  const types = { getTypeParser: client.getTypeParser.bind(client) }
  const {
    user,
    database,
    port,
    host,
    ssl,
    sslnegotiation,
    options,
    query_timeout,
    statement_timeout,
    lock_timeout,
    idle_in_transaction_session_timeout,
    replication,
  } = at
  return {
    ...{ user, database, port, host, ssl, sslnegotiation, options, query_timeout, statement_timeout, lock_timeout },
    ...{ idle_in_transaction_session_timeout, replication, types, password: client.password },
    ...{ enableChannelBinding: of.enableChannelBinding, scramMaxIterations: of.scramMaxIterations },
    ...{ binary: of.binary, connectionTimeoutMillis: of._connectionTimeoutMillis },
  } as Config
}
