/** A pseudonym with two names is told, to who has the key of the vault. */
import { expect, it } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { erasableLedger, officer, principal, verified } from '../support/erasable-ledger.ts'

it('who is given a second name is told, with who said so; who is named again is not', async () => {
  const at = await erasableLedger()
  const say = async (draft: Draft) => {
    const ledger = await openDirectoryLedger(at.options)
    const [stored] = await ledger.append([draft])
    await ledger.close()
    const { findings } = await verified(at)
    return [stored!.index, findings.map(({ code, index, what }) => [code, index, what])] as const
  }
  expect((await say(principal(officer)))[1]).toEqual([])
  const [index, found] = await say({ ...principal(officer), disclose: { name: 'boss@crm.example' } } as Draft)
  const what = `entry ${index}, by crm-gateway, gives ${officer} another name than entry 3 does`
  expect(found).toEqual([['ENTRY_REPEATED', index, what]])
})
