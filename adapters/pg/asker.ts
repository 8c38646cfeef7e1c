/** On whose behalf the messages of a session are: its login's, all of them; or, in process, from one query to the next another's. */
import type { Exchange, ExchangeParts } from '../../lib/exchange.ts'
import type { OpenSession } from '../../lib/gate.ts'

/** Who asks, as an exchange takes it. */
export interface Asker extends Pick<ExchangeParts, 'session' | 'subject' | 'address' | 'within'> {
  /** Aborts when what it is asked on behalf of is over. */
  readonly signal?: AbortSignal
}

export interface Askers {
  /** Undefined: nobody. What nobody asks is refused, and not forwarded in any part. */
  readonly current: Asker | undefined
  /** Aborts when the whole session must end; its reason is the Refusal or Fault to show. */
  readonly signal: AbortSignal
  /** The client says who asks from here on. Absent where it cannot. @returns who that is */
  readonly turn?: (message: Buffer) => Turn | undefined
  /** ReadyForQuery: what was asked has been answered. */
  answered(): void
  /** What an exchange rested on must last: its changes wait for the end of a transaction. */
  keep(exchange: Exchange): void
  /** The transaction has ended. */
  release(): void
  close(reason: string): Promise<void>
}

/** From here on this asker's, until its ReadyForQuery. */
export interface Turn {
  readonly asker: Asker | undefined
  /** Differs from that of the turn before where the connection has been given back in between. */
  readonly lease: object
}

/** A login's: one subject from the first message to the last. A session is bound to the grants that it uses. */
export function oneAsker(session: OpenSession, address: string): Askers {
  const nothing = () => undefined
  return {
    ...{ current: { session, address }, signal: session.signal },
    ...{ answered: nothing, keep: nothing, release: nothing },
    close: reason => session.close(reason),
  }
}

/** The same person by another credential is the same; on whose behalf an agent acts makes another. */
export function whoIs({ session, subject = session?.subject }: Asker): string {
  return JSON.stringify([subject?.issuer, subject?.type, subject?.id, subject?.owner, subject?.principal])
}
