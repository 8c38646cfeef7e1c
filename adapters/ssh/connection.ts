/** One connection from its handshake to its end: login, the session that is recorded, its channels, and the cut. */
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import type { ClientInfo, Connection } from 'ssh2'
import { Refusal } from '../../lib/errors.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { signatures } from './algorithms.ts'
import { serveChannel } from './channel.ts'
import { forward } from './forward.ts'
import { destinationOf, type Hosts } from './hosts.ts'
import { announceSignatures, keepMessages, openFailures, rejectOpen } from './internals.ts'
import { type Asked, Listeners } from './listen.ts'
import { Live } from './live.ts'
import { type Arrival, authenticate } from './login.ts'
import { refusedOperation } from './operation.ts'

export interface ConnectionParts {
  readonly gate: Gate
  readonly target: string
  readonly hosts: Hosts
  readonly identifyKey: ((blob: Uint8Array) => Promise<Subject>) | undefined
  readonly holdNotice: (approval: string) => string
  readonly environment: readonly RegExp[]
}

/** Of one connection, at once. sshd opens ten sessions for one connection, unless its MaxSessions says otherwise. */
const mostChannels = 100

/** Serves one connection. @param known called when the client has logged in. @returns resolves when all of it is recorded */
export async function serve(
  connection: Connection,
  socket: Socket,
  info: ClientInfo,
  parts: ConnectionParts,
  known: () => void,
): Promise<void> {
  keepMessages(connection)
  announceSignatures(connection, signatures)
  const gone = new AbortController()
  // Each of its channels listens.
  setMaxListeners(0, gone.signal)
  const address = (socket.remoteAddress ?? info.ip).replace(/^::ffff:/, '')
  connection.on('error', () => socket.destroy())
  const closed = new Promise<void>(resolve => {
    connection.once('close', () => {
      gone.abort(new Error('the client has gone'))
      resolve()
    })
  })
  let session: Promise<void> | undefined
  authenticate(connection, { ...parts, address }, arrival => {
    known()
    const client = info.header.versions.software
    session = serveSession(connection, socket, { ...arrival, address, client }, parts, gone.signal)
  })
  await closed
  await session
}

async function serveSession(
  connection: Connection,
  socket: Socket,
  { subject, user, address, client }: Arrival & { readonly address: string; readonly client: string },
  parts: ConnectionParts,
  gone: AbortSignal,
): Promise<void> {
  const { gate, target } = parts
  // SSH is encrypted and authenticated as TLS is, which is what the entry tells.
  const opening = gate.openSession({ subject, protocol: 'ssh', target, tls: true, address, client })
  const destination = destinationOf(user, parts.hosts)
  const live = new Live({ ...parts, address, connection, socket, destination, session: opening, gone })
  serveRequests(connection, live)
  const over = new Promise<void>(resolve => gone.addEventListener('abort', () => resolve(), { once: true }))
  try {
    const open = await opening
    let reason = 'client'
    const cut = () => {
      reason = 'cut'
      // What is in flight is told first, each on its own channel.
      setTimeout(() => connection.end(), 100).unref()
      setTimeout(() => socket.destroy(), 300).unref()
    }
    if (open.signal.aborted) cut()
    else open.signal.addEventListener('abort', cut, { once: true })
    await over
    open.signal.removeEventListener('abort', cut)
    await live.end()
    await open.close(reason)
  } catch {
    // It could not be recorded: whatever is asked on the connection is told so, for as long as the client stays.
    await over
    await live.end()
  }
}

type Answer = ((port?: number) => void) | undefined

function serveRequests(connection: Connection, live: Live): void {
  let channels = 0
  const admit = (reject: () => void): boolean => {
    if (channels < mostChannels) return true
    rejectOpen(connection, reject, openFailures.shortage, `counterfoil: ${mostChannels} channels at once, and no more`)
    return false
  }
  connection.on('session', (accept, reject) => {
    if (!admit(reject)) return
    channels += 1
    const session = accept()
    session.once('close', () => {
      channels -= 1
    })
    serveChannel(session, live)
  })
  connection.on('tcpip', (accept, reject, info) => {
    if (!admit(reject)) return
    channels += 1
    void forward(connection, live, accept, reject, info).finally(() => {
      channels -= 1
    })
  })
  connection.on('openssh.streamlocal', (_, reject, { socketPath }) => {
    const error = new Refusal('ERR_ACCESS_DENIED', 'sockets of the host are not forwarded by the gateway')
    void live.refuse(refusedOperation(live.base, 'socket', 'forward', socketPath), error)
    rejectOpen(connection, reject, openFailures.prohibited, `counterfoil: ${error.code}: ${error.message}`)
  })
  const listeners = new Listeners(connection, live)
  connection.on('request', (accept: Answer, reject: Answer, name: string, info: object) => {
    const [yes, no] = [(port?: number) => accept?.(port), () => reject?.()]
    if (name === 'tcpip-forward') return void listeners.listen(info as Asked, yes, no)
    if (name === 'cancel-tcpip-forward') return void listeners.cancel(info as Asked, yes, no)
    // What was never allowed has nothing to be cancelled.
    if (!name.startsWith('cancel-')) {
      const error = new Refusal('ERR_ACCESS_DENIED', 'the host makes no sockets for a client through the gateway')
      void live.refuse(refusedOperation(live.base, 'socket', 'listen', { ...info }), error)
    }
    no()
  })
}
