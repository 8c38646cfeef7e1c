/** The real guard over the real directory ledger, read by evidence, which shares only the format with them. */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { buildBundle } from '../../evidence/bundle/build.ts'
import { verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import { verifyLedger } from '../../evidence/verify.ts'
import type { Control } from '../../lib/control.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { armorSignature, generateKey, readPrivateKey, signDetached } from '../../lib/openpgp.ts'
import { ledgerOptions, temporaryDirectory } from '../support/directory-ledger.ts'
import {
  agent,
  approvalControl,
  ask,
  dba,
  fixture,
  grantControl,
  json,
  maskControl,
  requester,
} from '../support/guard.ts'

const readControls = (text: string) => JSON.parse(text) as Control[]
const secret = '078-05-1120'

describe('evidence over the real ledger', () => {
  test('verifies what the guard recorded, finds no exception, and no masked value anywhere', async () => {
    const key = await readPrivateKey((await generateKey({ name: 'Test ledger' })).privateKey)
    const noteKey = generateKeyPairSync('ed25519').privateKey
    const options = ledgerOptions({ sealer: openpgpSealer(key), noteKey })
    const ledger = await openDirectoryLedger(options)
    const recorded: Control = {
      ...{ id: 'LG-01', title: 'LG-01', criteria: ['CC7.2', 'CC8.1'], mode: 'enforce', tests: 'auto' },
      ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
    }
    const controls = [grantControl, approvalControl, maskControl, recorded]
    const crm = await fixture(controls, { ledger })
    const { desk } = crm.guard
    await ask(crm, agent, {}, () => json(`{"name":"Customer 0001","ssn":"${secret}","email":"c1@crm.example"}`))
    const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }
    await expect(ask(crm, agent, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
    const grant = await desk.request(agent, {
      resource: 'crm/public.customers',
      actions: ['update'],
      seconds: 60,
      reason: 'a correction',
    })
    await expect(desk.approve(requester, grant)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
    await desk.approve(dba, grant)
    await ask(crm, agent, update)
    await desk.revoke(dba, grant, 'done')
    const drop = { accesses: [{ action: 'drop', resource: 'crm/public.old' }], risk: 'high' as const, holdable: false }
    const pending = await ask(crm, agent, drop).catch(error => error.data.approval as string)
    await desk.approve(dba, pending as string)
    await ask(crm, agent, drop)
    await expect(ask(crm, agent, drop)).rejects.toMatchObject({ code: 'ERR_APPROVAL_PENDING' })
    await ledger.close()

    const pin = join(temporaryDirectory(), 'pin')
    const { directory, wrappingKey } = options
    const given = { directory, wrappingKey: Uint8Array.from(wrappingKey), fingerprint: key.fingerprint }
    const verified = await verifyLedger({ ...given, pin, first: true })
    expect(verified.findings).toEqual([])
    expect(verified.verdict).toBe('OK')
    expect(verified.seal?.size).toBe(verified.size)

    const bundle = await buildBundle({
      ledger: { ...given, pin },
      out: join(temporaryDirectory(), 'bundle'),
      organisation: 'CRM Example',
      from: '2020-01-01',
      to: '2099-01-01',
      controls: readControls,
      actions: 'all',
      sign: async bytes => armorSignature(await signDetached(key, bytes)),
    })
    expect(bundle.results.map(r => [r.control, r.test, r.word, r.population])).toEqual([
      ['AC-03', 'grant-window', 'no-exceptions-noted', 1],
      ['AC-03', 'grant-given', 'no-exceptions-noted', 1],
      ['AC-03', 'grant-ended', 'no-exceptions-noted', 1],
      ['AC-03', 'identity-complete', 'no-exceptions-noted', 1],
      ['AC-03', 'agent-accountable', 'no-exceptions-noted', 1],
      ['AC-03', 'denial-held', 'no-exceptions-noted', 1],
      ['AC-07', 'approval-by-another', 'no-exceptions-noted', 1],
      ['AC-07', 'identity-complete', 'no-exceptions-noted', 1],
      ['AC-07', 'agent-accountable', 'no-exceptions-noted', 1],
      ['AC-07', 'denial-held', 'no-exceptions-noted', 2],
      ['CF-01', 'masking-applied', 'no-exceptions-noted', 3],
      ['CF-01', 'identity-complete', 'no-exceptions-noted', 3],
      ['CF-01', 'agent-accountable', 'no-exceptions-noted', 3],
      ['CF-01', 'denial-held', 'no-exceptions-noted', 3],
      ['LG-01', 'recorded-whole', 'no-exceptions-noted', 3],
      ['LG-01', 'policy-in-force', 'no-exceptions-noted', 6],
      ['LG-01', 'log-continuous', 'no-exceptions-noted', 2],
    ])
    expect([...bundle.files.values()].join('\n')).not.toContain(secret)
    const checked = await verifyBundle({ directory: bundle.directory, fingerprint: key.fingerprint, pin, readControls })
    expect(checked.findings).toEqual([])
    expect(checked.verdict).toBe('OK')
  })

  test('a ledger that is open, that was killed, or that goes on after a pin, verifies all the same', async () => {
    const key = await readPrivateKey((await generateKey({ name: 'Test ledger' })).privateKey)
    const options = ledgerOptions({ sealer: openpgpSealer(key) })
    const pin = join(temporaryDirectory(), 'pin')
    const check = (directory: string, first = false) =>
      verifyLedger({ directory, wrappingKey: options.wrappingKey, fingerprint: key.fingerprint, pin, first })
    let ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 300; i += 1) await ledger.append([{ kind: 'heartbeat', open: 0, interval: 60 }])
    await ledger.publish()
    expect((await check(options.directory, true)).findings).toEqual([])
    for (let i = 0; i < 300; i += 1) await ledger.append([{ kind: 'heartbeat', open: 0, interval: 60 }])
    await ledger.seal()
    const image = join(temporaryDirectory(), 'image')
    cpSync(options.directory, image, { recursive: true })
    expect((await check(image)).findings).toEqual([])
    await ledger.close()
    ledger = await openDirectoryLedger({ ...options, directory: image })
    await ledger.close()
    const recovered = await check(image)
    expect(recovered.findings).toEqual([])
    expect(recovered.verdict).toBe('OK')
    const { verdict, findings } = await check(options.directory)
    expect([verdict, findings[0]?.code]).toEqual(['TAMPERED', 'ROLLBACK'])
  })
})
