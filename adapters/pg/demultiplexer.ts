/**
 * Owns both sockets of a session. Whatever is sent upstream is expected back in order: answers go to the client, are swallowed
 * where the gateway itself asked, or belong to the execution whose turn it is, which takes them itself.
 */
import { Fault } from '../../lib/errors.ts'
import { race } from '../../lib/run.ts'
import { type Described, describedFields } from './columns.ts'
import { withoutValues } from './errors.ts'
import type { Message, Messages } from './messages.ts'
import { isUtf8 } from './settings.ts'
import type { Transactions } from './transaction.ts'
import type { Upstream } from './upstream.ts'
import { Fields, type TransactionStatus, type as types } from './wire.ts'

export interface Expectation {
  readonly of: 'parse' | 'bind' | 'close' | 'describe' | 'execution' | 'own' | 'sync' | 'poison'
  /** The gateway's own question: the client sees nothing of the answer. */
  readonly swallow?: boolean
  /** An error here ends the session: what follows rests on it. */
  readonly required?: boolean
  /** Shown instead of the server's error. */
  readonly instead?: Buffer
  /** The server's words may quote a value: code of the database's own may choose them. */
  readonly opaque?: boolean
  readonly describes?: { described?: readonly Described[] | 'none' }
  /** Takes back what was noted when it was sent: the server never did it. */
  readonly undo?: () => void
}

export interface Asked {
  readonly bytes: Buffer
  readonly expect: Expectation
}

export class Demultiplexer {
  readonly client: { write(bytes: Uint8Array): Promise<void>; readonly messages: Messages }
  readonly upstream: Upstream
  readonly #transactions: Transactions
  readonly #expected: Expectation[] = []
  /** After an error the server ignores everything up to a Sync, and so do we. */
  skipping = false

  constructor(client: Demultiplexer['client'], upstream: Upstream, transactions: Transactions) {
    this.client = client
    this.upstream = upstream
    this.#transactions = transactions
  }

  get idle(): boolean {
    return this.#expected.length === 0
  }

  /** Whether what is open can be committed by nothing that the server was sent: after an error, a Sync alone commits nothing. */
  get commitsNothing(): boolean {
    return this.idle || (this.#transactions.failed && this.#expected.every(({ of }) => of === 'sync'))
  }

  /** What the server's next answer is about. */
  get turn(): Expectation | undefined {
    return this.#expected[0]
  }

  /** Sends in one write. */
  send(asked: readonly Asked[], ...more: readonly Buffer[]): void {
    for (const { expect } of asked) this.#expected.push(expect)
    this.upstream.socket.write(Buffer.concat([...asked.map(({ bytes }) => bytes), ...more]))
  }

  /** The turn is over. */
  done(): void {
    this.#expected.shift()
  }

  /** @throws the signal's reason; Fault ERR_UPSTREAM where the server has closed */
  async next(signal: AbortSignal): Promise<Message> {
    const { messages } = this.upstream
    for (;;) {
      const found = messages.take()
      if (found !== undefined) return found
      if (messages.ended) throw new Fault('ERR_UPSTREAM', 'the upstream has closed the connection')
      await race(messages.wait(), signal)
    }
  }

  /** Relays until nothing more is expected. @throws as next */
  async settle(signal: AbortSignal): Promise<void> {
    while (!this.idle) await this.relay(await this.next(signal))
  }

  /** Passes on a message that is no part of an execution. */
  async relay(message: Message): Promise<void> {
    const { bytes } = message
    switch (message.type) {
      case types.parameterStatus:
        this.#checkAgreement(bytes)
        return this.client.write(bytes)
      case types.notification:
        return this.client.write(bytes)
      case types.notice:
        return this.client.write(this.#quoted(bytes))
      case types.error:
        return this.#failed(bytes)
      case types.ready: {
        const swallow = this.turn?.swallow === true
        this.ready(bytes)
        return swallow ? undefined : this.client.write(bytes)
      }
      case types.parameterDescription:
        return this.turn?.swallow ? undefined : this.client.write(bytes)
    }
    const turn = this.turn
    if (turn === undefined || turn.of === 'sync') throw new Fault('ERR_UPSTREAM', 'the upstream answered out of turn')
    if (message.type === types.rowDescription && turn.describes !== undefined) {
      turn.describes.described = describedFields(bytes)
    }
    if (message.type === types.noData && turn.describes !== undefined) turn.describes.described = 'none'
    // What the gateway asks for itself may answer with rows, before it completes.
    if (turn.of === 'own' && message.type !== types.commandComplete) return
    this.done()
    if (!turn.swallow) await this.client.write(bytes)
  }

  /** Code of the database's own, and what a transaction puts off to its end, may quote values. */
  #quoted(bytes: Buffer): Buffer {
    const { turn } = this
    if (turn?.opaque) return withoutValues(bytes, true)
    return turn?.of === 'sync' && this.#transactions.masked ? withoutValues(bytes, false) : bytes
  }

  async #failed(bytes: Buffer): Promise<void> {
    const turn = this.turn
    if (turn === undefined) return this.client.write(bytes)
    if (turn.required) throw new Fault('ERR_UPSTREAM', 'the upstream refused what the gateway must be able to ask')
    const shown = turn.instead ?? this.#quoted(bytes)
    this.abandon()
    await this.client.write(shown)
  }

  /** An error: nothing that was sent up to the next Sync will be answered. */
  abandon(): void {
    this.#transactions.failed = true
    const sync = this.#expected.findIndex(({ of }) => of === 'sync')
    const lost = this.#expected.splice(0, sync < 0 ? this.#expected.length : sync)
    for (const { undo } of lost.reverse()) undo?.()
    if (sync < 0) this.skipping = true
  }

  /** ReadyForQuery has come: its status is known, and what waited for it is settled. */
  ready(bytes: Buffer): void {
    if (this.turn?.of !== 'sync') throw new Fault('ERR_UPSTREAM', 'the upstream answered out of turn')
    this.done()
    this.skipping = false
    this.#transactions.ready(String.fromCharCode(bytes[5]!) as TransactionStatus)
  }

  /** @throws Fault ERR_UPSTREAM where the server reads statements otherwise than we do from here on */
  #checkAgreement(bytes: Buffer): void {
    const fields = new Fields(bytes)
    const [name, value] = [fields.string(), fields.string()]
    const agreed =
      (name !== 'standard_conforming_strings' || value === 'on') && (name !== 'client_encoding' || isUtf8(value))
    if (!agreed)
      throw new Fault('ERR_UPSTREAM', 'the session has left the settings under which its statements are read')
  }
}
