/** Streams under a mask, through express and koa: records and events leave masked as they come, and none waits for the next. */
import { once } from 'node:events'
import http from 'node:http'
import { PassThrough } from 'node:stream'
import express from 'express'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { controlled as expressControlled } from '../../../adapters/express/index.ts'
import { formOfType } from '../../../adapters/http/head.ts'
import { controlled as koaControlled } from '../../../adapters/koa/index.ts'
import { showTimeline } from '../../../cli/replay/timeline.ts'
import type { Control } from '../../../lib/control.ts'
import { decodeEvents } from '../../../lib/format/timeline.ts'
import type { Gate } from '../../../lib/gate.ts'
import { type Fixture, fixture, maskControl, requester } from '../../support/guard.ts'
import { listen } from './client.ts'

/** Writes a reply, piece by piece, and waits where the client does. */
type Handler = (write: (text: string) => Promise<void>) => Promise<void>
interface Route {
  readonly type: string
  readonly handler: Handler
}

const served: Readonly<Record<string, (gate: Gate, route: () => Route) => http.RequestListener>> = {
  express: (gate, route) => {
    const app = express()
    app.use(expressControlled(gate, { subject: () => requester }))
    app.get('/', (_, response) => {
      const { type, handler } = route()
      response.setHeader('content-type', type)
      const write = async (text: string) => {
        if (!response.write(text)) await once(response, 'drain')
      }
      void handler(write).then(
        () => response.end(),
        () => response.destroy(),
      )
    })
    return app
  },
  koa: (gate, route) => {
    const app = new Koa()
    app.silent = true
    app.use(koaControlled(gate, { subject: () => requester }))
    app.use(context => {
      const { type, handler } = route()
      const body = new PassThrough()
      context.type = type
      context.body = body
      const write = async (text: string) => {
        if (!body.write(text)) await once(body, 'drain')
      }
      void handler(write).then(
        () => body.end(),
        () => body.destroy(),
      )
    })
    return app.callback()
  },
}

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const detect: Control = { ...maskControl, covers: { resource: 'crm/**' }, mask: { '*': 'detect' } }
const fields: Control = { ...maskControl, covers: { resource: 'crm/**' } }
const kept: Control = { ...fields, id: 'RC-01', record: { response: 'masked' } }

describe.each(Object.keys(served))('through %s', name => {
  async function open(type: string, handler: Handler, controls: readonly Control[] = [fields]) {
    const at: Fixture = await fixture(controls)
    closing.push(() => at.guard.close())
    const server = await listen(served[name]!(at.guard, () => ({ type, handler })))
    closing.push(server.close)
    return { at, ...server }
  }
  const saying =
    (text: string): Handler =>
    write =>
      write(text)

  /** A client that hears each piece as it comes. */
  async function hearing(port: number) {
    const request = http.get({ port, host: '127.0.0.1', path: '/', agent: false })
    request.on('error', () => undefined)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const heard = { text: '', over: false }
    response.setEncoding('utf8').on('data', (part: string) => {
      heard.text += part
    })
    response.on('error', () => undefined)
    response.on('close', () => {
      heard.over = true
    })
    return { heard, response, hangUp: () => request.destroy() }
  }

  it('records are masked and counted, and the outcome says which fields they had', async () => {
    const text = '{"ssn":"900-12-3456"}\n{"ssn":"900-12-3457","a":1}\n\n{}\n'
    const { ask, at } = await open('application/x-ndjson', saying(text))
    expect(await ask('/')).toMatchObject({
      status: 200,
      text: '{"ssn":"****3456"}\n{"ssn":"****3457","a":1}\n\n{}\n',
      whole: true,
    })
    expect(await at.of('outcome')).toMatchObject([{ items: 3, masked: ['CF-01:email:absent', 'CF-01:ssn:last4'] }])
  })

  it('a sequence is masked, text by text', async () => {
    const { ask } = await open('application/json-seq', saying('\u001e{"email":\n"c1@customer.example"}\n'))
    expect((await ask('/')).text).toBe('\u001e{"email":\n"[redacted]"}\n')
  })

  it('plain text is searched under a mask that looks for patterns, and refused under another', async () => {
    const handler = saying('write to c1@customer.example')
    const searched = await open('text/plain; charset=utf-8', handler, [detect])
    expect((await searched.ask('/')).text).toBe('write to [email]')
    for (const [type, control] of [
      ['text/plain', fields],
      ['text/html', detect],
      ['text/plain; charset=utf-16', detect],
    ] as const) {
      const refused = await open(type, handler, [control])
      expect(await refused.ask('/')).toMatchObject({ status: 403, text: expect.not.stringContaining('c1@') })
    }
  })

  /** A handler that writes what the test gives it, when it does. */
  function fed() {
    const source = new PassThrough({ objectMode: true })
    const handler: Handler = async write => {
      for await (const part of source) await write(part as string)
    }
    return { source, handler }
  }

  it('each event leaves as it is whole, and a heartbeat at once, within another event too', async () => {
    const { source, handler } = fed()
    const { port, at } = await open('text/event-stream', handler)
    source.write(': still here\n\n')
    const { heard } = await hearing(port)
    await expect.poll(() => heard.text).toBe(':\n\n')
    source.write('data: {"ssn":')
    source.write('"900-12-3456"}\n: again\n')
    await expect.poll(() => heard.text).toBe(':\n\n:\n')
    source.write('\n')
    await expect.poll(() => heard.text).toBe(':\n\n:\ndata: {"ssn":"****3456"}\n\n')
    source.end('data: [DONE]\n\n')
    await expect.poll(() => heard.over).toBe(true)
    expect(heard.text).toBe(':\n\n:\ndata: {"ssn":"****3456"}\n\ndata: [DONE]\n\n')
    expect(await at.of('outcome')).toMatchObject([{ items: 2, masked: ['CF-01:email:absent', 'CF-01:ssn:last4'] }])
  })

  it('a record leaves while the handlers make the next', async () => {
    const { source, handler } = fed()
    const { port } = await open('application/jsonl', handler)
    source.write('{"ssn":"900-12-3456"}\n{"ssn":"900')
    const { heard } = await hearing(port)
    await expect.poll(() => heard.text).toBe('{"ssn":"****3456"}\n')
    source.end('-12-3457"}\n')
    await expect.poll(() => heard.over).toBe(true)
    expect(heard.text).toBe('{"ssn":"****3456"}\n{"ssn":"****3457"}\n')
  })

  it('what cannot be masked ends the reply, and shows nothing of itself', async () => {
    const { source, handler } = fed()
    const { port, at } = await open('text/event-stream', handler)
    source.write('data: {"ssn":1}\n\n')
    const { heard, response } = await hearing(port)
    await expect.poll(() => heard.text).toBe('data: {"ssn":"[redacted]"}\n\n')
    source.write('data: it is 900-12-3456\n\n')
    await expect.poll(() => heard.over).toBe(true)
    expect({ text: heard.text, whole: response.complete }).toEqual({
      text: 'data: {"ssn":"[redacted]"}\n\n',
      whole: false,
    })
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', code: 'ERR_MASK_FAILED', items: 1 }])
  })

  it('a client that hangs up ends the stream, and the outcome still accounts for every field', async () => {
    const { source, handler } = fed()
    const { port, at } = await open('application/x-ndjson', handler)
    source.write('{"ssn":"900-12-3456"}\n')
    const { heard, hangUp } = await hearing(port)
    await expect.poll(() => heard.text).toContain('3456')
    hangUp()
    await expect.poll(() => at.of('outcome')).toHaveLength(1)
    expect(await at.of('outcome')).toMatchObject([
      { result: 'aborted', items: 1, masked: ['CF-01:email:absent', 'CF-01:ssn:last4'] },
    ])
    source.destroy()
  })

  it('a client that does not read stops the handlers, and hears all of it once it does', async () => {
    const line = `${JSON.stringify({ ssn: '900-12-3456', fill: 'x'.repeat(16 * 1024) })}\n`
    const most = 64 * 1024 * 1024
    let written = 0
    const { port } = await open('application/x-ndjson', async write => {
      while (written < most) {
        written += line.length
        await write(line)
      }
    })
    const request = http.get({ port, host: '127.0.0.1', path: '/', agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    let before = -1
    let still = 0
    await expect
      .poll(
        () => {
          still = written === before ? still + 1 : 0
          before = written
          return still
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThan(5)
    expect(written).toBeLessThan(most / 2)
    let [heard, clear] = [0, 0]
    response.on('data', (part: Buffer) => {
      heard += part.length
      if (part.includes('900-12')) clear += 1
    })
    await once(response, 'close')
    expect({ whole: response.complete, clear, written }).toEqual({ whole: true, clear: 0, written: expect.any(Number) })
    expect(heard).toBe((written / line.length) * (line.length + '****3456'.length - '900-12-3456'.length))
  })

  it('a recording shows what was shown', async () => {
    const { ask, at } = await open('text/event-stream', saying(': x\ndata: {"ssn":"900-12-3456"}\n\n'), [kept])
    const { text } = await ask('/')
    const [entry] = await at.of('attachment')
    const events: string[] = []
    for await (const { bytes } of decodeEvents(at.ledger.attachment(entry!.attachment)))
      events.push(Buffer.from(bytes).toString())
    expect(events[0]).toMatch(/^\{"kind":"events"\}\nHTTP\/1\.1 200 OK\r\n/)
    expect(events.slice(1).join('')).toBe(text)
    let replayed = ''
    await showTimeline(decodeEvents(at.ledger.attachment(entry!.attachment)), part => {
      replayed += part
    })
    expect(replayed).toContain(':\ndata: {"ssn":"****3456"}\n')
    expect(replayed).not.toContain('900-12')
  })
})

// biome-ignore format: a table
const types: [string, string][] = [
  ['application/json; charset=utf-16',         'json'],
  ['Application/VND.crm+JSON',                 'json'],
  ['application/x-ndjson',                     'json-lines'],
  ['application/ndjson;charset="UTF-8"',       'json-lines'],
  ['application/jsonl',                        'json-lines'],
  ['application/json-lines',                   'json-lines'],
  ['application/x-ndjson; charset=utf-16le',   'opaque'],
  ['application/json-seq',                     'json-sequence'],
  ['application/geo+json-seq',                 'json-sequence'],
  ['text/event-stream;charset=utf-8',          'events'],
  ['text/event-stream; charset=utf-16',        'opaque'],
  ['text/plain',                               'text'],
  ['text/plain; charset=us-ascii; format=flowed', 'text'],
  ['text/plain; charset=utf-7',                'opaque'],
  ['text/csv',                                 'text'],
  ['text/html',                                'opaque'],
  ['text/markdown',                            'opaque'],
  ['text/javascript',                          'opaque'],
  ['application/json, text/plain',             'opaque'],
  ['',                                         'opaque'],
]
it.each(types)('the type %s is %s', (type, kind) => {
  expect(formOfType(type).kind).toBe(kind)
})
