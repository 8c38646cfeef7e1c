/** Masked replies over HTTP: what leaves, what is said of it, and what is refused since it cannot be masked. */
import { gzipSync } from 'node:zlib'
import type { Express } from 'express'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlled } from '../../../adapters/express/index.ts'
import { type Fixture, fixture, maskControl, requester } from '../../support/guard.ts'
import type { Served } from '../http/client.ts'
import { serve } from './support.ts'

const customer = { name: 'Customer 0001', ssn: '900-12-3456', email: 'c1@customer.example' }
const text = JSON.stringify(customer)
const secret = /900-12|c1@customer/

function routes(app: Express): void {
  app.get('/json', (_, response) => {
    response.set({
      'last-modified': new Date(0).toUTCString(),
      'content-md5': 'x',
      digest: 'x',
      'accept-ranges': 'bytes',
    })
    response.json(customer)
  })
  app.get('/pieces', (_, response) => {
    response.type('application/vnd.crm+json')
    for (const character of text) response.write(character)
    response.end()
  })
  app.get('/text', (_, response) => void response.type('text').send(`ssn 900-12-3456`))
  app.get('/html', (_, response) => void response.send(`<p>900-12-3456`))
  app.get('/untyped', (_, response) => void response.end(text))
  app.get('/jsonp', (_, response) => void response.jsonp(customer))
  app.get('/gzip', (_, response) => {
    response.set({ 'content-encoding': 'gzip', 'content-type': 'application/json' }).end(gzipSync(text))
  })
  app.get('/part', (_, response) => {
    response.status(206).set('content-range', 'bytes 0-10/99').type('json').end('900123456')
  })
  app.get('/utf-16', (_, response) => {
    response.set('content-type', 'application/json; charset=utf-16le').end(Buffer.from(text, 'utf16le'))
  })
  app.get('/broken', (_, response) => void response.type('json').end(text.slice(0, -1)))
  app.get('/twice', (_, response) => void response.type('json').end('{"ssn":"900-12-3456","ssn":1}'))
  app.get('/late', (_, response) => {
    response.type('json')
    response.write(text)
    response.set('content-length', '3')
    response.end()
  })
  app.get('/fails', () => {
    throw new Error(`no customer with ssn 900-12-3456`)
  })
  app.get('/fails-in-text', (_, response) => void response.status(500).type('text').send(`ssn 900-12-3456`))
  app.get('/fails-in-json', (_, response) => void response.status(503).json(customer))
  app.get('/nothing', (_, response) => void response.sendStatus(204))
  app.get('/unchanged', (_, response) => void response.set('etag', '"x"').status(304).end())
  app.get('/trailers', (_, response) => {
    response.set('trailer', 'x-sum').type('json')
    response.write(text)
    response.addTrailers({ 'x-sum': '900-12-3456' })
    response.end()
  })
  app.get('/hints', (_, response) => {
    response.writeEarlyHints({ link: '</900-12-3456>; rel=preload' })
    response.json(customer)
  })
}

let at: Fixture
let masked: Served
let plain: Served
beforeAll(async () => {
  at = await fixture([{ ...maskControl, covers: { resource: 'crm/**' } }])
  const open = await fixture([])
  const build = (of: Fixture) => (app: Express) => {
    // What the stack of an error would show is the same for both.
    app.set('env', 'test')
    app.use(controlled(of.guard, { subject: () => requester }))
    routes(app)
  }
  masked = await serve(build(at))
  plain = await serve(build(open))
})
afterAll(async () => {
  await Promise.all([masked.close(), plain.close()])
})

describe('JSON under a mask', () => {
  it.each(['/json', '/pieces', '/hints'])('%s leaves masked, with what is not masked as it was', async path => {
    const { status, text } = await masked.ask(path)
    expect(status).toBe(200)
    expect(JSON.parse(text)).toEqual({
      name: 'Customer 0001',
      ssn: expect.stringMatching(/3456$/),
      email: '[redacted]',
    })
    expect(text).not.toMatch(secret)
  })

  it('says nothing of the whole that it was made from', async () => {
    const told = (await masked.ask('/json')).headers
    for (const name of ['content-length', 'etag', 'last-modified', 'accept-ranges', 'content-md5', 'digest']) {
      expect([name, told[name]]).toEqual([name, undefined])
    }
    // Without a mask all of them are there: the test above can fail.
    const { headers } = await plain.ask('/json')
    expect(headers).toMatchObject({ etag: expect.anything(), digest: 'x', 'content-length': String(text.length) })
  })

  it('answers no question about the whole: conditions and ranges are not heard', async () => {
    const { etag } = (await plain.ask('/json')).headers
    const asked = { 'if-none-match': etag, range: 'bytes=20-30', 'if-modified-since': new Date().toUTCString() }
    expect((await plain.ask('/json', { headers: asked })).status).toBe(304)
    expect(await masked.ask('/json', { headers: asked })).toMatchObject({ status: 200, whole: true })
  })

  it('asked for by HEAD says neither length nor etag', async () => {
    const { status, headers, bytes } = await masked.ask('/json', { method: 'HEAD' })
    expect({ status, length: headers['content-length'], etag: headers.etag, bytes: bytes.length }).toEqual({
      status: 200,
      bytes: 0,
    })
    const before = await plain.ask('/json', { method: 'HEAD' })
    expect(before.headers['content-length']).toBe(String(text.length))
  })

  it('has no trailers: they are of the whole', async () => {
    const { trailers, headers } = await masked.ask('/trailers')
    expect({ trailers, trailer: headers.trailer }).toEqual({ trailers: {} })
    expect((await plain.ask('/trailers')).trailers).toEqual({ 'x-sum': '900-12-3456' })
  })

  it('whose handler sets a header after its first byte fails as node has it, and nothing leaves', async () => {
    await expect(masked.ask('/late')).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed', bytes: 0 })
  })

  it('records which masks were applied, and counts what left', async () => {
    const { bytes } = await masked.ask('/json')
    expect((await at.of('outcome')).at(-1)).toMatchObject({
      masked: ['CF-01:email:redact', 'CF-01:ssn:last4'],
      bytes: bytes.length,
    })
  })
})

describe('a reply without a body passes under a mask', () => {
  it.each([
    ['/nothing', 204],
    ['/unchanged', 304],
  ])('%s as %i', async (path, status) => {
    const heard = await masked.ask(path)
    expect(heard).toMatchObject({ status, text: '' })
    expect(heard.headers.etag).toBeUndefined()
  })
})

describe('what cannot be masked is refused, and no byte of it leaves', () => {
  it.each(['/text', '/html', '/untyped', '/jsonp?callback=x', '/gzip', '/part'])('%s', async path => {
    const { status, text, headers } = await masked.ask(path)
    expect(status).toBe(403)
    expect(JSON.parse(text)).toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    expect(headers).toMatchObject({
      'content-type': 'application/problem+json',
      'content-length': String(text.length),
    })
    for (const name of ['content-encoding', 'content-range', 'etag']) expect(headers[name]).toBeUndefined()
    expect(text).not.toMatch(secret)
    expect((await at.of('outcome')).at(-1)).toMatchObject({
      result: 'failed',
      code: 'ERR_OBLIGATION_UNMET',
      bytes: 0,
    })
  })

  it.each(['/utf-16', '/broken', '/twice'])('%s: no JSON that has one reading', async path => {
    const { status, text } = await masked.ask(path)
    expect(status).toBe(502)
    expect(JSON.parse(text)).toMatchObject({ code: 'ERR_MASK_FAILED' })
    expect(text).not.toMatch(secret)
  })

  it.each(['/fails', '/fails-in-text'])('%s: a failure of the application is told as one', async path => {
    const { status, text } = await masked.ask(path)
    expect(status).toBe(502)
    expect(JSON.parse(text)).toMatchObject({ code: 'ERR_UPSTREAM' })
    expect(text).not.toMatch(secret)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed', code: 'ERR_UPSTREAM', bytes: 0 })
  })

  it('a failure that is told in JSON is masked, and leaves as it is', async () => {
    const { status, text } = await masked.ask('/fails-in-json')
    expect(status).toBe(503)
    expect(JSON.parse(text)).toMatchObject({ name: customer.name })
    expect(text).not.toMatch(secret)
  })

  it('and the same leaves where no mask is in force', async () => {
    expect((await plain.ask('/text')).text).toContain('900-12-3456')
    expect((await plain.ask('/part')).status).toBe(206)
  })
})
