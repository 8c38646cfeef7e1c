/** `ledgerTransport(ledger)`: an application's security events, logged with winston, become entries. */
import Transport from 'winston-transport'
import { currentExchange } from '../../lib/current.ts'
import { Misuse } from '../../lib/errors.ts'
import type { DraftOf, Ledger } from '../../lib/ledger/ledger.ts'
import { eventDraft } from './event.ts'

export interface LedgerTransportOptions {
  readonly ledger: Ledger
  /** The application's name, as entries name it. */
  readonly source: string
  /** Only events of this level and above. Default: the logger's own. */
  readonly level?: string
  /** How many events may wait to be durable. Default 1000. */
  readonly most?: number
  /**
   * Where more come than can be written. `count` (the default): what does not fit is lost, and how much of it is an
   * entry as soon as there is room. `fail`: the logger emits `error`, which ends a process that does not listen for it.
   */
  readonly overflow?: 'count' | 'fail'
}

/** Appended together, at most. */
const batch = 64

/** Ending the logger (`logger.end()`, then `finish`) flushes; do it before the ledger is closed. */
export function ledgerTransport(options: LedgerTransportOptions): Transport {
  return new LedgerTransport(options)
}

class LedgerTransport extends Transport {
  readonly #ledger: Ledger
  readonly #source: string
  readonly #most: number
  readonly #overflow: 'count' | 'fail'
  readonly #waiting: DraftOf<'event'>[] = []
  #lost = 0
  #writing: Promise<void> | undefined

  constructor({ ledger, source, level, most = 1000, overflow = 'count' }: LedgerTransportOptions) {
    super(level === undefined ? {} : { level })
    if (!/^[\x21-\x7e]{1,64}$/.test(source))
      throw new Misuse('ERR_OPTION_INVALID', 'source must be a word of at most 64 characters')
    if (!Number.isSafeInteger(most) || most < 1)
      throw new Misuse('ERR_OPTION_INVALID', 'most must be a number of events, 1 at least')
    this.#ledger = ledger
    this.#source = source
    this.#most = most
    this.#overflow = overflow
  }

  /** Never waits: winston would keep without bound what it cannot pass on. */
  override log(info: Readonly<Record<string, unknown>>, next: () => void): void {
    if (this.#waiting.length < this.#most) {
      this.#waiting.push(eventDraft(info, this.#source, currentExchange()))
      this.#start()
    } else if (this.#overflow === 'fail') {
      this.#tell(new Misuse('ERR_OPTION_INVALID', `more than ${this.#most} security events wait to be recorded`))
    } else {
      this.#lost += 1
    }
    next()
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#start()
    const flushed = this.#writing ?? Promise.resolve()
    flushed.then(() => done(), done)
  }

  /** Apart from whoever logs or appends: thrown there where nobody listens, it would be lost. winston passes it on to the logger. */
  #tell(error: unknown): void {
    process.nextTick(() => this.emit('error', error))
  }

  #start(): void {
    if (this.#waiting.length === 0 && this.#lost === 0) return
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
    // An append that fails is told as any transport's error.
    this.#writing.catch(() => undefined)
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0 || this.#lost > 0) {
        const events = this.#waiting.slice(0, batch)
        const lost = events.length === this.#waiting.length ? this.#lost : 0
        const drafts = lost === 0 ? events : [...events, { kind: 'events-lost', source: this.#source, lost } as const]
        await this.#ledger.append(drafts)
        this.#waiting.splice(0, events.length)
        this.#lost -= lost
      }
    } catch (error) {
      this.#tell(error)
      throw error
    }
  }
}
