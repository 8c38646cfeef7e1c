/** One connection from its first byte to its login; what follows is served as a session. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import { oneAsker } from './asker.ts'
import { errorResponse } from './errors.ts'
import { type Serving, serveSession } from './serving.ts'
import { startupSettings } from './settings.ts'
import { arrive } from './startup.ts'

export interface ConnectionParts extends Serving {
  /** By which names clients may ask for the upstream's database. */
  readonly databases: ReadonlySet<string>
  readonly secureContext: SecureContext | undefined
  readonly handshakeMs: number
}

/** Serves one connection. Never throws: whatever goes wrong is this connection's alone. */
export async function serve(raw: Socket, parts: ConnectionParts): Promise<void> {
  const gone = new AbortController()
  raw.on('error', () => raw.destroy())
  raw.once('close', () => gone.abort(new Error('the client has gone')))
  const deadline = setTimeout(() => raw.destroy(), parts.handshakeMs)
  const address = (raw.remoteAddress ?? '').replace(/^::ffff:/, '')
  let socket: Duplex = raw
  try {
    raw.setNoDelay(true)
    const door = {
      ...{ gate: parts.gate, target: parts.target, databases: parts.databases, address },
      secureContext: parts.secureContext,
      accept: (asked: ReadonlyMap<string, string>) => void startupSettings(asked, parts.searchPath),
    }
    const arrival = await arrive(raw, door)
    if (arrival === undefined) return void raw.end()
    if (arrival.kind === 'cancel') {
      parts.cancels.get(arrival.key)?.cancel()
      return void raw.end()
    }
    socket = arrival.socket
    clearTimeout(deadline)
    const { subject, tls } = arrival
    const client = arrival.parameters.get('application_name')
    const session = {
      ...{ subject, protocol: 'postgres', target: parts.target, tls, address },
      ...(client === undefined || client === '' ? {} : { client }),
    }
    const open = await parts.gate.openSession(session)
    const settings = startupSettings(arrival.parameters, parts.searchPath)
    await serveSession({ socket, askers: oneAsker(open, address), settings, gone }, parts)
  } catch (error) {
    socket.end(errorResponse(error, 'FATAL'))
  } finally {
    clearTimeout(deadline)
    setTimeout(() => raw.destroy(), 1000).unref()
  }
}
