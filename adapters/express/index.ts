/** `controlled(gate)`: express routes behind the guard. The request becomes an exchange, the handlers its origin. */
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import { Refusal } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import type { Operation } from '../../lib/operation.ts'
import { requestPath } from '../http/path.ts'
import { problemOf } from '../http/problem.ts'
import { withoutSecrets } from '../http/redact.ts'
import { Capture } from './capture.ts'

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

/** Safe methods change nothing, RFC 9110, 9.2.1; that their handlers keep to it is the application's word. */
const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

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
  const hangUp = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) hangUp.abort(new Error('the client hung up'))
  })
  const capture = new Capture(response)
  let exchange: Exchange | undefined
  try {
    const { operation, ambiguous } = operationOf(gate, options, request)
    const subject = options.subject?.(request)
    const bearer = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
    exchange = gate.exchange({
      operation,
      signal: hangUp.signal,
      address: (request.ip ?? '').replace(/^::ffff:/, ''),
      ...(subject === undefined ? {} : { subject }),
      ...(bearer === undefined ? {} : { credential: { kind: 'bearer', secret: bearer } }),
    })
    if (ambiguous !== undefined) {
      await gate.refuse(exchange, ambiguous)
      throw ambiguous
    }
    const masked = () => exchange!.perhaps('obligations')!.masks.length > 0
    await gate.handle(
      exchange,
      taken =>
        capture.reply(taken, () => {
          // A conditional or partial request would answer from the unmasked whole.
          if (masked())
            for (const name of ['if-none-match', 'if-modified-since', 'if-match', 'if-range', 'range'])
              delete request.headers[name]
          next()
        }),
      frame => capture.release(frame, masked(), exchange!.signal),
    )
  } catch (error) {
    capture.restore()
    refuse(response, error, exchange?.id ?? '00000000-0000-0000-0000-000000000000')
  }
}

interface Asked {
  readonly operation: Operation
  /** The path has more than one reading: to be refused, and recorded under no path at all. */
  readonly ambiguous?: Refusal
}

function operationOf(gate: Gate, options: ControlledOptions, request: Request): Asked {
  const target = options.target ?? gate.name
  const asked = pathOf(request, options)
  const path = typeof asked === 'string' ? asked : '/?'
  const body = (request as { body?: unknown }).body
  const hasBody =
    Number(request.headers['content-length'] ?? 0) > 0 || request.headers['transfer-encoding'] !== undefined
  const query = queryOf(request.originalUrl)
  // The body as JSON text: its member names and numbers are the sender's, and need not be canonical.
  const action = (show: (value: Json) => Json): Json => ({
    method: request.method,
    path,
    query: show(query),
    ...(body === undefined ? {} : { body: JSON.stringify(show(body as Json)) }),
  })
  const operation: Operation = {
    protocol: 'http',
    target,
    accesses: [{ action: request.method.toLowerCase(), resource: `${target}${path}` }],
    reaches: [],
    opaque: false,
    risk: options.risk?.(request) ?? 'low',
    read: safe.has(request.method),
    action: action(value => value),
    shown: action(withoutSecrets),
    unbound: hasBody && body === undefined,
    holdable: true,
  }
  return typeof asked === 'string' ? { operation } : { operation, ambiguous: asked }
}

function pathOf(request: Request, options: ControlledOptions): string | Refusal {
  try {
    return requestPath(request.originalUrl, options.caseSensitive)
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

/** Every parameter with all its values: a repeated one is read differently by different parsers. */
function queryOf(url: string): Json {
  const query: { [name: string]: Json } = {}
  for (const [name, value] of new URLSearchParams(url.split('?').slice(1).join('?'))) {
    const key = `?${name}`
    query[key] = [...((query[key] as readonly Json[] | undefined) ?? []), value]
  }
  return query
}

function refuse(response: Response, error: unknown, exchange: string): void {
  if (response.headersSent) {
    response.destroy()
    return
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  const problem = problemOf(error, exchange)
  if (problem.status === 401) response.setHeader('www-authenticate', 'Bearer')
  response.statusCode = problem.status
  response.setHeader('content-type', 'application/problem+json')
  response.setHeader('cache-control', 'no-store')
  response.end(JSON.stringify(problem))
}
