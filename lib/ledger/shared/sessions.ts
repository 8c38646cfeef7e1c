/**
 * Which sessions a process of another host opened since it started: it speaks of no others, and
 * records nothing in them. Those of before this leader led are read for when they are asked for, back
 * to where that process started, and no entry twice.
 */
import type { Entry } from '../../format/entry.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { denied } from './access.ts'

/** Of what was closed: something that was on its way may come behind that. */
const mostClosed = 65_536
const page = 4096

export class Sessions {
  readonly #ledger: DirectoryLedger
  /** By id: who opened it. */
  readonly #openedBy = new Map<string, string>()
  /** The newest that were closed. */
  readonly #closed = new Set<string>()
  /** Closed behind what was read; what opened them was not come to yet. */
  readonly #closedLater = new Set<string>()
  /** Who started, or was given up, behind what is read next: what they opened before is over. */
  readonly #startedLater = new Set<string>()
  /** All from here on was read, or followed. */
  #from: number
  #reading: Promise<void> | undefined

  constructor(ledger: DirectoryLedger) {
    this.#ledger = ledger
    this.#from = ledger.size
    ledger.follow(({ entry }) => this.#see(entry))
  }

  /** @throws Refusal ERR_ACCESS_DENIED */
  async requireOwn(writer: string, session: string): Promise<void> {
    while (!this.#openedBy.has(session) && !this.#startedLater.has(writer) && this.#from > 0) {
      this.#reading ??= this.#readBack().finally(() => {
        this.#reading = undefined
      })
      await this.#reading
    }
    if (this.#openedBy.get(session) !== writer) throw denied('speak of a session that it did not open')
  }

  #see(entry: Entry): void {
    if (entry.kind === 'session-opened' && !this.#openedBy.has(entry.session)) {
      this.#openedBy.set(entry.session, entry.writer)
    } else if (entry.kind === 'session-closed') {
      this.#closed.add(entry.session)
      const [oldest] = this.#closed
      if (this.#closed.size > mostClosed) this.#forget(oldest!)
    } else if (isAnew(entry)) {
      this.#startedLater.add(entry.writer)
      for (const [session, writer] of this.#openedBy) if (writer === entry.writer) this.#forget(session)
    }
  }

  #forget(session: string): void {
    this.#closed.delete(session)
    this.#openedBy.delete(session)
  }

  async #readBack(): Promise<void> {
    const first = Math.max(0, this.#from - page)
    const entries: Entry[] = []
    for await (const { index, entry } of this.#ledger.entries(first)) {
      if (index >= this.#from) break
      if (entry.kind === 'session-opened' || entry.kind === 'session-closed' || isAnew(entry)) entries.push(entry)
    }
    this.#from = first
    for (const entry of entries.reverse()) {
      if (isAnew(entry)) this.#startedLater.add(entry.writer)
      else if (entry.kind === 'session-closed') this.#closedLater.add(entry.session)
      else if (entry.kind === 'session-opened') this.#opened(entry.session, entry.writer)
    }
  }

  #opened(session: string, writer: string): void {
    const isClosed = this.#closedLater.delete(session)
    // What was closed last is come to first.
    if (this.#startedLater.has(writer) || (isClosed && this.#closed.size >= mostClosed)) return
    if (isClosed) this.#closed.add(session)
    this.#openedBy.set(session, writer)
  }
}

const isAnew = ({ kind }: Entry): boolean => kind === 'started' || kind === 'recovered'
