/** Requests that one party reads one way and another party another way: refused and recorded, or recorded in full. */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { controlled } from '../../adapters/express/index.ts'
import { requestPath } from '../../adapters/http/path.ts'
import { serve } from '../adapters/express/support.ts'
import type { Served } from '../adapters/http/client.ts'
import { type Fixture, fixture, requester } from '../support/guard.ts'

let at: Fixture
let served: Served
let reached: string[] = []

beforeAll(async () => {
  at = await fixture([])
  served = await serve(app => {
    app.use(controlled(at.guard, { subject: () => requester }), (request, response) => {
      reached.push(request.originalUrl)
      response.json({ done: true })
    })
  })
})
afterAll(async () => {
  await served.close()
  await at.guard.close()
})

/** Sends a request line as it stands, as no client library would. @returns the status line's status */
function raw(target: string, headers = ''): Promise<number> {
  return new Promise(resolve => {
    let heard = ''
    const socket = connect(served.port, '127.0.0.1', () => {
      socket.write(
        Buffer.from(`GET ${target} HTTP/1.1\r\nhost: crm.example\r\nconnection: close\r\n${headers}\r\n`, 'latin1'),
      )
    })
    socket.on('data', part => {
      heard += part.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(heard)?.[1] ?? 0)))
  })
}

/** What the last decision disclosed of its action. */
async function lastAction(): Promise<Record<string, unknown>> {
  let index = 0
  for await (const stored of at.ledger.entries()) if (stored.entry.kind === 'decision') index = stored.index
  return (await at.ledger.disclosures(index)).action as Record<string, unknown>
}

describe('an ambiguous spelling is refused and recorded, and no handler sees it', () => {
  it.each([
    ['an encoded dot', '/customers/%2e%2e/secrets'],
    ['an encoded dot, in capitals', '/customers/%2E%2E/secrets'],
    ['one encoded dot of two', '/customers/.%2e/secrets'],
    ['an encoded slash', '/customers%2fsecrets'],
    ['an encoded slash, in capitals', '/customers%2Fsecrets'],
    ['an encoded backslash', '/customers%5csecrets'],
    ['a backslash', '/customers\\secrets'],
    ['an empty segment', '/customers//secrets'],
    ['an empty first segment', '//customers/secrets'],
    ['a path parameter', '/customers;x=1/secrets'],
    ['an encoded semicolon', '/customers%3bx/secrets'],
    ['a dot segment', '/customers/./secrets'],
    ['a parent segment', '/customers/../secrets'],
    ['a parent segment at the end', '/customers/..'],
    ['a NUL', '/customers%00/secrets'],
    ['an encoded line break', '/customers%0d%0a/secrets'],
    ['an encoded percent sign', '/customers%252fsecrets'],
    ['an encoded question mark', '/customers%3fsecrets'],
    ['an encoded hash', '/customers%23secrets'],
    ['a malformed percent-encoding', '/customers/%zz'],
    ['a percent sign alone', '/customers/100%'],
    ['a wrong UTF-8 byte', '/customers/%ff'],
    ['an overlong slash', '/customers%c0%afsecrets'],
    ['an encoded surrogate', '/customers/%ed%a0%80'],
    ['a fragment', '/customers/1?a=1#b=2'],
    ['an absolute form', 'http://other.example/secrets'],
    ['a query of wrong UTF-8', '/customers?name=%ff'],
    ['a path that no entry could hold', `/customers/${'x'.repeat(600)}`],
  ])('%s', async (_, target) => {
    reached = []
    const before = (await at.of('decision')).length
    expect(await raw(target)).toBe(403)
    expect(reached).toEqual([])
    const decisions = (await at.of('decision')).slice(before)
    expect(decisions).toMatchObject([{ verdict: 'deny', code: 'ERR_ACCESS_DENIED', accesses: [{ resource: 'crm/?' }] }])
  })

  it('an asterisk, a host and port, and raw bytes beyond ASCII reach no handler either', async () => {
    reached = []
    for (const target of ['*', 'crm.example:80']) expect(await raw(target)).toBeGreaterThanOrEqual(400)
    expect(await raw('/customers/\xff')).toBeGreaterThanOrEqual(400)
    expect(reached).toEqual([])
  })
})

describe('one resource has one name', () => {
  it.each([
    ['/Customers/17', '/customers/17'],
    ['/customers/17/', '/customers/17'],
    ['/%63ustomers/17', '/customers/17'],
    ['/customers/caf%C3%A9', '/customers/caf%C3%A9'],
    ['/customers/CAF%C3%89', '/customers/caf%C3%A9'],
    ['/', '/'],
  ])('%s is %s', (url, path) => expect(requestPath(url)).toBe(path))

  it('keeps case where the router does', () => expect(requestPath('/Customers', true)).toBe('/Customers'))

  it('a letter that only looks ASCII once lowered stays what it is, as the router reads it', () => {
    expect(requestPath('/%E2%84%AAeys')).not.toBe('/keys')
    expect(requestPath('/%C4%B0d')).not.toMatch(/^\/i/)
  })
})

describe('the address', () => {
  const addressOfLast = async () => {
    let index = 0
    for await (const stored of at.ledger.entries()) if (stored.entry.kind === 'decision') index = stored.index
    return (await at.ledger.disclosures(index)).address
  }

  it('is the connection’s, whatever X-Forwarded-For and Forwarded say', async () => {
    expect(await raw('/customers/1', 'x-forwarded-for: 203.0.113.9\r\nforwarded: for=203.0.113.9\r\n')).toBe(200)
    expect(await addressOfLast()).toBe('127.0.0.1')
  })

  it('is what a trusted proxy says, and an address even then', async () => {
    const behind = await serve(app => {
      app.set('trust proxy', 'loopback')
      app.use(controlled(at.guard, { subject: () => requester }), (_, response) => void response.json({}))
    })
    const said = ['203.0.113.9', '198.51.100.7, 203.0.113.9', 'canary, <script>', 'unknown']
    const recorded: unknown[] = []
    for (const header of said) {
      await behind.ask('/customers/1', { headers: { 'x-forwarded-for': header } })
      recorded.push(await addressOfLast())
    }
    await behind.close()
    expect(recorded).toEqual(['203.0.113.9', '203.0.113.9', '127.0.0.1', '127.0.0.1'])
  })
})

describe('parameters', () => {
  it('that are repeated are all recorded, in order', async () => {
    await raw('/customers?id=1&id=2&role=user&id=3&id[]=4')
    expect(await lastAction()).toMatchObject({ query: { '?id': ['1', '2', '3'], '?role': ['user'], '?id[]': ['4'] } })
  })

  it('cannot hide behind the names that objects inherit, or behind numbers', async () => {
    await raw('/customers?__proto__=1&constructor=2&7=3&=4')
    const { query } = (await lastAction()) as { query: Record<string, unknown> }
    expect(Object.entries(query)).toEqual([
      ['?', ['4']],
      ['?7', ['3']],
      ['?__proto__', ['1']],
      ['?constructor', ['2']],
    ])
  })

  it('after a second question mark belong to the value before it', async () => {
    await raw('/customers?a=1?b=2')
    expect(await lastAction()).toMatchObject({ query: { '?a': ['1?b=2'] } })
  })
})
