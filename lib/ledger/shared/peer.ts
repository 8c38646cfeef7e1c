/**
 * One process that appends through the leader, as the leader sees it: its requests are read no faster than they are served, and
 * entries are sent no faster than it takes them, so that neither a hasty nor a slow one fills this process's memory.
 */
import type { Duplex } from 'node:stream'
import { drained } from '../../drained.ts'
import { LedgerError } from '../../errors.ts'
import type { Json } from '../../format/canonical.ts'
import { formatCheckpoint, type SignedCheckpoint } from '../../format/checkpoint.ts'
import { encodeRecords } from '../../format/snapshot.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { Stored } from '../ledger.ts'
import { type Access, denied } from './access.ts'
import type { Attachments } from './attachments.ts'
import { encodeJson, encodeMessage, longestMessage, type Message, type MessageReader, unreadable } from './frames.ts'
import { Judging } from './judging.ts'
import {
  encodeEntries,
  encodeTold,
  erasureOf,
  failureOf,
  numbered,
  type Question,
  readBatch,
  readNumbered,
  readQuestion,
  toldOf,
} from './messages.ts'

export interface PeerParts {
  readonly ledger: DirectoryLedger
  readonly socket: Duplex
  readonly reader: MessageReader
  readonly writer: string
  /** What it may have done. */
  readonly access: Access
  /** Its own, by this connection and by those before. */
  readonly attachments: Attachments
  /** As often as it may have that done; else it is published. */
  readonly seal: () => Promise<SignedCheckpoint>
  /** Index of the first entry to tell it of. */
  readonly next: number
}

/** Entries in one message: enough to make it cheap, few enough that the longest of them fit. */
const mostTold = 512
const mostToldBytes = 1024 * 1024
/** What is asked that is answered at length: one at a time, so that who takes no answer has one made. */
const long: ReadonlySet<Question['what']> = new Set(['entries', 'state', 'disclosures', 'more'])
const mostInFlight = 1024
const mostInFlightBytes = longestMessage

export class Peer {
  readonly writer: string
  readonly #ledger: DirectoryLedger
  readonly #socket: Duplex
  readonly #reader: MessageReader
  readonly #access: Access
  readonly #seal: PeerParts['seal']
  #next: number
  #telling = false
  readonly #inFlight = new Set<Promise<void>>()
  #inFlightBytes = 0
  readonly #attachments: Attachments
  readonly #judging: Judging
  readonly #reading = new Map<number, AsyncIterator<Uint8Array>>()
  #long: Promise<unknown> = Promise.resolve()
  #gone = false
  #dropped: Promise<void> | undefined

  constructor({ ledger, socket, reader, writer, access, attachments, seal, next }: PeerParts) {
    this.writer = writer
    this.#ledger = ledger
    this.#socket = socket
    this.#reader = reader
    this.#access = access
    this.#attachments = attachments
    this.#judging = new Judging({ ledger, writer, access, attachments })
    this.#seal = seal
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
  drop(): Promise<void> {
    this.#dropped ??= this.#drop()
    return this.#dropped
  }

  async #drop(): Promise<void> {
    this.#gone = true
    this.#socket.destroy()
    await Promise.allSettled(this.#inFlight)
    await this.#attachments.drop()
    for (const read of this.#reading.values()) await read.return?.().catch(() => undefined)
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
      const { first, told } = await pageOf(this.#ledger.entries(this.#next))
      const bytes = encodeMessage('entries', ...encodeTold(first, told))
      this.#next = first + told.length
      if (!this.#socket.write(bytes)) await drained(this.#socket)
      if (this.#socket.destroyed) throw new LedgerError('ERR_LEDGER_MISSING', 'whoever was told of entries has gone')
    }
  }

  #handle(message: Message): void {
    const { type, body } = message
    if (type === 'append') this.#append(message)
    else if (type === 'ask') {
      const question = readQuestion(message)
      if ('malformed' in question) {
        this.#serve(body.length, question.number, () => Promise.reject(question.malformed))
        return
      }
      this.#serve(body.length, question.number, () => this.#answer(question), long.has(question.what))
    } else if (type === 'piece') this.#write(body)
    else throw unreadable()
  }

  #append(message: Message): void {
    const { ids, drafts } = readBatch(message)
    this.#hold(
      message.body.length,
      this.#judging
        .append(drafts, ids)
        .catch(error => this.#reply(encodeJson('declined', { id: ids[0], ...failureOf(error) }))),
    )
  }

  #write(body: Buffer): void {
    const { number, bytes } = readNumbered(body)
    const attachment = bytes.subarray(0, 36).toString('latin1')
    this.#serve(body.length, number, async () => {
      await this.#attachments.write(attachment, bytes.subarray(36))
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
        const { said, trusted } = this.#access
        const session = question.of?.session
        // While it is being written nobody can have that session erased.
        if (session !== undefined) await said?.sessions.requireOwn(this.writer, session)
        const id = await this.#attachments.begin(question.of, trusted ? question.slot : undefined)
        if (this.#gone) await this.#attachments.drop()
        return id
      }
      case 'attached':
        return this.#attachments.close(question.attachment)
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
        return formatCheckpoint(await this.#seal())
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
    const { first, told } = await pageOf(from < to ? this.#ledger.entries(from) : [], to)
    return Buffer.concat(encodeTold(first, told))
  }

  async #statePage(from: number): Promise<Buffer> {
    const page: Stored[] = []
    let bytes = 0
    for await (const stored of this.#ledger.state()) {
      if (stored.index < from) continue
      page.push(stored)
      bytes += toldOf(stored).length
      if (page.length === mostTold || bytes >= mostToldBytes) break
    }
    return encodeRecords(page)
  }

  /** @param alone behind every other such answer, once that was taken */
  #serve(bytes: number, number: number, work: () => Promise<unknown>, alone = false): void {
    const answered = async () => {
      const reply = await work().then(
        value =>
          Buffer.isBuffer(value)
            ? encodeMessage('piece', numbered(number), value)
            : encodeJson('answer', { number, value }),
        error => encodeJson('failure', { number, ...failureOf(error) }),
      )
      await this.#reply(reply)
    }
    const done = alone ? this.#long.then(answered) : answered()
    if (alone) this.#long = done.catch(() => undefined)
    this.#hold(bytes, done)
  }

  #hold(bytes: number, work: Promise<void>): void {
    this.#inFlightBytes += bytes
    const held = work
      .catch(() => this.#socket.destroy())
      .then(() => {
        const wasFull = this.#isFull()
        this.#inFlight.delete(held)
        this.#inFlightBytes -= bytes
        if (wasFull && !this.#isFull() && !this.#gone) this.#socket.resume()
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

interface Page {
  /** Index of the first. */
  readonly first: number
  readonly told: readonly Buffer[]
}

/** The first of them: as many as one message is to hold. @param to index behind the last one */
async function pageOf(entries: AsyncIterable<Stored> | Iterable<Stored>, to = Number.POSITIVE_INFINITY): Promise<Page> {
  const told: Buffer[] = []
  let [first, bytes] = [0, 0]
  for await (const stored of entries) {
    if (told.length === 0) first = stored.index
    const one = toldOf(stored)
    told.push(one)
    bytes += one.length
    if (told.length === mostTold || bytes >= mostToldBytes || stored.index + 1 >= to) break
  }
  return { first, told }
}
