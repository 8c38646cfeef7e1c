/** The leader: the process that holds a ledger's lock, and appends for every other that shares it. Who may join is decided here. */
import type { Duplex } from 'node:stream'
import { LedgerError, Refusal } from '../../errors.ts'
import type { SignedCheckpoint } from '../../format/checkpoint.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { longestHeartbeatMs } from '../story.ts'
import type { Access } from './access.ts'
import { Attachments } from './attachments.ts'
import { encodeJson, longestHello, longestMessage, MessageReader } from './frames.ts'
import { Joining, type Place, taken } from './joining.ts'
import { failureOf, type Hello, protocolVersion, readHello, type Welcome } from './messages.ts'
import { Peer } from './peer.ts'

export interface LeaderParts {
  readonly ledger: DirectoryLedger
  /** The leader's own. */
  readonly writer: string
  /** Milliseconds within which a writer that was at work must come back, or is given up. */
  readonly graceMs: number
  /** What an operator should know: a connection that was refused, a writer that was given up. */
  readonly onEvent: (what: string, facts?: Readonly<Record<string, unknown>>) => void
}

/** Milliseconds for whoever connects to say who it is. */
const helloMs = 5_000
const mostConnections = 256
/** Milliseconds between seals that other hosts ask for: each is a signature of the OpenPGP key, and a file for good. */
const sealedEveryMs = 60_000

/** What a leader listens on while it leads. */
export interface Listening {
  /** Takes no more connections. */
  close(): void
}

export class Leader {
  readonly #parts: LeaderParts
  readonly #joining: Joining
  /** By writer, through all of its connections. */
  readonly #attachments = new Map<string, Attachments>()
  readonly #sockets = new Set<Duplex>()
  readonly #servers: Listening[] = []
  readonly #unfollow: () => void
  /** `performance.now()` of the last seal that another host asked for. */
  #sealedAt = Number.NEGATIVE_INFINITY
  #closing = false

  constructor(parts: LeaderParts) {
    this.#parts = parts
    const abandon = async (writer: string) => this.#attachments.get(writer)?.abandon()
    this.#joining = new Joining({ ...parts, abandon })
    this.#unfollow = parts.ledger.follow(() => {
      for (const peer of this.#joining.peers()) peer.wake()
    })
    for (const writer of parts.ledger.unfinished()) if (writer !== parts.writer) this.#joining.await(writer)
  }

  /** Serves what connects there, as long as this process leads. */
  add(server: Listening): void {
    this.#servers.push(server)
  }

  /** @param access what whoever connects may have done */
  accept(socket: Duplex, access: Access): void {
    socket.on('error', () => socket.destroy())
    if (this.#closing || this.#sockets.size >= mostConnections) {
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    const reader = new MessageReader(longestHello)
    const late = setTimeout(() => socket.destroy(), helloMs).unref()
    let peer: Peer | undefined
    let joining = false
    socket.on('data', (bytes: Buffer) => {
      try {
        if (peer !== undefined) {
          peer.take(bytes)
          return
        }
        for (const message of reader.read(bytes)) {
          if (joining) throw new LedgerError('ERR_ENTRY_MALFORMED', 'a message before it was let in')
          joining = true
          clearTimeout(late)
          const hello = readHello(message)
          void this.#let(hello, socket, reader, access).then(joined => {
            peer = joined
          })
        }
      } catch {
        this.#parts.onEvent('a connection to the shared ledger was closed: what it sent is no message of it')
        socket.destroy()
      }
    })
    socket.once('close', () => {
      clearTimeout(late)
      this.#sockets.delete(socket)
      if (peer !== undefined) this.#joining.left(peer)
    })
  }

  /** Takes nothing more from anybody; what was taken goes on. */
  mute(): void {
    this.#closing = true
    this.#joining.mute()
    // While the lock is still held: closing a server removes its socket, which may be the next leader's by then.
    for (const server of this.#servers) server.close()
    this.#servers.length = 0
    for (const peer of this.#joining.peers()) peer.mute()
  }

  /** Ends every connection. Writers are not given up: they join the next leader. */
  close(): void {
    this.mute()
    this.#unfollow()
    this.#joining.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #let(hello: Hello, socket: Duplex, reader: MessageReader, access: Access): Promise<Peer | undefined> {
    const { onEvent } = this.#parts
    try {
      this.#judge(hello, access)
      if (hello.back === undefined) await this.#joining.vacant(hello.writer)
      return await this.#joining.inTurn(hello.writer, async () => {
        if (socket.destroyed) return undefined
        const { back } = hello
        const welcome = await (back === undefined ? this.#joining.join(hello) : this.#joining.comeBack(hello, back))
        return this.#begin(welcome, hello, socket, reader, access)
      })
    } catch (error) {
      const failure = failureOf(error)
      onEvent('a writer was not let in to the shared ledger', { code: failure.code, what: failure.message })
      socket.end(encodeJson('refused', failure))
      const late = setTimeout(() => socket.destroy(), helloMs).unref()
      socket.once('close', () => clearTimeout(late))
      return undefined
    }
  }

  #begin(welcome: Place, { writer }: Hello, socket: Duplex, reader: MessageReader, access: Access): Peer | undefined {
    const { ledger } = this.#parts
    if (socket.destroyed || this.#closing) {
      if (!this.#closing) this.#joining.await(writer)
      socket.destroy()
      return undefined
    }
    reader.allow(longestMessage)
    const attachments = this.#attachments.get(writer) ?? new Attachments(ledger, writer)
    this.#attachments.set(writer, attachments)
    const seal = () => (access.trusted ? ledger.seal() : this.#sealSparingly())
    const peer = new Peer({ ledger, socket, reader, writer, access, attachments, seal, next: welcome.next })
    this.#joining.joined(peer, welcome.started.id)
    socket.write(encodeJson('welcome', { ...welcome, version: protocolVersion } satisfies Welcome))
    peer.wake()
    return peer
  }

  /** For all other hosts together. What is asked for sooner is published, and sealed when that is due. */
  #sealSparingly(): Promise<SignedCheckpoint> {
    const now = performance.now()
    if (now - this.#sealedAt < sealedEveryMs) return this.#parts.ledger.publish()
    this.#sealedAt = now
    return this.#parts.ledger.seal()
  }

  #judge(hello: Hello, access: Access): void {
    const { ledger, writer } = this.#parts
    if (hello.version !== protocolVersion) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'the leader of this ledger speaks another version')
    }
    if (hello.origin !== ledger.origin && hello.origin !== ledger.series) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'the leader has another ledger open')
    }
    if (!access.speaksAs(hello.writer)) {
      throw new Refusal('ERR_UNIDENTIFIED', `its certificate is not for the writer ${hello.writer} of this ledger`)
    }
    if (hello.heartbeatMs < 1 || hello.heartbeatMs > longestHeartbeatMs) {
      throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'who shares a ledger says at least once a minute that it lives')
    }
    if (hello.writer === writer) throw taken(hello.writer)
  }
}
