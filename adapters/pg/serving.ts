/** One session, from its connection to the server to its end: the loop over messages, and the cut. */
import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { drained } from '../../lib/drained.ts'
import { Fault, isOurs, Refusal } from '../../lib/errors.ts'
import type { Held } from '../../lib/exchange.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Analyser } from './analyser.ts'
import type { Askers } from './asker.ts'
import type { Catalog } from './catalog.ts'
import { Demultiplexer } from './demultiplexer.ts'
import { errorResponse } from './errors.ts'
import { bind, close, describe, executePortal, parse } from './extended.ts'
import { type Message, Messages } from './messages.ts'
import { isAsking, refuseNobody } from './nobody.ts'
import { Session } from './session.ts'
import { isUtf8 } from './settings.ts'
import { simpleQuery } from './simple.ts'
import { Transactions } from './transaction.ts'
import { refuseUnjudged } from './unjudged.ts'
import { connectUpstream, type Upstream, type UpstreamOptions } from './upstream.ts'
import { ProtocolViolation } from './violation.ts'
import { flush, int32, message, parameterStatus, ready, sync, type } from './wire.ts'

/** What all sessions of a target share. */
export interface Serving {
  readonly gate: Gate
  readonly target: string
  readonly searchPath: readonly string[]
  readonly upstream: UpstreamOptions
  readonly onUpstreamFault: (cause: unknown) => void
  readonly holdNotice: (approval: string) => string
  readonly onHeld?: (held: Held) => void
  readonly catalog: Catalog
  readonly analyser: Analyser
  /** Live sessions by the key that cancels them. */
  readonly cancels: Map<string, { cancel(): void }>
}

/** One client of it, logged in. */
export interface Served {
  readonly socket: Duplex
  readonly askers: Askers
  /** What it may set for its session. */
  readonly settings: ReadonlyMap<string, string>
  /** Aborted when the client has gone. */
  readonly gone: AbortController
  /** Told of the connection to the server, once there is one. */
  readonly connected?: (upstream: Upstream, transactions: Transactions) => void
}

/** As the server: short messages are short, and the long ones are bounded too. */
const longest = new Map<number, number>(
  [type.query, type.parse, type.bind, type.copyData, type.copyFail, type.functionCall].map(of => [
    of,
    64 * 1024 * 1024,
  ]),
)
const short = 10_000

/** Never throws: whatever goes wrong is this session's alone. */
export async function serveSession(served: Served, parts: Serving): Promise<void> {
  const { socket, askers, settings, gone } = served
  const { gate, cancels } = parts
  const key = randomBytes(8)
  key[0]! &= 0x7f
  const settled: Promise<void>[] = []
  const transactions = new Transactions((exchanges, result) => {
    settled.push(gate.settle(exchanges, result).catch(() => undefined))
  })
  let upstream: Upstream | undefined
  let server: Demultiplexer | undefined
  let reason = 'client'
  let idle = true
  /** What is in flight may never answer: both sockets are closed under it. */
  const cut = () => {
    socket.end(errorResponse(askers.signal.reason, 'FATAL', { sqlstate: '57P01' }))
    setTimeout(() => socket.destroy(), 200).unref()
    if (!idle) upstream?.cancel()
    upstream?.destroy()
  }
  // It may have ended while it was being recorded: whoever logs in is told.
  if (askers.signal.aborted) cut()
  else askers.signal.addEventListener('abort', cut, { once: true })
  try {
    const over = AbortSignal.any([askers.signal, gone.signal])
    upstream = await connectUpstream(parts.upstream, settings, over).catch(error => {
      if (!over.aborted) parts.onUpstreamFault((error as Error).cause)
      throw error
    })
    const messages = new Messages(socket, of => longest.get(of) ?? short)
    socket.on('end', () => gone.abort(new Error('the client has gone')))
    server = new Demultiplexer({ messages, write: bytes => write(socket, bytes) }, upstream, transactions)
    const session = new Session({ ...parts, askers, demultiplexer: server, transactions, gone: gone.signal })
    checkLogin(upstream.parameters)
    served.connected?.(upstream, transactions)
    cancels.set(key.toString('hex'), session)
    await write(socket, greeting(upstream.parameters, key))
    while (
      await step(session, busy => {
        idle = !busy
      })
    )
      idle = true
    upstream.end()
    socket.end()
  } catch (error) {
    if (!askers.signal.aborted) {
      reason = gone.signal.aborted ? 'client' : wordOf(error)
      if (!idle) upstream?.cancel()
      upstream?.end()
      if (!gone.signal.aborted) socket.end(errorResponse(error, 'FATAL'))
    } else reason = 'cut'
  } finally {
    askers.signal.removeEventListener('abort', cut)
    cancels.delete(key.toString('hex'))
    transactions.lost(server?.commitsNothing !== false)
    await Promise.all(settled)
    await askers.close(reason).catch(() => undefined)
  }
}

const wordOf = (error: unknown) => {
  if (error instanceof ProtocolViolation) return 'protocol'
  return isOurs(error) && error.code === 'ERR_UPSTREAM' ? 'upstream' : 'failure'
}

/** Does the next thing. @returns false where the session is over in good order */
async function step(session: Session, working: (busy: boolean) => void): Promise<boolean> {
  const { server, pending, parts } = session
  const { askers } = parts
  const from = await session.next()
  if (from === 'server') {
    const answer = server.upstream.messages.take()
    if (answer === undefined) throw new Fault('ERR_UPSTREAM', 'the upstream has closed the connection')
    await server.relay(answer)
    return true
  }
  const asked = server.client.messages.take()
  if (asked === undefined || asked.type === type.terminate) return false
  if (asked.type === type.turn && askers.turn !== undefined) {
    const turn = askers.turn(asked.bytes)
    if (turn !== undefined) await session.handover.to(turn)
    return true
  }
  // The server would not read it either.
  if (server.skipping && asked.type !== type.sync) return true
  working(true)
  if (askers.current === undefined && isAsking(asked)) await refuseNobody(session, asked)
  else await answer(session, asked)
  if (asked.type === type.query || asked.type === type.sync) askers.answered()
  working(pending.length > 0 || !server.idle)
  return true
}

async function answer(session: Session, asked: Message): Promise<void> {
  const { server } = session
  const { bytes } = asked
  switch (asked.type) {
    case type.query:
      await simpleQuery(session, bytes)
      break
    case type.parse:
      await parse(session, bytes)
      break
    case type.bind:
      await bind(session, bytes)
      break
    case type.describe:
      describe(session, bytes)
      break
    case type.execute:
      await executePortal(session, bytes)
      break
    case type.close:
      close(session, bytes)
      break
    case type.flush:
      session.flush([], flush)
      break
    case type.sync:
      server.skipping = false
      session.flush([{ bytes: sync, expect: { of: 'sync' } }])
      await server.settle(session.over)
      session.transactionMayHaveEnded()
      break
    case type.functionCall:
      await refuseFunctionCall(session)
      break
    case type.copyData:
    case type.copyDone:
    case type.copyFail:
      // Left over from a COPY that the server has ended.
      break
    default:
      throw new ProtocolViolation('08P01', 'a message of an unknown type')
  }
}

/** A function by its oid, with values in any format: nothing to read, and nothing in use asks for it. */
async function refuseFunctionCall(session: Session): Promise<void> {
  const error = new Refusal('ERR_ACCESS_DENIED', 'the function call protocol is not allowed through the gateway')
  await session.refuseQuery(await refuseUnjudged(session, { functionCall: true }, error))
}

/** @throws Fault ERR_UPSTREAM where the server reads statements otherwise than we do */
function checkLogin(parameters: ReadonlyMap<string, string>): void {
  const agreed =
    parameters.get('standard_conforming_strings') === 'on' && isUtf8(parameters.get('client_encoding') ?? '')
  if (!agreed)
    throw new Fault('ERR_UPSTREAM', 'the upstream does not keep to the settings under which statements are read')
}

/** The server's parameters, and a key of our own: the server's never leaves. */
function greeting(parameters: ReadonlyMap<string, string>, key: Buffer): Buffer {
  return Buffer.concat([
    message(type.authentication, int32(0)),
    ...[...parameters].map(([name, value]) => parameterStatus(name, value)),
    message(type.backendKeyData, key),
    ready('I'),
  ])
}

/** Resolves when the socket can take more, or will never. What is written in one turn leaves as one. */
async function write(socket: Duplex, bytes: Uint8Array): Promise<void> {
  if (socket.writableEnded || socket.destroyed) return
  if (socket.writableCorked === 0) {
    socket.cork()
    process.nextTick(() => socket.uncork())
  }
  if (!socket.write(bytes)) await drained(socket)
}
