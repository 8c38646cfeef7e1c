/**
 * What a process has of a shared ledger, whoever leads: looked for until there is a leader, or this process leads, and
 * again where that is lost. It knows how far it has been told, and that it may go on from there.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { describe, Fault, isOurs, LedgerError, Refusal } from '../../errors.ts'
import type { Stored } from '../ledger.ts'
import type { Link, LinkEvents } from './link.ts'
import type { Batch } from './messages.ts'
import type { Place } from './place.ts'
import type { LeadParts, Reached, Self } from './reach.ts'

export interface SearchParts {
  readonly self: Self
  /** Milliseconds that an append, or the opening, waits for a leader. */
  readonly takeoverMs: number
  /** One attempt: undefined where it may be tried again. @throws where it may not */
  readonly reach: (self: Self, events: LinkEvents, onNext: LeadParts['onNext']) => Promise<Reached | undefined>
  readonly onEvent: LeadParts['onEvent']
}

/** What whoever searches is told. */
export interface SearchEvents {
  /** Every entry, in index order. @throws where what follows them failed: nothing more is told then */
  readonly onTold: (stored: Stored) => void
  readonly onDeclined: (firstId: string, error: unknown) => void
  /** Appends may go out from now on; those before may stand among what was told. */
  readonly onReady: () => void
  /** Until it is ready again. */
  readonly onLost: () => void
  /** No leader was found yet. @param ms what has waited so long waits no longer */
  readonly onNone: (fault: Fault, ms: number) => void
  /** For good. */
  readonly onFault: (fault: Fault) => void
}

/** Milliseconds between attempts at most, at random and from a few on longer and longer: several look for a leader at once. */
const attemptMs = { first: 20, longest: 320 } as const

export class Search {
  readonly #parts: SearchParts
  readonly #events: SearchEvents
  #reached: Reached | undefined
  /** Told of all there was when it reached its leader. */
  #ready = false
  #size = 0
  #last: Place | undefined
  #started: Place | undefined
  #whenReady: (() => void)[] = []
  #fault: Fault | undefined
  #over = false
  /** Ends with the attempt under way, once what it reached too late is put away. */
  #searching: Promise<void> = Promise.resolve()

  constructor(parts: SearchParts, events: SearchEvents) {
    this.#parts = parts
    this.#events = events
  }

  /** Of all that this process has been told of. */
  get size(): number {
    return this.#size
  }

  /** Whether this process has the directory open. */
  get leads(): boolean {
    return this.#reached?.leads === true
  }

  get isReady(): boolean {
    return this.#ready
  }

  /** Why nothing goes on until the ledger is opened again. */
  get fault(): Fault | undefined {
    return this.#fault
  }

  /** @throws what is thrown to whoever opens */
  async begin(): Promise<void> {
    await this.#seek()
    if (this.#fault !== undefined) throw this.#fault.cause ?? this.#fault
    try {
      if (!this.#ready) await this.link()
    } catch (error) {
      // Else its name stays in use, by a link that nobody has.
      this.#poison(error)
      await this.#searching
      throw error
    }
  }

  /** To be asked once it is ready. @throws what declines it */
  append(batch: Batch): void {
    this.#reached!.link.append(batch)
  }

  /** Nothing is searched for any more, and nothing of the directory is in use by this process once it resolves. */
  async end(): Promise<void> {
    this.#over = true
    try {
      await this.#reached?.link.close()
    } finally {
      await this.#searching
      this.#wake()
    }
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE: there is nothing to wait for any more */
  requireGoing(): void {
    if (this.#fault !== undefined) throw this.#fault
    if (this.#over) throw closed()
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE */
  async link(): Promise<Link> {
    const { takeoverMs } = this.#parts
    const until = performance.now() + takeoverMs
    while (!this.#ready) {
      this.requireGoing()
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
  async ask<T>(question: (link: Link) => Promise<T>): Promise<T> {
    for (;;) {
      const link = await this.link()
      try {
        return await question(link)
      } catch (error) {
        if (!this.wasLost(link, error)) throw error
      }
    }
  }

  /** Whether an error came of a link that is not the one in use any more: what was asked of it is asked again. */
  wasLost(link: Link, error: unknown): boolean {
    return error instanceof Fault && this.#fault === undefined && this.#reached?.link !== link
  }

  #seek(): Promise<void> {
    this.#searching = this.#search()
    return this.#searching
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
          // Whoever closed it would not hear of what fails here.
          if (this.#over) await reached.link.close().catch(() => undefined)
          else this.#began(reached)
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
      this.#events.onNone(unavailable, takeoverMs)
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
    this.#catchUp()
  }

  #lost(cause: unknown): void {
    if (this.leads || (isOurs(cause) && !(cause instanceof Fault))) {
      this.#poison(cause)
      return
    }
    this.#reached = undefined
    this.#ready = false
    this.#events.onLost()
    void this.#seek()
  }

  /** Of one link: what is lost before it is begun with is only an attempt that failed. */
  #eventsOf(attempt: { begun: boolean; lost: boolean }): LinkEvents {
    return {
      onEntries: told => {
        for (const stored of told) this.#told(stored)
        this.#catchUp()
      },
      onDeclined: (id, error) => this.#events.onDeclined(id, error),
      onLost: cause => {
        attempt.lost = true
        if (attempt.begun && !this.#over) this.#lost(cause)
      },
    }
  }

  #told(stored: Stored): void {
    const { index, entry } = stored
    if (index !== this.#size) throw misled()
    if (entry.writer === this.#parts.self.writer) this.#requireOurs(entry.kind, entry.id)
    this.#size += 1
    this.#last = { index, id: entry.id }
    try {
      this.#events.onTold(stored)
    } catch (error) {
      this.#poison(error)
      throw error
    }
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
    this.#events.onReady()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#whenReady.splice(0)) wake()
  }

  #poison(cause: unknown): void {
    if (this.#fault !== undefined) return
    const what = isOurs(cause) ? `: ${describe(cause)}` : ''
    this.#fault = new Fault('ERR_LEDGER_UNAVAILABLE', `the ledger must be opened again${what}`, {}, cause)
    this.#events.onFault(this.#fault)
    this.#wake()
    const link = this.#reached?.link
    this.#over = true
    link?.abandon().catch(() => undefined)
  }
}

export const closed = () => new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')

const misled = () => new LedgerError('ERR_LEDGER_INCONSISTENT', 'the leader leaves out an entry, or tells of one again')
