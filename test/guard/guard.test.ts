import { describe, expect, it, onTestFinished } from 'vitest'
import { Fault, Refusal } from '../../lib/errors.ts'
import { actionCommitment } from '../../lib/format/disclosure.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import type { Move } from '../../lib/operation.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import type { Frame } from '../../lib/reply.ts'
import { mostWaiting } from '../../lib/requests.ts'
import { race } from '../../lib/run.ts'
import { ledgerOptions } from '../support/directory-ledger.ts'
import {
  agent,
  approvalControl,
  ask,
  dba,
  type Fixture,
  fixture,
  grantControl,
  json,
  maskControl,
  operation,
  owner,
  person,
  requester,
  rules,
  secondDba,
} from '../support/guard.ts'

const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }
const drop = { accesses: [{ action: 'drop', resource: 'crm/public.legacy' }], risk: 'high' as const }

describe('what is recorded', () => {
  it('a permitted read leaves a decision and an outcome that commits to what was offered', async () => {
    const at = await fixture()
    await ask(at, requester, {}, () => json('{"a":1}'))
    const [decision] = await at.of('decision')
    const [outcome] = await at.of('outcome')
    expect(decision).toMatchObject({ verdict: 'permit', read: true, method: 'key' })
    expect(outcome).toMatchObject({ exchange: decision!.exchange, result: 'completed', bytes: 7, items: 1 })
    expect(outcome!.offered).toMatch(/^[\w-]{43}$/)
  })

  it('a denied operation leaves one entry, and never reaches the upstream', async () => {
    const at = await fixture()
    let reached = false
    const stranger = person('stranger@crm.example')
    const asked = ask(at, stranger, {}, () => {
      reached = true
      return json('{}')
    })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    expect(reached).toBe(false)
    expect(await at.of('decision')).toMatchObject([{ verdict: 'deny', code: 'ERR_ACCESS_DENIED' }])
    expect(await at.of('outcome')).toEqual([])
  })

  it('no entry holds a name, an address or an action in clear', async () => {
    const at = await fixture()
    await ask(at, requester, { action: { statement: 'select canary-4711' } })
    const text = JSON.stringify(await at.entries())
    for (const secret of ['requester@', '127.0.0.1', 'canary-4711']) expect(text).not.toContain(secret)
  })

  it('whoever opens the disclosures can recompute the commitment to the action', async () => {
    const at = await fixture()
    await ask(at, requester, { action: { statement: 'select 1' } })
    for await (const { index, entry } of at.ledger.entries()) {
      if (entry.kind !== 'decision') continue
      const opened = await at.ledger.disclosures(index)
      expect(opened).toMatchObject({ address: '127.0.0.1', action: { statement: 'select 1' } })
      expect(actionCommitment(opened.actionSalt as string, opened.action!)).toBe(entry.action)
    }
  })

  it('the decision of a change is durable before the upstream is asked', async () => {
    const at = await fixture([])
    let decisionsSeen = -1
    await ask(at, requester, update, () =>
      (async function* () {
        decisionsSeen = (await at.of('decision')).length
        yield* json('{}')
      })(),
    )
    expect(decisionsSeen).toBe(1)
  })

  it('no byte of a long read leaves before its decision is durable', async () => {
    const at = await fixture([])
    const chunk = Buffer.alloc(40_000, 'x')
    const seen: number[] = []
    const exchange = at.guard.exchange({ operation: operation(), subject: requester })
    const reply = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'opaque' } }
      for (let i = 0; i < 4; i += 1) yield { type: 'data', channel: 'rows', bytes: chunk, items: 1 }
      yield { type: 'end', result: 'completed' }
    }
    await at.guard.handle(exchange, reply, async frame => {
      if (frame.type === 'data') seen.push((await at.of('decision')).length)
    })
    expect(seen).toEqual([1, 1, 1, 1])
    expect(await at.of('outcome')).toMatchObject([{ bytes: 160_000, items: 4 }])
  })

  it('a read whose upstream falls silent is released, its decision durable, before its end', async () => {
    const at = await fixture([])
    let decisions = -1
    let proceed: () => void = () => undefined
    const gone = new Promise<void>(resolve => {
      proceed = resolve
    })
    const exchange = at.guard.exchange({ operation: operation(), subject: requester })
    const slow = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'opaque' } }
      yield { type: 'data', channel: 'body', bytes: Buffer.from('event'), items: 1 }
      await race(gone, exchange.signal)
      yield { type: 'end', result: 'completed' }
    }
    await at.guard.handle(exchange, slow, async frame => {
      if (frame.type !== 'data') return
      decisions = (await at.of('decision')).length
      proceed()
    })
    expect(decisions).toBe(1)
    expect(await at.of('outcome')).toMatchObject([{ result: 'completed', bytes: 5, items: 1 }])
  })

  it('a subject that hangs up on a silent upstream leaves an outcome of what it was offered', async () => {
    const at = await fixture([])
    const hangUp = new AbortController()
    const exchange = at.guard.exchange({ operation: operation(), subject: requester, signal: hangUp.signal })
    const silent = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'opaque' } }
      yield { type: 'data', channel: 'body', bytes: Buffer.from('event'), items: 1 }
      await race(new Promise(() => undefined), exchange.signal)
    }
    const handled = at.guard.handle(exchange, silent, frame => {
      if (frame.type === 'data') hangUp.abort(new Error('gone'))
    })
    await expect(handled).rejects.toThrow('gone')
    expect(await at.of('outcome')).toMatchObject([{ result: 'aborted', bytes: 5, items: 1 }])
  })

  it('a read that is asked for piece by piece is recorded before anything of it is forwarded, and none of it is held back', async () => {
    const at = await fixture()
    let recorded = 0
    const seen: string[] = []
    const exchange = at.guard.exchange({ operation: operation({ piecemeal: true }), subject: requester })
    let more: () => void = () => undefined
    const answered = new Promise<void>(resolve => {
      more = resolve
    })
    await at.guard.handle(
      exchange,
      async function* () {
        recorded = (await at.of('decision')).length
        yield { type: 'head', form: { kind: 'empty' } }
        yield { type: 'data', channel: 'file', bytes: Buffer.from('first'), items: 1 }
        // What comes next is asked for by whoever has seen the first.
        await race(answered, exchange.signal)
        yield { type: 'end', result: 'completed' }
      },
      frame => {
        seen.push(frame.type)
        if (frame.type === 'data') more()
      },
    )
    expect(recorded).toBe(1)
    expect(seen).toEqual(['head', 'data', 'end'])
    expect(await at.of('decision')).toMatchObject([{ read: true, durability: 'durable' }])
  })

  it('an upstream that fails leaves an outcome, and nothing that was held back counts as offered', async () => {
    const at = await fixture([])
    const failing = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'opaque' } }
      yield { type: 'data', channel: 'rows', bytes: Buffer.from('held'), items: 1 }
      throw new Fault('ERR_UPSTREAM', 'gone')
    }
    await expect(ask(at, requester, {}, failing)).rejects.toMatchObject({ code: 'ERR_UPSTREAM' })
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed', code: 'ERR_UPSTREAM', bytes: 0, items: 0 }])
  })

  it('a reply without an end is an error, and is recorded as one', async () => {
    const at = await fixture([])
    const cut = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'empty' } }
    }
    await expect(ask(at, requester, update, cut)).rejects.toMatchObject({ code: 'ERR_REPLY_TRUNCATED' })
    expect(await at.of('outcome')).toMatchObject([{ result: 'failed' }])
  })
})

describe('a ledger that cannot be written', () => {
  async function failing() {
    const ledger = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    let broken = false
    const proxy: Ledger = Object.assign(Object.create(ledger), {
      append: async (...given: Parameters<Ledger['append']>) => {
        if (broken) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
        return ledger.append(...given)
      },
      entries: ledger.entries.bind(ledger),
      disclosures: ledger.disclosures.bind(ledger),
      follow: ledger.follow.bind(ledger),
    })
    const at = await fixture([], { ledger: proxy })
    await ask(at, requester)
    broken = true
    return at
  }

  it('forwards no change', async () => {
    const at = await failing()
    let reached = false
    const asked = ask(at, requester, update, () => {
      reached = true
      return json('{}')
    })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(reached).toBe(false)
  })

  it('lets no byte of a read leave', async () => {
    const at = await failing()
    const frames: Frame[] = []
    const exchange = at.guard.exchange({ operation: operation(), subject: requester })
    const handled = at.guard.handle(
      exchange,
      () => json('{"a":1}'),
      frame => void frames.push(frame),
    )
    await expect(handled).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(frames).toEqual([])
  })
})

describe('a grant', () => {
  it('is required, asked for, approved by another person, and then lets the operation run', async () => {
    const at = await fixture()
    await expect(ask(at, agent, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    const id = await at.guard.desk.request(agent, {
      resource: 'crm/public.customers',
      actions: ['update'],
      seconds: 30,
      reason: 'ticket 7',
    })
    await expect(ask(at, agent, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    await at.guard.desk.approve(dba, id)
    await ask(at, agent, update)
    expect((await at.of('decision')).at(-1)).toMatchObject({ verdict: 'permit', grant: id })
  })

  it.each([
    ['the agent itself', agent, 'not-a-person'],
    ['the person it acts for', requester, 'principal-of-request'],
    ['the person accountable for it', owner, 'owner-of-agent'],
  ])('cannot be approved by %s, and the attempt is recorded', async (_, approver, why) => {
    const at = await fixture()
    const id = await at.guard.desk.request(agent, {
      resource: 'crm/public.customers',
      actions: ['update'],
      seconds: 30,
      reason: 'ticket 7',
    })
    await expect(at.guard.desk.approve(approver, id)).rejects.toMatchObject({
      code: 'ERR_ACCESS_DENIED',
      data: { why },
    })
    expect(await at.of('attempt-refused')).toMatchObject([{ verb: 'approve', of: id, why }])
  })

  it('cannot be approved by the person who asked for it', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const id = await at.guard.desk.request(requester, request)
    const refused = at.guard.desk.approve(requester, id)
    await expect(refused).rejects.toMatchObject({ data: { why: 'own-request' } })
  })

  it('of an agent for one person is not live when it acts for another', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const id = await at.guard.desk.request(agent, request)
    await at.guard.desk.approve(dba, id)
    const alone = { ...agent, principal: undefined } as unknown as typeof agent
    await expect(ask(at, alone, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
  })

  it('that is refused when it is asked for is recorded, with what was asked for disclosed', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 61, reason: 'ticket 7' }
    await expect(at.guard.desk.request(agent, request)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    await expect(at.guard.desk.request(dba, { ...request, seconds: 1 })).rejects.toMatchObject({
      code: 'ERR_ACCESS_DENIED',
    })
    const long = { ...request, resource: `crm/${'x'.repeat(70_000)}` }
    await expect(at.guard.desk.request(dba, long)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    const denied = { protocol: 'desk', target: 'crm', verdict: 'deny', policy: at.guard.policy.digest }
    expect(await at.of('decision')).toMatchObject([
      { ...denied, code: 'ERR_OBLIGATION_UNMET', accesses: [{ action: 'request', resource: request.resource }] },
      { ...denied, code: 'ERR_ACCESS_DENIED' },
      { ...denied, code: 'ERR_ACCESS_DENIED', accesses: [] },
    ])
    for await (const { index, entry } of at.ledger.entries()) {
      if (entry.kind !== 'decision' || entry.code !== 'ERR_OBLIGATION_UNMET') continue
      expect(await at.ledger.disclosures(index)).toMatchObject({ action: { request } })
    }
    expect(await at.of('grant-requested')).toEqual([])
  })

  it('lapses where nobody has decided it for a day', async () => {
    let now = Date.now()
    const at = await fixture(undefined, { clock: { now: () => now } })
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const id = await at.guard.desk.request(requester, request)
    now += 86_400_000 - 1
    expect(await at.guard.desk.pending(dba)).toHaveLength(1)
    now += 1_000
    expect(await at.guard.desk.pending(dba)).toEqual([])
    await expect(at.guard.desk.approve(dba, id)).rejects.toMatchObject({ data: { why: 'nothing-to-decide' } })
  })

  it('cannot be asked for without end, nor can approvals', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const ids = []
    for (let i = 0; i < mostWaiting; i += 1) ids.push(await at.guard.desk.request(requester, request))
    await expect(at.guard.desk.request(requester, request)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    // Another's are counted apart, and a decision makes room.
    await at.guard.desk.request(agent, request)
    await at.guard.desk.deny(dba, ids[0]!)
    await at.guard.desk.request(requester, request)

    const unheld = (i: number) => ask(at, requester, { ...drop, action: { statement: i }, holdable: false })
    for (let i = 0; i < mostWaiting; i += 1)
      await expect(unheld(i)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    await expect(unheld(mostWaiting)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    // What is asked for already is found again.
    await expect(unheld(7)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    expect(await at.of('approval-requested')).toHaveLength(mostWaiting)
  })

  it('cannot be asked for many times at once to get past that, nor can approvals', async () => {
    // In a directory, where an entry is known when it is durable.
    const at = await fixture(undefined, { ledger: await openDirectoryLedger(ledgerOptions()) })
    onTestFinished(() => at.guard.close())
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const many = Array.from({ length: mostWaiting + 20 }, (_, i) => i)
    const asked = await Promise.allSettled(many.map(() => at.guard.desk.request(requester, request)))
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(mostWaiting)
    expect(await at.of('grant-requested')).toHaveLength(mostWaiting)
    const unheld = (i: number) => ask(at, requester, { ...drop, action: { statement: i }, holdable: false })
    await Promise.allSettled(many.map(unheld))
    expect(await at.of('approval-requested')).toHaveLength(mostWaiting)
  })

  it('asked for in words that no entry can hold is recorded as refused', async () => {
    const at = await fixture()
    const request = { actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const resources = ['/etc', 'crm /public.customers', 'crm/public.sch\u00f6n']
    for (const resource of resources)
      await at.guard.desk.request(requester, { ...request, resource }).catch(() => undefined)
    expect(await at.of('decision')).toMatchObject(resources.map(() => ({ protocol: 'desk', verdict: 'deny' })))
    expect(await at.of('grant-requested')).toEqual([])
  })

  it('is refused where it is longer than the controls allow, has no reason, or no right behind it', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const { desk } = at.guard
    await expect(desk.request(agent, { ...request, seconds: 61 })).rejects.toMatchObject({
      code: 'ERR_OBLIGATION_UNMET',
    })
    await expect(desk.request(agent, { ...request, reason: ' ' })).rejects.toMatchObject({
      code: 'ERR_OBLIGATION_UNMET',
    })
    await expect(desk.request(dba, request)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    // A slip in the action is told from a right that is missing, and only to who could ask for what was meant.
    const slip = { ...request, actions: ['upadte'] }
    await expect(desk.request(agent, slip)).rejects.toThrow(
      /it needs none; grants there are for update; did you mean "update"\?$/,
    )
    await expect(desk.request(dba, slip)).rejects.toThrow(/^no right to upadte on \S+$/)
  })

  it('cuts a silent reply the moment it is revoked', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const id = await at.guard.desk.request(agent, request)
    await at.guard.desk.approve(dba, id)
    const silent = (signal: AbortSignal) =>
      (async function* (): AsyncGenerator<Frame> {
        yield { type: 'head', form: { kind: 'empty' } }
        await race(new Promise(() => undefined), signal)
      })()
    const session = await at.guard.openSession({ subject: agent, protocol: 'test', target: 'crm', tls: false })
    const exchange = at.guard.exchange({ operation: operation(update), session })
    const handled = at.guard.handle(
      exchange,
      () => silent(exchange.signal),
      () => undefined,
    )
    setTimeout(() => void at.guard.desk.revoke(dba, id, 'enough'), 20)
    await expect(handled).rejects.toMatchObject({ code: 'ERR_GRANT_EXPIRED' })
    expect(session.signal.aborted).toBe(true)
    await session.close('client')
    expect(await at.of('outcome')).toMatchObject([{ result: 'aborted', code: 'ERR_GRANT_EXPIRED' }])
    expect(await at.of('session-closed')).toMatchObject([{ reason: 'grant-revoked', grant: id }])
  })

  it('lapses at its absolute end: the session that used it is cut', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 1, reason: 'ticket 7' }
    const id = await at.guard.desk.request(agent, request)
    await at.guard.desk.approve(dba, id)
    const session = await at.guard.openSession({ subject: agent, protocol: 'test', target: 'crm', tls: false })
    const exchange = at.guard.exchange({ operation: operation(update), session })
    await at.guard.handle(
      exchange,
      () => json('{}'),
      () => undefined,
    )
    await expect.poll(() => session.signal.aborted, { timeout: 5000 }).toBe(true)
    expect(session.signal.reason).toMatchObject({ code: 'ERR_GRANT_EXPIRED', data: { how: 'lapsed' } })
    await expect(ask(at, agent, update)).rejects.toMatchObject({ code: 'ERR_GRANT_EXPIRED' })
  })

  it('survives a restart: what is live is folded from the ledger', async () => {
    const at = await fixture()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 30, reason: 'ticket 7' }
    const id = await at.guard.desk.request(agent, request)
    await at.guard.desk.approve(dba, id)
    const again = await fixture(undefined, { ledger: at.ledger })
    await ask(again, agent, update)
    expect((await again.of('decision')).at(-1)).toMatchObject({ grant: id })
  })
})

describe('an approval', () => {
  it('is asked for by the exact action, given by another person, and lets it run once', async () => {
    const at = await fixture()
    const refused = await ask(at, agent, { ...drop, holdable: false }).catch(error => error)
    expect(refused).toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    const id = refused.data.approval as string
    await at.guard.desk.approve(dba, id)
    await ask(at, agent, { ...drop, holdable: false })
    expect((await at.of('decision')).at(-1)).toMatchObject({ verdict: 'permit', approval: id })
    const second = ask(at, agent, { ...drop, holdable: false })
    await expect(second).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
  })

  it('does not hold for another action', async () => {
    const at = await fixture()
    const first = await ask(at, agent, { ...drop, holdable: false, action: { statement: 'drop table a' } }).catch(
      e => e,
    )
    await at.guard.desk.approve(dba, first.data.approval)
    const other = await ask(at, agent, { ...drop, holdable: false, action: { statement: 'drop table b' } }).catch(
      e => e,
    )
    expect(other).toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    expect(other.data.approval).not.toBe(first.data.approval)
  })

  it('releases what is held as soon as it is given', async () => {
    const at = await fixture()
    const exchange = at.guard.exchange({
      operation: operation(drop),
      subject: agent,
      onHeld: ({ approval }) => void at.guard.desk.approve(dba, approval),
    })
    const end = await at.guard.handle(
      exchange,
      () => json('{}'),
      () => undefined,
    )
    expect(end.result).toBe('completed')
  })

  it('taken by one of two racing executions is not there for the other', async () => {
    const at = await fixture([
      { ...approvalControl, require: { approval: { people: 1, withinMs: 60_000, waitMs: 300 } } },
    ])
    const asked = await ask(at, agent, { ...drop, holdable: false }).catch(error => error)
    await at.guard.desk.approve(dba, asked.data.approval)
    const both = await Promise.allSettled([ask(at, agent, drop), ask(at, agent, drop)])
    expect(both.map(one => one.status).sort()).toEqual(['fulfilled', 'rejected'])
    const used = (await at.of('decision')).filter(d => d.approval === asked.data.approval)
    expect(used).toHaveLength(1)
  })

  it('counts distinct people: the same person twice is one', async () => {
    const at = await fixture([
      { ...approvalControl, require: { approval: { people: 2, withinMs: 60_000, waitMs: 50 } } },
    ])
    const asked = await ask(at, agent, { ...drop, holdable: false }).catch(error => error)
    await at.guard.desk.approve(dba, asked.data.approval)
    const twice = at.guard.desk.approve(dba, asked.data.approval)
    await expect(twice).rejects.toMatchObject({ data: { why: 'decided-already' } })
    await expect(ask(at, agent, { ...drop, holdable: false })).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    await at.guard.desk.approve(secondDba, asked.data.approval)
    await ask(at, agent, { ...drop, holdable: false })
  })

  it('needs the role that the control names', async () => {
    const at = await fixture()
    const asked = await ask(at, { ...agent, owner: dba.id }, { ...drop, holdable: false }).catch(error => error)
    const refused = at.guard.desk.approve(owner, asked.data.approval)
    await expect(refused).rejects.toMatchObject({
      data: { why: 'role-missing' },
      message: expect.stringMatching(/is missing: role:\w+$/),
    })
  })

  it('that was denied stays denied', async () => {
    const at = await fixture()
    const asked = await ask(at, agent, { ...drop, holdable: false }).catch(error => error)
    await at.guard.desk.deny(dba, asked.data.approval)
    await expect(ask(at, agent, { ...drop, holdable: false })).rejects.toMatchObject({ code: 'ERR_APPROVAL_REJECTED' })
  })

  it('is never asked for an action that is not wholly known', async () => {
    const at = await fixture()
    await expect(ask(at, agent, { ...drop, unbound: true })).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    expect(await at.of('approval-requested')).toEqual([])
  })

  it('shows its exact action to those who may decide, and to nobody else', async () => {
    const at = await fixture()
    await ask(at, agent, { ...drop, holdable: false, action: { statement: 'drop table a' } }).catch(() => undefined)
    expect(await at.guard.desk.pending(dba)).toMatchObject([
      { action: { statement: 'drop table a' }, subject: agent.id },
    ])
    expect(await at.guard.desk.pending(requester)).toEqual([])
  })
})

describe('masking', () => {
  it('masks a document before it leaves, and says by which control', async () => {
    const at = await fixture([maskControl])
    const { text } = await ask(at, agent, {}, () =>
      json('{"ssn":"900-12-3456","email":"a@b.example","name":"Customer 0001"}'),
    )
    expect(text).not.toContain('900-12')
    expect(JSON.parse(text)).toMatchObject({ email: '[redacted]', name: 'Customer 0001' })
    expect((await at.of('outcome'))[0]!.masked).toEqual(['CF-01:email:redact', 'CF-01:ssn:last4'])
  })

  it('refuses what it cannot mask, and nothing leaves', async () => {
    const at = await fixture([maskControl])
    const opaque = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'opaque' } }
      yield { type: 'data', channel: 'body', bytes: Buffer.from('900-12-3456'), items: 1 }
      yield { type: 'end', result: 'completed' }
    }
    await expect(ask(at, agent, {}, opaque)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
  })

  it('searches text as it streams where a mask detects in all, and refuses it where a mask names a field', async () => {
    const said = async function* (): AsyncGenerator<Frame> {
      yield { type: 'head', form: { kind: 'text' } }
      yield { type: 'data', channel: 'stdout', bytes: Buffer.from('it is 078-05-'), items: 1 }
      yield { type: 'data', channel: 'stdout', bytes: Buffer.from('1120, yes'), items: 1 }
      yield { type: 'end', result: 'completed' }
    }
    const at = await fixture([{ ...maskControl, mask: { '*': 'detect' } }])
    expect((await ask(at, agent, {}, said)).text).toBe('it is [ssn], yes')
    expect((await at.of('outcome'))[0]!.masked).toEqual(['CF-01:*:detect', 'CF-01:*:detect:ssn'])
    const named = await fixture([{ ...maskControl, mask: { '*': 'detect', ssn: 'redact' } }])
    await expect(ask(named, agent, {}, said)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
  })

  it('refuses a write that would copy masked data where it could be read in clear', async () => {
    const at = await fixture([maskControl])
    const copy = {
      accesses: [{ action: 'insert', resource: 'crm/public.copy' }],
      moves: [{ from: { resource: 'crm/public.customers' } }],
    }
    await expect(ask(at, agent, copy)).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
  })

  it('refuses to give masked data another name, unless the same mask covers that', async () => {
    const resource = 'crm/public.customers'
    const at = await fixture([{ ...maskControl, covers: { resource } }])
    const alter = (...moves: readonly Move[]) => ask(at, agent, { accesses: [{ action: 'alter', resource }], moves })
    const refusal = { code: 'ERR_OBLIGATION_UNMET' }
    await expect(alter({ from: { resource }, to: { resource: 'crm/public.clients' } })).rejects.toMatchObject(refusal)
    await expect(alter({ from: { resource, field: 'ssn' }, to: { resource, field: 'name' } })).rejects.toMatchObject(
      refusal,
    )
    await expect(alter({ from: 'anywhere' })).rejects.toMatchObject(refusal)
    await alter(
      { from: { resource, field: 'name' }, to: { resource, field: 'full_name' } },
      { from: { resource, field: 'ssn' }, to: { resource, field: 'ssn' } },
      { from: { resource: 'crm/public.orders' } },
    )
  })
})

describe('observe mode', () => {
  it('lets an operation run, and records that the control would have refused it', async () => {
    const until = new Date(Date.now() + 86_400_000).toISOString()
    const at = await fixture([{ ...grantControl, mode: { observeUntil: until } }])
    await ask(at, agent, update)
    expect((await at.of('decision'))[0]).toMatchObject({ verdict: 'permit', observed: ['AC-03'] })
  })
})

describe('identification', () => {
  it('is refused and recorded where there is no credential, or an unknown one', async () => {
    const at = await fixture()
    const handle = (credential?: { kind: 'bearer'; secret: string }) =>
      at.guard.handle(
        at.guard.exchange({ operation: operation(), ...(credential === undefined ? {} : { credential }) }),
        () => json('{}'),
        () => undefined,
      )
    await expect(handle()).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    await expect(handle({ kind: 'bearer', secret: 'wrong' })).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    expect((await at.of('decision')).map(d => [d.verdict, d.subject])).toEqual([
      ['deny', undefined],
      ['deny', undefined],
    ])
  })

  it('of an agent without an owner is none', async () => {
    const at = await fixture()
    const ownerless = { ...agent, owner: undefined } as unknown as typeof agent
    await expect(ask(at, ownerless)).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })

  it.each([
    ['expires', { expires: 1 }],
    ['is withdrawn', {}],
  ])('that %s in mid-reply cuts the exchange', async (_, { expires }: { expires?: number }) => {
    const at = await fixture([])
    let withdraw: (reason: Refusal) => void = () => undefined
    let watching = 0
    const subject: Subject = {
      ...requester,
      ...(expires === undefined ? {} : { expires: Date.now() + 30 }),
      withdrawn: cut => {
        watching += 1
        withdraw = cut
        return () => {
          watching -= 1
        }
      },
    }
    const asked = ask(at, subject, update, signal =>
      (async function* (): AsyncGenerator<Frame> {
        yield { type: 'head', form: { kind: 'opaque' } }
        if (expires === undefined) withdraw(new Refusal('ERR_UNIDENTIFIED', 'this key was revoked'))
        await race(new Promise(() => undefined), signal)
      })(),
    )
    await expect(asked).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    expect(watching).toBe(0)
    expect(await at.of('outcome')).toMatchObject([{ result: 'aborted', code: 'ERR_UNIDENTIFIED' }])
  })

  it('that is withdrawn cuts the session', async () => {
    const at = await fixture()
    let withdraw: (reason: Refusal) => void = () => undefined
    const subject: Subject = {
      ...requester,
      withdrawn: cut => {
        withdraw = cut
        return () => undefined
      },
    }
    const session = await at.guard.openSession({ subject, protocol: 'test', target: 'crm', tls: false })
    withdraw(new Refusal('ERR_UNIDENTIFIED', 'this key was revoked'))
    expect(session.signal.reason).toMatchObject({ message: 'this key was revoked' })
  })

  it('that has expired cuts the session', async () => {
    const at = await fixture()
    const subject = { ...requester, expires: Date.now() + 30 }
    const session = await at.guard.openSession({ subject, protocol: 'test', target: 'crm', tls: false })
    // On a slow machine it has expired by the time that it is recorded.
    await expect.poll(() => session.signal.aborted, { timeout: 5000 }).toBe(true)
    expect(session.signal.reason).toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })
})

describe('a policy that is reloaded', () => {
  /** Runs a reply that goes on for ever, and what happens once it has begun. */
  async function during(at: Fixture, change: () => Promise<void>): Promise<unknown> {
    return ask(at, requester, update, signal =>
      (async function* (): AsyncGenerator<Frame> {
        yield { type: 'head', form: { kind: 'json' } }
        await race(change(), signal)
        signal.throwIfAborted()
        yield* json('{}')
      })(),
    ).then(
      () => 'went on',
      error => error,
    )
  }
  const withoutUpdate = `${rules}\np, requester@crm.example, crm/**, update, deny\n`

  it('is an entry, with its texts disclosed, and decides from then on', async () => {
    const at = await fixture([])
    const before = at.guard.policy.digest
    await at.guard.policy.reload({ rules: withoutUpdate, controls: [] })
    await expect(ask(at, requester, update)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    const found = await at.of('policy')
    expect(found.map(({ digest }) => digest)).toEqual([before, at.guard.policy.digest])
    const [decision] = await at.of('decision')
    expect(decision!.policy).toBe(at.guard.policy.digest)
    for await (const { index, entry } of at.ledger.entries()) {
      if (entry.kind !== 'policy' || entry.digest === before) continue
      expect(await at.ledger.disclosures(index)).toMatchObject({ rules: withoutUpdate })
    }
  })

  it('cuts what is under way and no longer permitted', async () => {
    const at = await fixture([])
    const ended = await during(at, () => at.guard.policy.reload({ rules: withoutUpdate, controls: [] }))
    expect(ended).toMatchObject({ code: 'ERR_ACCESS_DENIED', message: expect.stringContaining('policy has changed') })
    expect(await at.of('outcome')).toMatchObject([{ result: 'aborted', code: 'ERR_ACCESS_DENIED' }])
  })

  it('cuts what is under way on other conditions, and lets go on what is not', async () => {
    const stricter = await fixture([])
    expect(
      await during(stricter, () => stricter.guard.policy.reload({ rules, controls: [maskControl] })),
    ).toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    const unconcerned = await fixture([])
    expect(
      await during(unconcerned, () => unconcerned.guard.policy.reload({ rules, controls: [approvalControl] })),
    ).toBe('went on')
  })

  it('does not run what was approved while it was held', async () => {
    const at = await fixture([approvalControl])
    let reached = false
    const exchange = at.guard.exchange({
      operation: operation(drop),
      subject: requester,
      onHeld: ({ approval }) => {
        void at.guard.policy
          .reload({ rules: `${rules}\np, requester@crm.example, crm/**, drop, deny\n`, controls: [approvalControl] })
          .then(() => at.guard.desk.approve(dba, approval))
      },
    })
    const handled = at.guard.handle(
      exchange,
      () => {
        reached = true
        return json('{}')
      },
      () => undefined,
    )
    await expect(handled).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    expect(reached).toBe(false)
  })

  it('is an entry even where it is reloaded while the guard is being built', async () => {
    const ledger = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    const policy = await casbinPolicy({ rules, controls: [] })
    const append: Ledger['append'] = async (drafts, options) => {
      if (!drafts.some(({ kind }) => kind === 'policy')) return ledger.append(drafts, options)
      const stored = await ledger.append(drafts, options)
      await policy.reload({ rules: withoutUpdate, controls: [] })
      return stored
    }
    const slow = new Proxy(ledger, {
      get: (of, name) => {
        const member: unknown = name === 'append' ? append : Reflect.get(of, name)
        return typeof member === 'function' ? member.bind(of) : member
      },
    })
    const at = await fixture([], { ledger: slow, policy })
    expect((await at.of('policy')).at(-1)!.digest).toBe(policy.digest)
    await ask(at, requester)
    expect((await at.of('decision'))[0]!.policy).toBe((await at.of('policy')).at(-1)!.digest)
  })

  it('takes no approval that was given for longer than it allows now', async () => {
    const at = await fixture([approvalControl])
    const unheld = () => ask(at, requester, { ...drop, holdable: false })
    await expect(unheld()).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    const [pending] = await at.guard.desk.pending(dba)
    await at.guard.desk.approve(dba, pending!.id)
    const approval = { ...approvalControl.require!.approval!, withinMs: 10_000 }
    await at.guard.policy.reload({ rules, controls: [{ ...approvalControl, require: { approval } }] })
    await expect(unheld()).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
  })

  it('stays as it was where the change cannot be recorded, and where the guard is closed no longer concerns it', async () => {
    const at = await fixture([])
    const { digest } = at.guard.policy
    await at.ledger.close()
    await expect(at.guard.policy.reload({ rules: withoutUpdate, controls: [] })).rejects.toBeInstanceOf(Error)
    expect(at.guard.policy.digest).toBe(digest)
    await at.guard.close()
    await at.guard.policy.reload({ rules: withoutUpdate, controls: [] })
    expect(at.guard.policy.digest).not.toBe(digest)
  })
})
