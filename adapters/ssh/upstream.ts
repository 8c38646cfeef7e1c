/**
 * The connection to a host: made when the first thing permitted needs it, shared by all channels of one client, and made anew if lost.
 */
import { connect, type Socket } from 'node:net'
import type { Client, ClientChannel, ConnectConfig } from 'ssh2'
import ssh2 from 'ssh2'
import { Fault } from '../../lib/errors.ts'
import { race } from '../../lib/run.ts'
import { algorithms } from './algorithms.ts'
import type { Destination, LoginAt } from './hosts.ts'

export interface Upstream {
  readonly client: Client
  readonly socket: Socket
}

const readyMs = 10_000
const keepalive = { keepaliveInterval: 15_000, keepaliveCountMax: 3 }

export class Link {
  readonly #destination: Destination
  readonly #at: LoginAt
  #upstream: Promise<Upstream> | undefined
  #ended = false

  constructor(destination: Destination & { readonly at: LoginAt }) {
    this.#destination = destination
    this.#at = destination.at
  }

  /** @throws Fault ERR_UPSTREAM; the signal's reason */
  async get(signal: AbortSignal): Promise<Upstream> {
    signal.throwIfAborted()
    if (this.#ended) throw new Fault('ERR_UPSTREAM', 'the session has ended')
    this.#upstream ??= this.#connect()
    return race(this.#upstream, signal)
  }

  /** Opens a channel on the connection. @throws Fault ERR_UPSTREAM where the host refuses; the signal's reason */
  async channel(
    { client }: Upstream,
    signal: AbortSignal,
    open: (client: Client, done: (error: Error | undefined, channel: ClientChannel) => void) => void,
  ): Promise<ClientChannel> {
    const opened = new Promise<ClientChannel>((resolve, reject) => {
      const refuse = (cause?: Error) =>
        reject(new Fault('ERR_UPSTREAM', `${this.#destination.host} does not let the gateway do this`, {}, cause))
      try {
        open(client, (error, channel) => (error ? refuse(error) : resolve(channel)))
      } catch (error) {
        refuse(error as Error)
      }
    })
    try {
      return await race(opened, signal)
    } catch (error) {
      // Opened after nobody waits for it any more.
      opened.then(
        channel => channel.close(),
        () => undefined,
      )
      throw error
    }
  }

  end(): void {
    this.#ended = true
    this.#upstream?.then(
      ({ client, socket }) => {
        client.end()
        setTimeout(() => socket.destroy(), 1000).unref()
      },
      () => undefined,
    )
  }

  #connect(): Promise<Upstream> {
    const { host } = this.#destination
    const { address, pinned, key } = this.#at
    const made = new Promise<Upstream>((resolve, reject) => {
      let why = `${host} cannot be reached, or does not let the gateway in`
      const socket = connect({ ...address, noDelay: true, timeout: readyMs })
      socket.once('timeout', () => socket.destroy())
      const client = new ssh2.Client()
      const lost = (cause?: Error) => {
        this.#upstream = undefined
        socket.destroy()
        reject(new Fault('ERR_UPSTREAM', why, { host }, cause))
      }
      client.on('error', lost)
      client.on('close', () => lost())
      client.once('ready', () => {
        socket.setTimeout(0)
        resolve({ client, socket })
      })
      const config: ConnectConfig = {
        ...{ sock: socket, readyTimeout: readyMs, ...keepalive },
        username: this.#destination.login,
        authHandler: [{ type: 'publickey', username: this.#destination.login, key }] as never,
        algorithms: algorithms(pinned.flatMap(({ type }) => proofs(type))),
        hostVerifier: (presented: Buffer) => {
          const known = pinned.some(key => key.getPublicSSH().equals(presented))
          if (!known) why = `${host} shows another host key than the one that is pinned: nothing was sent to it`
          return known
        },
      }
      client.connect(config)
    })
    // Whoever waits hears of it; nobody has to.
    made.catch(() => undefined)
    return made
  }
}

const proofs = (type: string): string[] => (type === 'ssh-rsa' ? ['rsa-sha2-512', 'rsa-sha2-256'] : [type])
