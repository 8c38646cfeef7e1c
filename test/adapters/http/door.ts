/** An HTTP door for the conformance suite: the same requests to any framework's application, by node's own HTTP client. */
import http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import { type Call, canary, credentialOf, type Door, type OpenDoor, type Work } from '../conformance.ts'

// biome-ignore format: a table
const requests: Readonly<Record<Work, readonly [method: string, path: string]>> = {
  'read':            ['GET',    '/names'],
  'masked':          ['GET',    '/customers/1'],
  'change':          ['PATCH',  '/orders/1'],
  'destroy':         ['DELETE', '/orders/1'],
  'destroy another': ['DELETE', '/orders/2'],
  'silent':          ['GET',    '/silence'],
  'silent change':   ['PATCH',  '/silence'],
  'breaks':          ['GET',    '/breaks'],
  'long':            ['GET',    '/long/2'],
  'flood':           ['GET',    '/long/64'],
  'secret':          ['POST',   `/logins?access_token=${canary}&pin=${canary}&card[cvc]=${canary}`],
}

export const mebibyte = Buffer.alloc(1024 * 1024, 'x')

/** What the handlers count, for the suite to ask. */
export interface Counts {
  readonly done: { read: number; change: number; destroy: number }
  running: number
}

/** @param listen a framework's application with the routes of `requests` behind the guard */
export function httpDoor(name: string, listen: (gate: Gate, counts: Counts) => http.RequestListener): Door {
  return {
    name,
    open: gate => open(gate, listen),
    personal: 'crm/customers/**',
    words: { change: 'patch', destroy: 'delete' },
    changed: 'crm/**',
  }
}

async function open(gate: Gate, listen: (gate: Gate, counts: Counts) => http.RequestListener): Promise<OpenDoor> {
  const counts: Counts = { done: { read: 0, change: 0, destroy: 0 }, running: 0 }
  const limits = { headersTimeout: 300, requestTimeout: 300, connectionsCheckingInterval: 50 }
  const server = http.createServer(limits, listen(gate, counts))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    call: (work, as, stall = false) => call(port, work, as, stall),
    done: async work => counts.done[work],
    running: async () => counts.running,
    silentClient: () =>
      new Promise(resolve => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write('GET /names HTTP/1.1\r\nhost: ')
          const closed = new Promise<void>(done => socket.once('close', () => done()))
          socket.resume()
          resolve({ closed })
        })
        socket.on('error', () => undefined)
      }),
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function call(port: number, work: Work, as: Subject, stall: boolean): Call {
  const [method, path] = requests[work]
  const headers: http.OutgoingHttpHeaders = { authorization: `Bearer ${credentialOf(as)}`, cookie: `session=${canary}` }
  const body =
    work === 'secret'
      ? {
          user: 'c1',
          newPassword: canary,
          nested: [{ api_key: canary, cvc: canary }],
          op: { path: '/pin', value: canary },
        }
      : undefined
  if (body !== undefined) headers['content-type'] = 'application/json'
  const request = http.request({ port, host: '127.0.0.1', agent: false, method, path, headers })
  let response: http.IncomingMessage | undefined
  let stalled = stall
  let bytes = 0
  const kept: Buffer[] = []
  const answer = new Promise<{ said: string; bytes: number; whole: boolean; code?: string }>(resolve => {
    const none = { said: '', bytes: 0, whole: false }
    request.on('error', () => resolve(none))
    request.on('close', () => {
      if (response === undefined) resolve(none)
    })
    request.on('response', got => {
      response = got
      if (stalled) got.pause()
      got.on('data', (part: Buffer) => {
        bytes += part.length
        if (work !== 'flood') kept.push(part)
      })
      if (stalled) got.pause()
      got.on('error', () => undefined)
      got.on('close', () => {
        const said = Buffer.concat(kept).toString()
        const ok = got.statusCode === 200
        const code = ok ? undefined : (JSON.parse(said || '{}') as { code?: string }).code
        resolve({ said, bytes, whole: got.complete && ok, ...(code === undefined ? {} : { code }) })
      })
    })
  })
  request.end(body === undefined ? undefined : JSON.stringify(body))
  return {
    answer,
    hangUp: () => request.destroy(),
    resume: () => {
      stalled = false
      response?.resume()
    },
  }
}
