/** The guard as adapters see it: the one door through which every operation goes. `guard.ts` builds it. */
import type { Origin } from './compose.ts'
import type { Exchange, ExchangeParts, Session } from './exchange.ts'
import type { Credential, Subject } from './identity/subject.ts'
import type { End } from './reply.ts'
import type { Sink } from './run.ts'

export interface SessionParts {
  readonly subject: Subject
  readonly protocol: string
  /** The listener's name, first segment of every resource. */
  readonly target: string
  readonly tls: boolean
  readonly address?: string
  /** What the client calls itself (application_name, user agent): disclosed, never trusted. */
  readonly client?: string
}

export interface OpenSession extends Session {
  /** Appends `session-closed`. Idempotent. @param reason a word: `client`, `upstream`, `grant-revoked`, ... */
  close(reason: string): Promise<void>
}

/** A login that failed, to be recorded as a denied decision. */
export interface FailedLogin {
  readonly protocol: string
  readonly target: string
  readonly address?: string
  readonly error: unknown
}

export interface Gate {
  readonly name: string
  /** @throws Refusal ERR_UNIDENTIFIED */
  identify(credential: Credential): Promise<Subject>
  /** Records a session whose subject is verified; the session is cut when its grant ends or its identification expires. */
  openSession(parts: SessionParts): Promise<OpenSession>
  /** Appends a denied `decision` for a login that failed; resolves when durable. */
  recordFailedLogin(login: FailedLogin): Promise<void>
  exchange(parts: Omit<ExchangeParts, 'id'>): Exchange
  /** Appends a denied `decision` for an exchange that the adapter itself refused, before it could be judged. */
  refuse(exchange: Exchange, error: unknown): Promise<void>
  /**
   * Runs the exchange through the whole stack; frames reach the sink masked, and only when they may.
   * @throws Refusal where the subject must act, Fault where the guard could not do its work; both are recorded by then
   */
  handle(exchange: Exchange, origin: Origin, sink: Sink): Promise<End>
  /**
   * Watches what a finished exchange rested on, its subject's identification and its grant, for as long as its changes wait for a
   * transaction's end. @returns a function that ends the watch
   */
  watch(exchange: Exchange, cut: (reason: unknown) => void): () => void
  /** Appends what became of changes: adapters call it at COMMIT, ROLLBACK, Sync or a lost connection. */
  settle(exchanges: readonly string[], result: 'committed' | 'rolled-back' | 'unknown'): Promise<void>
}
