/** `controlled(gate)` on a real koa server, asked by node's own HTTP client. */
import { Readable } from 'node:stream'
import Koa, { type Context } from 'koa'
import { controlled } from '../../../adapters/koa/index.ts'
import { canary, type Door, personal } from '../conformance.ts'
import { httpDoor, mebibyte } from '../http/door.ts'
import { jsonBody } from './support.ts'

export const koaDoor: Door = httpDoor('koa', (gate, counts) => {
  const app = new Koa()
  // koa would print the errors of an application's own streams.
  app.silent = true
  app.use(jsonBody).use(controlled(gate))
  const counted = (work: keyof typeof counts.done, body: object) => (context: Context) => {
    counts.done[work] += 1
    context.body = body
  }
  const long = (mebibytes: number) => (context: Context) => {
    context.body = Readable.from(
      Array.from({ length: mebibytes }, () => mebibyte),
      { objectMode: false },
    )
  }
  // What node's own streams do: koa has nothing for a reply that begins and goes on later.
  const silence = (context: Context) => {
    const body = new Readable({ read: () => undefined })
    counts.running += 1
    body.once('close', () => {
      counts.running -= 1
    })
    body.push('begun')
    context.body = body
  }
  // biome-ignore format: a table
  const routes: Readonly<Record<string, (context: Context) => void>> = {
      'GET /names':       counted('read', { name: personal.name }),
      'GET /customers/1': context => { context.body = personal },
      'PATCH /orders/1':  counted('change', { done: true }),
      'DELETE /orders/1': counted('destroy', { done: true }),
      'DELETE /orders/2': counted('destroy', { done: true }),
      'POST /logins':     context => { context.body = { done: true } },
      'GET /silence':     silence,
      'PATCH /silence':   silence,
      'GET /breaks':      context => { context.body = Readable.from(broken()) },
      'GET /long/2':      long(2),
      'GET /long/64':     long(64),
    }
  app.use(context => routes[`${context.method} ${context.path}`]?.(context))
  return app.callback()
})

async function* broken() {
  yield Buffer.alloc(200_000, 'x')
  // Once that has been taken, and no sooner.
  yield Buffer.alloc(0)
  throw new Error(canary)
}
