/**
 * Where a leader listens for processes of other hosts: TLS 1.3, both sides with a certificate, as long as it leads. Who is not let in is
 * told why, and the operator too; nothing of what it sends is read before.
 */
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { alarm } from '../../alarm.ts'
import { systemClock } from '../../clock.ts'
import { describe, Refusal } from '../../errors.ts'
import { whereIs } from '../../listening.ts'
import { remote } from './access.ts'
import { type MutualTls, objection, type TlsSource, tlsOf, tlsOnly, urisOf, writerUri } from './certificate.ts'
import { encodeJson } from './frames.ts'
import type { Leader, LeaderParts, Listening } from './leader.ts'
import { failureOf } from './messages.ts'
import type { Said } from './said.ts'
import { sparingly } from './sparingly.ts'

export interface GatewaySettings {
  readonly host: string
  /** 0: any that is free. */
  readonly port: number
  readonly tls: TlsSource
  /** Milliseconds between looks at whether the certificate was renewed. 60,000 unless said otherwise. */
  readonly renewMs?: number
  /** Milliseconds without a word after which a connection is given up. 20,000 unless said otherwise. */
  readonly silenceMs?: number
}

interface Parts extends GatewaySettings {
  readonly origin: string
  readonly leader: Pick<Leader, 'accept'>
  /** Of all that connect here. */
  readonly said: Said
  readonly onEvent: LeaderParts['onEvent']
}

/** Half of what a leader takes in all: however many come from elsewhere, those of its own host come in. */
const mostConnections = 128
/** Of one certificate: a process has one, and another while it comes back. */
const mostOfOne = 8
const handshakeMs = 5_000
/** Milliseconds that who is refused has to read why. */
const farewellMs = 2_000
const againMs = 1_000

/** Never fails: an address that is in use, or a certificate that cannot be read, is told, and tried again. */
export function listenToOthers(parts: Parts): Listening {
  const gateway = new Gateway(parts)
  gateway.open()
  return gateway
}

class Gateway implements Listening {
  readonly #parts: Parts
  readonly #tell: LeaderParts['onEvent']
  readonly #open = new Map<string, number>()
  /** Also those whose handshake is not over. */
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #used: MutualTls | undefined
  #trouble = ''
  #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(parts: Parts) {
    this.#parts = parts
    this.#tell = sparingly(parts.onEvent)
  }

  open(): void {
    const { host, port, tls } = this.#parts
    try {
      const used = tlsOf(tls)
      const server = serverOf(used)
      this.#use(used)
      this.#server = server
      this.#hear(server)
      server.listen(port, host)
      server.unref()
    } catch (error) {
      this.#again(error)
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#server?.close()
  }

  #hear(server: Server): void {
    const { onEvent, renewMs = 60_000 } = this.#parts
    server.on('error', error => {
      server.close()
      this.#again(error)
    })
    server.on('listening', () => {
      this.#trouble = ''
      onEvent('the ledger listens for writers of other hosts', { ...whereIs(server) })
      this.#timer = setInterval(() => this.#renew(server), renewMs).unref()
    })
    server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on('secureConnection', socket => this.#accept(socket))
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      this.#tell('a connection from another host was refused', { ...from(socket), why: describe(error) })
      // One that is only late, Node leaves open.
      socket.destroy()
    })
    server.on('drop', () => {
      this.#tell('a connection from another host was refused', { why: `there are ${mostConnections} already` })
    })
  }

  /** What is wrong is told once, not each time that it still is. */
  #again(error: unknown): void {
    if (this.#closed) return
    const why = describe(error)
    if (why !== this.#trouble) {
      this.#parts.onEvent('the ledger cannot listen for writers of other hosts: it is tried again', { why })
    }
    this.#trouble = why
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.open(), againMs).unref()
  }

  #renew(server: Server): void {
    const { tls, onEvent } = this.#parts
    try {
      const { key, cert, ca } = tlsOf(tls)
      if (key === this.#used?.key && cert === this.#used.cert && ca === this.#used.ca) return
      server.setSecureContext({ ...settings, key, cert, ca })
      this.#use({ key, cert, ca })
      this.#trouble = ''
      onEvent('the certificate for writers of other hosts was renewed')
    } catch (error) {
      const why = describe(error)
      if (why !== this.#trouble) onEvent('a renewed certificate cannot be used: the one of before goes on', { why })
      this.#trouble = why
    }
  }

  /** Who was let in by an authority that is trusted no more is not heard any more: nobody else can say that a key was lost. */
  #use(tls: MutualTls): void {
    const isTrusted = this.#used === undefined || isAmong(this.#used.ca, tls.ca)
    this.#used = tls
    if (isTrusted || this.#sockets.size === 0) return
    this.#parts.onEvent('the authority for writers of other hosts was changed: their connections were closed')
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: TLSSocket): void {
    const { origin, leader, said, silenceMs = 20_000 } = this.#parts
    socket.on('error', () => socket.destroy())
    const certificate = socket.getPeerX509Certificate()
    const why = objection(socket)
    if (why !== undefined || certificate === undefined) {
      this.#refuse(socket, why ?? 'it shows no certificate')
      return
    }
    const bearer = certificate.fingerprint256
    const open = this.#open.get(bearer) ?? 0
    if (open >= mostOfOne) {
      this.#refuse(socket, `there are ${open} connections with its certificate already`)
      return
    }
    this.#open.set(bearer, open + 1)
    const silent = setTimeout(() => socket.destroy(), silenceMs).unref()
    const cutAtEnd = alarm(systemClock, Date.parse(certificate.validTo), () => {
      this.#tell('the certificate of a writer of another host has expired: its connection was closed', from(socket))
      socket.destroy()
    })
    socket.on('data', () => silent.refresh())
    socket.once('close', () => {
      clearTimeout(silent)
      cutAtEnd()
      const left = this.#open.get(bearer)! - 1
      if (left > 0) this.#open.set(bearer, left)
      else this.#open.delete(bearer)
    })
    const uris = urisOf(certificate.subjectAltName ?? '')
    leader.accept(
      socket,
      remote(writer => uris.includes(writerUri(origin, writer)), said),
    )
  }

  /** What it sends meanwhile is thrown away: with it unread, the system would cut the connection before the reason has arrived. */
  #refuse(socket: TLSSocket, why: string): void {
    this.#tell('a connection from another host was refused', { ...from(socket), why })
    const late = setTimeout(() => socket.destroy(), farewellMs).unref()
    socket.once('close', () => clearTimeout(late))
    socket.resume()
    socket.end(
      encodeJson('refused', failureOf(new Refusal('ERR_UNIDENTIFIED', `the leader refuses this process: ${why}`))),
    )
  }
}

const settings = {
  ...tlsOnly,
  // Without tickets nothing can be resumed: every connection shows its certificate.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const

function serverOf(tls: MutualTls): Server {
  const server = createServer({
    ...{ key: tls.key, cert: tls.cert, ca: tls.ca },
    ...settings,
    requestCert: true,
    // Judged here, by `objection`, so that who is refused can be told why: Node would only hang up.
    rejectUnauthorized: false,
    handshakeTimeout: handshakeMs,
  })
  server.maxConnections = mostConnections
  return server
}

const authoritiesIn = (pem: string) => pem.split(/(?<=-----END CERTIFICATE-----)/).map(one => one.replace(/\s/g, ''))

/** Whether every authority of the one is one of the other. */
function isAmong(ca: string, others: string): boolean {
  const known = new Set(authoritiesIn(others))
  return authoritiesIn(ca).every(one => one === '' || known.has(one))
}

const from = ({ remoteAddress }: { readonly remoteAddress?: string | undefined }) =>
  remoteAddress === undefined ? {} : { address: remoteAddress }
