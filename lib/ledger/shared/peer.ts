/**
 * One process that appends through the leader, as the leader sees it: its requests are read no faster than they are served, and
 * entries are sent no faster than it takes them, so that neither a hasty nor a slow one fills this process's memory.
 */
import type { Duplex } from 'node:stream'
import { drained } from '../../drained.ts'
import { Fault, LedgerError } from '../../errors.ts'
import type { Json } from '../../format/canonical.ts'
import { formatCheckpoint } from '../../format/checkpoint.ts'
import { encodeRecords } from '../../format/snapshot.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { AttachmentWriter, Draft, DraftOf, Stored } from '../ledger.ts'
import { type Access, denied, local } from './access.ts'
import { encodeJson, encodeMessage, longestMessage, type Message, type MessageReader, unreadable } from './frames.ts'
import {
  encodeEntries,
  erasureOf,
  failureOf,
  numbered,
  type Question,
  readBatch,
  readNumbered,
  readQuestion,
} from './messages.ts'

export interface PeerParts {
  readonly ledger: DirectoryLedger
  readonly socket: Duplex
  readonly reader: MessageReader
  readonly writer: string
  /** What it may have done. */
  readonly access: Access
  /** Index of the first entry to tell it of. */
  readonly next: number
}

/** Entries in one message: enough to make it cheap, few enough that the longest of them fit. */
const mostTold = 512
const mostInFlight = 1024
const mostInFlightBytes = longestMessage
/** Of one process: each holds a file open. */
const mostAttachments = 1024

export class Peer {
  readonly writer: string
  readonly #ledger: DirectoryLedger
  readonly #socket: Duplex
  readonly #reader: MessageReader
  readonly #access: Access
  #next: number
  #telling = false
  readonly #inFlight = new Set<Promise<void>>()
  #inFlightBytes = 0
  readonly #attachments = new Map<string, AttachmentWriter>()
  readonly #reading = new Map<number, AsyncIterator<Uint8Array>>()
  #gone = false

  constructor({ ledger, socket, reader, writer, access, next }: PeerParts) {
    this.writer = writer
    this.#ledger = ledger
    this.#socket = socket
    this.#reader = reader
    this.#access = access
    this.#next = next
  }

  /** There are entries that it has not been told of. */
  wake(): void {
    if (this.#telling || this.#gone) return
    this.#telling = true
    this.#tell()
      .catch(() => this.#socket.destroy())
      .finally(() => {
        this.#telling = false
        // What became durable after the last look, and before this.
        if (this.#next < this.#ledger.size && !this.#socket.destroyed) this.wake()
      })
  }

  /** @throws LedgerError ERR_ENTRY_MALFORMED: it speaks another language, and is not listened to any more */
  take(bytes: Buffer): void {
    for (const message of this.#reader.read(bytes)) this.#handle(message)
    if (this.#isFull()) this.#socket.pause()
  }

  /** Takes nothing more; resolves when what it took is settled. */
  async drop(): Promise<void> {
    this.#gone = true
    this.#socket.destroy()
    await Promise.allSettled(this.#inFlight)
    for (const writer of this.#attachments.values()) await writer.close().catch(() => undefined)
    for (const read of this.#reading.values()) await read.return?.().catch(() => undefined)
    this.#attachments.clear()
    this.#reading.clear()
  }

  /** Takes nothing more; what it took goes on. */
  mute(): void {
    this.#gone = true
    this.#socket.pause()
    this.#socket.removeAllListeners('data')
  }

  async #tell(): Promise<void> {
    while (this.#next < this.#ledger.size) {
      let told: Stored[] = []
      for await (const stored of this.#ledger.entries(this.#next)) {
        told.push(stored)
        if (told.length < mostTold) continue
        await this.#send(told)
        told = []
      }
      if (told.length > 0) await this.#send(told)
    }
  }

  async #send(told: readonly Stored[]): Promise<void> {
    const bytes = encodeMessage('entries', ...encodeEntries(told))
    this.#next += told.length
    if (!this.#socket.write(bytes)) await drained(this.#socket)
    if (this.#socket.destroyed) throw new LedgerError('ERR_LEDGER_MISSING', 'whoever was told of entries has gone')
  }

  #handle(message: Message): void {
    const { type, body } = message
    if (type === 'append') this.#append(message)
    else if (type === 'ask') {
      const question = readQuestion(message)
      this.#serve(body.length, question.number, () => this.#answer(question))
    } else if (type === 'piece') this.#write(body)
    else throw unreadable()
  }

  #append(message: Message): void {
    const { ids, drafts } = readBatch(message)
    const work = async () => {
      for (const { kind } of drafts) this.#requireSayable(kind)
      for (const draft of drafts) if (draft.kind === 'principal') await this.#requireSameName(draft)
      await this.#ledger.appendAs(this.writer, drafts, { ids })
    }
    this.#hold(
      message.body.length,
      work().catch(error => this.#reply(encodeJson('declined', { id: ids[0], ...failureOf(error) }))),
    )
  }

  #requireSayable(kind: Draft['kind']): void {
    if (!local.appends(kind)) {
      throw new LedgerError('ERR_ENTRY_MALFORMED', 'an entry of a kind that is for the ledger to say')
    }
    if (!this.#access.appends(kind)) throw denied(`append an entry of the kind ${kind}`)
  }

  /** Who somebody is, is not said anew from another host: under another name they would be two, and could approve for themselves. */
  async #requireSameName({ subject, disclose }: DraftOf<'principal'>): Promise<void> {
    const known = this.#access.renames ? undefined : this.#ledger.living.principal(subject)
    if (known === undefined) return
    const { name } = await this.#ledger.disclosures(known.index)
    if (name !== disclose?.name) throw denied('say anew who somebody is')
  }

  #write(body: Buffer): void {
    const { number, bytes } = readNumbered(body)
    const attachment = bytes.subarray(0, 36).toString('latin1')
    this.#serve(body.length, number, async () => {
      const writer = this.#attachments.get(attachment)
      if (writer === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment is being written')
      await writer.write(bytes.subarray(36))
      return null
    })
  }

  async #answer(question: Question): Promise<unknown> {
    const ledger = this.#ledger
    if (!this.#access.asks(question.what)) throw denied(`ask for ${question.what}`)
    switch (question.what) {
      case 'entries':
        return this.#page(question.from, question.to)
      case 'state':
        return this.#statePage(question.from)
      case 'disclosures':
        return this.#disclosures(question.index)
      case 'attach': {
        if (this.#attachments.size >= mostAttachments) {
          throw new Fault('ERR_LEDGER_UNAVAILABLE', `${mostAttachments} attachments of this process are being written`)
        }
        const { slot, of } = question
        const writer = await ledger.attach({ slot, ...(of === undefined ? {} : { of }) })
        if (this.#gone) await writer.close()
        this.#attachments.set(writer.id, writer)
        return writer.id
      }
      case 'attached': {
        const writer = this.#attachments.get(question.attachment)
        if (writer === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'no such attachment is being written')
        this.#attachments.delete(question.attachment)
        return writer.close()
      }
      case 'attachment':
        this.#reading.set(question.number, ledger.attachment(question.attachment)[Symbol.asyncIterator]())
        return null
      case 'more': {
        const { value, done } = (await this.#reading.get(question.of)?.next()) ?? { done: true, value: undefined }
        if (done === true) this.#reading.delete(question.of)
        return done === true ? null : Buffer.from(value)
      }
      case 'alive':
        return null
      case 'erase':
        return Buffer.concat(encodeEntries(await ledger.erase(erasureOf(question))))
      case 'publish':
        return formatCheckpoint(await ledger.publish())
      case 'seal':
        return formatCheckpoint(await ledger.seal())
      case 'covered':
        await ledger.covered(question.size, question.level)
        return null
    }
  }

  async #disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    const entry = await this.#ledger.entryAt(index)
    const names = this.#access.opens(entry, Date.now())
    if (names.length === 0) throw denied(`have opened what an entry of the kind ${entry.kind} discloses`)
    const opened = await this.#ledger.disclosures(index)
    if (names === 'all') return opened
    return Object.fromEntries(Object.entries(opened).filter(([name]) => names.includes(name)))
  }

  async #page(from: number, to: number): Promise<Buffer> {
    const page: Stored[] = []
    if (from < to) {
      for await (const stored of this.#ledger.entries(from)) {
        page.push(stored)
        if (page.length === mostTold || stored.index + 1 >= to) break
      }
    }
    return Buffer.concat(encodeEntries(page))
  }

  async #statePage(from: number): Promise<Buffer> {
    const page: Stored[] = []
    for await (const stored of this.#ledger.state()) {
      if (stored.index >= from) page.push(stored)
      if (page.length === mostTold) break
    }
    return encodeRecords(page)
  }

  #serve(bytes: number, number: number, work: () => Promise<unknown>): void {
    const done = work().then(
      value =>
        this.#reply(
          Buffer.isBuffer(value)
            ? encodeMessage('piece', numbered(number), value)
            : encodeJson('answer', { number, value }),
        ),
      error => this.#reply(encodeJson('failure', { number, ...failureOf(error) })),
    )
    this.#hold(bytes, done)
  }

  #hold(bytes: number, work: Promise<void>): void {
    this.#inFlightBytes += bytes
    const held = work
      .catch(() => this.#socket.destroy())
      .then(() => {
        this.#inFlight.delete(held)
        const full = this.#isFull()
        this.#inFlightBytes -= bytes
        if (full && !this.#isFull() && !this.#gone) this.#socket.resume()
      })
    this.#inFlight.add(held)
  }

  /** Whoever asks faster than it takes the answers waits: an answer counts as in flight until it is taken. */
  async #reply(bytes: Buffer): Promise<void> {
    if (!this.#socket.destroyed && !this.#socket.write(bytes)) await drained(this.#socket)
  }

  #isFull(): boolean {
    return this.#inFlight.size >= mostInFlight || this.#inFlightBytes >= mostInFlightBytes
  }
}
