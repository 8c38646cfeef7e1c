/** `guardedPool(gate, pool)` and `guardedClient(gate, client)`: node-postgres with every query behind the guard, in process. */
import { AsyncResource } from 'node:async_hooks'
import pg from 'pg'
import { onNobodysBehalf } from '../../../lib/current.ts'
import { Misuse } from '../../../lib/errors.ts'
import type { Held } from '../../../lib/exchange.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { refuseUnknown } from '../../../lib/options.ts'
import type { Asker } from '../asker.ts'
import { type From, given as givenAsker } from './asking.ts'
import { type AsSubject, type ClientClass, type GuardedClient, guardedClass, leaseTo } from './client.ts'
import { type Config, configOf, newDoor } from './door.ts'

export { refusal } from './refusal.ts'
export type { AsSubject, From, GuardedClient }

export interface GuardedOptions {
  /** First segment of every resource: `crm` makes `orders` the resource `crm/public.orders`. Default: the gate's name. */
  readonly target?: string
  /** What names without a schema mean, for the server and for policy alike; queries cannot change it. `['public']` */
  readonly searchPath?: readonly string[]
  /** Text of the notice that a client emits while a query waits for an approval. */
  readonly holdNotice?: (approval: string) => string
  /** Told when a query starts to wait for an approval. */
  readonly onHeld?: (held: Held) => void
}

const options = ['target', 'searchPath', 'holdNotice', 'onHeld']

export type GuardedPoolClient = pg.PoolClient & AsSubject<Pick<pg.Client, 'query'>>

export interface GuardedPool extends pg.Pool {
  /** The same, on behalf of a subject that the application has verified: for jobs, where no exchange is in flight. */
  as(subject: Subject, from?: From): Pick<GuardedPool, 'query' | 'connect'>
  connect(): Promise<GuardedPoolClient>
  connect(
    callback: (
      error: Error | undefined,
      client: GuardedPoolClient | undefined,
      done: (release?: Error | boolean) => void,
    ) => void,
  ): void
}

type Connected = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (release?: unknown) => void,
) => void
type Inside = Omit<pg.Pool, 'connect' | 'query' | 'end' | 'emit'> & {
  Client: ClientClass
  options: Config
  connect(callback?: Connected): Promise<pg.PoolClient> | undefined
  query(...asked: unknown[]): unknown
  end(callback?: () => void): Promise<void> | undefined
  emit(...event: unknown[]): boolean
}

const guarded = new WeakSet<object>()

/**
 * Puts the guard into the pool itself, and returns it: whoever holds it holds a guarded one.
 * @throws Misuse ERR_OPTION_INVALID where it has been connected, guarded or ended already, or is not of pg's own JavaScript client
 */
export function guardedPool(gate: Gate, pool: pg.Pool, given: GuardedOptions = {}): GuardedPool {
  refuseUnknown(given, options, 'guardedPool')
  const inside = pool as unknown as Inside
  refuseUnfit(pool, pool.totalCount > 0 || pool.ending || pool.ended, inside.Client)
  const door = newDoor(gate, inside.options, given)
  guarded.add(pool)
  const { connect, query, end, emit } = inside
  inside.Client = guardedClass(inside.Client, door)
  Object.assign(inside, {
    // A pool serves those who wait as others come and give back: its hooks run in the midst of somebody else's work.
    emit: (...event: unknown[]) => onNobodysBehalf(() => emit.apply(inside, event)),
    connect: (callback?: Connected) => connectAs(undefined, callback),
    query: (...asked: unknown[]) => query.apply(inside, asked),
    as: (subject: Subject, from?: From) => as(subject, from),
    end(callback?: () => void) {
      const ended = Promise.resolve(end.call(inside)).finally(() => door.close())
      if (callback === undefined) return ended
      ended.then(callback, callback)
      return undefined
    },
  })
  return pool as GuardedPool

  function as(subject: Subject, from: From | undefined) {
    const asker = givenAsker(subject, from)
    const connectFor = (callback?: Connected) => connectAs(asker, callback)
    // The pool's own query, over our own connect.
    const view = Object.create(inside, { connect: { value: connectFor } }) as Inside
    return { connect: connectFor, query: (...asked: unknown[]) => query.apply(view, asked) }
  }

  function connectAs(asker: Asker | undefined, callback: Connected | undefined) {
    const taken = (client: pg.PoolClient | undefined) => {
      if (client !== undefined && asker !== undefined) leaseTo(client, asker)
      return client
    }
    if (callback === undefined) return connect.call(inside)!.then(client => taken(client)!)
    // Else it would run on behalf of whoever gave the client back.
    const bound = AsyncResource.bind(callback as (...args: unknown[]) => void)
    return connect.call(inside, (error, client, done) => bound(error, taken(client), done))
  }
}

/**
 * A guarded client in place of this one, which is of no use any more.
 * @throws Misuse ERR_OPTION_INVALID where it has been connected or guarded already, or is not pg's own JavaScript client
 */
export function guardedClient(gate: Gate, client: pg.Client, given: GuardedOptions = {}): GuardedClient {
  refuseUnknown(given, options, 'guardedClient')
  const { _connecting, _connected } = client as unknown as { _connecting: boolean; _connected: boolean }
  const base = client.constructor as unknown as ClientClass
  refuseUnfit(client, _connecting || _connected, base)
  const config = configOf(client)
  const door = newDoor(gate, config, given)
  guarded.add(client)
  const useless = () => {
    throw new Misuse('ERR_OPTION_INVALID', 'this client has been given to guardedClient: use what that returned')
  }
  Object.assign(client, { connect: useless, query: useless })
  const made = new (guardedClass(base, door))(config) as unknown as GuardedClient
  made.once('end', () => void door.close())
  return made
}

function refuseUnfit(of: object, used: boolean, client: unknown): void {
  const refuse = (why: string) => {
    throw new Misuse('ERR_OPTION_INVALID', why)
  }
  if (guarded.has(of)) refuse('it is guarded already')
  if (used) refuse('it has been connected or ended already: what was connected before is not guarded')
  // pg-native has a connection of its own, which nothing here can stand in front of.
  const isPgs = client === pg.Client || (client as { prototype?: unknown } | undefined)?.prototype instanceof pg.Client
  if (!isPgs || typeof pg.Connection !== 'function') {
    refuse("it is not of pg's own JavaScript client: pg-native, and a second copy of pg, cannot be guarded")
  }
}
