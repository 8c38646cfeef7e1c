/**
 * Ties what is submitted to a connection (pg's own queries, cursors, streams, anything with
 * `submit`) to who asked it, and to where they did.
 */
import { AsyncResource } from 'node:async_hooks'
import type pg from 'pg'

/** What pg calls while it is answered: listeners that it wakes run where the query was asked, not where the connection was made. */
const handlers = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleCommandComplete',
  'handleEmptyQuery',
  'handleError',
  'handleReadyForQuery',
  'handleCopyInResponse',
  'handleCopyData',
]

interface Asked {
  begin: (connection: pg.Connection) => void
  where: AsyncResource
}

type Callable = (this: unknown, ...args: unknown[]) => unknown

export type Submittable = pg.Submittable & Record<string, unknown>

export const isSubmittable = (query: unknown): query is Submittable =>
  typeof (query as { submit?: unknown } | null)?.submit === 'function'

const claimed = new WeakMap<object, Asked>()

/**
 * @param begin called as pg submits it, before it can write anything
 * Asked again, it belongs to whoever asks then: nothing is wrapped twice.
 */
export function claim(query: Submittable, begin: Asked['begin'], listens: boolean): void {
  const where = new AsyncResource('counterfoil.query')
  const before = claimed.get(query)
  if (before !== undefined) {
    Object.assign(before, { begin, where })
    return
  }
  const asked: Asked = { begin, where }
  claimed.set(query, asked)
  const submit = query.submit as Callable
  query.submit = (connection: pg.Connection) => {
    asked.begin(connection)
    return submit.call(query, connection)
  }
  if (!listens) return
  for (const name of handlers) {
    const handle = query[name]
    if (typeof handle !== 'function') continue
    query[name] = (...args: unknown[]) => asked.where.runInAsyncScope(handle as Callable, query, ...args)
  }
}
