/** Who may have something erased: two people by right, neither of them concerned, under no hold; and who comes back is somebody new. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { EraseRequest } from '../../lib/custody/custodian.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import {
  agent,
  approvalControl,
  ask,
  type Fixture,
  fixture,
  grantControl,
  owner,
  person,
  requester,
  rules,
} from '../support/guard.ts'

const officer = person('officer@crm.example')
const counsel = person('counsel@crm.example')
const keeper = person('keeper@crm.example')
const service: Subject = { ...person('service@crm.example'), type: 'service', owner: keeper.id }
const custody = `
p, role:officer, ledger/vault, erase, allow
p, role:officer, ledger/vault, approve, allow
p, role:officer, ledger/vault, hold, allow
p, role:officer, ledger/vault, release, allow
${[officer, counsel, requester, service, owner].map(({ id }) => `g, ${id}, role:officer\n`).join('')}`

const ofRequester: EraseRequest = {
  ...{ target: { scope: 'principal', name: requester.id }, ground: 'art-17', basis: 'asked in writing' },
}
let at: Fixture

beforeEach(async () => {
  const controls = [grantControl, approvalControl]
  at = await fixture(controls, { policy: await casbinPolicy({ rules: rules + custody, controls }) })
  await ask(at, requester)
})

const refusals = async () =>
  (await at.of('custody-refused')).map(({ verb, why, hold }) => ({ verb, why, ...(hold && { hold }) }))

describe('an erasure', () => {
  it('that one person asks for and another approves is done, and said with both', async () => {
    const before = await at.guard.principals.actors(requester)
    const { index, slots } = await at.guard.custodian.erase(officer, counsel, ofRequester)
    expect(slots).toBe(1)
    const [by, approver] = await Promise.all([officer, counsel].map(one => at.guard.principals.actors(one)))
    expect((await at.entries())[index]).toMatchObject({
      ...{ kind: 'erasure', scope: 'principal', of: before.subject, ground: 'art-17' },
      ...{ by: by!.subject, approvers: [approver!.subject] },
    })
    expect(at.guard.principals.nameOf(before.subject)).toBeUndefined()
    expect(await refusals()).toEqual([])
  })

  it('makes who comes back somebody new, known to no entry of before', async () => {
    const before = await at.guard.principals.actors(requester)
    await at.guard.custodian.erase(officer, counsel, ofRequester)
    await ask(at, requester)
    const after = await at.guard.principals.actors(requester)
    expect(after.subject).not.toBe(before.subject)
    expect(at.guard.principals.nameOf(after.subject)).toBe(requester.id)
    expect((await at.of('principal')).filter(({ subject }) => subject === after.subject)).toHaveLength(1)
  })

  // biome-ignore format: a table
  it.each<[string, Subject, Subject, string]>([
    ['without the right',              keeper,    counsel,   'no-right'],
    ['approved without the right',     officer,   keeper,    'no-right'],
    ['approved by who asks for it',    officer,   officer,   'own-request'],
    ['asked for by no person',         service,   counsel,   'not-a-person'],
    ['approved by no person',          officer,   service,   'not-a-person'],
    ['asked for by whom it is about',  requester, counsel,   'concerned'],
    ['approved by whom it is about',   officer,   requester, 'concerned'],
  ])('%s is refused, and the attempt is an entry', async (_, by, approver, why) => {
    const refused = at.guard.custodian.erase(by, approver, ofRequester)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why } })
    // Who lacks a right is told which, as a line of the policy.
    const line = by === keeper ? /for who asks: .* "p, ROLE, ledger\/vault, erase, allow" does/ : /for who approves: .* "p, ROLE, ledger\/vault, approve, allow" does/
    if (why === 'no-right') await expect(refused).rejects.toThrow(line)
    expect(await refusals()).toEqual([{ verb: 'erase', why }])
    expect(await at.of('erasure')).toEqual([])
  })

  it('of an agent is neither for its owner nor for whom it acted: for two others it is', async () => {
    const { custodian } = at.guard
    const ofAgent = { ...ofRequester, target: { scope: 'principal', name: agent.id } as const }
    await ask(at, agent)
    for (const concerned of [owner, requester]) {
      for (const [by, approver] of [
        [concerned, counsel],
        [officer, concerned],
      ] as const) {
        const refused = custodian.erase(by, approver, ofAgent)
        await expect(refused).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why: 'concerned' } })
      }
    }
    expect(await at.of('erasure')).toEqual([])
    await custodian.erase(officer, counsel, ofAgent)
  })

  it('is refused without a basis, and of nobody who is known', async () => {
    const { custodian } = at.guard
    const without = custodian.erase(officer, counsel, { ...ofRequester, basis: ' ' })
    await expect(without).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    for (const target of [
      { scope: 'principal', name: 'nobody@crm.example' },
      { scope: 'session', id: 'none' },
    ] as const) {
      const unknown = custodian.erase(officer, counsel, { ...ofRequester, target })
      await expect(unknown).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    }
  })

  it('is not for who may have been erased, and come back: two who were known before may have it done', async () => {
    const { custodian, openSession } = at.guard
    const { id } = await openSession.call(at.guard, {
      ...{ protocol: 'test', target: 'crm', tls: true, subject: requester, address: '10.0.0.1' },
    })
    const ofSession = { ...ofRequester, target: { scope: 'session', id } as const }
    const own = custodian.erase(requester, counsel, ofSession)
    await expect(own).rejects.toMatchObject({ data: { why: 'concerned' } })
    const hold = await custodian.place(counsel, ofSession.target, 'a suit')
    await custodian.release(requester, hold, 'over')
    await custodian.erase(officer, counsel, ofRequester)
    for (const [by, approver] of [
      [requester, counsel],
      [counsel, requester],
    ] as const) {
      const again = custodian.erase(by, approver, ofSession)
      await expect(again).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why: 'may-have-returned' } })
    }
    await custodian.erase(officer, counsel, ofSession)
  })

  it('waits for what they asked for: decided by who comes back, it would be decided by who asked', async () => {
    const grant = { resource: 'crm/**', actions: ['update'], seconds: 60, reason: 'a correction' }
    const id = await at.guard.desk.request(requester, grant)
    const early = at.guard.custodian.erase(officer, counsel, ofRequester)
    await expect(early).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'undecided' } })
    await expect(early).rejects.toThrow(
      new RegExp(`: ${id}; .*counterfoil deny ${id}\\), or wait until it lapses at 20\\d\\d-`),
    )
    await at.guard.desk.deny(owner, id)
    await at.guard.custodian.erase(officer, counsel, ofRequester)
  })
})

describe('a hold', () => {
  it('forbids the erasure of what it covers until it is released, and then to who released it', async () => {
    const { custodian } = at.guard
    for (const on of [ofRequester.target, { scope: 'ledger' as const }]) {
      const hold = await custodian.place(officer, on, 'a claim')
      const held = custodian.erase(officer, counsel, ofRequester)
      await expect(held).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold', hold } })
      await custodian.release(officer, hold, 'settled')
      const alone = custodian.erase(officer, counsel, ofRequester)
      await expect(alone).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why: 'released-the-hold' } })
    }
    const other = await custodian.place(officer, { scope: 'principal', name: counsel.id }, 'another claim')
    expect(other).toMatch(/^h-/)
    await custodian.erase(counsel, officer, ofRequester)
  })

  it.each([
    ['who had it opened', requester, requester],
    ['for whom an agent had it opened', agent, requester],
    ['who is accountable for the agent that had it opened', agent, owner],
  ])('on %s forbids the erasure of a session too', async (_, subject, held) => {
    const { custodian } = at.guard
    const { id } = await at.guard.openSession({
      ...{ protocol: 'test', target: 'crm', tls: true, subject, address: '10.0.0.1' },
    })
    const ofSession = { ...ofRequester, target: { scope: 'session', id } as const }
    const hold = await custodian.place(counsel, { scope: 'principal', name: held.id }, 'a suit')
    const refused = custodian.erase(officer, counsel, ofSession)
    await expect(refused).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold', hold } })
    await custodian.release(counsel, hold, 'settled')
    const alone = custodian.erase(counsel, officer, ofSession)
    await expect(alone).rejects.toMatchObject({ data: { why: 'released-the-hold' } })
    await custodian.erase(officer, counsel, ofSession)
  })

  it('on who an agent acted for forbids the erasure of the agent, and comes in time up to that', async () => {
    const { custodian } = at.guard
    await ask(at, agent)
    const ofAgent = { ...ofRequester, target: { scope: 'principal', name: agent.id } as const }
    const erased = custodian.erase(officer, counsel, ofAgent)
    // Placed while it is being judged.
    const placed = custodian.place(counsel, ofRequester.target as never, 'a suit')
    await expect(erased).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold' } })
    await placed
    expect(await at.of('erasure')).toEqual([])
  })

  it('is placed and released by right, with a reason, and released once', async () => {
    const { custodian } = at.guard
    const everything = { scope: 'ledger' as const }
    await expect(custodian.place(keeper, everything, 'x')).rejects.toMatchObject({ data: { why: 'no-right' } })
    await expect(custodian.place(officer, everything, '')).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    const hold = await custodian.place(officer, everything, 'a claim')
    await expect(custodian.release(keeper, hold, 'x')).rejects.toMatchObject({ data: { why: 'no-right' } })
    await custodian.release(counsel, hold, 'settled')
    await expect(custodian.release(counsel, hold, 'again')).rejects.toMatchObject({ data: { why: 'no-such-hold' } })
    expect((await refusals()).map(({ verb }) => verb)).toEqual(['place', 'release', 'release'])
  })
})
