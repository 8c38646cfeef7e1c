/** `controlled(gate)`: express routes behind the guard. The request becomes an exchange, the handlers its origin. */
import { isIP } from 'node:net'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { Fault } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { problemOf } from '../http/problem.ts'
import { Capture } from './capture.ts'
import { conditional } from './head.ts'
import { operationOf } from './operation.ts'
import { Outlet } from './outlet.ts'

export interface ControlledOptions {
  /** First segment of every resource: `api` makes `/customers/7` the resource `api/customers/7`. Default: the gate's name. */
  readonly target?: string
  /** A subject that the application has verified itself; without one, the bearer token is. Never read it from a header anyone can send. */
  readonly subject?: (request: Request) => Subject | undefined
  /** Declares routes of high risk. Default: none. */
  readonly risk?: (request: Request) => 'low' | 'high'
  /** Whether the router tells `/A` from `/a` (express: `case sensitive routing`). Default false. */
  readonly caseSensitive?: boolean
}

/** Put it before the routes it guards, and after body parsers, so that an approval can bind the body. */
export function controlled(gate: Gate, options: ControlledOptions = {}): RequestHandler {
  return (request, response, next) => {
    void guarded(gate, options, request, response, next)
  }
}

async function guarded(
  gate: Gate,
  options: ControlledOptions,
  request: Request,
  response: Response,
  next: NextFunction,
) {
  const capture = new Capture(response)
  const outlet = new Outlet(response, capture)
  let exchange: Exchange | undefined
  try {
    const asked = ask(gate, options, request, hangUp(request, response, capture))
    exchange = asked.exchange
    if (asked.refusal !== undefined) {
      await gate.refuse(exchange, asked.refusal)
      throw asked.refusal
    }
    const { signal } = exchange
    const masked = () => asked.exchange.perhaps('obligations')!.masks.length > 0
    await gate.handle(
      exchange,
      taken =>
        capture.reply(taken, () => {
          if (masked()) for (const name of conditional) delete request.headers[name]
          next()
        }),
      frame => outlet.release(frame, masked(), signal),
    )
  } catch (error) {
    try {
      outlet.refuse(problemOf(error, exchange?.id ?? '00000000-0000-0000-0000-000000000000'))
    } catch {
      // Not even a refusal can be told on this connection.
      response.destroy()
    }
  }
}

interface Asking {
  readonly exchange: Exchange
  /** Known before anything is judged; to be recorded. */
  readonly refusal?: unknown
}

function ask(gate: Gate, options: ControlledOptions, request: Request, signal: AbortSignal): Asking {
  const { target = gate.name, caseSensitive = false } = options
  // What the application says of a request is asked first; where it cannot say it, the strictest holds, and nothing runs.
  const risk = attempt(() => options.risk?.(request) ?? 'low')
  const subject = attempt(() => options.subject?.(request))
  const { operation, ambiguous } = operationOf(request, { target, caseSensitive, risk: risk.value ?? 'high' })
  const bearer = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
  const exchange = gate.exchange({
    operation,
    signal,
    address: addressOf(request),
    ...(subject.value === undefined ? {} : { subject: subject.value }),
    ...(bearer === undefined ? {} : { credential: { kind: 'bearer', secret: bearer } }),
  })
  const refusal = ambiguous ?? subject.error ?? risk.error
  return refusal === undefined ? { exchange } : { exchange, refusal }
}

function attempt<T>(say: () => T): { readonly value?: T; readonly error?: Fault } {
  try {
    return { value: say() }
  } catch (error) {
    return {
      error: new Fault('ERR_IDENTITY_UNAVAILABLE', 'the application could not say who asks, or what', {}, error),
    }
  }
}

/** As the application's `trust proxy` says, and an address in any case: a header behind it holds what its sender likes. */
function addressOf(request: Request): string {
  const said = request.ip ?? ''
  const address = isIP(said) === 0 ? (request.socket.remoteAddress ?? '') : said
  return address.replace(/^::ffff:/, '')
}

/** Aborts when the response closes before it is whole. */
function hangUp({ socket }: Request, response: Response, capture: Capture): AbortSignal {
  const controller = new AbortController()
  const closed = () => {
    if (response.writableFinished) return
    // A client that goes is heard of; where nothing was, the application cut its own reply: an error after its first byte.
    const client = !capture.cut && (socket.readableEnded || socket.errored !== null)
    const left = new Error('the client hung up')
    controller.abort(client ? left : new Fault('ERR_UPSTREAM', 'the application cut its reply before its end'))
  }
  if (response.closed || response.destroyed) closed()
  else response.once('close', closed)
  return controller.signal
}
