/** Serves the admin address: every call authenticated, bodies bounded, failed logins recorded. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { isOurs, Misuse, Refusal } from '../../lib/errors.ts'
import { parseJson, utf8 } from '../../lib/format/canonical.ts'
import type { Guard } from '../../lib/guard.ts'
import { listenOn } from '../../lib/listening.ts'
import { problemOf } from '../http/problem.ts'
import { type Body, findRoute } from './routes.ts'

export interface AdminServer {
  readonly port: number
  close(): Promise<void>
}

interface Options {
  readonly guard: Guard
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** PEM. Required anywhere but on loopback. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

const longestBody = 64 * 1024
const loopback = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/

/** @throws Misuse ERR_OPTION_INVALID where tokens would cross a network in clear */
export async function serveAdmin({ guard, host, port, tls }: Options): Promise<AdminServer> {
  if (tls === undefined && !loopback.test(host)) {
    throw new Misuse(
      'ERR_OPTION_INVALID',
      `the admin address ${host} is not on loopback: give it tls, or listen on 127.0.0.1`,
    )
  }
  const answerAny = (request: IncomingMessage, response: ServerResponse) => void answer(guard, request, response)
  const limits = { requestTimeout: 30_000, headersTimeout: 10_000 }
  const server = tls === undefined ? createServer(limits, answerAny) : createTlsServer({ ...limits, ...tls }, answerAny)
  const { port: taken } = await listenOn(server, port, host)
  return {
    port: taken,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

async function answer(guard: Guard, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const send = (status: number, body: unknown) => {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify(body))
  }
  try {
    const path = (request.url ?? '').split('?', 1)[0]!
    if (path === '/health') return send(200, { status: 'ok', name: guard.name })
    const found = findRoute(request.method ?? '', path)
    if (found === undefined) return send(404, { title: 'nothing here', status: 404 })
    const subject = await authenticate(guard, request)
    const result = await found.route.handle(guard, subject, await readBody(request), found.id)
    send(200, result ?? { done: true })
  } catch (error) {
    const problem = problemOf(error, '00000000-0000-0000-0000-000000000000')
    if (!response.headersSent) send(problem.status, problem)
  }
}

async function authenticate(guard: Guard, request: IncomingMessage) {
  const secret = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1]
  try {
    if (secret === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'no credential: send a bearer token or key')
    return await guard.identify({ kind: 'bearer', secret })
  } catch (error) {
    const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
    await guard.recordFailedLogin({ protocol: 'admin', target: guard.name, address, error })
    throw error
  }
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > longestBody) throw new Refusal('ERR_OBLIGATION_UNMET', `a body of over ${longestBody} bytes`)
    parts.push(part)
  }
  if (length === 0) return {}
  try {
    const value = parseJson(utf8(Buffer.concat(parts)))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Body
  } catch (error) {
    if (!isOurs(error)) throw error
  }
  throw new Refusal('ERR_OBLIGATION_UNMET', 'the body must be a JSON object')
}
