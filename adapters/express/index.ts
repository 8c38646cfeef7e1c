/** `controlled(gate)`: express routes behind the guard. */
import type { Request, RequestHandler } from 'express'
import type { Gate } from '../../lib/gate.ts'
import { type ControlledOptions, handleRequest } from '../http/controlled.ts'

export type { ControlledOptions }

/** Put it before the routes it guards, and after body parsers, so that an approval can bind the body. */
export function controlled(gate: Gate, options: ControlledOptions<Request> = {}): RequestHandler {
  return (request, response, next) => {
    const { originalUrl: url, ip } = request
    const body = (request as { readonly body?: unknown }).body
    void handleRequest(gate, options, { request, response, given: request, url, body, ip }, next)
  }
}
