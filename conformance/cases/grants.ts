/** A grant is required, cited, and absolute: what runs under it ends with it. */
import assert from 'node:assert/strict'
import { eventually, like } from '../expect.ts'
import { dba } from '../people.ts'
import { granted, type World } from '../world.ts'
import type { Case } from './case.ts'

const cutOutcomes = async ({ of }: World) => (await of('outcome')).filter(({ code }) => code === 'ERR_GRANT_EXPIRED')

export const grants: readonly Case[] = [
  {
    title: 'requires a grant: without one nothing is forwarded',
    controls: door => [granted(door)],
    async test({ ask, opened }) {
      like(await ask('change'), { whole: false, code: 'ERR_GRANT_REQUIRED' })
      assert.equal(await opened.done('change'), 0)
    },
  },
  {
    title: 'lets a change run under a grant, and its decision cites it',
    controls: door => [granted(door)],
    async test({ ask, grant, of, opened }) {
      const id = await grant(60)
      assert.equal((await ask('change')).whole, true)
      assert.equal(await opened.done('change'), 1)
      like((await of('decision')).at(-1), { verdict: 'permit', grant: id })
    },
  },
  {
    title: 'a grant that is revoked cuts what runs under it within a second, though the upstream is silent',
    controls: door => [granted(door)],
    async test(world) {
      const { ask, begin, grant, guard, opened } = world
      const id = await grant(60)
      const call = begin('silent change')
      await eventually(() => opened.running(), 1)
      const revoked = performance.now()
      await guard.desk.revoke(dba, id, 'enough')
      assert.equal((await call.answer).whole, false)
      assert.ok(performance.now() - revoked < 1000, 'it was cut late')
      await eventually(() => opened.running(), 0, 1000)
      await eventually(() => cutOutcomes(world), [{ result: 'aborted' }])
      like(await ask('change'), { whole: false, code: 'ERR_GRANT_EXPIRED' })
    },
  },
  {
    title: 'a grant that lapses cuts what runs under it at its absolute end',
    controls: door => [granted(door)],
    async test(world) {
      const { begin, grant, of } = world
      await grant(1)
      const until = Date.parse((await of('grant-decided'))[0]!.until!)
      const call = begin('silent change')
      assert.equal((await call.answer).whole, false)
      assert.ok(Date.now() - until >= -5, 'it was cut before its end')
      assert.ok(Date.now() - until < 1000, 'it was cut late')
      await eventually(() => cutOutcomes(world), [{ result: 'aborted' }])
    },
  },
]
