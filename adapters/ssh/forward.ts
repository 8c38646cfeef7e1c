/** A connection forwarded by the host (direct-tcpip: `ssh -W`, `-L`, `-J`): judged by its destination, opened only when it may be. */
import type { ClientChannel, Connection, ServerChannel, TcpipRequestInfo } from 'ssh2'
import type { Exchange } from '../../lib/exchange.ts'
import type { Operation } from '../../lib/operation.ts'
import type { Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import { told } from './errors.ts'
import { rejectOpen } from './internals.ts'
import { Leaving } from './leaving.ts'
import type { Live, Result } from './live.ts'
import { forwardOperation, refusedOperation } from './operation.ts'
import { Inlet, Outlet, pump } from './streams.ts'
import type { Upstream } from './upstream.ts'

export async function forward(
  connection: Connection,
  live: Live,
  accept: () => ServerChannel | undefined,
  reject: () => void,
  info: TcpipRequestInfo,
): Promise<void> {
  let channel: ServerChannel | undefined
  let outlet: Outlet | undefined
  const leaving = new Leaving(live.parts.gone)
  const open = (): ServerChannel | undefined => {
    channel = accept()
    channel?.on('error', () => undefined)
    if (channel !== undefined) outlet = new Outlet(channel, live.parts.socket)
    return channel
  }
  const result = await judged(
    live,
    info,
    leaving,
    exchange => reply(exchange, live, info, leaving, open),
    frame => (frame.type === 'data' ? Promise.race([outlet!.write(frame.bytes), leaving.left]) : undefined),
  )
  leaving.stands()
  if (channel !== undefined) return void channel.close()
  const { open: reason, text } = told(
    'error' in result ? result.error : undefined,
    'error' in result ? result.exchange : undefined,
  )
  rejectOpen(connection, reject, reason, text)
}

async function judged(
  live: Live,
  { destIP, destPort }: TcpipRequestInfo,
  { signal }: Leaving,
  origin: (exchange: Exchange) => AsyncGenerator<Frame>,
  sink: (frame: Frame) => void | Promise<void>,
): Promise<Result> {
  let operation: Operation
  try {
    operation = forwardOperation(live.base, destIP, destPort)
  } catch (error) {
    return live.refuse(refusedOperation(live.base, 'forward', 'forward', `${destIP}:${destPort}`), error as Error)
  }
  return live.run(operation, { signal }, origin, sink)
}

async function* reply(
  exchange: Exchange,
  live: Live,
  { srcIP, srcPort, destIP, destPort }: TcpipRequestInfo,
  leaving: Leaving,
  open: () => ServerChannel | undefined,
): AsyncGenerator<Frame> {
  const { signal } = exchange
  yield { type: 'head', form: { kind: 'opaque' } }
  const upstream = await live.link.get(signal)
  const remote = await live.link.channel(upstream, signal, (on, done) =>
    on.forwardOut(srcIP, srcPort, destIP, destPort, done),
  )
  yield* relay(exchange, live, { upstream, remote, channel: open(), leaving })
}

interface Joined {
  readonly upstream: Upstream
  readonly remote: ClientChannel
  /** Undefined where the client has gone meanwhile. */
  readonly channel: ServerChannel | undefined
  readonly leaving: Leaving
}

/** For as long a host may take what a client sent before it closed. */
const lingerMs = 10_000

/** What the host's side sends, as frames, to their end; what the client sends goes to it beside them. */
export async function* relay(
  exchange: Exchange,
  live: Live,
  { upstream, remote, channel, leaving }: Joined,
): AsyncGenerator<Frame> {
  const { signal } = exchange
  const over = new AbortController()
  const stop = () => over.abort(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  const sent = channel === undefined ? undefined : pump(channel, remote, upstream.socket, over.signal)
  // The host closes its side when all that it was sent has been written; one that is disconnected from before drops what it still holds.
  const parted = new Promise<void>(resolve => remote.once('close', () => resolve()))
  let late: NodeJS.Timeout | undefined
  let left = false
  const soon = () => {
    late ??= setTimeout(stop, lingerMs)
  }
  // Who closes has ended it; what it sent before goes on to the host all the same.
  const closed = () => {
    left = true
    leaving.leave()
    live.linger(over.signal)
    soon()
    void sent?.then(() => remote.close())
  }
  let unwatch: (() => void) | undefined
  try {
    signal.throwIfAborted()
    leaving.stands()
    if (channel !== undefined) unwatch = live.watch(channel, closed)
    const received = new Inlet({ data: remote })
    try {
      for (
        let piece = await received.next(over.signal);
        piece !== undefined;
        piece = await received.next(over.signal)
      ) {
        // There is nobody left to be shown it.
        if (!left) yield { type: 'data', channel: 'forward', bytes: piece.bytes, items: 1 }
      }
      // Each direction ends on its own: the client may have more to send.
      channel?.eof()
      await sent
      remote.close()
      soon()
      await race(parted, over.signal)
    } catch (error) {
      // A client that closes what it has opened has ended it.
      if (signal.aborted) throw error
    }
    yield { type: 'end', result: 'completed', settled: 'unknown' }
  } finally {
    unwatch?.()
    clearTimeout(late)
    signal.removeEventListener('abort', stop)
    over.abort()
    remote.close()
  }
}
