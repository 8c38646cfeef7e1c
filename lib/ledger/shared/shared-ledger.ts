/**
 * A ledger that several processes share. One of them, the leader, has the directory open; the others append through it, and are told
 * of every entry. When the leader dies, one of them leads, and what was not acknowledged is appended there: each process knows its own
 * entries again by the ids that it gave them, so that none stands twice.
 */
import { systemClock } from '../../clock.ts'
import { type Fault, LedgerError } from '../../errors.ts'
import type { Json } from '../../format/canonical.ts'
import type { SignedCheckpoint } from '../../format/checkpoint.ts'
import { uuidv7 } from '../../format/entry.ts'
import { heartbeatDraft } from '../directory-ledger.ts'
import { Followers } from '../followers.ts'
import type { AppendOptions, AttachmentWriter, AttachParts, Draft, Erasure, Ledger, Stored } from '../ledger.ts'
import type { Batch } from './messages.ts'
import { Pending } from './pending.ts'
import { closed, Search, type SearchParts } from './search.ts'

export interface SharedParts extends SearchParts {
  readonly clock?: { now(): number } | undefined
  /** Whether its leader takes erasures from this process. */
  readonly mayErase: boolean
}

export class SharedLedger implements Ledger {
  readonly origin: string
  /** By the leader, which has the vault; undefined where it would refuse. */
  readonly erase?: (erasure: Erasure) => Promise<readonly Stored[]>
  readonly #parts: SharedParts
  readonly #pending = new Pending()
  readonly #followers = new Followers()
  readonly #search: Search
  /** Woken at the next entry. */
  #whenTold: (() => void)[] = []
  #closing: Promise<void> | undefined
  #heartbeat: NodeJS.Timeout | undefined

  private constructor(parts: SharedParts) {
    this.#parts = parts
    this.origin = parts.self.origin
    this.#search = new Search(parts, {
      onTold: stored => this.#told(stored),
      onDeclined: (id, error) => this.#pending.declined(id, error),
      onReady: () => {
        for (const batch of this.#pending.batches()) this.#send(batch)
      },
      onLost: () => this.#pending.waiting(),
      onNone: (fault, ms) => this.#pending.fail(fault, ms),
      onFault: fault => {
        clearInterval(this.#heartbeat)
        this.#letGo(fault)
      },
    })
    if (parts.mayErase) this.erase = erasure => this.#erase(erasure)
  }

  /** @throws as opening a directory does; LedgerError ERR_LEDGER_LOCKED too where another process has that writer */
  static async open(parts: SharedParts): Promise<Ledger> {
    const ledger = new SharedLedger(parts)
    await ledger.#search.begin()
    ledger.#beat()
    return ledger
  }

  get size(): number {
    return this.#search.size
  }

  /** Whether this process has the directory open. */
  get leads(): boolean {
    return this.#search.leads
  }

  async append(drafts: readonly Draft[], { level = 'durable' }: AppendOptions = {}): Promise<readonly Stored[]> {
    this.#requireOpen()
    const stored = await this.#append(drafts)
    const last = stored.at(-1)
    if (last !== undefined && (level === 'signed' || level === 'witnessed')) {
      await this.#search.ask(link => link.covered(last.index + 1, level))
    }
    return stored
  }

  async *entries(from = 0): AsyncGenerator<Stored> {
    const end = this.size
    for (let next = from; next < end; ) {
      const link = await this.#search.link()
      try {
        for await (const stored of link.entries(next, end)) {
          if (stored.index >= end) return
          yield stored
          next = stored.index + 1
        }
      } catch (error) {
        if (!this.#search.wasLost(link, error)) throw error
      }
    }
  }

  async *state(): AsyncGenerator<Stored> {
    const found = await this.#search.ask(async link => {
      const entries: Stored[] = []
      for await (const stored of link.state()) entries.push(stored)
      return entries
    })
    // The leader may be ahead of what this process has been told; what is asked of such an entry would be refused here.
    await this.#toldOf(found.at(-1)?.index ?? -1)
    yield* found
  }

  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.size) {
      throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} in a ledger of ${this.size}`)
    }
    return this.#search.ask(link => link.disclosures(index))
  }

  async attach(parts: AttachParts): Promise<AttachmentWriter> {
    this.#requireOpen()
    return this.#search.ask(link => link.attach(parts))
  }

  async *attachment(id: string): AsyncGenerator<Uint8Array> {
    yield* (await this.#search.link()).attachment(id)
  }

  async #erase(erasure: Erasure): Promise<readonly Stored[]> {
    this.#requireOpen()
    const from = this.size
    for (let lost = false; ; lost = true) {
      const link = await this.#search.link()
      try {
        const stored = await link.erase(erasure)
        await this.#toldOf(stored.at(-1)!.index)
        return stored
      } catch (error) {
        const isLost = this.#search.wasLost(link, error)
        if (!isLost && !lost) throw error
        // It may have been done all the same: the next leader tells, and finishes what was begun.
        await this.#search.link()
        const done = await this.#erased(from, erasure)
        if (done.length > 0) return done
        if (!isLost) throw error
      }
    }
  }

  async #erased(from: number, { scope, of, by, approvers }: Erasure): Promise<readonly Stored[]> {
    const found: Stored[] = []
    for await (const stored of this.entries(from)) {
      const { entry } = stored
      if (entry.kind !== 'erasure' || entry.scope !== scope || entry.of !== of || entry.by !== by) continue
      if (entry.approvers.join() === approvers.join()) found.push(stored)
    }
    return found
  }

  follow(listener: (stored: Stored) => void): () => void {
    return this.#followers.add(listener)
  }

  async publish(): Promise<SignedCheckpoint> {
    this.#requireOpen()
    return this.#search.ask(link => link.publish())
  }

  async seal(): Promise<SignedCheckpoint> {
    this.#requireOpen()
    return this.#search.ask(link => link.seal())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat)
    try {
      // The leader's own `stopped` comes with its closing.
      if (this.#search.fault === undefined && !this.leads) await this.#append([{ kind: 'stopped' }])
    } finally {
      try {
        await this.#search.end()
      } finally {
        // What the link was still to tell of does not come any more.
        this.#letGo(closed())
      }
    }
  }

  /** Nobody waits any longer: neither for an acknowledgement, nor for an entry. */
  #letGo(fault: Fault): void {
    this.#pending.fail(fault)
    for (const wake of this.#whenTold.splice(0)) wake()
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw closed()
  }

  #append(drafts: readonly Draft[]): Promise<readonly Stored[]> {
    const { fault } = this.#search
    if (fault !== undefined) return Promise.reject(fault)
    if (drafts.length === 0) return Promise.resolve([])
    const { clock = systemClock } = this.#parts
    const batch = { drafts, ids: drafts.map(() => uuidv7(clock.now())) }
    const stored = this.#pending.add(batch)
    if (this.#search.isReady) this.#send(batch)
    return stored
  }

  #send(batch: Batch): void {
    try {
      this.#search.append(batch)
    } catch (error) {
      this.#pending.declined(batch.ids[0]!, error)
    }
  }

  #beat(): void {
    const { heartbeatMs } = this.#parts.self
    this.#heartbeat = setInterval(() => {
      // A ledger that is poisoned says so to whoever appends; here nobody waits.
      this.#append([heartbeatDraft(heartbeatMs)]).catch(() => undefined)
    }, heartbeatMs).unref()
  }

  #told(stored: Stored): void {
    try {
      this.#followers.tell(stored)
    } finally {
      // It is durable, also where whoever follows knows no longer what is true.
      this.#pending.arrived(stored)
    }
    for (const wake of this.#whenTold.splice(0)) wake()
  }

  /** What is durable is told by whoever leads. @throws Fault ERR_LEDGER_UNAVAILABLE */
  async #toldOf(index: number): Promise<void> {
    while (this.size <= index) {
      this.#search.requireGoing()
      await new Promise<void>(resolve => {
        this.#whenTold.push(resolve)
      })
    }
  }
}
