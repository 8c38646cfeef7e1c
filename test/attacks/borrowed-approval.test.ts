import { describe, expect, it } from 'vitest'
import { subjectOf } from '../../lib/identity/claims.ts'
import { parseKeys } from '../../lib/identity/keyfile.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import {
  agent,
  approvalControl,
  ask,
  dba,
  type Fixture,
  fixture,
  grantControl,
  owner,
  person,
  requester,
  rules,
} from '../support/guard.ts'

const drop = {
  accesses: [{ action: 'drop', resource: 'crm/public.legacy' }],
  risk: 'high' as const,
  action: { statement: 'drop table legacy' },
  holdable: false,
}
const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }

async function approved(at: Fixture, subject: Subject, by: Subject): Promise<void> {
  const id: string = await ask(at, subject, drop).then(
    () => '',
    error => error.data.approval,
  )
  await at.guard.desk.approve(by, id)
}

const twoNeeded = {
  ...approvalControl,
  require: { approval: { ...approvalControl.require!.approval!, people: 2 } },
}
const shortGrants = { ...grantControl, require: { grant: { longestMs: 5_000, reason: true } } }

describe('an approval serves nothing but what was approved', () => {
  it('the same statement on another resource, as after a change of search_path, is another action', async () => {
    const at = await fixture()
    await approved(at, requester, dba)
    const elsewhere = { ...drop, accesses: [{ action: 'drop', resource: 'crm/secret.legacy' }] }
    await expect(ask(at, requester, elsewhere)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    await ask(at, requester, drop)
  })

  it('who approved an agent, and became its owner since, has approved nothing of it', async () => {
    const at = await fixture()
    await approved(at, agent, dba)
    await expect(ask(at, { ...agent, owner: dba.id }, drop)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
  })

  it('an approval by one person does not do after a restart with a policy that asks for two', async () => {
    const ledger = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    await approved(await fixture([approvalControl], { ledger }), requester, dba)
    const stricter = await fixture([twoNeeded], { ledger })
    await expect(ask(stricter, requester, drop)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
  })

  it('a grant that is longer than the policy allows now does not do after a restart', async () => {
    const ledger = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
    const before = await fixture([grantControl], { ledger })
    const asked = { resource: 'crm/public.*', actions: ['update'], seconds: 60, reason: 'a ticket' }
    await before.guard.desk.approve(dba, await before.guard.desk.request(requester, asked))
    await ask(before, requester, update)
    const stricter = await fixture([shortGrants], { ledger })
    await expect(ask(stricter, requester, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
  })
})

describe('one person is one, however the name is spelt', () => {
  it('an owner in capitals, as an application may say it, is nobody, and so cannot be somebody else', async () => {
    const policy = await casbinPolicy({
      rules: `${rules}\ng, owner@crm.example, role:dba`,
      controls: [approvalControl],
    })
    const at = await fixture([], { policy })
    const shouted = { ...agent, owner: owner.id.toUpperCase() }
    await expect(ask(at, shouted, drop)).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    expect(await at.of('approval-requested')).toEqual([])
  })

  it.each([
    ['an agent under the type of a person', { subject: 'agent:x', type: 'person' }],
    ['an agent that an agent answers for', { subject: 'agent:x', type: 'agent', owner: 'agent:y' }],
    ['an agent that acts for an agent', { subject: 'agent:x', type: 'agent', owner: owner.id, principal: 'agent:y' }],
    ['a service that acts for a person', { subject: 'backup', type: 'service', principal: dba.id }],
  ])('a file of keys with %s is refused, so that none of them approves', (_, part) => {
    const times = { issued: '2026-01-01T00:00:00Z', expires: '2027-01-01T00:00:00Z' }
    const record = { id: '0'.repeat(12), hash: '0'.repeat(64), ...times }
    const sound = { ...record, subject: 'agent:x', type: 'agent', owner: owner.id, principal: requester.id }
    expect(parseKeys(JSON.stringify([sound]))).toHaveLength(1)
    expect(() => parseKeys(JSON.stringify([{ ...record, ...part }]))).toThrow(/malformed/)
  })

  it('the Kelvin sign in a verified address does not become a plain k', () => {
    const claims = { sub: 'x', exp: 1, email: 'o\u212a@crm.example', email_verified: true }
    const rules = { issuer: 'https://id.example.com', agents: [] }
    expect(() => subjectOf(claims, rules)).toThrow(/policy cannot use/)
    expect(() => subjectOf(claims, { ...rules, subject: 'email' })).toThrow(/policy cannot use/)
    expect(subjectOf({ ...claims, email: 'OK@crm.example' }, rules).id).toBe('ok@crm.example')
  })
})

describe('nobody approves more than they may', () => {
  const request = { resource: 'crm/**', actions: ['update'], seconds: 10, reason: 'a ticket' }
  const asks = 'p, requester@crm.example, crm/**, *, allow'

  it.each([
    ['crm/*, approve, allow', 'one level of it'],
    ['crm/public.*, approve, allow', 'a part of it'],
    ['crm/**, approve, allow\np, narrow@crm.example, crm/hr.*, approve, deny', 'all but what a rule denies'],
  ])('a grant for a glob is not approved by whom %s lets approve %s', async right => {
    const policy = await casbinPolicy({
      rules: `${asks}\np, narrow@crm.example, ${right}\np, wide@crm.example, crm/**, approve, allow`,
      controls: [grantControl],
    })
    const at = await fixture([], { policy })
    const id = await at.guard.desk.request(requester, request)
    const narrow = person('narrow@crm.example')
    expect(await at.guard.desk.pending(narrow)).toEqual([])
    await expect(at.guard.desk.approve(narrow, id)).rejects.toMatchObject({
      data: { why: 'no-right' },
      message: expect.stringMatching(/no right to do this: .* "p, ROLE, (crm\/\S+), approve, allow/),
    })
    await at.guard.desk.approve(person('wide@crm.example'), id)
  })
})
