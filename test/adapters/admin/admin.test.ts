/** The admin address: who may ask, what is refused before it is read, and what is recorded of it. */
import http from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AdminServer, serveAdmin } from '../../../adapters/admin/index.ts'
import { guard } from '../../../lib/open.ts'
import { dba, type Fixture, fixture, requester } from '../../support/guard.ts'

let at: Fixture
let admin: AdminServer
beforeAll(async () => {
  at = await fixture()
  admin = await serveAdmin({ guard: at.guard, host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  await admin.close()
  await at.guard.close()
})

const ask = (method: string, path: string, body?: unknown, as: string | null = requester.id) =>
  new Promise<{ readonly status: number; readonly told: Record<string, unknown> }>((resolve, reject) => {
    const headers = as === null ? {} : { authorization: `Bearer ${as}` }
    const request = http.request(
      { port: admin.port, host: '127.0.0.1', method, path, headers, agent: false },
      answer => {
        let text = ''
        answer.setEncoding('utf8').on('data', part => {
          text += part
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, told: JSON.parse(text) }))
      },
    )
    request.on('error', reject)
    request.end(typeof body === 'string' ? body : JSON.stringify(body))
  })

const wanted = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }

describe('the admin address', () => {
  it('takes a request, shows it to who may decide, and lets them', async () => {
    const { told } = await ask('POST', '/v1/grants', wanted)
    expect((await ask('GET', '/v1/pending', undefined, dba.id)).told.pending).toMatchObject([{ id: told.id }])
    expect((await ask('POST', `/v1/items/${told.id}/approve`, {})).status).toBe(403)
    expect((await ask('POST', `/v1/items/${told.id}/approve`, {}, dba.id)).status).toBe(200)
    expect(await at.of('grant-decided')).toMatchObject([{ grant: told.id, verdict: 'approve' }])
  })

  it.each([
    ['nobody', ''],
    ['a stranger', 'stranger@crm.example'],
  ])('refuses %s, and records it', async (_, as) => {
    const before = (await at.of('decision')).length
    const { status, told } = await ask('GET', '/v1/pending', undefined, as === '' ? null : as)
    expect({ status, code: told.code }).toEqual({ status: 401, code: 'ERR_UNIDENTIFIED' })
    expect((await at.of('decision')).slice(before)).toMatchObject([{ protocol: 'admin', verdict: 'deny' }])
  })

  // biome-ignore format: a table
  it.each<[string, unknown]>([
    ['no JSON',                '{'],
    ['a list',                 []],
    ['over 64 kB',             { ...wanted, reason: 'x'.repeat(70_000) }],
    ['a reason over 2000',     { ...wanted, reason: 'x'.repeat(2001) }],
    ['actions that are none',  { ...wanted, actions: 'update' }],
    ['seconds as text',        { ...wanted, seconds: '30' }],
    ['a resource with spaces', { ...wanted, resource: 'crm / x' }],
  ])('refuses a body of %s', async (_, body) => {
    expect(await ask('POST', '/v1/grants', body)).toMatchObject({ status: 403, told: { code: 'ERR_OBLIGATION_UNMET' } })
  })

  it('has nothing elsewhere, and says that it is well to anybody', async () => {
    expect((await ask('GET', '/v1/nothing')).status).toBe(404)
    expect((await ask('GET', '/health', undefined, null)).told).toEqual({ status: 'ok', name: 'crm' })
  })

  it('is on loopback, or has TLS', async () => {
    await expect(serveAdmin({ guard: at.guard, host: '0.0.0.0', port: 0 })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })
})

it('is not opened by an embedded guard, whose configuration may not ask for it', async () => {
  const { folderWith, env } = await import('../../config/support.ts')
  Object.assign(process.env, env)
  await expect(guard({ config: await folderWith() })).rejects.toMatchObject({
    code: 'ERR_OPTION_INVALID',
    message: expect.stringContaining('serveAdmin of counterfoil/admin'),
  })
})
