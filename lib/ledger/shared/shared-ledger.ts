/**
 * A ledger that several processes share. One of them, the leader, has the directory open; the others append through it, and are told
 * of every entry. When the leader dies, one of them leads, and what was not acknowledged is appended there: each process knows its own
 * entries again by the ids that it gave them, so that none stands twice.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../clock.ts'
import { describe, Fault, isOurs, LedgerError, Refusal } from '../../errors.ts'
import type { Json } from '../../format/canonical.ts'
import type { SignedCheckpoint } from '../../format/checkpoint.ts'
import { uuidv7 } from '../../format/entry.ts'
import { heartbeatDraft } from '../directory-ledger.ts'
import { Followers } from '../followers.ts'
import type { AppendOptions, AttachmentWriter, AttachParts, Draft, Erasure, Ledger, Stored } from '../ledger.ts'
import type { Link, LinkEvents } from './link.ts'
import type { Batch } from './messages.ts'
import { Pending } from './pending.ts'
import type { Place } from './place.ts'
import type { LeadParts, Reached, Self } from './reach.ts'

export interface SharedParts {
  readonly self: Self
  readonly clock?: { now(): number } | undefined
  /** Milliseconds that an append, or the opening, waits for a leader. */
  readonly takeoverMs: number
  /** One attempt: undefined where it may be tried again. @throws where it may not */
  readonly reach: (self: Self, events: LinkEvents, onNext: LeadParts['onNext']) => Promise<Reached | undefined>
  readonly onEvent: LeadParts['onEvent']
  /** Whether its leader takes erasures from this process. */
  readonly mayErase: boolean
}

/** Milliseconds between attempts at most, at random and from a few on longer and longer: several look for a leader at once. */
const attemptMs = { first: 20, longest: 320 } as const

export class SharedLedger implements Ledger {
  readonly origin: string
  /** By the leader, which has the vault; undefined where it would refuse. */
  readonly erase?: (erasure: Erasure) => Promise<readonly Stored[]>
  readonly #parts: SharedParts
  readonly #pending = new Pending()
  readonly #followers = new Followers()
  #reached: Reached | undefined
  /** Told of all there was when it reached its leader: from then on appends go out. */
  #ready = false
  #size = 0
  #last: Place | undefined
  #started: Place | undefined
  #whenReady: (() => void)[] = []
  /** Woken at the next entry. */
  #whenTold: (() => void)[] = []
  #fault: Fault | undefined
  #closing: Promise<void> | undefined
  #over = false
  #heartbeat: NodeJS.Timeout | undefined

  private constructor(parts: SharedParts) {
    this.#parts = parts
    this.origin = parts.self.origin
    if (parts.mayErase) this.erase = erasure => this.#erase(erasure)
  }

  /** @throws as opening a directory does; LedgerError ERR_LEDGER_LOCKED too where another process has that writer */
  static async open(parts: SharedParts): Promise<Ledger> {
    const ledger = new SharedLedger(parts)
    await ledger.#search()
    if (ledger.#fault !== undefined) throw ledger.#fault.cause ?? ledger.#fault
    try {
      if (!ledger.#ready) await ledger.#link()
    } catch (error) {
      // Else its name stays in use, by a link that nobody has.
      ledger.#poison(error)
      throw error
    }
    ledger.#beat()
    return ledger
  }

  get size(): number {
    return this.#size
  }

  /** Whether this process has the directory open. */
  get leads(): boolean {
    return this.#reached?.leads === true
  }

  async append(drafts: readonly Draft[], { level = 'durable' }: AppendOptions = {}): Promise<readonly Stored[]> {
    this.#requireOpen()
    const stored = await this.#append(drafts)
    const last = stored.at(-1)
    if (last !== undefined && (level === 'signed' || level === 'witnessed')) {
      await this.#ask(link => link.covered(last.index + 1, level))
    }
    return stored
  }

  async *entries(from = 0): AsyncGenerator<Stored> {
    const end = this.#size
    for (let next = from; next < end; ) {
      const link = await this.#link()
      try {
        for await (const stored of link.entries(next, end)) {
          if (stored.index >= end) return
          yield stored
          next = stored.index + 1
        }
      } catch (error) {
        if (!this.#wasLost(link, error)) throw error
      }
    }
  }

  async *state(): AsyncGenerator<Stored> {
    const found = await this.#ask(async link => {
      const entries: Stored[] = []
      for await (const stored of link.state()) entries.push(stored)
      return entries
    })
    // The leader may be ahead of what this process has been told; what is asked of such an entry would be refused here.
    await this.#toldOf(found.at(-1)?.index ?? -1)
    yield* found
  }

  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    if (!Number.isSafeInteger(index) || index < 0 || index >= this.#size) {
      throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} in a ledger of ${this.#size}`)
    }
    return this.#ask(link => link.disclosures(index))
  }

  async attach(parts: AttachParts): Promise<AttachmentWriter> {
    this.#requireOpen()
    return this.#ask(link => link.attach(parts))
  }

  async *attachment(id: string): AsyncGenerator<Uint8Array> {
    yield* (await this.#link()).attachment(id)
  }

  async #erase(erasure: Erasure): Promise<readonly Stored[]> {
    this.#requireOpen()
    const from = this.#size
    for (let lost = false; ; lost = true) {
      const link = await this.#link()
      try {
        const stored = await link.erase(erasure)
        await this.#toldOf(stored.at(-1)!.index)
        return stored
      } catch (error) {
        const isLost = this.#wasLost(link, error)
        if (!isLost && !lost) throw error
        // It may have been done all the same: the next leader tells, and finishes what was begun.
        await this.#link()
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
    return this.#ask(link => link.publish())
  }

  async seal(): Promise<SignedCheckpoint> {
    this.#requireOpen()
    return this.#ask(link => link.seal())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat)
    try {
      // The leader's own `stopped` comes with its closing.
      if (this.#fault === undefined && !this.leads) await this.#append([{ kind: 'stopped' }])
    } finally {
      this.#over = true
      try {
        await this.#reached?.link.close()
      } finally {
        // What the link was still to tell of does not come any more.
        this.#letGo(closed())
      }
    }
  }

  /** Nobody waits any longer: neither for an acknowledgement, nor for a leader, nor for an entry. */
  #letGo(fault: Fault): void {
    this.#pending.fail(fault)
    for (const wake of [...this.#whenReady.splice(0), ...this.#whenTold.splice(0)]) wake()
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw closed()
  }

  #append(drafts: readonly Draft[]): Promise<readonly Stored[]> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault)
    if (drafts.length === 0) return Promise.resolve([])
    const { clock = systemClock } = this.#parts
    const batch = { drafts, ids: drafts.map(() => uuidv7(clock.now())) }
    const stored = this.#pending.add(batch)
    if (this.#ready) this.#send(batch)
    return stored
  }

  #send(batch: Batch): void {
    try {
      this.#reached!.link.append(batch)
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

  /** Of one link: what is lost before it is begun with is only an attempt that failed. */
  #eventsOf(attempt: { begun: boolean; lost: boolean }): LinkEvents {
    return {
      onEntries: told => {
        for (const stored of told) this.#told(stored)
        this.#catchUp()
      },
      onDeclined: (id, error) => this.#pending.declined(id, error),
      onLost: cause => {
        attempt.lost = true
        if (attempt.begun && !this.#over) this.#lost(cause)
      },
    }
  }

  #lost(cause: unknown): void {
    if (this.leads || (isOurs(cause) && !(cause instanceof Fault))) {
      this.#poison(cause)
      return
    }
    this.#reached = undefined
    this.#ready = false
    this.#pending.waiting()
    void this.#search()
  }

  #told(stored: Stored): void {
    const { index, entry } = stored
    if (index !== this.#size) throw misled()
    if (entry.writer === this.#parts.self.writer) this.#requireOurs(entry.kind, entry.id)
    this.#size += 1
    this.#last = { index, id: entry.id }
    try {
      this.#followers.tell(stored)
    } catch (error) {
      // It is durable; but whoever follows knows no longer what is true.
      this.#pending.arrived(stored)
      this.#poison(error)
      throw error
    }
    this.#pending.arrived(stored)
    for (const wake of this.#whenTold.splice(0)) wake()
  }

  /** Given up, or replaced by another process of that name: what this one does has been closed as unknown. */
  #requireOurs(kind: Stored['entry']['kind'], id: string): void {
    const ours = this.#started?.id
    if (ours === undefined || id === ours) return
    if (kind === 'recovered' || kind === 'started') {
      throw new LedgerError('ERR_LEDGER_LOCKED', 'this writer was given up: it must be opened again')
    }
  }

  #catchUp(): void {
    const reached = this.#reached
    if (reached === undefined || this.#ready || this.#size < reached.size) return
    this.#ready = true
    for (const batch of this.#pending.batches()) this.#send(batch)
    for (const wake of this.#whenReady.splice(0)) wake()
  }

  /** Looks for a leader until there is one, or this process leads. */
  async #search(): Promise<void> {
    const { self, takeoverMs, reach, onEvent } = this.#parts
    const begun = performance.now()
    let told = false
    let why = 'another process may have it alone'
    let between: number = attemptMs.first
    while (!this.#over && this.#fault === undefined) {
      const back = this.#started === undefined ? undefined : { started: this.#started, last: this.#last! }
      // Behind what it has been told of, or behind its own `started`, where it was let in and told of nothing yet.
      const onNext = (next: number) => {
        if (back !== undefined && next !== back.last.index + 1) throw misled()
        if (back === undefined) this.#last = undefined
        this.#size = next
      }
      const attempt = { begun: false, lost: false }
      try {
        const reached = await reach(back === undefined ? self : { ...self, back }, this.#eventsOf(attempt), onNext)
        if (reached !== undefined && !attempt.lost) {
          attempt.begun = true
          this.#began(reached)
          return
        }
      } catch (error) {
        // A certificate may be renewed while this process is at work: then it is let in again.
        if (!(error instanceof Fault || (error instanceof Refusal && back !== undefined))) {
          this.#poison(error)
          return
        }
        why = error.message
      }
      const unavailable = new Fault(
        'ERR_LEDGER_UNAVAILABLE',
        `the shared ledger has had no leader for ${takeoverMs} ms: ${why}`,
      )
      this.#pending.fail(unavailable, takeoverMs)
      if (performance.now() - begun > takeoverMs) {
        if (back === undefined) {
          this.#poison(unavailable)
          return
        }
        if (!told) onEvent('the shared ledger has no leader: nothing is accepted until there is one', { why })
        told = true
      }
      await wait(between * (0.5 + Math.random() / 2))
      between = Math.min(2 * between, attemptMs.longest)
    }
  }

  #began(reached: Reached): void {
    this.#started ??= reached.started
    this.#last ??= reached.started
    this.#reached = reached
    if (this.#over) {
      // Whoever closed it waits no longer, and would not hear of it.
      reached.link.close().catch(() => undefined)
      return
    }
    this.#catchUp()
  }

  #poison(cause: unknown): void {
    if (this.#fault !== undefined) return
    const what = isOurs(cause) ? `: ${describe(cause)}` : ''
    this.#fault = new Fault('ERR_LEDGER_UNAVAILABLE', `the ledger must be opened again${what}`, {}, cause)
    clearInterval(this.#heartbeat)
    this.#letGo(this.#fault)
    const link = this.#reached?.link
    this.#over = true
    link?.abandon().catch(() => undefined)
  }

  /** What is durable is told by whoever leads. @throws Fault ERR_LEDGER_UNAVAILABLE */
  async #toldOf(index: number): Promise<void> {
    while (this.#size <= index) {
      if (this.#fault !== undefined) throw this.#fault
      if (this.#over) throw closed()
      await new Promise<void>(resolve => {
        this.#whenTold.push(resolve)
      })
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  async #link(): Promise<Link> {
    const { takeoverMs } = this.#parts
    const until = performance.now() + takeoverMs
    while (!this.#ready) {
      if (this.#fault !== undefined) throw this.#fault
      if (this.#over) throw closed()
      const left = until - performance.now()
      if (left <= 0) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the shared ledger has no leader')
      await Promise.race([
        new Promise<void>(resolve => {
          this.#whenReady.push(resolve)
        }),
        wait(left, undefined, { ref: false }),
      ])
    }
    return this.#reached!.link
  }

  /** What is asked again of the next leader, where this one is lost before it answered. */
  async #ask<T>(question: (link: Link) => Promise<T>): Promise<T> {
    for (;;) {
      const link = await this.#link()
      try {
        return await question(link)
      } catch (error) {
        if (!this.#wasLost(link, error)) throw error
      }
    }
  }

  #wasLost(link: Link, error: unknown): boolean {
    return error instanceof Fault && this.#fault === undefined && this.#reached?.link !== link
  }
}

const closed = () => new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')

const misled = () => new LedgerError('ERR_LEDGER_INCONSISTENT', 'the leader leaves out an entry, or tells of one again')
