/** An approval is another person's, for one exact action, once. */
import assert from 'node:assert/strict'
import { eventually, like } from '../expect.ts'
import { dba, requester } from '../people.ts'
import { approved } from '../world.ts'
import type { Case } from './case.ts'

export const approvals: readonly Case[] = [
  {
    title: 'holds an action until another person has approved it, and then it runs',
    controls: door => [approved(door, 30_000)],
    async test({ asked, begin, guard, of, opened }) {
      const call = begin('destroy')
      const id = await asked()
      assert.equal(await opened.done('destroy'), 0)
      await guard.desk.approve(dba, id)
      assert.equal((await call.answer).whole, true)
      assert.equal(await opened.done('destroy'), 1)
      like((await of('decision')).at(-1), { verdict: 'permit', approval: id })
    },
  },
  {
    title: 'refuses an action whose approval is denied while it is held',
    controls: door => [approved(door, 30_000)],
    async test({ asked, begin, guard, opened }) {
      const call = begin('destroy')
      await guard.desk.deny(dba, await asked())
      like(await call.answer, { whole: false, code: 'ERR_APPROVAL_REJECTED' })
      assert.equal(await opened.done('destroy'), 0)
    },
  },
  {
    title: 'refuses with its id an approval that does not come in time; given later, the same action runs once',
    controls: door => [approved(door, 50)],
    async test({ ask, asked, guard, opened }) {
      const first = await ask('destroy')
      const id = await asked()
      like(first, { whole: false, code: 'ERR_APPROVAL_PENDING' })
      assert.ok(first.said.includes(id))
      await guard.desk.approve(dba, id)
      assert.equal((await ask('destroy')).whole, true)
      like(await ask('destroy'), { whole: false, code: 'ERR_APPROVAL_PENDING' })
      assert.equal(await opened.done('destroy'), 1)
    },
  },
  {
    title: 'takes an approval of one action for none of another, though both are called alike',
    controls: door => [approved(door, 50)],
    async test({ ask, asked, guard, of, opened }) {
      await ask('destroy')
      const id = await asked()
      await guard.desk.approve(dba, id)
      like(await ask('destroy another'), { whole: false, code: 'ERR_APPROVAL_PENDING' })
      assert.notEqual(await asked(), id)
      like((await of('decision')).at(-1), { verdict: 'deny' })
      assert.equal(await opened.done('destroy'), 0)
    },
  },
  {
    title: 'lets one of several that race for one approval run',
    controls: door => [approved(door, 50)],
    async test({ ask, asked, guard, of, opened }) {
      await ask('destroy')
      const id = await asked()
      await guard.desk.approve(dba, id)
      const answers = await Promise.all([ask('destroy'), ask('destroy'), ask('destroy')])
      assert.equal(answers.filter(({ whole }) => whole).length, 1)
      assert.equal(await opened.done('destroy'), 1)
      assert.equal((await of('decision')).filter(({ approval }) => approval === id).length, 1)
    },
  },
  {
    title: 'lets nobody approve what they asked for themselves',
    controls: door => [approved(door, 30_000)],
    async test({ asked, begin, guard, opened }) {
      const call = begin('destroy')
      const id = await asked()
      await assert.rejects(guard.desk.approve(requester, id), error => {
        like(error, { data: { why: 'own-request' } })
        return true
      })
      assert.equal(await opened.done('destroy'), 0)
      call.hangUp()
      await call.answer
    },
  },
  {
    title: 'runs nothing where the approval comes after the client has gone',
    controls: door => [approved(door, 30_000)],
    async test({ ask, asked, begin, guard, of, opened }) {
      const call = begin('destroy')
      const id = await asked()
      call.hangUp()
      const denied = async () => (await of('decision')).filter(({ verdict }) => verdict === 'deny')
      await eventually(denied, [{}])
      await guard.desk.approve(dba, id)
      assert.equal((await ask('read')).whole, true)
      assert.equal(await opened.done('destroy'), 0)
    },
  },
]
