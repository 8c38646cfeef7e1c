/** What a client presents to be known, or sends that is secret by its place, is kept nowhere. World looks for it after every case. */
import assert from 'node:assert/strict'
import { like } from '../expect.ts'
import { owner } from '../people.ts'
import { recorded } from '../world.ts'
import type { Case } from './case.ts'

export const secrets: readonly Case[] = [
  {
    title: 'keeps no secret of a request: not in an entry, a disclosure, an error or a log',
    async test({ ask, begin, of }) {
      assert.equal((await ask('secret')).whole, true)
      like((await of('decision')).at(-1), { verdict: 'permit' })
      await begin('secret', owner).answer
      like((await of('decision')).at(-1), { verdict: 'deny' })
    },
  },
  {
    title: 'keeps nothing of a request in what is recorded of the reply, where only its digest is to be kept',
    controls: () => [{ ...recorded, record: { request: 'digest', response: 'masked' } }],
    async test({ ask }) {
      assert.equal((await ask('secret')).whole, true)
    },
  },
]
