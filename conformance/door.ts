/** What an adapter shows of itself to the suite: how each kind of work is asked for on its wire. */
import type { Gate } from '../lib/gate.ts'
import type { Subject } from '../lib/identity/subject.ts'

/** What a client can ask for; the door knows how its protocol says it. */
export type Work =
  /** A short read, whose reply holds `Customer 0001`. */
  | 'read'
  /** A read whose reply holds `name`, and `ssn` and `email` under the mask, as `personal` has them. */
  | 'masked'
  /** A change that needs a grant, and that `done` counts. */
  | 'change'
  /** The destruction that needs an approval, and that `done` counts. */
  | 'destroy'
  /** As `destroy`, of something else: an approval of the one is none of the other. */
  | 'destroy another'
  /** A read that begins, and then says nothing more. */
  | 'silent'
  /** Under a grant, as `change`; and then nothing more is said. */
  | 'silent change'
  /** A read that fails after at least 100 kB of its reply. */
  | 'breaks'
  /** A read with a reply of at least 1 MB, in several pieces. */
  | 'long'
  /** A read with a reply of at least 64 MB. */
  | 'flood'
  /** Permitted, with `canary` in every place where the protocol has secrets. */
  | 'secret'

export interface Answer {
  /** All that reached the client, an error's text and details too. A flood's is left out. */
  readonly said: string
  /** Bytes of the reply that reached the client. */
  readonly bytes: number
  /** The reply came whole, and was no error. */
  readonly whole: boolean
  /** Our own code, where one was told. */
  readonly code?: string | undefined
}

export interface Call {
  /** Settles when the reply is over, however; never rejects. */
  readonly answer: Promise<Answer>
  /** The client goes, without a word. */
  hangUp(): void
  /** Reads on, where the call was asked to stall. */
  resume(): void
}

export interface OpenDoor {
  /**
   * Asks for a work as somebody, who presents `credentialOf(as)`.
   * @param stall the client takes nothing of the reply until it is told to
   */
  call(work: Work, as: Subject, stall?: boolean): Call
  /** How often the upstream has been asked for this work. */
  done(work: 'read' | 'change' | 'destroy'): Promise<number>
  /** How many silent works the upstream is still at. */
  running(): Promise<number>
  /** Connects, and says nothing that is whole. `closed` resolves when the door has closed the connection; it is asked for last. */
  silentClient(): Promise<{ readonly closed: Promise<void> }>
  close(): Promise<void>
}

export interface Door {
  readonly name: string
  /** The gate's target is `crm`. A silent client is given no more than a second. */
  open(gate: Gate): Promise<OpenDoor>
  /** The resource whose `ssn` and `email` are masked: a glob. */
  readonly personal: string
  /** What policy calls a change and a destruction here: `update`, `drop`. */
  readonly words: { readonly change: string; readonly destroy: string }
  /** The resource of a change. */
  readonly changed: string
  /** Its replies have no fields that a mask could name: what is under such a mask is refused, and nothing of it is shown. */
  readonly unmaskable?: true
  /**
   * No login crosses a wire here: a client that says nothing is the application's own. It is given no deadline (`closed` is when the
   * application lets it go), and stalls nobody all the same.
   */
  readonly inProcess?: true
  /** Its reads are not proven to change nothing, as those of a command are not: they are recorded as what may be a change. */
  readonly unproven?: true
}
