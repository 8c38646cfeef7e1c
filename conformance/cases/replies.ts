/** What is permitted comes whole, masked where a control says so, and is recorded; what is not does not. */
import assert from 'node:assert/strict'
import { eventually, like } from '../expect.ts'
import { owner, personal, requester } from '../people.ts'
import { masked, recorded } from '../world.ts'
import type { Case } from './case.ts'

export const replies: readonly Case[] = [
  {
    title: 'lets a permitted read through whole, and records its decision and what was offered',
    async test({ door, ask, of }) {
      const answer = await ask('read')
      like(answer, { whole: true, said: /Customer 0001/ })
      const [decision] = await of('decision')
      like(decision, { verdict: 'permit', read: !door.unproven, risk: 'low', method: requester.method })
      like(decision, { subject: /^[\w-]{22}$/ })
      like(await of('outcome'), [{ exchange: decision!.exchange, result: 'completed', offered: /^[\w-]{43}$/ }])
    },
  },
  {
    title: 'refuses what policy does not permit, asks the upstream nothing, and records it',
    async test({ ask, of, opened }) {
      like(await ask('read', owner), { whole: false, code: 'ERR_ACCESS_DENIED' })
      assert.equal(await opened.done('read'), 0)
      like(await of('decision'), [{ verdict: 'deny', code: 'ERR_ACCESS_DENIED' }])
      like(await of('outcome'), [])
    },
  },
  {
    title: 'records where a request came from, and never in clear',
    async test({ ask, guard, disclosures }) {
      await ask('read')
      for await (const { entry } of guard.ledger.entries()) {
        assert.doesNotMatch(JSON.stringify(entry), /127\.0\.0\.1|requester@/)
      }
      assert.ok((await disclosures()).some(({ address }) => address === '127.0.0.1'))
    },
  },
  {
    title: 'masks a reply before it leaves, and records by which control',
    controls: door => [masked(door)],
    applies: door => !door.unmaskable,
    async test({ ask, of }) {
      const { said, whole } = await ask('masked')
      assert.equal(whole, true)
      assert.ok(said.includes(personal.name) && said.includes(personal.ssn.slice(-4)))
      assert.ok(!said.includes(personal.ssn) && !said.includes(personal.email))
      like((await of('outcome')).at(-1)!.masked, ['CF-01:email:redact', 'CF-01:ssn:last4'])
    },
  },
  {
    title: 'refuses a reply that is under a mask which it cannot apply, and shows nothing of it',
    controls: door => [masked(door)],
    applies: door => door.unmaskable === true,
    async test({ ask, of }) {
      const { said, whole, code } = await ask('masked')
      like({ whole, code }, { whole: false, code: 'ERR_OBLIGATION_UNMET' })
      for (const value of Object.values(personal)) assert.ok(!said.includes(value))
      await eventually(() => of('outcome'), [{ code: 'ERR_OBLIGATION_UNMET', bytes: 0 }])
    },
  },
  {
    title: 'shows the same reply unmasked where no control masks it',
    async test({ ask }) {
      assert.ok((await ask('masked')).said.includes(personal.ssn))
    },
  },
  {
    title: 'keeps what a reply showed, as it was shown, where a control asks for that',
    controls: door => (door.unmaskable ? [recorded] : [masked(door), recorded]),
    async test({ door, ask, of, attachments }) {
      const { whole } = await ask(door.unmaskable ? 'read' : 'masked')
      assert.equal(whole, true)
      await eventually(async () => (await of('attachment')).length, 1)
      const [kept] = await attachments()
      assert.ok(kept!.includes(personal.name))
      for (const value of [personal.ssn, personal.email]) assert.ok(!kept!.includes(value))
    },
  },
  {
    title: 'streams a long reply whole, and counts what it offered',
    async test({ ask, of }) {
      const { whole, bytes } = await ask('long')
      assert.equal(whole, true)
      assert.ok(bytes >= 1_000_000)
      const outcome = (await of('outcome')).at(-1)!
      like(outcome, { result: 'completed' })
      assert.ok(outcome.bytes >= 1_000_000)
    },
  },
  {
    title: 'a reply that fails midway is no whole reply, and is recorded as failed',
    async test({ ask, of }) {
      assert.equal((await ask('breaks')).whole, false)
      await eventually(() => of('outcome'), [{ result: 'failed', code: /./ }])
      assert.equal((await ask('read')).whole, true)
    },
  },
  {
    title: 'tells works apart that run at once: each is decided for whoever asks, and recorded once',
    async test({ ask, of }) {
      const asks = Array.from({ length: 24 }, (_, i) => ask('read', i % 3 === 0 ? owner : requester))
      const answers = await Promise.all(asks)
      const denied = { whole: false, code: 'ERR_ACCESS_DENIED' }
      for (const [i, answer] of answers.entries()) like(answer, i % 3 === 0 ? denied : { whole: true })
      const decisions = await of('decision')
      assert.equal(decisions.length, 24)
      assert.equal(new Set(decisions.map(({ exchange }) => exchange)).size, 24)
      assert.equal(decisions.filter(({ verdict }) => verdict === 'deny').length, 8)
      await eventually(async () => (await of('outcome')).length, 16)
    },
  },
]
