/** Clients that go, that are slow, that say nothing. */
import assert from 'node:assert/strict'
import { eventually, like } from '../expect.ts'
import { held } from '../held.ts'
import { requester } from '../people.ts'
import type { Case } from './case.ts'

const mebibyte = 1024 * 1024

export const clients: readonly Case[] = [
  {
    title: 'leaves the upstream when the client hangs up, and records it as aborted',
    async test({ begin, of, opened }) {
      const call = begin('silent')
      await eventually(() => opened.running(), 1)
      call.hangUp()
      await eventually(() => opened.running(), 0, 1000)
      await eventually(() => of('outcome'), [{ result: 'aborted' }])
      assert.equal((await call.answer).whole, false)
    },
  },
  {
    title: 'takes from the upstream no more than a slow reader lets it, and loses nothing of it',
    async test({ begin, ask, of }) {
      const before = held()
      const call = begin('flood', requester, true)
      await eventually(async () => (await of('decision')).length, 1)
      let most = 0
      // Without back-pressure 64 MB cross loopback many times over meanwhile.
      for (let sample = 0; sample < 40; sample += 1) {
        await new Promise(resolve => setTimeout(resolve, 25))
        most = Math.max(most, held() - before)
      }
      assert.ok(most < 24 * mebibyte, `${most} bytes are held`)
      like(await of('outcome'), [])
      assert.equal((await ask('read')).whole, true)
      call.resume()
      const { whole, bytes } = await call.answer
      assert.equal(whole, true)
      assert.ok(bytes >= 64 * mebibyte)
    },
  },
  {
    title: 'a client that has hung up on a flood holds nothing back',
    async test({ begin, ask, of }) {
      const call = begin('flood', requester, true)
      await eventually(async () => (await of('decision')).length, 1)
      call.hangUp()
      await eventually(() => of('outcome'), [{ result: 'aborted' }])
      assert.equal((await ask('read')).whole, true)
    },
  },
  {
    title: 'a silent client stalls nobody else, and is closed within its deadline',
    async test({ ask, opened }) {
      const silent = await opened.silentClient()
      assert.equal((await ask('read')).whole, true)
      await silent.closed
      assert.equal((await ask('read')).whole, true)
    },
  },
]
