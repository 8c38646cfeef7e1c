/** `controlled(gate)` on a real express server, asked by node's own HTTP client. */
import http from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import express, { type Request, type Response } from 'express'
import { controlled } from '../../../adapters/express/index.ts'
import type { Gate } from '../../../lib/gate.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import {
  adapterConformance,
  type Call,
  canary,
  credentialOf,
  type OpenDoor,
  personal,
  type Work,
} from '../conformance.ts'

const mebibyte = Buffer.alloc(1024 * 1024, 'x')

// biome-ignore format: a table
const requests: Readonly<Record<Work, readonly [method: string, path: string]>> = {
  'read':          ['GET',    '/names'],
  'masked':        ['GET',    '/customers/1'],
  'change':        ['PATCH',  '/orders/1'],
  'destroy':       ['DELETE', '/orders/1'],
  'silent':        ['GET',    '/silence'],
  'silent change': ['PATCH',  '/silence'],
  'breaks':        ['GET',    '/breaks'],
  'long':          ['GET',    '/long/2'],
  'flood':         ['GET',    '/long/64'],
  'secret':        ['POST',   `/logins?access_token=${canary}&pin=${canary}&card[cvc]=${canary}`],
}

async function open(gate: Gate): Promise<OpenDoor> {
  const count = { read: 0, change: 0, destroy: 0 }
  let running = 0
  const app = express()
  app.use(express.json(), controlled(gate))
  const counted = (work: keyof typeof count, body: unknown) => (_: Request, response: Response) => {
    count[work] += 1
    response.json(body)
  }
  app.get('/names', counted('read', { name: personal.name }))
  app.get('/customers/1', (_, response) => void response.json(personal))
  app.patch('/orders/1', counted('change', { done: true }))
  app.delete('/orders/1', counted('destroy', { done: true }))
  app.post('/logins', (_, response) => void response.json({ done: true }))
  app.all('/silence', (_, response) => {
    running += 1
    response.once('close', () => {
      running -= 1
    })
    response.write('begun')
  })
  app.get('/breaks', (_, response) => {
    response.write(Buffer.alloc(200_000, 'x'), () => response.destroy(new Error(canary)))
  })
  app.get('/long/:mebibytes', (request, response) => {
    const parts = Array.from({ length: Number(request.params.mebibytes) }, () => mebibyte)
    pipeline(Readable.from(parts, { objectMode: false }), response, () => undefined)
  })
  const server = http.createServer({ headersTimeout: 300, requestTimeout: 300, connectionsCheckingInterval: 50 }, app)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    call: (work, as, stall = false) => call(port, work, as, stall),
    done: async work => count[work],
    running: async () => running,
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

adapterConformance({
  name: 'express',
  open,
  personal: 'crm/customers/**',
  words: { change: 'patch', destroy: 'delete' },
  changed: 'crm/**',
})
