/**
 * One request behind the guard, whatever the framework: it becomes an exchange, its handlers the origin, and what they answer leaves
 * as frames, or a refusal in its place.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import { onBehalfOf } from '../../lib/current.ts'
import { Fault } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { Capture, hasGone } from './capture.ts'
import { conditional } from './head.ts'
import { operationOf, type Received } from './operation.ts'
import { Outlet } from './outlet.ts'
import { problemOf } from './problem.ts'

/** @typeParam R what the framework hands to its handlers */
export interface ControlledOptions<R> {
  /** First segment of every resource: `api` makes `/customers/7` the resource `api/customers/7`. Default: the gate's name. */
  readonly target?: string
  /**
   * A subject that the application has verified itself; without one, the bearer token is. Never read it from a header anyone can send.
   */
  readonly subject?: (request: R) => Subject | undefined
  /** Declares routes of high risk. Default: none. */
  readonly risk?: (request: R) => 'low' | 'high'
  /** Whether the router tells `/A` from `/a`; neither express's nor koa's does unless told to. Default false. */
  readonly caseSensitive?: boolean
}

export interface Asked<R> extends Received {
  readonly response: ServerResponse
  readonly given: R
  /** Where it came from as the framework says, by the proxies that it was told to trust. */
  readonly ip: string | undefined
}

/** @param start lets the handlers run. @returns resolves when the reply has left, or a refusal has; never rejects */
export async function handleRequest<R>(
  gate: Gate,
  options: ControlledOptions<R>,
  asked: Asked<R>,
  start: () => void,
): Promise<void> {
  const { request, response } = asked
  const capture = new Capture(response)
  const outlet = new Outlet(response, capture)
  let exchange: Exchange | undefined
  try {
    const begun = begin(gate, options, asked, hangUp(request, response, capture, outlet))
    exchange = begun.exchange
    if (begun.refusal !== undefined) {
      await gate.refuse(exchange, begun.refusal)
      throw begun.refusal
    }
    const { signal } = exchange
    const masked = () => begun.exchange.perhaps('obligations')!.masks.length > 0
    await gate.handle(
      exchange,
      taken =>
        capture.reply(taken, () => {
          if (masked()) for (const name of conditional) delete request.headers[name]
          onBehalfOf(taken, start)
        }),
      // What hears of it (a listener of `finish`) is the handlers' own, too.
      frame => onBehalfOf(capture.exchange ?? begun.exchange, () => outlet.release(frame, masked(), signal)),
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

interface Begun {
  readonly exchange: Exchange
  /** Known before anything is judged; to be recorded. */
  readonly refusal?: unknown
}

function begin<R>(gate: Gate, options: ControlledOptions<R>, asked: Asked<R>, signal: AbortSignal): Begun {
  const { target = gate.name, caseSensitive = false } = options
  const { request, given } = asked
  // What the application says of a request is asked first; where it cannot say it, the strictest holds, and nothing runs.
  const risk = attempt(() => options.risk?.(given) ?? 'low')
  const subject = attempt(() => options.subject?.(given))
  const { operation, ambiguous } = operationOf(asked, { target, caseSensitive, risk: risk.value ?? 'high' })
  const bearer = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/i.exec(request.headers.authorization ?? '')?.[1]
  const exchange = gate.exchange({
    operation,
    signal,
    address: addressOf(asked),
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

/** Of what the framework says only an address: a header behind it holds what its sender likes. */
function addressOf({ ip = '', request }: Pick<Asked<unknown>, 'ip' | 'request'>): string {
  const said = ip.replace(/^::ffff:/, '')
  return isIP(said) === 0 ? (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '') : said
}

/** Aborts when the response closes before it is whole. */
function hangUp({ socket }: IncomingMessage, response: ServerResponse, capture: Capture, outlet: Outlet): AbortSignal {
  const controller = new AbortController()
  const closed = () => {
    // A guard around this one may have told a refusal in the place of what is still to come here.
    if (response.writableFinished && outlet.over) return
    // A client that goes is heard of; where nothing was, the application cut its own reply: an error after its first byte.
    const client = !capture.cut && hasGone(socket)
    const left = new Error('the client hung up')
    controller.abort(client ? left : new Fault('ERR_UPSTREAM', 'the application cut its reply before its end'))
  }
  if (response.closed || response.destroyed) closed()
  else response.once('close', closed)
  return controller.signal
}
