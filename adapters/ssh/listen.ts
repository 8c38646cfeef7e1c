/**
 * Ports that the host listens on for a client (tcpip-forward, `ssh -R`): that it may, and each connection that comes of it
 * (forwarded-tcpip), are operations of their own, judged by where it is listened.
 */
import type { Client, ClientChannel, Connection, ServerChannel } from 'ssh2'
import { Fault, Refusal } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import { relay } from './forward.ts'
import { Leaving } from './leaving.ts'
import type { Live } from './live.ts'
import { type Bound, boundTo, listenOperation, refusedOperation } from './operation.ts'
import { Outlet } from './streams.ts'
import type { Upstream } from './upstream.ts'

export interface Asked {
  readonly bindAddr: string
  readonly bindPort: number
}

interface Listening {
  readonly asked: Asked
  readonly bound: Bound
  readonly upstream: Upstream
  /** The port, where any was asked for. */
  readonly port: number
  cancel(): void
  /** The host listens no more. */
  readonly over: Promise<void>
}

interface Arrived {
  readonly destIP: string
  readonly destPort: number
  readonly srcIP: string
  readonly srcPort: number
}

/** Of one connection, at once. */
const mostPorts = 16
const mostConnections = 100

/** The two ends of a connection that came to the host, as far as they are there. */
interface Joined {
  readonly leaving: Leaving
  remote?: ClientChannel
  channel?: ServerChannel
  outlet?: Outlet
}

/** The ports of one client's connection. */
export class Listeners {
  readonly #connection: Connection
  readonly #live: Live
  readonly #listening = new Map<string, Listening>()
  readonly #heard = new WeakSet<Client>()
  #asked = 0
  #connections = 0

  constructor(connection: Connection, live: Live) {
    this.#connection = connection
    this.#live = live
  }

  /** Answers once it is judged and the host listens; what SSH has no words for, the ledger tells. Never rejects. */
  async listen(asked: Asked, accept: (port: number) => void, reject: () => void): Promise<void> {
    if (this.#asked >= mostPorts) {
      const error = new Refusal('ERR_ACCESS_DENIED', `${mostPorts} ports at once, and no more`)
      await this.#live.refuse(refusedOperation(this.#live.base, 'listen', 'listen', { ...asked }), error)
      return reject()
    }
    this.#asked += 1
    let listens = false
    const told = (port: number) => {
      listens = true
      accept(port)
    }
    try {
      const bound = boundTo(asked.bindAddr)
      const operation = listenOperation(this.#live.base, bound, asked.bindPort)
      const origin = (exchange: Exchange) => this.#reply(exchange, asked, bound, told)
      await this.#live.run(operation, { signal: this.#live.parts.gone }, origin, () => undefined)
    } catch (error) {
      await this.#live.refuse(refusedOperation(this.#live.base, 'listen', 'listen', { ...asked }), error as Error)
    } finally {
      this.#asked -= 1
    }
    if (!listens) reject()
  }

  /** Connections that there are stay (RFC 4254, 7.1: no more of them come). */
  async cancel({ bindAddr, bindPort }: Asked, accept: () => void, reject: () => void): Promise<void> {
    const found = [...this.#listening.values()].find(
      ({ asked, port }) => asked.bindAddr === bindAddr && port === bindPort,
    )
    if (found === undefined) return reject()
    found.cancel()
    await found.over
    accept()
  }

  /** Goes on for as long as the host listens. */
  async *#reply(exchange: Exchange, asked: Asked, bound: Bound, told: (port: number) => void): AsyncGenerator<Frame> {
    const { signal } = exchange
    // Said before anything is sent, so that under a mask nothing is.
    yield { type: 'head', form: { kind: 'opaque' } }
    const upstream = await this.#live.link.get(signal)
    this.#hear(upstream)
    const port = await bind(upstream.client, bound.asked, asked.bindPort, signal)
    const key = `${bound.asked}:${port}`
    let unbound: () => void = () => undefined
    const over = new Promise<void>(resolve => {
      unbound = resolve
    })
    try {
      const ended = new Promise<'cancelled' | 'lost'>(resolve => {
        const cancel = () => resolve('cancelled')
        this.#listening.set(key, { asked, bound, upstream, port, cancel, over })
        upstream.client.once('close', () => resolve('lost'))
      })
      told(port)
      if ((await race(ended, signal)) === 'lost')
        throw new Fault('ERR_UPSTREAM', 'the host has gone: it listens no more')
    } finally {
      this.#listening.delete(key)
      await unbind(upstream.client, bound.asked, port)
      unbound()
    }
    yield { type: 'end', result: 'completed', settled: 'unknown' }
  }

  #hear({ client }: Upstream): void {
    if (this.#heard.has(client)) return
    this.#heard.add(client)
    client.on('tcp connection', (arrived: Arrived, accept: () => ClientChannel, reject: () => void) => {
      const listening = this.#listening.get(`${arrived.destIP}:${arrived.destPort}`)
      if (listening === undefined || this.#connections >= mostConnections) return reject()
      this.#connections += 1
      void this.#bring(listening, arrived, accept, reject).finally(() => {
        this.#connections -= 1
      })
    })
  }

  async #bring(listening: Listening, arrived: Arrived, accept: () => ClientChannel, reject: () => void): Promise<void> {
    const { bound, port } = listening
    const live = this.#live
    const from = `${arrived.srcIP}:${arrived.srcPort}`
    const leaving = new Leaving(live.parts.gone)
    const joined: Joined = { leaving }
    await live.run(
      listenOperation(live.base, bound, port, from),
      { signal: leaving.signal },
      exchange => this.#connected(exchange, listening, arrived, accept, joined),
      frame => (frame.type === 'data' ? Promise.race([joined.outlet!.write(frame.bytes), leaving.left]) : undefined),
    )
    leaving.stands()
    joined.channel?.close()
    if (joined.remote === undefined) reject()
  }

  async *#connected(
    exchange: Exchange,
    { asked, port, upstream }: Listening,
    { srcIP, srcPort }: Arrived,
    accept: () => ClientChannel,
    joined: Joined,
  ): AsyncGenerator<Frame> {
    const { signal } = exchange
    yield { type: 'head', form: { kind: 'opaque' } }
    // As the client has named it: it knows its forwards by that.
    const opened = new Promise<ServerChannel | undefined>(resolve => {
      this.#connection.forwardOut(asked.bindAddr, port, srcIP, srcPort, (error, channel) =>
        resolve(error === undefined ? channel : undefined),
      )
    })
    opened.then(channel => channel?.on('error', () => undefined))
    const channel = await race(opened, signal).catch(error => {
      // Opened after nobody waits for it any more.
      void opened.then(late => late?.close())
      throw error
    })
    if (channel === undefined) {
      yield { type: 'end', result: 'failed', code: 'client-refused', settled: 'nothing' }
      return
    }
    joined.channel = channel
    joined.outlet = new Outlet(channel, this.#live.parts.socket)
    const remote = accept()
    joined.remote = remote
    remote.on('error', () => undefined)
    yield* relay(exchange, this.#live, { upstream, remote, channel, leaving: joined.leaving })
  }
}

/** @returns the port. @throws Fault ERR_UPSTREAM where the host does not let the gateway; the signal's reason */
async function bind(client: Client, address: string, port: number, signal: AbortSignal): Promise<number> {
  const bound = new Promise<number>((resolve, reject) => {
    const refuse = (cause: unknown) =>
      reject(new Fault('ERR_UPSTREAM', 'the host does not listen there for the gateway', {}, cause))
    try {
      client.forwardIn(address, port, (error, chosen) => (error === undefined ? resolve(chosen) : refuse(error)))
    } catch (error) {
      refuse(error)
    }
  })
  try {
    return await race(bound, signal)
  } catch (error) {
    // It listens when nobody waits for that any more.
    bound.then(
      chosen => unbind(client, address, chosen),
      () => undefined,
    )
    throw error
  }
}

/** Resolves when the host listens no more, or has gone. */
function unbind(client: Client, address: string, port: number): Promise<void> {
  return new Promise(resolve => {
    client.once('close', () => resolve())
    try {
      client.unforwardIn(address, port, () => resolve())
    } catch {
      resolve()
    }
  })
}
