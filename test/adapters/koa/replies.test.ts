/** koa's ways to answer, behind the guard: each leaves as koa would have sent it, or masked, or refused in its place. */
import { Readable } from 'node:stream'
import { createGzip } from 'node:zlib'
import Koa, { type Context } from 'koa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlled } from '../../../adapters/koa/index.ts'
import { type Fixture, fixture, grantControl, maskControl, requester } from '../../support/guard.ts'
import { listen, type Served } from '../http/client.ts'
import { jsonBody } from './support.ts'

const customer = { name: 'Customer 0001', ssn: '900-12-3456', email: 'c1@customer.example' }
const text = JSON.stringify(customer)
const shown = { name: 'Customer 0001', ssn: '****3456', email: '[redacted]' }
const secret = /900-12|c1@customer/

const json = (context: Context, body: unknown) => {
  context.type = 'application/json'
  context.body = body
}

// biome-ignore format: a table
const routes: Readonly<Record<string, (context: Context) => unknown>> = {
  '/object':    context => { context.body = customer },
  '/string':    context => { context.body = 'hello' },
  '/buffer':    context => { context.body = Buffer.from([1, 2, 3]) },
  '/stream':    context => { context.body = Readable.from(['one ', 'two']) },
  '/web':       context => { context.body = new Blob(['web']).stream() },
  '/blob':      context => { context.body = new Blob(['blob'], { type: 'text/plain' }) },
  '/response':  context => { context.body = new Response('whole', { status: 203, headers: { 'x-own': '1' } }) },
  '/null':      context => { context.body = null },
  '/status':    context => { context.status = 418 },
  '/nothing':   () => undefined,
  '/throws':    context => context.throw(409, 'not now'),
  '/fails':     () => { throw new Error('no customer with ssn 900-12-3456') },
  '/bypassed':  context => { context.respond = false; context.res.end('by hand') },
  '/fresh':     context => { context.set('etag', '"one"'); context.status = 200; if (context.fresh) context.status = 304; else context.body = customer },
  '/pieces':    context => json(context, Readable.from([...text])),
  '/gzip':      context => { context.set('content-encoding', 'gzip'); json(context, Readable.from([text]).pipe(createGzip())) },
  '/text':      context => { context.body = text },
  '/ip':        context => { context.body = { ip: context.ip } },
}

async function serve(of: Fixture, around: readonly Koa.Middleware[] = []): Promise<Served> {
  const app = new Koa()
  app.silent = true
  for (const one of around) app.use(one)
  app.use(jsonBody)
  app.use(controlled(of.guard, { subject: () => requester }))
  app.use(context => routes[context.path]?.(context))
  return listen(app.callback())
}

async function bare(): Promise<Served> {
  const app = new Koa()
  app.silent = true
  app.use(context => routes[context.path]?.(context))
  return listen(app.callback())
}

describe('unmasked', () => {
  let at: Fixture
  let guarded: Served
  let plain: Served
  beforeAll(async () => {
    at = await fixture([])
    guarded = await serve(at)
    plain = await bare()
  })
  afterAll(async () => {
    await guarded.close()
    await plain.close()
    await at.guard.close()
  })

  it.each(
    Object.keys(routes).flatMap(
      path =>
        [
          ['GET', path],
          ['HEAD', path],
        ] as const,
    ),
  )('%s %s is answered as koa would without the guard', async (method, path) => {
    const [one, other] = [await guarded.ask(path, { method }), await plain.ask(path, { method })]
    const told = ({
      status,
      text: body,
      whole,
      headers: { date, connection, 'transfer-encoding': how, 'content-length': length, ...rest },
    }: typeof one) => ({
      ...{ status, body, whole, rest },
      // A length that koa did not say may be known by now; where it said one, it stays.
      length: how === undefined ? length : undefined,
    })
    const [ours, theirs] = [told(one), told(other)]
    expect({ ...ours, length: theirs.length ?? ours.length }).toEqual({
      ...theirs,
      length: theirs.length ?? ours.length,
    })
    // Node counts what is given to `end` alone; behind the guard that is chunked.
    if (theirs.length !== undefined && path !== '/bypassed') expect(ours.length).toBe(theirs.length)
  })

  it('one is recorded as offered, once its body has left', async () => {
    const before = (await at.of('outcome')).length
    await guarded.ask('/stream')
    await expect.poll(async () => (await at.of('outcome')).length).toBe(before + 1)
    expect((await at.of('outcome')).at(-1)).toMatchObject({ result: 'completed', bytes: 7 })
  })

  it('a failing one is recorded as failed', async () => {
    expect((await guarded.ask('/fails')).status).toBe(500)
    await expect.poll(async () => (await at.of('outcome')).at(-1)).toMatchObject({ result: 'failed' })
  })
})

describe('masked', () => {
  let at: Fixture
  let guarded: Served
  beforeAll(async () => {
    at = await fixture([{ ...maskControl, covers: { resource: 'crm/**' } }])
    guarded = await serve(at)
  })
  afterAll(async () => {
    await guarded.close()
    await at.guard.close()
  })

  it.each(['/object', '/pieces'])('JSON leaves masked: %s', async path => {
    const heard = await guarded.ask(path)
    expect(JSON.parse(heard.text)).toEqual(shown)
    expect(heard.headers['content-length']).toBeUndefined()
  })

  it.each(['/string', '/buffer', '/stream', '/web', '/blob', '/response', '/text', '/gzip', '/bypassed', '/nothing'])(
    'what is no JSON is refused: %s',
    async path => {
      const heard = await guarded.ask(path)
      expect(heard.status).toBe(403)
      expect(JSON.parse(heard.text)).toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
      expect(heard.text).not.toMatch(secret)
    },
  )

  it('a validator of the whole neither leaves nor is answered from', async () => {
    const heard = await guarded.ask('/fresh', { headers: { 'if-none-match': '"one"' } })
    expect(heard.status).toBe(200)
    expect(heard.headers.etag).toBeUndefined()
    expect(JSON.parse(heard.text)).toEqual(shown)
  })

  it('an error of the application shows nothing', async () => {
    expect((await guarded.ask('/fails')).text).not.toMatch(secret)
  })
})

describe('the onion', () => {
  it('closes before the body has left, around the guard too; what was refused never ran', async () => {
    const at = await fixture([])
    const seen: string[] = []
    const around: Koa.Middleware = async (context, next) => {
      await next()
      seen.push(`${context.path} ${context.respond !== false}`)
      context.set('x-around', '1')
    }
    const served = await serve(at, [around])
    expect((await served.ask('/stream')).headers['x-around']).toBe('1')
    const stranger = new Koa()
    stranger.use(around).use(controlled(at.guard))
    let ran = false
    stranger.use(() => {
      ran = true
    })
    const refusing = await listen(stranger.callback())
    const heard = await refusing.ask('/object')
    expect(heard.status).toBe(401)
    expect(heard.headers['content-type']).toBe('application/problem+json')
    expect(ran).toBe(false)
    expect(seen).toEqual(['/stream true', '/object false'])
    await refusing.close()
    await served.close()
    await at.guard.close()
  })

  it('gives an error of the handlers to whoever is around', async () => {
    const at = await fixture([])
    const served = await serve(at, [
      async (context, next) => {
        await next().catch(() => {
          context.status = 503
          context.body = 'mended'
        })
      },
    ])
    expect(await served.ask('/fails')).toMatchObject({ status: 503, text: 'mended' })
    await served.close()
    await at.guard.close()
  })
})

describe('a request', () => {
  it('shows its body to whoever approves, and is refused without a grant', async () => {
    const at = await fixture([{ ...grantControl, covers: { resource: 'crm/**', actions: ['put'] } }])
    const served = await serve(at)
    const heard = await served.ask('/object', {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"name":"Customer","password":"hidden"}',
    })
    expect(JSON.parse(heard.text)).toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    for await (const { index, entry } of at.ledger.entries()) {
      if (entry.kind !== 'decision') continue
      const { action } = await at.ledger.disclosures(index)
      expect(JSON.stringify(action)).toContain('Customer')
      expect(JSON.stringify(action)).not.toContain('hidden')
    }
    await served.close()
    await at.guard.close()
  })

  it('comes from where the connection does, or where a trusted proxy says, without the prefix of a mapped address', async () => {
    const at = await fixture([])
    const app = new Koa({ proxy: true })
    app.use(controlled(at.guard, { subject: () => requester })).use(context => routes[context.path]?.(context))
    const served = await listen(app.callback())
    const from = async (given: string) => {
      await served.ask('/object', { headers: { 'x-forwarded-for': given } })
      let address: unknown
      for await (const { index, entry } of at.ledger.entries()) {
        if (entry.kind === 'decision') address = (await at.ledger.disclosures(index)).address
      }
      return address
    }
    expect(await from('::ffff:192.0.2.7')).toBe('192.0.2.7')
    expect(await from('anything')).toBe('127.0.0.1')
    await served.close()
    await at.guard.close()
  })
})
