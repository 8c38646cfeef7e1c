/** Attachments of a real ledger: whole, altered, cut, taken away, put in another's place. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyLedger } from '../../evidence/index.ts'
import type { Control } from '../../lib/control.ts'
import type { Json } from '../../lib/format/canonical.ts'
import { attachmentFile } from '../../lib/format/layout.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { ask, fixture, json, requester } from '../support/guard.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

let folder: string
let trust: { fingerprint: string; certificate: string; wrappingKey: Buffer }
let ids: string[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'counterfoil-attachments-'))
  const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
  trust = { fingerprint: key.fingerprint, certificate: key.certificate, wrappingKey: randomBytes(32) }
  const ledger = await openDirectoryLedger({
    ...{ directory: join(folder, 'ledger'), origin: 'attachments.example', writer: 'test', create: true },
    ...{
      noteKey: generateKeyPairSync('ed25519').privateKey,
      sealer: openpgpSealer(key),
      wrappingKey: trust.wrappingKey,
    },
    ...{ software: 'test', placement: 'embedded' },
  })
  const control: Control = {
    ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
    ...{ covers: { resource: 'crm/**' }, record: { response: 'masked' } },
  }
  const at = await fixture([control], { ledger })
  for (let i = 0; i < 2; i += 1) await ask(at, requester, {}, () => json(`{"n":${i}}`))
  ids = (await at.of('attachment')).map(({ attachment }) => attachment)
  await at.guard.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Verifies a copy in which something was done to the first attachment. */
async function verified(change: (path: string, other: string) => Promise<void>) {
  const directory = await mkdtemp(join(folder, 'copy-'))
  await cp(join(folder, 'ledger'), directory, { recursive: true })
  const [path, other] = ids.map(id => join(directory, attachmentFile(id)))
  await change(path!, other!)
  return verifyLedger({ directory, ...trust, depth: 'all' })
}

describe('attachments', () => {
  it('are examined, and whole', async () => {
    const { verdict, findings, steps } = await verified(async () => undefined)
    expect({ verdict, findings }).toEqual({ verdict: 'OK', findings: [] })
    expect(steps.find(({ name }) => name === 'disclosures')?.detail).toContain('2 attachments')
  })

  // biome-ignore format: a table
  it.each<[string, (path: string, other: string) => Promise<void>, string]>([
    ['taken away',      path => rm(path),                                                                   'ATTACHMENT_MISSING'],
    ['cut in its head', async path => writeFile(path, (await readFile(path)).subarray(0, 5)),               'ATTACHMENT_MISMATCH'],
    ['cut to its head', async path => writeFile(path, (await readFile(path)).subarray(0, 12)),              'ATTACHMENT_MISMATCH'],
    ['cut in a chunk',  async path => writeFile(path, (await readFile(path)).subarray(0, -1)),              'ATTACHMENT_MISMATCH'],
    ['longer',          async path => writeFile(path, Buffer.concat([await readFile(path), Buffer.of(0)])), 'ATTACHMENT_MISMATCH'],
    ["another's",       (path, other) => rename(other, path),                                               'ATTACHMENT_MISMATCH'],
  ])('named where one is %s', async (_, change, code) => {
    const { verdict, findings } = await verified(change)
    expect(verdict).toBe('TAMPERED')
    expect(findings).toContainEqual(expect.objectContaining({ code, file: attachmentFile(ids[0]!) }))
  })

  // biome-ignore format: a table
  it.each<[string, Record<string, Json>]>([
    ['nothing',                      {}],
    ['something else',               { note: 'x' }],
    ['a salt that is none',          { contentSalt: 1 }],
  ])('are named where an entry discloses %s to hold one against, and nobody could', async (_, disclose) => {
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    const exchange = builder.uuid()
    const attachment = builder.uuid()
    const clear = { part: 'response', type: 'x', bytes: 1000, chunks: 1, content: 'A'.repeat(43) } as const
    const { index } = builder.add('attachment', { attachment, exchange, ...clear }, disclose)
    builder.add('stopped', {})
    const directory = await mkdtemp(join(folder, 'built-'))
    await builder.write(directory)
    const { fingerprint, wrappingKey } = builder
    const { verdict, findings } = await verifyLedger({ directory, fingerprint, wrappingKey, depth: 'all' })
    expect(verdict).toBe('TAMPERED')
    expect(findings).toMatchObject([{ code: 'ATTACHMENT_MISMATCH', index, file: attachmentFile(attachment) }])
  })
})
