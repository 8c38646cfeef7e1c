/** A session of which one half was erased, shown again: the entry that erased it stands in its place, and the other half is shown. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { promptOf, storyOf, whatIsGone } from '../../cli/replay/session.ts'
import { recordings } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { type Draft, disclosedOf } from '../../lib/ledger/ledger.ts'
import { decision, exchangeId, outcome } from '../support/directory-ledger.ts'
import { customer, type Erasable, erasableLedger, erased, erasure, session } from '../support/erasable-ledger.ts'

const slot = `session:${session}` as const

let folder: string
let at: Erasable
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-replay-'))
  at = await erased(await erasableLedger(join(folder, 'ledger')), erasure({ scope: 'session', of: session }))
  const ledger = await openDirectoryLedger(at.options)
  const exchange = exchangeId()
  const writer = await ledger.attach({ slot })
  await writer.write(Buffer.from('shown after it'))
  const closed = await writer.close()
  const { id, salt: _salt, sealed: _sealed, ...attached } = closed
  await ledger.append([
    {
      ...decision(exchange),
      session,
      subject: customer,
      disclose: { action: { exec: 'uptime' }, actionSalt: 's' },
      slot,
    } as Draft,
    {
      ...{ kind: 'attachment', attachment: id, exchange, session, part: 'response', type: 'text/plain', ...attached },
      ...{ disclose: disclosedOf(closed), slot },
    },
    outcome(exchange),
  ])
  await ledger.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it.each([
  ['with the key of the vault', true],
  ['by a copy alone', false],
])('a session of which one half was erased says by which entry and on what ground, %s', async (_, withKey) => {
  const { options, key } = at
  const trust = { directory: options.directory, fingerprint: key.fingerprint, certificate: key.certificate }
  const given = withKey ? { ...trust, wrappingKey: options.wrappingKey! } : trust
  const { session: records, attachments } = await recordings(given, session)
  const erasureAt = (await recordings(given, session)).attachments[0]!.erased!
  expect(erasureAt.ground).toBe('art-17')
  const said = `erased by entry #${erasureAt.by}, ground art-17`
  const { asked } = storyOf(records!, attachments)
  expect(asked.map(whatIsGone)).toEqual([`what was disclosed of this is gone: ${said}`, undefined])
  expect(promptOf(asked[0]!)).toContain('crm/public.customers')
  const contentOf = async (i: number) => {
    const parts: Buffer[] = []
    for await (const part of attachments[i]!.content()) parts.push(part)
    return Buffer.concat(parts).toString()
  }
  await expect(contentOf(0)).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING', message: said })
  if (withKey) expect(await contentOf(1)).toBe('shown after it')
  else await expect(contentOf(1)).rejects.toMatchObject({ message: 'that needs the key of the vault' })
  expect(promptOf(asked[1]!)).toContain(withKey ? 'uptime' : 'crm/public.customers')
})
