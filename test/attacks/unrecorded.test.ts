import { describe, expect, it } from 'vitest'
import { Fault } from '../../lib/errors.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import type { Frame, Reply } from '../../lib/reply.ts'
import { ask, dba, fixture, grantControl, json, maskControl, operation, person, requester } from '../support/guard.ts'

const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }

async function* frames(...given: Frame[]): Reply & AsyncGenerator<Frame> {
  yield* given
}

describe('whatever is asked leaves an entry', () => {
  const long = [{ action: 'select', resource: `crm/${'x'.repeat(600)}` }]

  it.each([
    ['a resource too long for an entry', { accesses: long }],
    ['a text that is no Unicode', { action: { statement: '\ud800' } }],
    ['a member named by a number', { action: { body: { '1': 'x' } } }],
  ])('%s is refused, and the refusal is recorded', async (_, asked) => {
    const at = await fixture([])
    await expect(ask(at, requester, asked)).rejects.toMatchObject({ code: 'ERR_ENTRY_MALFORMED' })
    await expect(ask(at, person('stranger@crm.example'), asked)).rejects.toThrow()
    expect(await at.of('decision')).toMatchObject([
      { verdict: 'deny', code: 'ERR_ENTRY_MALFORMED' },
      { verdict: 'deny' },
    ])
  })

  it('an upstream whose error code is no word still leaves an outcome', async () => {
    const at = await fixture([])
    const reply = () =>
      frames({ type: 'head', form: { kind: 'empty' } }, { type: 'end', result: 'failed', code: 'no word' })
    await ask(at, requester, update, reply)
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', code: 'no-word' }])
  })

  it('an error with a name of any length still leaves an outcome', async () => {
    const at = await fixture([])
    const reply = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'empty' } }
      throw Object.assign(new Error(), { name: 'x'.repeat(900) })
    }
    await expect(ask(at, requester, {}, reply)).rejects.toThrow()
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed' }])
  })

  it('a reply that stops without an end says so in its outcome', async () => {
    const at = await fixture([])
    const reply = () => frames({ type: 'head', form: { kind: 'empty' } })
    await expect(ask(at, requester, {}, reply)).rejects.toMatchObject({ code: 'ERR_REPLY_TRUNCATED' })
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', code: 'ERR_REPLY_TRUNCATED' }])
  })
})

describe('a ledger that fails at an append', () => {
  const appends = [0, 1, 2, 3]
  const cases = appends.flatMap(good =>
    [update, {}].map(asked => [good, asked === update ? 'change' : 'read', asked] as const),
  )

  it.each(cases)('after %i appends shows nothing of a %s that it holds no decision on', async (good, _, asked) => {
    const real = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    let left = Number.POSITIVE_INFINITY
    const failing: Ledger = Object.assign(Object.create(real), {
      append: async (...given: Parameters<Ledger['append']>) => {
        left -= 1
        if (left < 0) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'no space')
        return real.append(...given)
      },
      disclosures: (index: number) => real.disclosures(index),
      entries: (from?: number) => real.entries(from),
      follow: (listener: Parameters<Ledger['follow']>[0]) => real.follow(listener),
    })
    const at = await fixture([], { ledger: failing })
    left = good
    let reached = false
    const seen: Frame['type'][] = []
    const exchange = at.guard.exchange({ operation: operation(asked), subject: requester })
    const origin = async function* (): AsyncGenerator<Frame> {
      reached = true
      yield { type: 'head', form: { kind: 'opaque' } }
      yield { type: 'data', channel: 'rows', bytes: Buffer.alloc(100_000), items: 1 }
      yield { type: 'end', result: 'completed' }
    }
    const code = await at.guard
      .handle(exchange, origin, frame => void seen.push(frame.type))
      .then(
        () => 'completed',
        error => error.code,
      )
    // The principal, the decision, the outcome: each is an append of its own.
    expect(code).toBe(good < 3 ? 'ERR_LEDGER_UNAVAILABLE' : 'completed')
    if (asked === update) expect(reached).toBe(good >= 2)
    expect(seen).toEqual(good < 2 ? [] : good < 3 ? ['head', 'data'] : ['head', 'data', 'end'])
    expect(await at.of('decision')).toHaveLength(good < 2 ? 0 : 1)
    expect(await at.of('outcome')).toHaveLength(good < 3 ? 0 : 1)
  })
})

describe('what is cut does not begin', () => {
  it('an exchange of a session that was cut before it reaches no upstream, and is recorded as refused', async () => {
    const at = await fixture([])
    let reached = false
    const exchange = at.guard.exchange({
      operation: operation(update),
      subject: requester,
      signal: AbortSignal.abort(new Error('cut')),
    })
    const origin = () => {
      reached = true
      return json('{}')
    }
    await expect(at.guard.handle(exchange, origin, () => undefined)).rejects.toThrow('cut')
    expect(reached).toBe(false)
    expect(await at.of('decision')).toMatchObject([{ verdict: 'deny' }])
  })

  it('a grant revoked while the decision is being written lets nothing through', async () => {
    const real = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    let meanwhile = async () => {}
    // A slow disk: there is time for something else before the append resolves.
    const slow: Ledger = Object.assign(Object.create(real), {
      append: async (...given: Parameters<Ledger['append']>) => {
        const stored = await real.append(...given)
        if (given[0][0]?.kind === 'decision') await meanwhile()
        return stored
      },
      disclosures: (index: number) => real.disclosures(index),
      entries: (from?: number) => real.entries(from),
      follow: (listener: Parameters<Ledger['follow']>[0]) => real.follow(listener),
    })
    const at = await fixture([grantControl], { ledger: slow })
    const asked = { resource: 'crm/**', actions: ['update'], seconds: 10, reason: 'a ticket' }
    const id = await at.guard.desk.request(requester, asked)
    await at.guard.desk.approve(dba, id)
    meanwhile = () => at.guard.desk.revoke(requester, id)
    let reached = false
    const reply = () => {
      reached = true
      return json('{}')
    }
    await expect(ask(at, requester, update, reply)).rejects.toMatchObject({ code: 'ERR_GRANT_EXPIRED' })
    expect(reached).toBe(false)
    expect(await at.of('outcome')).toMatchObject([{ result: 'aborted', code: 'ERR_GRANT_EXPIRED' }])
  })

  it('data that comes before any head is not shown under a mask', async () => {
    const at = await fixture([maskControl])
    const bytes = Buffer.from('{"ssn":"canary-4711"}')
    const reply = () => frames({ type: 'data', channel: 'body', bytes, items: 1 }, { type: 'end', result: 'completed' })
    await expect(ask(at, requester, {}, reply)).rejects.toMatchObject({ code: 'ERR_MASK_FAILED' })
  })
})
