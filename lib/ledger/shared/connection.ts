/** A link over a connection to the leader. */
import type { Duplex } from 'node:stream'
import { describe, Fault, isOurs, LedgerError } from '../../errors.ts'
import { canonical, type Json, parseJson, utf8 } from '../../format/canonical.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../../format/checkpoint.ts'
import { decodeRecords } from '../../format/snapshot.ts'
import type { Attached, AttachmentWriter, AttachParts, Erasure, Stored } from '../ledger.ts'
import { encodeJson, encodeMessage, longestMessage, type Message, MessageReader, unreadable } from './frames.ts'
import type { Link, LinkEvents } from './link.ts'
import {
  type Asked,
  type Batch,
  decodeEntries,
  encodeQuestion,
  erasureAsked,
  errorOf,
  type Hello,
  numbered,
  protocolVersion,
  readNumbered,
  readWelcome,
  type Welcome,
} from './messages.ts'

/** Milliseconds. A leader may first wait for another writer of the same name to come back. */
const welcomeMs = 30_000

/**
 * Introduces this process to the leader.
 * @throws LedgerError ERR_LEDGER_LOCKED (another process has that writer, or this one was given up), ERR_LEDGER_INCONSISTENT
 * @throws Fault ERR_LEDGER_UNAVAILABLE where the connection ends before it is let in
 */
export async function join(
  socket: Duplex,
  hello: Omit<Hello, 'version'>,
  events: LinkEvents,
  onNext: (next: number) => void,
): Promise<{ readonly link: Connection; readonly welcome: Welcome }> {
  const reader = new MessageReader(longestMessage)
  return new Promise((resolve, reject) => {
    let link: Connection | undefined
    const fail = (error: unknown) => {
      clearTimeout(late)
      socket.destroy()
      reject(isOurs(error) ? error : lost(error))
    }
    const late = setTimeout(() => fail(undefined), welcomeMs)
    socket.on('data', (bytes: Buffer) => {
      try {
        for (const message of reader.read(bytes)) {
          if (link !== undefined) link.take(message)
          else if (message.type === 'refused') throw errorOf(parseJson(utf8(message.body)))
          else {
            const welcome = readWelcome(message)
            clearTimeout(late)
            onNext(welcome.next)
            link = new Connection(socket, events)
            resolve({ link, welcome })
          }
        }
      } catch (error) {
        if (link === undefined) fail(error)
        else link.lose(error)
      }
    })
    socket.on('error', error => (link === undefined ? fail(error) : link.lose(error)))
    socket.on('close', () => (link === undefined ? fail(undefined) : link.lose(undefined)))
    socket.write(encodeJson('hello', { ...hello, version: protocolVersion } satisfies Hello))
  })
}

interface Waiting {
  readonly resolve: (value: Json | Buffer) => void
  readonly reject: (error: unknown) => void
}

export class Connection implements Link {
  readonly #socket: Duplex
  readonly #events: LinkEvents
  readonly #waiting = new Map<number, Waiting>()
  #number = 0
  #lost: unknown

  constructor(socket: Duplex, events: LinkEvents) {
    this.#socket = socket
    this.#events = events
  }

  /** @throws LedgerError ERR_ENTRY_MALFORMED */
  take({ type, body }: Message): void {
    if (this.#lost !== undefined) return
    if (type === 'entries') this.#events.onEntries(decodeEntries(body))
    else if (type === 'declined') {
      const value = parseJson(utf8(body)) as { readonly id?: Json } | null
      this.#events.onDeclined(String(value?.id), errorOf(value))
    } else if (type === 'piece') {
      const { number, bytes } = readNumbered(body)
      // A copy: what it lies in is the whole read.
      this.#settle(number, waiting => waiting.resolve(Buffer.from(bytes)))
    } else if (type === 'answer') {
      const { number, value = null } = parseJson(utf8(body)) as { readonly number: number; readonly value?: Json }
      this.#settle(number, waiting => waiting.resolve(value))
    } else if (type === 'failure') {
      const value = parseJson(utf8(body)) as { readonly number: number }
      this.#settle(value.number, waiting => waiting.reject(errorOf(value)))
    } else throw unreadable()
  }

  /** @throws LedgerError ERR_ENTRY_MALFORMED */
  append({ ids, drafts }: Batch): void {
    // Canonical, since JSON would make null of a number that is none, and the entry would be another than was asked for.
    const text = `{"drafts":${canonical(drafts as unknown as Json)},"ids":${JSON.stringify(ids)}}`
    this.#socket.write(sendable(encodeMessage('append', Buffer.from(text))))
  }

  async *entries(from: number, to: number): AsyncGenerator<Stored> {
    for (let next = from; next < to; ) {
      const page = decodeEntries(this.#bytes(await this.#ask({ what: 'entries', from: next, to })))
      if (page.length === 0 || page[0]!.index !== next) throw unreadable()
      yield* page
      next += page.length
    }
  }

  async *state(): AsyncGenerator<Stored> {
    for (let from = 0; ; ) {
      const page = decodeRecords(this.#bytes(await this.#ask({ what: 'state', from })))
      if (page.length === 0) return
      // A leader that leads backwards would be asked for ever.
      if (page.some(({ index }, i) => index < (i === 0 ? from : page[i - 1]!.index + 1))) throw unreadable()
      yield* page
      from = page.at(-1)!.index + 1
    }
  }

  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    return (await this.#ask({ what: 'disclosures', index })) as Record<string, Json>
  }

  async attach({ slot, of }: AttachParts): Promise<AttachmentWriter> {
    const id = String(await this.#ask({ what: 'attach', slot, ...(of === undefined ? {} : { of }) }))
    let last: Promise<unknown> = Promise.resolve()
    let closed: Promise<Attached> | undefined
    return {
      id,
      write: bytes => {
        if (closed !== undefined) {
          return Promise.reject(new Fault('ERR_LEDGER_UNAVAILABLE', 'the attachment is closed'))
        }
        const written = this.#request(number => encodeMessage('piece', numbered(number), Buffer.from(id), bytes))
        last = written
        written.catch(() => undefined)
        return written.then(() => undefined)
      },
      close: () => {
        closed ??= last.then(() => this.#ask({ what: 'attached', attachment: id })) as unknown as Promise<Attached>
        return closed
      },
    }
  }

  async *attachment(id: string): AsyncGenerator<Uint8Array> {
    const of = this.#number + 1
    await this.#ask({ what: 'attachment', attachment: id })
    for (;;) {
      const piece = await this.#ask({ what: 'more', of })
      if (piece === null) return
      yield this.#bytes(piece)
    }
  }

  async publish(): Promise<SignedCheckpoint> {
    return parseCheckpoint(Buffer.from(String(await this.#ask({ what: 'publish' }))))
  }

  async seal(): Promise<SignedCheckpoint> {
    return parseCheckpoint(Buffer.from(String(await this.#ask({ what: 'seal' }))))
  }

  async covered(size: number, level: 'signed' | 'witnessed'): Promise<void> {
    await this.#ask({ what: 'covered', size, level })
  }

  async erase(erasure: Erasure): Promise<readonly Stored[]> {
    return decodeEntries(this.#bytes(await this.#ask(erasureAsked(erasure))))
  }

  /** Is lost where the leader says nothing for so many milliseconds, though it is asked. */
  keep(silenceMs: number): void {
    const silent = setTimeout(() => this.lose(undefined), silenceMs).unref()
    const asking = setInterval(() => this.#ask({ what: 'alive' }).catch(() => undefined), silenceMs / 3).unref()
    this.#socket.on('data', () => silent.refresh())
    this.#socket.once('close', () => {
      clearTimeout(silent)
      clearInterval(asking)
    })
  }

  async close(): Promise<void> {
    this.lose(undefined)
  }

  async abandon(): Promise<void> {
    this.lose(undefined)
  }

  lose(cause: unknown): void {
    if (this.#lost !== undefined) return
    this.#lost = cause ?? 'closed'
    this.#socket.destroy()
    for (const { reject } of this.#waiting.values()) reject(lost(cause))
    this.#waiting.clear()
    this.#events.onLost(cause)
  }

  #ask(asked: Asked): Promise<Json | Buffer> {
    return this.#request(number => encodeQuestion(asked, number))
  }

  #request(encode: (number: number) => Buffer): Promise<Json | Buffer> {
    if (this.#lost !== undefined) return Promise.reject(lost(this.#lost))
    this.#number += 1
    const number = this.#number
    return new Promise((resolve, reject) => {
      const bytes = sendable(encode(number))
      this.#waiting.set(number, { resolve, reject })
      this.#socket.write(bytes)
    })
  }

  #settle(number: number, how: (waiting: Waiting) => void): void {
    const waiting = this.#waiting.get(number)
    if (waiting === undefined) throw unreadable()
    this.#waiting.delete(number)
    how(waiting)
  }

  #bytes(answer: Json | Buffer): Buffer {
    if (!Buffer.isBuffer(answer))
      throw new LedgerError('ERR_ENTRY_MALFORMED', 'an answer of another kind than was asked')
    return answer
  }
}

/** What is longer would end the connection, be sent again by the next, and end that. */
function sendable(message: Buffer): Buffer {
  if (message.length <= longestMessage) return message
  throw new LedgerError(
    'ERR_ENTRY_MALFORMED',
    `more than ${longestMessage} bytes at once for the leader: append less at a time`,
  )
}

const lost = (cause: unknown) =>
  isOurs(cause) && !(cause instanceof Fault)
    ? cause
    : new Fault(
        'ERR_LEDGER_UNAVAILABLE',
        `the connection to the ledger's leader was lost${cause instanceof Error ? `: ${describe(cause)}` : ''}`,
        {},
        cause instanceof Error ? cause : undefined,
      )
