/** What is kept of a reply where a control asks for it: as it was shown, encrypted, durable before the outcome says so. */
import { describe, expect, it } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { Fault } from '../../lib/errors.ts'
import type { Exchange } from '../../lib/exchange.ts'
import { commitment } from '../../lib/format/disclosure.ts'
import { decodeEvents, timelineType } from '../../lib/format/timeline.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import type { Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import { ask, type Fixture, fixture, json, maskControl, operation, requester } from '../support/guard.ts'

const recorded = (record: NonNullable<Control['record']>): Control => ({
  ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
  covers: { resource: 'crm/**' },
  record,
})
const customer = '{"name":"Customer 0001","ssn":"123-45-6789"}'

async function contentOf({ ledger }: Fixture, id: string): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of ledger.attachment(id)) parts.push(part)
  return Buffer.concat(parts)
}

async function* pieces(bytes: Uint8Array, of: number) {
  for (let at = 0; at < bytes.length; at += of) yield bytes.subarray(at, at + of)
}

async function events(at: Fixture, id: string) {
  const found = []
  for await (const { channel, bytes } of decodeEvents(pieces(await contentOf(at, id), 7))) {
    found.push([channel, Buffer.from(bytes).toString()])
  }
  return found
}

describe('a reply that a control wants kept', () => {
  it('is an attachment, masked, which the entry before the outcome commits to', async () => {
    const at = await fixture([{ ...maskControl, mask: { ssn: 'last4' } }, recorded({ response: 'masked' })])
    await ask(at, requester, {}, () => json(customer))
    const kinds = (await at.entries()).map(({ kind }) => kind)
    expect(kinds.slice(-3)).toEqual(['decision', 'attachment', 'outcome'])
    const [entry] = await at.of('attachment')
    const [outcome] = await at.of('outcome')
    expect(entry).toMatchObject({ v: 2, exchange: outcome!.exchange, part: 'response', type: timelineType, chunks: 1 })
    const content = await contentOf(at, entry!.attachment)
    expect(content).toHaveLength(entry!.bytes)
    expect(content.includes('123-45')).toBe(false)
    expect(await events(at, entry!.attachment)).toEqual([
      ['head', '{"kind":"json"}\n'],
      ['body', '{"name":"Customer 0001","ssn":"****6789"}'],
    ])
    for await (const { index, entry: stored } of at.ledger.entries()) {
      if (stored.kind !== 'attachment') continue
      const { contentSalt } = await at.ledger.disclosures(index)
      expect(commitment(contentSalt as string, content)).toBe(stored.content)
    }
  })

  it.each([{}, { response: 'digest' }] as const)('is not kept where none asks: %o', async record => {
    const at = await fixture([recorded(record)])
    await ask(at, requester, {}, () => json(customer))
    expect(await at.of('attachment')).toEqual([])
    expect(await at.of('outcome')).toHaveLength(1)
  })

  it('is kept as far as it went where it is cut, or fails', async () => {
    const at = await fixture([recorded({ response: 'masked' })])
    const asked = ask(at, requester, { read: false }, signal =>
      (async function* (): AsyncGenerator<Frame> {
        yield { type: 'head', form: { kind: 'opaque' } }
        yield { type: 'data', channel: 'body', bytes: Buffer.from('begun'), items: 1 }
        await race(Promise.reject(new Fault('ERR_UPSTREAM', 'it has died')), signal)
      })(),
    )
    await expect(asked).rejects.toMatchObject({ code: 'ERR_UPSTREAM' })
    const [entry] = await at.of('attachment')
    expect((await at.entries()).at(-1)).toMatchObject({ kind: 'outcome', result: 'failed' })
    expect((await events(at, entry!.attachment)).at(-1)).toEqual(['body', 'begun'])
  })

  it('is not shown where it cannot be kept', async () => {
    const memory = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    const full = new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
    const ledger = Object.create(memory, { attach: { value: () => Promise.reject(full) } }) as typeof memory
    for (const name of ['append', 'entries', 'disclosures', 'follow', 'close'] as const) {
      Object.defineProperty(ledger, name, { value: memory[name].bind(memory) })
    }
    const at = await fixture([recorded({ response: 'masked' })], { ledger })
    await expect(ask(at, requester, {}, () => json(customer))).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', bytes: 0 }])
  })

  it('takes no harm from what is typed as it ends, or after', async () => {
    const at = await fixture([recorded({ response: 'masked' })])
    const exchange = at.guard.exchange({ operation: operation({ read: false }), subject: requester })
    const late = () => exchange.heard({ channel: 'stdin', bytes: Buffer.from('late') })
    const end = await at.guard.handle(
      exchange,
      () => json('{}'),
      async frame => {
        if (frame.type === 'end') await late()
      },
    )
    expect(end.result).toBe('completed')
    await late()
    expect(exchange.signal.aborted).toBe(false)
    const [entry] = await at.of('attachment')
    expect((await events(at, entry!.attachment)).map(([channel]) => channel)).toEqual(['head', 'body'])
  })

  it('of a terminal is an asciicast: size, what was shown, what was typed but for a password, and resizes', async () => {
    const at = await fixture([recorded({ response: 'masked' })])
    let exchange: Exchange
    const type = (text: string) => exchange.heard({ channel: 'stdin', bytes: Buffer.from(text) })
    const show = (text: string | Buffer): Frame => ({
      type: 'data',
      channel: 'stdout',
      bytes: Buffer.from(text),
      items: 1,
    })
    const cross = Buffer.from('é')
    exchange = at.guard.exchange({ operation: operation(), subject: requester })
    const reply = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'text', terminal: { columns: 80, rows: 24, term: 'xterm' } } }
      yield show(cross.subarray(0, 1))
      yield show(cross.subarray(1))
      await type('sudo x\r')
      yield show('\r\n\u001b[1m[sudo] password for user: \u001b[0m')
      await type('hun')
      await type('ter2\rls\r')
      await exchange.heard({ channel: 'resize', bytes: Buffer.from('100x30') })
      yield show('done')
      yield { type: 'end', result: 'completed' }
    }
    await at.guard.handle(exchange, reply, () => undefined)
    const [entry] = await at.of('attachment')
    expect(entry).toMatchObject({ part: 'terminal', type: 'application/x-asciicast' })
    const [head, ...lines] = (await contentOf(at, entry!.attachment))
      .toString()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(head).toEqual({ version: 2, width: 80, height: 24, timestamp: expect.any(Number), env: { TERM: 'xterm' } })
    expect(lines.map(([, channel, text]: [number, string, string]) => [channel, text])).toEqual([
      ['o', 'é'],
      ['i', 'sudo x\r'],
      ['o', '\r\n\u001b[1m[sudo] password for user: \u001b[0m'],
      ['i', '[withheld]'],
      ['i', '\rls\r'],
      ['r', '100x30'],
      ['o', 'done'],
    ])
  })
})

describe('a request', () => {
  it('is disclosed, but where every control wants its digest only', async () => {
    const disclosed = async (...controls: Control[]) => {
      const at = await fixture(controls)
      await ask(at, requester, { action: { statement: 'select 1' } })
      for await (const { index, entry } of at.ledger.entries()) {
        if (entry.kind === 'decision') return (await at.ledger.disclosures(index)).action
      }
      return 'no decision'
    }
    expect(await disclosed()).toEqual({ statement: 'select 1' })
    expect(await disclosed(recorded({ request: 'digest' }))).toBeUndefined()
    expect(
      await disclosed(recorded({ request: 'digest' }), { ...recorded({ request: 'masked' }), id: 'RC-02' }),
    ).toEqual({
      statement: 'select 1',
    })
  })
})
