/** Who asks is known while the work runs, or it does not run. */
import assert from 'node:assert/strict'
import { eventually, like } from '../expect.ts'
import { requester, rules } from '../people.ts'
import type { Case } from './case.ts'

export const identity: readonly Case[] = [
  {
    title: 'refuses a credential that nobody has, and records it',
    async test({ ask, of, opened }) {
      like(await ask('read', { ...requester, id: 'stranger@crm.example' }), { whole: false, code: 'ERR_UNIDENTIFIED' })
      assert.equal(await opened.done('read'), 0)
      like(await of('decision'), [{ verdict: 'deny', code: 'ERR_UNIDENTIFIED' }])
    },
  },
  {
    title: 'an identification that expires cuts what runs under it within a second, though the upstream is silent',
    async test({ begin, ask, of, opened, expire }) {
      const end = Date.now() + 1500
      expire(end)
      const call = begin('silent')
      await eventually(() => opened.running(), 1)
      assert.equal((await call.answer).whole, false)
      assert.ok(Date.now() >= end - 5, 'it was cut before its end')
      assert.ok(Date.now() < end + 1000, 'it was cut late')
      await eventually(() => opened.running(), 0, 1000)
      await eventually(() => of('outcome'), [{ result: 'aborted', code: 'ERR_UNIDENTIFIED' }])
      like(await ask('read'), { whole: false, code: 'ERR_UNIDENTIFIED' })
    },
  },
  {
    title: 'a policy that no longer permits what runs cuts it within a second, though the upstream is silent',
    async test({ begin, ask, of, opened, policy }) {
      const call = begin('silent')
      await eventually(() => opened.running(), 1)
      await policy.reload({ rules: rules.replace('g, requester@crm.example, role:support\n', ''), controls: [] })
      const changed = performance.now()
      assert.equal((await call.answer).whole, false)
      assert.ok(performance.now() - changed < 1000, 'it was cut late')
      await eventually(() => opened.running(), 0, 1000)
      await eventually(() => of('outcome'), [{ result: 'aborted', code: 'ERR_ACCESS_DENIED' }])
      like(await ask('read'), { whole: false, code: 'ERR_ACCESS_DENIED' })
    },
  },
]
