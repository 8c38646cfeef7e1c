/** What of a request is bound, disclosed and refused: bodies, credentials, what the application says of it, who is gone already. */
import express, { type Request } from 'express'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { controlled } from '../../../adapters/express/index.ts'
import { casbinPolicy } from '../../../lib/policy/policy.ts'
import { approvalControl, dba, type Fixture, fixture, owner, requester, rules } from '../../support/guard.ts'
import type { Served } from '../http/client.ts'
import { serve } from './support.ts'

const destroys = {
  ...approvalControl,
  covers: { resource: 'crm/**', actions: ['delete'] },
  require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs: 20 } },
}

let at: Fixture
let served: Served
let reached: unknown[] = []
beforeAll(async () => {
  // A policy that works until it is asked of one resource.
  const policy = await casbinPolicy({ rules, controls: [destroys] })
  const decide: typeof policy.decide = (subject, accesses) => {
    if (accesses.some(({ resource }) => resource === 'crm/policy')) throw new Error('an inside of the policy')
    return policy.decide(subject, accesses)
  }
  const failing = new Proxy(policy, {
    get: (of, name) =>
      name === 'decide'
        ? decide
        : (of[name as never] as { bind?: unknown })?.bind
          ? (of[name as never] as () => void).bind(of)
          : of[name as never],
  })
  at = await fixture([destroys], { policy: failing })
  served = await serve(app => {
    app.use((_, response, next) => {
      response.set('access-control-allow-origin', 'https://crm.example')
      next()
    })
    app.use(express.json(), express.urlencoded({ extended: true }), express.text({ type: 'text/csv' }))
    app.use(express.raw({ type: 'application/octet-stream' }))
    // As parsers of an older kind leave it: nothing read, and yet a body.
    app.use('/legacy', (request, _, next) => {
      request.body ??= {}
      next()
    })
    const subject = (request: Request) => {
      if (request.path === '/who') throw new Error('an inside of the application')
      if (request.headers.authorization !== undefined) return undefined
      return request.path === '/others' ? owner : requester
    }
    app.use(controlled(at.guard, { subject }), (request, response) => {
      reached.push(request.body)
      response.json({ done: true })
    })
  })
})
afterAll(async () => {
  await served.close()
  await at.guard.close()
})
beforeEach(() => {
  reached = []
})

async function lastAction(): Promise<Record<string, string>> {
  let index = 0
  for await (const { index: of, entry } of at.ledger.entries()) if (entry.kind === 'decision') index = of
  return (await at.ledger.disclosures(index)).action as Record<string, string>
}

const remove = (body: string | Buffer, type = 'application/json', path = '/orders') =>
  served.ask(path, { method: 'DELETE', headers: { 'content-type': type, 'content-length': body.length }, body })

describe('an approval', () => {
  it('binds the body: it lets this one run, once, and no other', async () => {
    const asked = JSON.parse((await remove('{"id":1}')).text) as { code: string; approval: string }
    expect(asked.code).toBe('ERR_APPROVAL_PENDING')
    await at.guard.desk.approve(dba, asked.approval)
    const other = JSON.parse((await remove('{"id":2}')).text) as { code: string; approval: string }
    expect(other.code).toBe('ERR_APPROVAL_PENDING')
    expect(other.approval).not.toBe(asked.approval)
    expect((await remove('{"id":1}')).status).toBe(200)
    expect((await remove('{"id":1}')).status).toBe(403)
    expect(reached).toEqual([{ id: 1 }])
  })

  it('binds text and bytes as they are, and secrets that it does not show', async () => {
    for (const [one, other, type] of [
      ['a', 'b', 'text/csv'],
      [Buffer.from([1]), Buffer.from([2]), 'application/octet-stream'],
      ['{"password":"a"}', '{"password":"b"}', 'application/json'],
      ['pin=1', 'pin=2', 'application/x-www-form-urlencoded'],
    ] as const) {
      const { approval } = JSON.parse((await remove(one, type)).text) as { approval: string }
      expect(JSON.parse((await remove(one, type)).text)).toMatchObject({ approval })
      expect(JSON.parse((await remove(other, type)).text)).not.toMatchObject({ approval })
    }
    expect(reached).toEqual([])
  })

  it.each([
    ['that nobody has parsed', 'text/plain', '/orders'],
    ['that a parser passed over, leaving {}', 'text/plain', '/legacy'],
    ['of several parts, whose files lie beside it', 'multipart/form-data; boundary=x', '/legacy'],
  ])('is not to be had for a body %s', async (_, type, path) => {
    const before = (await at.of('approval-requested')).length
    const { status, text } = await remove('anything', type, path)
    expect({ status, ...(JSON.parse(text) as object) }).toMatchObject({ status: 403, code: 'ERR_OBLIGATION_UNMET' })
    expect(await at.of('approval-requested')).toHaveLength(before)
    expect(reached).toEqual([])
  })

  it('is not needed to stream a body where no control asks for one', async () => {
    const heard = await served.ask('/orders', { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })
    expect(heard.status).toBe(200)
  })
})

describe('what is disclosed', () => {
  it('has no secret of a body or a query, and keeps the rest', async () => {
    const body = JSON.stringify({ user: 'c1', password: 'canary', nested: { apiKey: 'canary' } })
    const headers = { 'content-type': 'application/json' }
    await served.ask('/logins?access_token=canary&page=2', { method: 'POST', headers, body })
    const action = await lastAction()
    expect(JSON.stringify(action)).not.toContain('canary')
    expect(action).toMatchObject({
      method: 'POST',
      path: '/logins',
      query: { '?page': ['2'], '?access_token': '[withheld]' },
    })
    expect(JSON.parse(action.body!)).toMatchObject({ user: 'c1', password: '[withheld]' })
  })

  it.each(['text/csv', 'application/octet-stream'])('shows nothing of a body that has no members: %s', async type => {
    await served.ask('/imports', { method: 'POST', headers: { 'content-type': type }, body: 'canary' })
    expect((await lastAction()).body).toBe('[withheld]')
  })
})

describe('a problem', () => {
  it.each([
    ['401 where the credential is unknown', '/names', { authorization: 'Bearer nobody' }, 401, 'ERR_UNIDENTIFIED'],
    ['401 where it is of another scheme', '/names', { authorization: 'Basic YTpi' }, 401, 'ERR_UNIDENTIFIED'],
    ['403 where policy says no', '/others', {}, 403, 'ERR_ACCESS_DENIED'],
    ['503 where policy cannot be asked', '/policy', {}, 503, 'ERR_POLICY_UNAVAILABLE'],
    ['503 where the application cannot say who asks', '/who', {}, 503, 'ERR_IDENTITY_UNAVAILABLE'],
  ])('is %s, recorded, and names its exchange', async (_, path, headers, status, code) => {
    const heard = await served.ask(path, { headers })
    const problem = JSON.parse(heard.text) as { instance: string }
    expect(heard.status).toBe(status)
    expect(problem).toMatchObject({ status, code, type: `urn:counterfoil:error:${code}` })
    expect(heard.text).not.toContain('inside')
    expect(heard.headers).toMatchObject({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      // What stood before the guard stays: without it a browser could not read the problem.
      'access-control-allow-origin': 'https://crm.example',
    })
    expect(heard.headers['www-authenticate']).toBe(status === 401 ? 'Bearer' : undefined)
    const last = (await at.of('decision')).at(-1)!
    expect(last).toMatchObject({ verdict: 'deny', code })
    expect(problem.instance).toBe(`urn:uuid:${last.exchange}`)
    expect(reached).toEqual([])
  })
})

describe('a client that has gone before the guard is reached', () => {
  it('has nothing done for it', async () => {
    const gone = await serve(app => {
      app.use((_, response, next) => {
        response.once('close', () => setImmediate(next))
        response.destroy()
      })
      app.use(controlled(at.guard, { subject: () => requester }), () => void reached.push('a handler'))
    })
    await expect(gone.ask('/names')).rejects.toMatchObject({ code: 'ECONNRESET' })
    await expect
      .poll(async () => (await at.of('decision')).at(-1))
      .toMatchObject({ verdict: 'deny', code: 'ERR_UPSTREAM' })
    expect(reached).toEqual([])
    await gone.close()
  })
})
