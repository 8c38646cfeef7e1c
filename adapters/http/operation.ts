/** From a request to the operation that policy and approvers judge. */
import type { IncomingMessage } from 'node:http'
import { Refusal } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Operation } from '../../lib/operation.ts'
import { requestPath } from './path.ts'
import { requestQuery } from './query.ts'
import { withheld, withoutSecrets } from './redact.ts'

export interface Asked {
  readonly operation: Operation
  /** The target has more than one reading: to be refused, and recorded under no path at all. */
  readonly ambiguous?: Refusal
}

/** Safe methods change nothing, RFC 9110, 9.2.1; that their handlers keep to it is the application's word. */
const safe = new Set(['GET', 'HEAD', 'OPTIONS'])

/** What a framework knows of a request beyond node. */
export interface Received {
  readonly request: IncomingMessage
  /** The request target as received, whatever routers have made of it since. */
  readonly url: string
  /** As a body parser before the guard has left it. */
  readonly body: unknown
}

/** @param risk as the application declares the route */
export function operationOf(
  { request, url, body: parsed }: Received,
  { target, risk, caseSensitive }: { target: string; risk: 'low' | 'high'; caseSensitive: boolean },
): Asked {
  const { method = '' } = request
  const spelt = spelling(url, caseSensitive)
  const { path, query } = spelt instanceof Refusal ? { path: '/?', query: {} } : spelt
  const body = bodyOf(request, parsed)
  const action = (query: Json, text: string | undefined): Json => ({
    method,
    path,
    query,
    ...(text === undefined ? {} : { body: text }),
  })
  const operation: Operation = {
    protocol: 'http',
    target,
    accesses: [{ action: method.toLowerCase(), resource: `${target}${path}` }],
    reaches: [],
    opaque: false,
    risk,
    read: safe.has(method),
    action: action(query, body.text),
    shown: action(withoutSecrets(query), body.shown),
    unbound: !body.whole,
    holdable: true,
  }
  return spelt instanceof Refusal ? { operation, ambiguous: spelt } : { operation }
}

function spelling(url: string, caseSensitive: boolean): { readonly path: string; readonly query: Json } | Refusal {
  try {
    return { path: requestPath(url, caseSensitive), query: requestQuery(url) }
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}

interface Body {
  /** One text for one body: JSON, in base64 where it is bytes. */
  readonly text?: string
  readonly shown?: string
  /** Nothing is left that a handler could still read, or that the text leaves out. */
  readonly whole: boolean
}

function bodyOf(request: IncomingMessage, body: unknown): Body {
  const { headers } = request
  const sent = Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined
  if (!sent) return { whole: true }
  // Some parsers leave `{}` where they have read nothing; files of a multipart body lie beside it.
  const whole = request.readableEnded && !/^multipart\//i.test(headers['content-type'] ?? '')
  if (body === undefined) return { whole: false }
  // What cannot be read member by member may hold anything.
  if (body instanceof Uint8Array) return { text: Buffer.from(body).toString('base64'), shown: withheld, whole }
  if (typeof body === 'string') return { text: body, shown: withheld, whole }
  try {
    const text = JSON.stringify(body)
    return { text, shown: JSON.stringify(withoutSecrets(JSON.parse(text) as Json)), whole }
  } catch {
    // A parser made something that is no JSON: nothing to bind.
    return { whole: false }
  }
}
