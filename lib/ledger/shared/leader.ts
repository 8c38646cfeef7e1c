/** The leader: the process that holds a ledger's lock, and appends for every other that shares it. Who may join is decided here. */
import type { Duplex } from 'node:stream'
import { describe, Fault, LedgerError, Refusal } from '../../errors.ts'
import type { SignedCheckpoint } from '../../format/checkpoint.ts'
import type { DirectoryLedger, Started } from '../directory-ledger.ts'
import { isUnfinished } from '../opening.ts'
import { longestHeartbeatMs } from '../story.ts'
import type { Access } from './access.ts'
import { Attachments } from './attachments.ts'
import { encodeJson, longestHello, longestMessage, MessageReader } from './frames.ts'
import { failureOf, type Hello, protocolVersion, readHello, type Welcome } from './messages.ts'
import { Peer } from './peer.ts'
import { requirePlace } from './place.ts'

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

interface Awaited {
  readonly timer: NodeJS.Timeout
  readonly over: Promise<void>
  readonly done: () => void
}

export class Leader {
  readonly #parts: LeaderParts
  readonly #peers = new Map<string, { readonly peer: Peer; readonly started: string }>()
  /** By writer, through all of its connections. */
  readonly #attachments = new Map<string, Attachments>()
  readonly #awaited = new Map<string, Awaited>()
  /** Writers whose connection is gone, until what they sent by it is settled. */
  readonly #leaving = new Map<string, Promise<void>>()
  /** Writers that are being let in: one at a time of each name. */
  readonly #joining = new Map<string, Promise<unknown>>()
  readonly #sockets = new Set<Duplex>()
  readonly #servers: Listening[] = []
  readonly #unfollow: () => void
  /** `performance.now()` of the last seal that another host asked for. */
  #sealedAt = Number.NEGATIVE_INFINITY
  #closing = false

  constructor(parts: LeaderParts) {
    this.#parts = parts
    this.#unfollow = parts.ledger.follow(() => {
      for (const { peer } of this.#peers.values()) peer.wake()
    })
    for (const writer of parts.ledger.unfinished()) if (writer !== parts.writer) this.#await(writer)
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
      if (peer !== undefined) this.#left(peer)
    })
  }

  /** Takes nothing more from anybody; what was taken goes on. */
  mute(): void {
    this.#closing = true
    // While the lock is still held: closing a server removes its socket, which may be the next leader's by then.
    for (const server of this.#servers) server.close()
    this.#servers.length = 0
    for (const { peer } of this.#peers.values()) peer.mute()
  }

  /** Ends every connection. Writers are not given up: they join the next leader. */
  close(): void {
    this.mute()
    this.#unfollow()
    for (const { timer, done } of this.#awaited.values()) {
      clearTimeout(timer)
      done()
    }
    this.#awaited.clear()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #let(hello: Hello, socket: Duplex, reader: MessageReader, access: Access): Promise<Peer | undefined> {
    const { onEvent } = this.#parts
    try {
      this.#judge(hello, access)
      if (hello.back === undefined) await this.#vacant(hello.writer)
      return await this.#inTurn(hello.writer, async () => {
        if (socket.destroyed) return undefined
        const welcome = await (hello.back === undefined ? this.#join(hello) : this.#comeBack(hello, hello.back))
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

  /** Who is new waits for whoever went under that name, until that one has come back or is given up: out of turn, so that it can come back. */
  async #vacant(writer: string): Promise<void> {
    if (this.#peers.has(writer)) throw taken(writer)
    await this.#leaving.get(writer)
    await this.#awaited.get(writer)?.over
  }

  async #inTurn<T>(writer: string, work: () => Promise<T>): Promise<T> {
    const before = this.#joining.get(writer)
    const joined = (async () => {
      await before?.catch(() => undefined)
      // What it sent by the old connection must be settled before it is told what there is: else it sends that again.
      await this.#leaving.get(writer)
      return work()
    })()
    this.#joining.set(writer, joined)
    return joined.finally(() => {
      if (this.#joining.get(writer) === joined) this.#joining.delete(writer)
    })
  }

  #begin(
    welcome: Pick<Welcome, 'started' | 'next' | 'size'>,
    { writer }: Hello,
    socket: Duplex,
    reader: MessageReader,
    access: Access,
  ): Peer | undefined {
    const { ledger } = this.#parts
    if (socket.destroyed || this.#closing) {
      if (!this.#closing) this.#await(writer)
      socket.destroy()
      return undefined
    }
    reader.allow(longestMessage)
    const attachments = this.#attachments.get(writer) ?? new Attachments(ledger, writer)
    this.#attachments.set(writer, attachments)
    const seal = () => (access.trusted ? ledger.seal() : this.#sealSparingly())
    const peer = new Peer({ ledger, socket, reader, writer, access, attachments, seal, next: welcome.next })
    this.#peers.set(writer, { peer, started: welcome.started.id })
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

  async #join(hello: Hello): Promise<Pick<Welcome, 'started' | 'next' | 'size'>> {
    const { ledger } = this.#parts
    const { writer, software, placement, heartbeatMs } = hello
    if (this.#peers.has(writer)) throw taken(writer)
    // Let in before this one, and gone again: it is asked again when that is given up.
    if (this.#awaited.has(writer))
      throw new Fault('ERR_LEDGER_UNAVAILABLE', 'who had that name has just gone: try again')
    if (this.#closing) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the leader is stopping')
    await this.#giveUp(writer)
    const as: Started = { software, placement, heartbeatMs }
    const [stored] = await ledger.appendAs(writer, [ledger.started(as)])
    return { started: { index: stored!.index, id: stored!.entry.id }, next: stored!.index, size: stored!.index + 1 }
  }

  async #comeBack(
    { writer }: Hello,
    { started, last }: NonNullable<Hello['back']>,
  ): Promise<Pick<Welcome, 'started' | 'next' | 'size'>> {
    const { ledger } = this.#parts
    const before = this.#peers.get(writer)
    if (before !== undefined && before.started !== started.id) throw taken(writer)
    await before?.peer.drop()
    await requirePlace(ledger, writer, { started, last })
    this.#forget(writer)
    return { started, next: last.index + 1, size: ledger.size }
  }

  #left(peer: Peer): void {
    const { writer } = peer
    const isCurrent = this.#peers.get(writer)?.peer === peer
    if (isCurrent) this.#peers.delete(writer)
    // The time within which it may come back begins when it could be let in again.
    const settled = peer.drop().then(() => {
      if (this.#leaving.get(writer) === settled) this.#leaving.delete(writer)
      if (isCurrent && !this.#closing && isUnfinished(this.#parts.ledger.story(writer))) this.#await(writer)
    })
    this.#leaving.set(writer, settled)
  }

  /** Who was at work, or stopped with something in flight, may come back; who does not is given up. */
  #await(writer: string): void {
    if (this.#awaited.has(writer)) return
    const { graceMs, onEvent } = this.#parts
    let done: () => void = () => undefined
    const over = new Promise<void>(resolve => {
      done = resolve
    })
    const timer = setTimeout(() => {
      // It has knocked, and is being let in.
      if (this.#joining.has(writer)) return void timer.refresh()
      void this.#giveUp(writer)
        .then(() =>
          onEvent('a writer went, and did not come back: what it had in flight is closed as unknown', { writer }),
        )
        .catch(error => {
          const what = 'a writer went, and what it had in flight could not be closed: it is in flight still'
          if (!this.#closing) onEvent(what, { writer, why: describe(error) })
        })
        .finally(() => this.#forget(writer))
    }, graceMs).unref()
    this.#awaited.set(writer, { timer, over, done })
  }

  async #giveUp(writer: string): Promise<void> {
    await this.#attachments.get(writer)?.abandon()
    await this.#parts.ledger.giveUp(writer)
  }

  #forget(writer: string): void {
    const awaited = this.#awaited.get(writer)
    if (awaited === undefined) return
    clearTimeout(awaited.timer)
    this.#awaited.delete(writer)
    awaited.done()
  }
}

/** Two under one name would share a counter, and neither's could be relied on. */
const taken = (writer: string) =>
  new LedgerError('ERR_LEDGER_LOCKED', `another process appends as ${writer} already: each needs a name of its own`, {
    writer,
  })
