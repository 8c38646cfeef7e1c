/**
 * Ways past what captures a response, and around it: what wraps it, another guard about it,
 * what is no body of it, and whose its events are.
 */
import { once } from 'node:events'
import http, { type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createGzip, gunzipSync } from 'node:zlib'
import type { RequestHandler } from 'express'
import { describe, expect, it } from 'vitest'
import { controlled } from '../../adapters/express/index.ts'
import { currentExchange } from '../../lib/current.ts'
import { serve } from '../adapters/express/support.ts'
import type { Served } from '../adapters/http/client.ts'
import { agent, type Fixture, fixture, maskControl, owner, requester } from '../support/guard.ts'

type Method = (this: ServerResponse, ...given: unknown[]) => unknown
type Wrapped = Record<'writeHead' | 'write' | 'end' | 'on', Method>

/** As on-headers does it, by which sessions, timers and compressors have the last word on a head. */
const lastWord =
  (say: (response: ServerResponse) => void): RequestHandler =>
  (_, response, next) => {
    const wrapped = response as unknown as Wrapped
    const { writeHead } = wrapped
    wrapped.writeHead = function (...given) {
      say(this)
      return writeHead.apply(this, given)
    }
    next()
  }

/** As the package compression does it: a callback of end() is a chunk to it, which it cannot read. */
const compressor: RequestHandler = (_, response, next) => {
  const wrapped = response as unknown as Wrapped
  const { writeHead, write, end, on } = wrapped
  const gzip = createGzip()
  gzip.on('data', part => void write.call(response, part))
  gzip.on('end', () => void end.call(response))
  wrapped.writeHead = function (...given) {
    response.setHeader('content-encoding', 'gzip')
    response.removeHeader('content-length')
    return writeHead.apply(this, given)
  }
  wrapped.write = chunk => gzip.write(chunk)
  wrapped.end = chunk => void (chunk ? gzip.end(Buffer.from(chunk as Buffer)) : gzip.end())
  wrapped.on = (event, listener) => {
    if (event === 'drain') gzip.on(event, listener as () => void)
    else on.call(response, event, listener)
    return response
  }
  next()
}

async function serving(at: Fixture, build: Parameters<typeof serve>[0], test: (served: Served) => Promise<void>) {
  const served = await serve(build)
  try {
    await test(served)
  } finally {
    await served.close()
    await at.guard.close()
  }
}

describe('middleware in front of the guard', () => {
  const customer = { name: 'Customer 0001', ssn: '900-12-3456' }
  it.each([200, 403])('has the last word on the head of a reply of %i', async status => {
    const at = await fixture([])
    const say = (response: ServerResponse) => {
      response.setHeader('x-session', 'kept')
      response.removeHeader('x-powered-by')
    }
    const build: Parameters<typeof serve>[0] = app => {
      app.use(lastWord(say), controlled(at.guard, { subject: () => (status === 200 ? requester : owner) }))
      app.get('/customer', (_, response) => void response.json(customer))
    }
    await serving(at, build, async ({ ask }) => {
      const heard = await ask('/customer')
      expect(heard).toMatchObject({ status, whole: true, headers: { 'x-session': 'kept' } })
      expect(heard.headers).not.toHaveProperty('x-powered-by')
    })
  })

  it.each([
    [requester, 200, /"900-12-3456"|"\*+3456"/],
    [owner, 403, /ERR_ACCESS_DENIED/],
  ] as const)('may compress what leaves: %o', async (subject, status, said) => {
    const at = await fixture([maskControl])
    const build: Parameters<typeof serve>[0] = app => {
      app.use(compressor, controlled(at.guard, { subject: () => subject }))
      app.get('/customer', (_, response) => void response.json({ ...customer, more: 'x'.repeat(200_000) }))
    }
    await serving(at, build, async ({ ask }) => {
      const heard = await ask('/customer')
      expect(heard).toMatchObject({ status, whole: true, headers: { 'content-encoding': 'gzip' } })
      expect(gunzipSync(heard.bytes).toString()).toMatch(said)
      expect(gunzipSync(heard.bytes).toString()).not.toContain('900-12')
      if (status === 200) expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'completed' })
    })
  })
})

it('a reason phrase says nothing of what is under a mask, and neither does a recording of it', async () => {
  const record = { request: 'digest', response: 'masked' } as const
  const at = await fixture([{ ...maskControl, record }])
  const build: Parameters<typeof serve>[0] = app => {
    app.use(controlled(at.guard, { subject: () => requester }))
    app.get('/customer', (_, response) => {
      response.statusMessage = 'found 900-12-3456'
      response.json({ ok: true })
    })
  }
  await serving(at, build, async ({ port }) => {
    const [head] = await once(http.get({ port, path: '/customer', agent: false }), 'response')
    head.resume()
    expect(head).toMatchObject({ statusCode: 200, statusMessage: 'OK' })
    await once(head, 'close')
    await expect.poll(() => at.of('attachment')).toHaveLength(1)
    const kept: Uint8Array[] = []
    for await (const part of at.ledger.attachment((await at.of('attachment'))[0]!.attachment)) kept.push(part)
    expect(Buffer.concat(kept).toString()).toContain('HTTP/1.1 200 OK')
    expect(Buffer.concat(kept).toString()).not.toContain('900-12')
  })
})

describe('a guard within a guard, whose reply the outer one refuses,', () => {
  // biome-ignore format: a table
  const handlers: readonly (readonly [string, (response: ServerResponse) => void])[] = [
    ['and which waits for room',  response => { response.write(Buffer.alloc(1_000_000)) }],
    ['and which goes on',         response => {
      const more = () => { while (response.write(Buffer.alloc(30_000))); response.once('drain', more) }
      more()
    }],
  ]

  it.each(handlers)('%s is over with it, and is not recorded as completed', async (_, handler) => {
    const [outer, inner] = await Promise.all([fixture([maskControl]), fixture([])])
    const build: Parameters<typeof serve>[0] = app => {
      for (const { guard } of [outer, inner]) app.use(controlled(guard, { subject: () => requester }))
      app.get('/page', (__, response) => handler(response.type('html')))
    }
    await serving(outer, build, async ({ ask }) => {
      expect(await ask('/page')).toMatchObject({ status: 403, whole: true })
      await expect.poll(() => inner.of('outcome')).toMatchObject([{ result: 'failed', code: 'ERR_UPSTREAM' }])
      await inner.guard.close()
    })
  })
})

describe('what a handler hears of its reply', () => {
  const asks = () => currentExchange()?.perhaps('subject')?.id

  it('is on its own behalf: room, callbacks, the end, what a stream makes next; not of a guard around it', async () => {
    const [outer, inner] = await Promise.all([fixture([]), fixture([])])
    const heard = new Map<string, string | undefined>()
    const build: Parameters<typeof serve>[0] = app => {
      app.use(controlled(outer.guard, { subject: () => agent }), controlled(inner.guard, { subject: () => requester }))
      app.get('/stream', (_, response) => {
        response.on('finish', () => heard.set('finish', asks()))
        async function* parts() {
          for (let part = 0; part < 8; part += 1) {
            heard.set(`part ${part}`, asks())
            yield Buffer.alloc(50_000)
          }
        }
        Readable.from(parts(), { objectMode: false }).pipe(response)
      })
      app.get('/by-hand', (_, response) => {
        response.write(Buffer.alloc(100_000), () => heard.set('callback', asks()))
        response.once('drain', () => {
          heard.set('drain', asks())
          response.end(() => heard.set('end', asks()))
        })
      })
    }
    await serving(outer, build, async ({ ask }) => {
      expect((await ask('/stream')).bytes).toHaveLength(400_000)
      expect((await ask('/by-hand')).bytes).toHaveLength(100_000)
      await expect.poll(() => [...heard.keys()].sort()).toContain('end')
      const names = ['callback', 'drain', 'end', 'finish', ...Array.from({ length: 8 }, (_, i) => `part ${i}`)]
      expect(Object.fromEntries(heard)).toEqual(Object.fromEntries(names.map(name => [name, requester.id])))
      await inner.guard.close()
    })
  })

  it('is not on behalf of the next request of its connection', async () => {
    const at = await fixture([])
    const heard: (string | undefined)[] = []
    const build: Parameters<typeof serve>[0] = app => {
      app.get('/open', async (request, response) => {
        heard.push(asks())
        for await (const _ of request) heard.push(asks())
        await setImmediate()
        heard.push(asks())
        response.end()
      })
      app.use(controlled(at.guard, { subject: () => requester }))
      app.get('/guarded', (_, response) => void response.end(Buffer.alloc(300_000)))
    }
    await serving(at, build, async ({ port }) => {
      const line = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${more}\r\n`
      const socket = connect(port, '127.0.0.1')
      socket.resume()
      socket.write(`${line('/guarded')}${line('/open')}${line('/guarded')}${line('/open', 'connection: close\r\n')}`)
      await once(socket, 'close')
      expect(heard).toEqual([undefined, undefined, undefined, undefined])
    })
  })
})
