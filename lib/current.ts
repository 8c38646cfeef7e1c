/** The exchange in flight, for whatever runs on its behalf: an express handler's queries, its security events. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Exchange } from './exchange.ts'

const store = new AsyncLocalStorage<Exchange | undefined>()

/** Runs work, and all that it starts, on behalf of an exchange. */
export const onBehalfOf = <T>(exchange: Exchange, work: () => T): T => store.run(exchange, work)

/** Runs what many will share (a pooled connection), and all that it starts, on behalf of none: not of whoever happened to begin it. */
export const onNobodysBehalf = <T>(work: () => T): T => store.run(undefined, work)

/** Undefined where nothing is in flight. One that is over is given still: what it started may go on. */
export const currentExchange = (): Exchange | undefined => store.getStore()
