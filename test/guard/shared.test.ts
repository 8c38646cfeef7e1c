/** Two guards over one shared ledger: what was decided through one holds in the other. */
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { ledgerOptions } from '../support/directory-ledger.ts'
import { approvalControl, ask, dba, type Fixture, fixture, grantControl, requester } from '../support/guard.ts'

async function pair(): Promise<readonly [Fixture, Fixture]> {
  const options = ledgerOptions()
  const open = async (writer: string) => {
    const made = await fixture([grantControl, approvalControl], {
      ledger: await openSharedLedger({ ...options, writer }),
    })
    onTestFinished(() => made.guard.close())
    return made
  }
  return [await open('one'), await open('two')]
}

const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }
const drop = { accesses: [{ action: 'drop', resource: 'crm/public.customers' }], holdable: false }

describe('two guards over one ledger', () => {
  it('know one policy, recorded once', async () => {
    const [one] = await pair()
    expect(await one.of('policy')).toHaveLength(1)
  })

  it('let a grant that was given through one be used and revoked through the other', async () => {
    const [one, two] = await pair()
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 60, reason: 'repair' }
    const id = await one.guard.desk.request(requester, request)
    await expect(ask(two, requester, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    await two.guard.desk.approve(dba, id)
    await ask(one, requester, update)
    await ask(two, requester, update)
    await one.guard.desk.revoke(dba, id)
    await expect(ask(one, requester, update)).rejects.toMatchObject({ code: 'ERR_GRANT_EXPIRED' })
    await expect(ask(two, requester, update)).rejects.toMatchObject({ code: 'ERR_GRANT_EXPIRED' })
  })

  it('give a person one pseudonym, though both meet them at once', async () => {
    const pairs = await pair()
    const actors = await Promise.all(pairs.map(({ guard }) => guard.principals.actors(requester)))
    expect(actors[0]).toEqual(actors[1])
    const again = await Promise.all(pairs.map(({ guard }) => guard.principals.actors(requester)))
    expect(again).toEqual(actors)
  })

  it('use an approval once, though both execute at once', async () => {
    const [one, two] = await pair()
    const asked = await ask(one, requester, drop).catch(error => error)
    expect(asked.code).toBe('ERR_APPROVAL_PENDING')
    await two.guard.desk.approve(dba, asked.data.approval)
    let executed = 0
    const attempt = async (through: Fixture) =>
      ask(through, requester, drop, async function* () {
        executed += 1
        yield { type: 'head', form: { kind: 'json' } }
        yield { type: 'end', result: 'completed', settled: 'nothing' }
      }).then(
        () => 'executed',
        error => error.code,
      )
    const ends = await Promise.all([attempt(one), attempt(two)])
    expect(executed).toBe(1)
    expect(ends.toSorted()).toEqual([expect.stringMatching('ERR_APPROVAL_'), 'executed'])
  })
})
