/**
 * Joining a leader: one at a time of each name. Who was at work comes back to where it stood; who is new waits until
 * that one has, or is given up since it did not.
 */
import { describe, Fault, LedgerError } from '../../errors.ts'
import type { DirectoryLedger, Started } from '../directory-ledger.ts'
import { isUnfinished } from '../opening.ts'
import type { Hello, Welcome } from './messages.ts'
import type { Peer } from './peer.ts'
import { requirePlace } from './place.ts'

export interface JoiningParts {
  readonly ledger: DirectoryLedger
  /** Milliseconds within which a writer that was at work must come back, or is given up. */
  readonly graceMs: number
  readonly onEvent: (what: string, facts?: Readonly<Record<string, unknown>>) => void
  /** Ends what a writer was attaching. */
  readonly abandon: (writer: string) => Promise<void>
}

export type Place = Pick<Welcome, 'started' | 'next' | 'size'>

interface Awaited {
  readonly timer: NodeJS.Timeout
  readonly over: Promise<void>
  readonly done: () => void
}

export class Joining {
  readonly #parts: JoiningParts
  readonly #peers = new Map<string, { readonly peer: Peer; readonly started: string }>()
  readonly #awaited = new Map<string, Awaited>()
  /** Writers whose connection is gone, until what they sent by it is settled. */
  readonly #leaving = new Map<string, Promise<void>>()
  /** Writers that are being let in: one at a time of each name. */
  readonly #joining = new Map<string, Promise<unknown>>()
  #closing = false

  constructor(parts: JoiningParts) {
    this.#parts = parts
  }

  /** Of those that are let in. */
  *peers(): Generator<Peer> {
    for (const { peer } of this.#peers.values()) yield peer
  }

  /** Lets in nobody more, and gives nobody up. */
  mute(): void {
    this.#closing = true
  }

  /** Nobody is waited for any more. */
  close(): void {
    for (const { timer, done } of this.#awaited.values()) {
      clearTimeout(timer)
      done()
    }
    this.#awaited.clear()
  }

  /**
   * Who is new waits for whoever went under that name, until that one has come back or is
   * given up: out of turn, so that it can come back.
   */
  async vacant(writer: string): Promise<void> {
    if (this.#peers.has(writer)) throw taken(writer)
    await this.#leaving.get(writer)
    await this.#awaited.get(writer)?.over
  }

  async inTurn<T>(writer: string, work: () => Promise<T>): Promise<T> {
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

  async join(hello: Hello): Promise<Place> {
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

  async comeBack({ writer }: Hello, { started, last }: NonNullable<Hello['back']>): Promise<Place> {
    const { ledger } = this.#parts
    const before = this.#peers.get(writer)
    if (before !== undefined && before.started !== started.id) throw taken(writer)
    await before?.peer.drop()
    await requirePlace(ledger, writer, { started, last })
    this.#forget(writer)
    return { started, next: last.index + 1, size: ledger.size }
  }

  /** It was let in. @param started the id of its `started` */
  joined(peer: Peer, started: string): void {
    this.#peers.set(peer.writer, { peer, started })
  }

  /** Its connection is gone. */
  left(peer: Peer): void {
    const { writer } = peer
    const isCurrent = this.#peers.get(writer)?.peer === peer
    if (isCurrent) this.#peers.delete(writer)
    // The time within which it may come back begins when it could be let in again.
    const settled = peer.drop().then(() => {
      if (this.#leaving.get(writer) === settled) this.#leaving.delete(writer)
      if (isCurrent && !this.#closing && isUnfinished(this.#parts.ledger.story(writer))) this.await(writer)
    })
    this.#leaving.set(writer, settled)
  }

  /** Who was at work, or stopped with something in flight, may come back; who does not is given up. */
  await(writer: string): void {
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
    await this.#parts.abandon(writer)
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
export const taken = (writer: string) =>
  new LedgerError('ERR_LEDGER_LOCKED', `another process appends as ${writer} already: each needs a name of its own`, {
    writer,
  })
