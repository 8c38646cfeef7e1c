/** Where the ledger cannot record, nothing happens and nothing is shown. */
import assert from 'node:assert/strict'
import { like } from '../expect.ts'
import { recorded } from '../world.ts'
import type { Case } from './case.ts'

export const failures: readonly Case[] = [
  {
    title: 'forwards no change while the ledger fails',
    async test({ ask, ledger, opened }) {
      assert.equal((await ask('change')).whole, true)
      ledger.break()
      like(await ask('change'), { whole: false, code: 'ERR_LEDGER_UNAVAILABLE' })
      assert.equal(await opened.done('change'), 1)
    },
  },
  {
    title: 'lets no byte of a read leave while the ledger fails',
    async test({ ask, ledger }) {
      assert.equal((await ask('read')).whole, true)
      ledger.break()
      const { whole, said, code } = await ask('read')
      like({ whole, code }, { whole: false, code: 'ERR_LEDGER_UNAVAILABLE' })
      assert.ok(!said.includes('Customer 0001'))
    },
  },
  {
    title: 'lets nothing through whole of a reply whose decision was still recorded',
    async test({ ask, ledger, of }) {
      ledger.break(drafts => drafts.some(({ kind }) => kind === 'outcome'))
      assert.equal((await ask('long')).whole, false)
      like(await of('outcome'), [])
    },
  },
  {
    title: 'shows nothing that it was to keep and could not',
    controls: () => [recorded],
    async test({ ask, ledger }) {
      assert.equal((await ask('read')).whole, true)
      ledger.break(drafts => drafts.length === 0)
      const { whole, said } = await ask('read')
      assert.equal(whole, false)
      assert.ok(!said.includes('Customer 0001'))
    },
  },
]
