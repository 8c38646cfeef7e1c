/**
 * One process that appends through the leader, as the leader sees it: its requests are read no faster than they are served, and
 * entries are sent no faster than it takes them, so that neither a hasty nor a slow one fills this process's memory.
 */
import type { Duplex } from 'node:stream'
import { drained } from '../../drained.ts'
import { Fault, LedgerError } from '../../errors.ts'
import type { Json } from '../../format/canonical.ts'
import { formatCheckpoint, type SignedCheckpoint } from '../../format/checkpoint.ts'
import { encodeRecords } from '../../format/snapshot.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { Draft, Stored } from '../ledger.ts'
import { type Access, denied, local } from './access.ts'
import type { Attachments } from './attachments.ts'
import { encodeJson, encodeMessage, longestMessage, type Message, type MessageReader, unreadable } from './frames.ts'
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
import type { Said } from './said.ts'
import { underItsOwn } from './slots.ts'

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
/** Exchanges of another host: each that is not over is one more outcome that an opening owes. */
const mostOpen = 16_384
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
  readonly #reading = new Map<number, AsyncIterator<Uint8Array>>()
  #long: Promise<unknown> = Promise.resolve()
  /** Of what was judged last. */
  #judged: Promise<unknown> = Promise.resolve()
  #gone = false
  #dropped: Promise<void> | undefined

  constructor({ ledger, socket, reader, writer, access, attachments, seal, next }: PeerParts) {
    this.writer = writer
    this.#ledger = ledger
    this.#socket = socket
    this.#reader = reader
    this.#access = access
    this.#attachments = attachments
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
    const work = async () => {
      for (const { kind } of drafts) this.#requireSayable(kind)
      const { said } = this.#access
      if (said !== undefined) return this.#appendChecked(said, drafts, ids)
      await this.#ledger.appendAs(this.writer, drafts, { ids })
      for (const draft of drafts) if (draft.kind === 'attachment') this.#attachments.spoken(draft.attachment)
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

  /** What comes from another host: in its order, however long one takes to be judged, and sealed under keys that it does not choose. */
  async #appendChecked(said: Said, drafts: readonly Draft[], ids: readonly string[]): Promise<void> {
    const undo: (() => void)[] = []
    const settled: (() => void)[] = []
    const judged = this.#judged.then(async () => {
      const opened = drafts.flatMap(openedIn)
      undo.push(await said.ids.take(this.writer, [...ids, ...opened]))
      for (const session of drafts.flatMap(spokenIn)) {
        if (!opened.includes(session)) await said.sessions.requireOwn(this.writer, session)
      }
      for (const draft of drafts) await this.#judge(draft, said, { undo, settled })
    })
    this.#judged = judged.catch(() => undefined)
    try {
      await judged
      this.#requireFew(drafts)
      const own = drafts.map(draft => underItsOwn(draft, this.writer))
      await this.#ledger.appendAs(this.writer, own, { ids })
    } catch (error) {
      for (const back of undo) back()
      throw error
    } finally {
      for (const over of settled) over()
    }
  }

  /** Each by those before it too, of the same append and of others that are on their way. */
  async #judge(draft: Draft, said: Said, { undo, settled }: Record<'undo' | 'settled', (() => void)[]>): Promise<void> {
    for (const id of namedIn(draft)) said.ids.requireNotAhead(this.writer, id)
    said.requireConcerned(draft)
    if (draft.kind === 'principal') settled.push(await said.name(draft))
    if (draft.kind === 'grant-requested') settled.push(said.ask(draft.grant, draft.seconds * 1000))
    if (draft.kind === 'approval-requested') {
      settled.push(said.ask(draft.approval, Date.parse(draft.until) - Date.now()))
    }
    if (draft.kind === 'attachment') undo.push(await this.#attachments.speak(draft))
    if (spokenOf(draft).some(exchange => this.#ledger.isAnothers(this.writer, exchange))) {
      throw denied('speak of an exchange that another process has in flight')
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE: what ends one goes on */
  #requireFew(drafts: readonly Draft[]): void {
    const begun = drafts.filter(begins).length
    if (begun === 0 || this.#ledger.inFlight(this.writer) + begun <= mostOpen) return
    throw new Fault('ERR_LEDGER_UNAVAILABLE', `${mostOpen} exchanges of this process are in flight: it begins no more`)
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

/** What a draft is of has not been looked at yet. */
function spokenOf(draft: Draft): readonly string[] {
  const { exchange, exchanges } = draft as { readonly exchange?: string; readonly exchanges?: unknown }
  return [...(exchange === undefined ? [] : [exchange]), ...(Array.isArray(exchanges) ? exchanges : [])]
}

/** Ids of its own making that a verifier goes by, as it does by those of entries. */
function namedIn(draft: Draft): readonly string[] {
  const { session } = draft as { readonly session?: string }
  return [...spokenOf(draft), ...(session === undefined ? [] : [session])].filter(id => typeof id === 'string')
}

/** Said to be opened again, a session would be of others too. */
const openedIn = (draft: Draft): readonly string[] =>
  draft.kind === 'session-opened' && typeof draft.session === 'string' ? [draft.session] : []

/** What was recorded was judged when that began. */
const spokenIn = (draft: Draft): readonly string[] =>
  (draft.kind === 'decision' || draft.kind === 'session-closed') && draft.session !== undefined ? [draft.session] : []

const begins = (draft: Draft): boolean =>
  draft.kind === 'approval-requested' || (draft.kind === 'decision' && draft.verdict === 'permit')

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
