/** What is kept of an HTTP reply: its head without secrets, its body as it left. */
import { afterAll, beforeAll, expect, it } from 'vitest'
import { controlled } from '../../../adapters/express/index.ts'
import type { Control } from '../../../lib/control.ts'
import { decodeEvents } from '../../../lib/format/timeline.ts'
import { type Fixture, fixture, maskControl, requester } from '../../support/guard.ts'
import { serve } from '../express/support.ts'
import type { Served } from './client.ts'

const recorded: Control = {
  ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
  ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
}
let at: Fixture
let served: Served
beforeAll(async () => {
  at = await fixture([{ ...maskControl, covers: { resource: 'crm/customers/**' } }, recorded])
  served = await serve(app => {
    app.use(controlled(at.guard, { subject: () => requester }))
    app.get('/customers/1', (_, response) => void response.cookie('session', 'canary').json({ ssn: '123-45-6789' }))
  })
})
afterAll(async () => {
  await served.close()
  await at.guard.close()
})

it('is the head without cookies, and the masked body', async () => {
  const { text } = await served.ask('/customers/1')
  const [entry] = await at.of('attachment')
  const events = []
  for await (const { channel, bytes } of decodeEvents(at.ledger.attachment(entry!.attachment))) {
    events.push([channel, Buffer.from(bytes).toString()])
  }
  const [[, head], [, body]] = events as [[string, string], [string, string]]
  expect(head).toMatch(/^\{"kind":"json"\}\nHTTP\/1\.1 200 OK\r\n/)
  expect(head).toContain('set-cookie: [withheld]')
  expect(head).not.toMatch(/etag|content-length/)
  expect(`${head}${body}`).not.toMatch(/canary|123-45/)
  expect(body).toBe(text)
})
