/** `controlled(gate)`: koa middleware behind the guard. */
import type { Context, Middleware } from 'koa'
import type { Gate } from '../../lib/gate.ts'
import { type ControlledOptions, handleRequest } from '../http/controlled.ts'

export type { ControlledOptions }

/**
 * Put it before what it guards, and after body parsers, so that an approval can bind the body. The onion
 * closes before the body leaves, as koa's always does: what is awaited here is the handlers, and the outcome
 * is sealed when the last byte has been offered.
 */
export function controlled(gate: Gate, options: ControlledOptions<Context> = {}): Middleware {
  return (context, next) =>
    new Promise<void>((resolve, reject) => {
      const { req: request, res: response, originalUrl: url, ip } = context
      const { body } = context.request as { readonly body?: unknown }
      let started = false
      const over = handleRequest(gate, options, { request, response, given: context, url, body, ip }, () => {
        started = true
        next().then(resolve, reject)
      })
      void over.then(() => {
        if (started) return
        // Refused, and told so: there is nothing that koa could answer.
        context.respond = false
        resolve()
      })
    })
}
