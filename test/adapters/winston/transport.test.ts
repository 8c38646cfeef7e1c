/** winston's own logger with our transport: events become entries, and what is lost is counted. */
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import winston from 'winston'
import { type LedgerTransportOptions, ledgerTransport } from '../../../adapters/winston/index.ts'
import { onBehalfOf } from '../../../lib/current.ts'
import { Fault } from '../../../lib/errors.ts'
import type { Json } from '../../../lib/format/canonical.ts'
import type { Entry } from '../../../lib/format/entry.ts'
import type { Ledger } from '../../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../../lib/ledger/memory.ts'
import { fixture, json, operation, requester } from '../../support/guard.ts'

async function opened(options: Partial<LedgerTransportOptions> = {}) {
  const ledger = options.ledger ?? (await openMemoryLedger({ origin: 'crm', writer: 'crm' }))
  const transport = ledgerTransport({ ledger, source: 'shop', ...options })
  const logger = winston.createLogger({ level: 'info', transports: [transport] })
  const flush = async () => {
    const finished = once(transport, 'finish')
    logger.end()
    await finished
  }
  return { ledger, transport, logger, flush }
}

async function recorded(ledger: Ledger): Promise<{ entry: Entry; disclosed: Readonly<Record<string, Json>> }[]> {
  const found = []
  for await (const { index, entry } of ledger.entries()) {
    if (entry.kind === 'event' || entry.kind === 'events-lost') {
      found.push({ entry, disclosed: await ledger.disclosures(index) })
    }
  }
  return found
}

/** A ledger whose appends wait until they are let through. */
function held(memory: Ledger) {
  let open: () => void = () => undefined
  const gate = new Promise<void>(resolve => {
    open = resolve
  })
  const ledger = Object.assign(Object.create(memory) as Ledger, {
    append: async (...given: Parameters<Ledger['append']>) => {
      await gate
      return memory.append(...given)
    },
  })
  return { ledger, open }
}

describe('an event', () => {
  it('is an entry with its name and level in clear, and the rest disclosed without secrets', async () => {
    const { ledger, logger, flush } = await opened()
    logger.warn('a login failed', { event: 'login-failed', user: 'c1@customer.example', password: 'canary', n: 3n })
    logger.debug('not of this level')
    await flush()
    const [one, ...more] = await recorded(ledger)
    expect(more).toEqual([])
    expect(one!.entry).toMatchObject({ v: 2, source: 'shop', event: 'login-failed', level: 'warn' })
    expect(JSON.stringify(one!.entry)).not.toContain('c1@customer')
    expect(one!.disclosed).toEqual({
      message: 'a login failed',
      details: { user: 'c1@customer.example', password: '[withheld]', n: '3' },
    })
  })

  it('of any shape is an entry', async () => {
    const { ledger, logger, flush } = await opened()
    const circle: Record<string, unknown> = {}
    circle.self = circle
    logger.info('circle', circle)
    logger.info('lone \ud800', { event: 'has spaces \ud800', 7: 'seven' })
    logger.info('x'.repeat(100_000), { big: 'y'.repeat(100_000) })
    logger.error(new Error('as an error') as never)
    await flush()
    expect(await recorded(ledger)).toHaveLength(4)
  })

  it('that happens on behalf of an exchange cites it', async () => {
    const at = await fixture([])
    const { logger, flush } = await opened({ ledger: at.ledger })
    const exchanges: string[] = []
    const exchange = at.guard.exchange({ operation: operation(), subject: requester })
    await at.guard.handle(
      exchange,
      taken => {
        onBehalfOf(taken, () => logger.info('read', { event: 'export' }))
        exchanges.push(taken.id)
        return json('{}')
      },
      () => undefined,
    )
    await flush()
    const [event] = await at.of('event')
    expect(event).toMatchObject({ exchange: exchanges[0], subject: (await at.of('decision')).at(-1)!.subject })
  })
})

describe('where events come faster than they are written', () => {
  it('as many are kept as may wait, and how many were lost is an entry', async () => {
    const memory = await openMemoryLedger({ origin: 'crm', writer: 'crm' })
    const { ledger, open } = held(memory)
    const { logger, flush } = await opened({ ledger, most: 10 })
    for (let i = 0; i < 25; i += 1) logger.info(`event ${i}`)
    open()
    await flush()
    const found = await recorded(memory)
    expect(found.filter(({ entry }) => entry.kind === 'event')).toHaveLength(10)
    expect(found.at(-1)!.entry).toMatchObject({ kind: 'events-lost', source: 'shop', lost: 15 })
  })

  it('or it is an error, where that was asked for', async () => {
    const memory = await openMemoryLedger({ origin: 'crm', writer: 'crm' })
    const { ledger, open } = held(memory)
    const { logger, flush } = await opened({ ledger, most: 1, overflow: 'fail' })
    const failed = once(logger, 'error')
    logger.info('one')
    logger.info('two')
    expect((await failed)[0]).toMatchObject({ message: expect.stringContaining('more than 1') })
    open()
    await flush()
    expect(await recorded(memory)).toHaveLength(1)
  })
})

it('a ledger that fails is told as an error of the transport', async () => {
  const memory = await openMemoryLedger({ origin: 'crm', writer: 'crm' })
  const ledger = Object.assign(Object.create(memory) as Ledger, {
    append: () => Promise.reject(new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')),
  })
  const { logger } = await opened({ ledger })
  const failed = once(logger, 'error')
  logger.info('one')
  expect((await failed)[0]).toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
})

it.each([{ source: '' }, { source: 'two words' }, { most: 0 }, { most: 1.5 }])('refuses %o', async options => {
  await expect(opened(options)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
})
