/** Replies as handlers write them: every style that node allows reaches the client as it would without the guard. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Express, Response } from 'express'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlled } from '../../../adapters/express/index.ts'
import { type Fixture, fixture, maskControl, requester } from '../../support/guard.ts'
import type { Heard, Served } from '../http/client.ts'
import { serve } from './support.ts'

const told: string[] = []
const note = (what: string) => () => void told.push(what)

// biome-ignore format: a table
const styles: Readonly<Record<string, (response: Response) => unknown>> = {
  'end alone':                          r => r.end(),
  'end with text':                      r => r.end('text'),
  'end with bytes':                     r => r.end(Buffer.from('text')),
  'end with a typed array':             r => r.end(new Uint8Array([116, 101])),
  'end with an encoding':               r => r.end('dGV4dA==', 'base64'),
  'end with a callback':                r => r.end(note('ended')),
  'end with text and a callback':       r => r.end('text', note('ended with text')),
  'end with all three':                 r => r.end('74657874', 'hex', note('ended with hex')),
  'end twice':                          r => r.end('one').end(),
  'write and end':                      r => { r.write('te'); r.end('xt') },
  'write with a callback':              r => { r.write('te', note('written')); r.end('xt') },
  'write with encoding and callback':   r => { r.write('7465', 'hex', note('written hex')); r.end('xt') },
  'an empty write':                     r => { r.write('', note('written nothing')); r.end('text') },
  'writeHead':                          r => r.writeHead(201).end('text'),
  'writeHead with headers':             r => r.writeHead(201, { 'x-one': '1', 'x-list': ['a', 'b'] }).end('text'),
  'writeHead with a message':           r => r.writeHead(299, 'As You Wish', { 'x-one': '1' }).end('text'),
  'writeHead with a flat list':         r => r.writeHead(200, ['x-one', '1', 'x-two', '2'] as never).end('text'),
  'writeHead over what was set':        r => r.set('x-one', 'before').writeHead(200, { 'x-one': 'after' }).end(),
  'a status message':                   r => { r.statusMessage = 'Very Well'; r.end('text') },
  'flushHeaders':                       r => { r.flushHeaders(); r.end('text') },
  'send':                               r => r.send('text'),
  'json':                               r => r.json({ a: 1 }),
  'a redirect':                         r => r.redirect('/elsewhere'),
  'a cookie':                           r => r.cookie('a', 'b').cookie('c', 'd').end(),
  'a status alone':                     r => r.sendStatus(404),
  'no content':                         r => r.status(204).end('never seen'),
  'not modified':                       r => r.status(304).end('never seen'),
  'trailers':                           r => { r.set('trailer', 'x-sum'); r.write('a'); r.addTrailers({ 'x-sum': '1' }); r.end() },
  'a pipe':                             r => Readable.from(['te', 'xt']).pipe(r),
  'a pipeline':                         r => pipeline(Readable.from(['te', 'xt']), r),
  'a cork':                             r => { r.cork(); r.write('te'); r.write('xt'); r.uncork(); r.end() },
}
const names = Object.keys(styles)

function routes(app: Express): void {
  app.set('env', 'test')
  app.all('/style/:number', (request, response) => void styles[names[Number(request.params.number)]!]!(response))
}

let at: Fixture
let guarded: Served
let bare: Served
/** What handlers met while they answered, for the test that asked. */
let met: unknown[] = []

beforeAll(async () => {
  at = await fixture([])
  const hidden = await fixture([{ ...maskControl, covers: { resource: 'crm/**' } }])
  guarded = await serve(app => {
    app.use('/masked', controlled(hidden.guard, { subject: () => requester }))
    app.use((request, response, next) => {
      if (request.path.startsWith('/masked')) return next()
      return controlled(at.guard, { subject: () => requester })(request, response, next)
    })
    routes(app)
    app.get('/errors/sync', () => {
      throw new Error('a canary of the inside')
    })
    app.get('/errors/async', async () => {
      throw Object.assign(new Error('unavailable'), { status: 503 })
    })
    app.get('/errors/next', (_, response, next) => {
      response.write('x'.repeat(100_000))
      setImmediate(() => next(new Error('after the first byte')))
    })
    app.get('/late-header', (_, response) => {
      response.write('a')
      met = [response.headersSent]
      for (const change of [
        () => response.setHeader('a', 'b'),
        () => response.writeHead(201),
        () => response.removeHeader('a'),
      ]) {
        try {
          change()
        } catch (error) {
          met.push((error as { code?: string }).code)
        }
      }
      response.end('b')
      met.push(response.writableEnded)
      response.write('after the end', error => void met.push((error as { code?: string }).code))
    })
    app.get('/wrong', (_, response) => {
      try {
        response.write(7 as never)
      } catch (error) {
        met = [(error as { code?: string }).code]
      }
      response.end()
    })
    app.get('/room', async (_, response) => {
      let full = 0
      for (let part = 0; part < 200; part += 1) {
        if (response.write(Buffer.alloc(32 * 1024))) continue
        full += 1
        await once(response, 'drain')
      }
      met = [full > 10, response.listenerCount('drain')]
      response.end()
    })
    app.get('/masked/keeps-writing', async (_, response) => {
      response.set({ 'x-inside': '900-12-3456', 'set-cookie': 'a=900-12-3456' })
      response.statusMessage = '900-12-3456'
      response.write('900-12-3456')
      await once(response, 'close')
      response.write('900-12-3456')
      response.end()
      met = ['done']
    })
    app.get('/masked/pipes', (_, response) => void Readable.from(Array(1000).fill('900-12-3456')).pipe(response))
    app.get('/masked/asks-later', async (_, response) => {
      response.write('900-12-3456')
      await new Promise(resolve => response.once('finish', resolve))
      response.status(500).json({ ssn: '900-12-3456' })
      met = ['answered again']
    })
  })
  bare = await serve(routes)
})
afterAll(async () => {
  await Promise.all([guarded.close(), bare.close()])
})

/** What a client can see, but for the framing, which is node's to choose, and the clock. */
function seen({ status, headers, trailers, text, whole }: Heard) {
  const { 'content-length': __length, 'transfer-encoding': _, date: __, ...rest } = headers
  return { status, rest, trailers, text, whole }
}

describe('a reply reaches the client as it would without the guard', () => {
  it.each(names.map((name, number) => [name, number] as const))('%s', async (name, number) => {
    for (const method of ['GET', 'HEAD', 'POST']) {
      // Node itself throws where HEAD announces trailers.
      if (method === 'HEAD' && name === 'trailers') continue
      told.length = 0
      const expected = seen(await bare.ask(`/style/${number}`, { method }))
      const toldBare = told.splice(0)
      const got = seen(await guarded.ask(`/style/${number}`, { method }))
      expect({ method, ...got }).toEqual({ method, ...expected })
      await expect.poll(() => told).toEqual(toldBare)
    }
  })

  it('and is recorded by what left: nothing for HEAD', async () => {
    await guarded.ask(`/style/${names.indexOf('end with text')}`, { method: 'HEAD' })
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'completed', bytes: 0 })
    await guarded.ask(`/style/${names.indexOf('end with text')}`)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'completed', bytes: 4 })
  })
})

describe('a handler', () => {
  it('that throws before its first byte is answered by express, and recorded as failed', async () => {
    expect((await guarded.ask('/errors/sync')).status).toBe(500)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed' })
    expect((await guarded.ask('/errors/async')).status).toBe(503)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed' })
  })

  it('that fails after its first byte cuts the connection, and is recorded as failed, not as hung up', async () => {
    const heard = await guarded.ask('/errors/next').catch(() => ({ whole: false }))
    expect(heard.whole).toBe(false)
    await expect
      .poll(async () => (await at.of('outcome')).at(-1))
      .toMatchObject({ result: 'failed', code: 'ERR_UPSTREAM' })
  })

  it('finds the head fixed after its first byte, and the body after its end, as node has it', async () => {
    expect(await guarded.ask('/late-header')).toMatchObject({ text: 'ab', whole: true })
    await expect
      .poll(() => met)
      .toEqual([
        true,
        'ERR_HTTP_HEADERS_SENT',
        'ERR_HTTP_HEADERS_SENT',
        'ERR_HTTP_HEADERS_SENT',
        true,
        'ERR_STREAM_DESTROYED',
      ])
  })

  it('that writes what is no bytes is told so', async () => {
    await guarded.ask('/wrong')
    expect(met).toEqual(['ERR_INVALID_ARG_TYPE'])
  })

  it('is told when there is no room, and when there is again', async () => {
    const { bytes, whole } = await guarded.ask('/room')
    expect({ length: bytes.length, whole }).toEqual({ length: 200 * 32 * 1024, whole: true })
    expect(met).toEqual([true, 0])
  })
})

describe('a reply that is refused', () => {
  it.each(['/masked/keeps-writing', '/masked/pipes', '/masked/asks-later'])(
    'leaves nothing of what its handler set or writes on: %s',
    async path => {
      met = []
      const heard = await guarded.ask(path)
      expect(heard).toMatchObject({ status: 403, whole: true })
      expect(JSON.stringify([heard.headers, heard.text])).not.toContain('900-12')
      expect(JSON.parse(heard.text)).toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
      if (path !== '/masked/pipes') await expect.poll(() => met).toHaveLength(1)
      expect((await guarded.ask(path)).status).toBe(403)
    },
  )
})
