/** One operation in flight: what is asked, who asks, and facts that are learned once on the way. */
import type { Obligations } from './control.ts'
import { Misuse } from './errors.ts'
import type { Credential, Subject } from './identity/subject.ts'
import type { DraftOf } from './ledger/ledger.ts'
import type { Operation } from './operation.ts'

/** A connection or login under which exchanges happen: its subject is verified once, and it is cut as a whole. */
export interface Session {
  readonly id: string
  readonly subject: Subject
  /** Aborts when the session must end; its reason is the Refusal or Fault to show. */
  readonly signal: AbortSignal
}

export interface Facts {
  subject: Subject
  /** Pseudonyms of those who act, as entries name them. */
  actors: { readonly subject: string; readonly principal?: string; readonly owner?: string }
  /** Digest of the policy that decided. */
  policy: string
  obligations: Obligations
  grant: { readonly id: string; readonly until: number }
  approval: { readonly id: string }
  /** The commitment to the exact action and its salt: an approval's own where one is used. */
  commitment: { readonly action: string; readonly salt: string }
  /** The decision: durable already, or still to be appended together with the outcome (a proven read). */
  decision: { readonly draft: DraftOf<'decision'>; readonly durable: boolean }
  /** Controls in observe mode that would have refused. */
  observed: readonly string[]
  /** Selectors that were masked, never values. */
  masked: Set<string>
  /** What was recorded and is durable, for the entries that say so. */
  attachments: readonly DraftOf<'attachment'>[]
}

/** What the subject sends while its exchange runs: keys typed, a window resized, a signal. */
export interface Input {
  readonly channel: 'stdin' | 'resize' | 'signal'
  readonly bytes: Uint8Array
}

/** What the subject should be told while an exchange is held. */
export interface Held {
  readonly approval: string
  /** Unix milliseconds until which it is held. */
  readonly until: number
}

export interface ExchangeParts {
  readonly id: string
  readonly operation: Operation
  readonly session?: Session
  /** Where there is no session: what the subject presented, for `identify` to verify. */
  readonly credential?: Credential
  /** Where there is no session: a subject that the embedding application has verified itself. */
  readonly subject?: Subject
  /** Where it came from: `127.0.0.1`. Normalised: no `::ffff:`. */
  readonly address?: string
  /** The exchange on whose behalf it is asked: the request behind a query. */
  readonly within?: string
  /** Called when the exchange starts to wait for an approval. */
  readonly onHeld?: (held: Held) => void
  /** Aborts when the subject hangs up. */
  readonly signal?: AbortSignal
}

export class Exchange {
  readonly id: string
  readonly operation: Operation
  readonly session: Session | undefined
  readonly credential: Credential | undefined
  readonly subject: Subject | undefined
  readonly address: string | undefined
  readonly within: string | undefined
  readonly onHeld: ((held: Held) => void) | undefined
  /** Every wait in a stage or origin races this: see `run.ts`, `race`. */
  readonly signal: AbortSignal
  readonly #controller = new AbortController()
  readonly #facts = new Map<keyof Facts, unknown>()
  readonly #undo: (() => void)[] = []
  readonly #listeners = new Set<(input: Input) => Promise<void>>()

  constructor(parts: ExchangeParts) {
    this.id = parts.id
    this.operation = parts.operation
    this.session = parts.session
    this.credential = parts.credential
    // As it is now: an application may go on to another one in the same object.
    this.subject = parts.subject === undefined ? undefined : Object.freeze({ ...parts.subject })
    this.address = parts.address
    this.within = parts.within
    this.onHeld = parts.onHeld
    this.signal = this.#controller.signal
    for (const outside of [parts.session?.signal, parts.signal]) if (outside !== undefined) this.heed(outside)
  }

  /** Ends with it. Not AbortSignal.any: a session's signal would keep every exchange of it, for as long as the session lives. */
  heed(outside: AbortSignal): void {
    const cut = () => this.#controller.abort(outside.reason)
    if (outside.aborted) {
      cut()
      return
    }
    outside.addEventListener('abort', cut, { once: true })
    this.defer(() => outside.removeEventListener('abort', cut))
  }

  /**
   * Told by the adapter as it passes input on; whoever records follows it. Waits for who
   * hears it: what cannot be recorded does not go on.
   */
  async heard(input: Input): Promise<void> {
    for (const listener of this.#listeners) await listener(input)
  }

  onInput(listener: (input: Input) => Promise<void>): void {
    this.#listeners.add(listener)
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  /** Registers what must be undone when the exchange is over, however it ended. */
  defer(undo: () => void): void {
    this.#undo.push(undo)
  }

  /** Undoes, last first. Called once, by the guard. */
  finish(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo()
  }

  /** Write-once. @throws Misuse ERR_FACT on a second write: two stages claim the same fact */
  learn<F extends keyof Facts>(name: F, value: Facts[F]): void {
    if (this.#facts.has(name)) throw new Misuse('ERR_FACT', `the fact ${name} is known already`, { fact: name })
    this.#facts.set(name, value)
  }

  /** @throws Misuse ERR_FACT where it is not known: a stage is out of order */
  fact<F extends keyof Facts>(name: F): Facts[F] {
    if (!this.#facts.has(name)) throw new Misuse('ERR_FACT', `the fact ${name} is not known yet`, { fact: name })
    return this.#facts.get(name) as Facts[F]
  }

  knows(name: keyof Facts): boolean {
    return this.#facts.has(name)
  }

  /** The fact, or undefined where no stage has learned it (yet). */
  perhaps<F extends keyof Facts>(name: F): Facts[F] | undefined {
    return this.#facts.get(name) as Facts[F] | undefined
  }
}
