/** pg's Client with the guard inside: the same face, and a session of our own where its socket would be. */
import { AsyncResource } from 'node:async_hooks'
import pg from 'pg'
import { onNobodysBehalf } from '../../../lib/current.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import type { Asker } from '../asker.ts'
import type { Serving } from '../serving.ts'
import type { Transactions } from '../transaction.ts'
import type { Upstream } from '../upstream.ts'
import { type From, given, inFlight } from './asking.ts'
import { conduit, type NearEnd } from './conduit.ts'
import { serveInProcess } from './serve.ts'
import { claim, isSubmittable, type Submittable } from './submitted.ts'
import { Turns } from './turns.ts'

export interface AsSubject<Face> {
  /** The same, on behalf of a subject that the application has verified: for jobs, where no exchange is in flight. */
  as(subject: Subject, from?: From): Face
}

export type GuardedClient = pg.Client & AsSubject<Pick<pg.Client, 'query'>>

/** pg's, but for `query`, whose overloads no one signature can repeat. */
export type ClientClass = new (config?: object) => Omit<pg.Client, 'query'> & { query(...asked: unknown[]): unknown }

export interface Door {
  readonly serving: Omit<Serving, 'onUpstreamFault'>
  /** As pg read the configuration: where the server is. Never connected. */
  readonly real: pg.Client
}

/** From one time that a client is taken out of its pool to the next. */
interface Lease {
  /** Whoever it was taken out for, where that was said. */
  asker?: Asker
}

const leases = new WeakMap<object, Lease>()

/** The client was taken out on behalf of this asker: whatever is asked until it is given back is asked by them. */
export const leaseTo = (client: object, asker: Asker): void => {
  const lease = leases.get(client)
  if (lease !== undefined) lease.asker = asker
}

type Callback = (error: unknown, result?: unknown) => void
type Release = (error?: unknown) => void

const leftOpen = 'given back inside a transaction: the connection is closed, which rolls it back'

/** @param base pg's Client, or a class of the application's own over it */
export function guardedClass(base: ClientClass, { serving, real }: Door): ClientClass {
  return class Guarded extends base {
    readonly #turns = new Turns(serving.gate)
    #transactions: Transactions | undefined
    #release: Release | undefined

    constructor(config: pg.ClientConfig = {}) {
      const { near, far } = conduit()
      super(ours(config, real, near))
      leases.set(this, {})
      // Its queries are told, and its pool: an application that listens to neither is not to end of it.
      this.on('error', () => undefined)
      near.opened = () => {
        const connected = (upstream: Upstream, transactions: Transactions) => {
          this.#transactions = transactions
          near.referenced = keeps => keepAlive(upstream, keeps)
        }
        const onUpstreamFault = (cause: unknown) => void near.destroy(cause as Error)
        const parts = { ...serving, onUpstreamFault }
        // A connection outlives the request that happens to open it.
        onNobodysBehalf(() => void serveInProcess(far, this.#turns, connected, parts))
      }
    }

    as(subject: Subject, from?: From): Pick<pg.Client, 'query'> {
      const asker = given(subject, from)
      const query = (...asked: unknown[]) => this.#ask(asker, asked)
      return { query: query as pg.Client['query'] }
    }

    override query(...asked: unknown[]): unknown {
      return this.#ask(leases.get(this)?.asker ?? inFlight(), asked)
    }

    /** Set by a pool as it hands the client out, and called as it is given back. */
    set release(release: Release) {
      const lease: Lease = {}
      leases.set(this, lease)
      this.#release = error => {
        // Given back twice, it may be another's by now: pg says what it thinks of that, and theirs it stays.
        if (leases.get(this) !== lease) return release(error)
        const open = this.#transactions?.inTransaction === true
        // Who keeps a client that they have given back has nobody's right to it any more.
        leases.set(this, {})
        release(error || (open ? new Error(leftOpen) : undefined))
      }
    }

    get release(): Release | undefined {
      return this.#release
    }

    #ask(asker: Asker | undefined, [asked, values, callback]: readonly unknown[]): unknown {
      const lease = leases.get(this) ?? {}
      const begin = (connection: pg.Connection) => {
        const { stream } = connection as unknown as { stream: NearEnd }
        stream.write(this.#turns.announce({ asker, lease }))
      }
      // pg says what it thinks of what is no query at all.
      if (asked === null || asked === undefined) return this.#pass(asked)
      if (isSubmittable(asked)) {
        claim(asked, begin, true)
        return this.#pass(asked, bound(values), bound(callback))
      }
      const query = new pg.Query(asked as pg.QueryConfig, values as unknown[]) as unknown as Submittable & {
        callback?: Callback
      }
      if (typeof values !== 'function' && callback !== undefined) query.callback = callback as Callback
      const { query_timeout: limit } = asked as { query_timeout?: number }
      if (limit !== undefined) query.query_timeout = limit
      claim(query, begin, false)
      return query.callback === undefined ? this.#promise(query) : this.#called(query)
    }

    #called(query: Submittable & { callback?: Callback }): void {
      if (typeof query.callback !== 'function') throw new TypeError('callback is not a function')
      query.callback = bound(query.callback)
      this.#pass(query)
    }

    #promise(query: Submittable & { callback?: Callback }): Promise<unknown> {
      return new Promise((resolve, reject) => {
        query.callback = (error, result) => (error ? reject(error) : resolve(result))
        this.#pass(query)
      }).catch(error => {
        // Where the application asked, as pg does: what leads here from the stream says nothing.
        if (error instanceof Error) Error.captureStackTrace(error)
        throw error
      })
    }

    #pass(...asked: unknown[]): unknown {
      return super.query(...asked)
    }
  }
}

/** A callback runs where it was given, not where the connection was made. */
const bound = <T>(callback: T): T =>
  typeof callback === 'function' ? (AsyncResource.bind(callback as never) as T) : callback

/** The client's own connection needs neither TLS nor password: it ends in this process. */
function ours(config: pg.ClientConfig, real: pg.Client, stream: NearEnd): object {
  const { host, port, user, database } = real
  const none = { connectionString: undefined, connection: undefined, password: undefined, replication: undefined }
  return { ...config, ...none, host, port, user, database, ssl: false, sslnegotiation: 'postgres', stream }
}

function keepAlive({ socket }: Upstream, keeps: boolean): void {
  const of = socket as unknown as { ref?(): void; unref?(): void }
  if (keeps) of.ref?.()
  else of.unref?.()
}
