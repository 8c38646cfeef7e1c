/** Recordings of a real guard over a real ledger, in a bundle: listed always, put in where asked for, each what its entry commits to. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatManifest, formatSums, sha256 } from '../../evidence/bundle/manifest.ts'
import { type BundleOptions, buildBundle, verifyBundle } from '../../evidence/index.ts'
import type { Control } from '../../lib/control.ts'
import { decodeDisclosure } from '../../lib/format/disclosure.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { armorSignature, generateKey, readPrivateKey, type SigningKey, signDetached } from '../../lib/openpgp.ts'
import { agent, ask, fixture, json } from '../support/guard.ts'

const secret = '078-05-1120'
const readControls = (text: string) => JSON.parse(text) as Control[]
let folder: string
let key: SigningKey
let wrappingKey: Buffer
let count = 0

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'counterfoil-recordings-'))
  key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
  wrappingKey = randomBytes(32)
  const ledger = await openDirectoryLedger({
    ...{ directory: join(folder, 'ledger'), origin: 'recordings.example', writer: 'test', create: true },
    ...{ noteKey: generateKeyPairSync('ed25519').privateKey, sealer: openpgpSealer(key), wrappingKey },
    ...{ software: 'test', placement: 'embedded' },
  })
  const control: Control = {
    ...{ id: 'RC-01', title: 'RC-01', criteria: ['CC7.2'], mode: 'enforce', tests: 'auto' },
    ...{ covers: { resource: 'crm/**' }, mask: { ssn: 'last4' }, record: { response: 'masked' } },
  }
  const crm = await fixture([control], { ledger })
  for (let i = 0; i < 3; i += 1) await ask(crm, agent, {}, () => json(`{"n":${i},"ssn":"${secret}"}`))
  await crm.guard.close()
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function build(more: Partial<BundleOptions> = {}) {
  count += 1
  return buildBundle({
    ledger: { directory: join(folder, 'ledger'), fingerprint: key.fingerprint, wrappingKey },
    ...{ out: join(folder, `b${count}`), organisation: 'CRM Example', from: '2020-01-01', to: '2099-01-01' },
    ...{ asOf: Date.parse('2026-01-01'), controls: readControls },
    sign: async bytes => armorSignature(await signDetached(key, bytes)),
    ...more,
  })
}
const verify = (directory: string) => verifyBundle({ directory, fingerprint: key.fingerprint, readControls })
const recordingsIn = async (directory: string) =>
  (await readdir(join(directory, 'recordings'))).filter(name => name !== 'index.csv').sort()

const namesDisclosed = ({ files }: { files: ReadonlyMap<string, string> }) =>
  files
    .get('disclosures/disclosures.jsonl')!
    .trim()
    .split('\n')
    .map(line => decodeDisclosure(JSON.parse(line).disclosure).name)

describe('recordings in a bundle', () => {
  test('are listed with digest, length, span and place, and stay in the ledger where nobody asked for them', async () => {
    const bundle = await build()
    const [head, ...rows] = bundle.files.get('recordings/index.csv')!.trim().split('\n')
    expect(head).toBe(
      'index,time,exchange,session,part,type,content,bytes,chunks,first,last,location,cut,cut_by,sealed_to',
    )
    expect(rows).toHaveLength(3)
    for (const row of rows) {
      const cells = row.split(',')
      const [index, first, last] = [cells[0], cells[9], cells[10]].map(Number) as [number, number, number]
      expect(first < index && index < last).toBe(true)
      expect(cells[11]).toMatch(/^ledger: vault\/attachments\//)
    }
    expect(await recordingsIn(bundle.directory)).toEqual([])
    expect(namesDisclosed(bundle)).not.toContain('contentSalt')
    expect(bundle.files.get('statements/limitations.txt')).toContain('3 recordings lie encrypted in the ledger')
    expect((await verify(bundle.directory)).findings).toEqual([])
    const recorded = bundle.results.find(result => result.test === 'recorded-whole')
    expect([recorded?.word, recorded?.population]).toEqual(['no-exceptions-noted', 3])
  })

  test('are put in as they were shown, masked, and are derived again to the same bytes', async () => {
    const bundle = await build({ recordings: true })
    const names = await recordingsIn(bundle.directory)
    expect(names).toHaveLength(3)
    expect(namesDisclosed(bundle)).toContain('contentSalt')
    for (const name of names) {
      const text = await readFile(join(bundle.directory, 'recordings', name), 'latin1')
      expect(text).toContain('****1120')
      expect(text).not.toContain(secret)
      expect(bundle.files.get('recordings/index.csv')).toContain(`recordings/${name}`)
      expect(bundle.files.get('SHA256SUMS')).toContain(`  recordings/${name}\n`)
    }
    const checked = await verify(bundle.directory)
    expect(checked.findings).toEqual([])
    expect(checked.verdict).toBe('OK')
    expect(checked.steps.find(({ name }) => name === 'recordings')?.detail).toBe(
      '3 of 3 are here, each what its entry commits to',
    )
    const again = await build({ recordings: true })
    expect(again.files.get('SHA256SUMS')).toBe(bundle.files.get('SHA256SUMS'))
  })

  test('that were changed, taken away or added are named, though a forger lists and signs all of it anew', async () => {
    const bundle = await build({ recordings: true })
    const [first] = await recordingsIn(bundle.directory)
    const path = `recordings/${first}`
    const forge = async (
      change: (directory: string) => Promise<unknown>,
      list: (path: string) => Buffer | undefined,
    ) => {
      count += 1
      const directory = join(folder, `b${count}`)
      await cp(bundle.directory, directory, { recursive: true })
      await change(directory)
      const kept = bundle.manifest.files.flatMap(file => {
        const bytes = file.path === path ? list(path) : undefined
        if (file.path !== path) return [file]
        return bytes === undefined ? [] : [{ path, bytes: bytes.length, sha256: sha256(bytes), rows: 0 }]
      })
      const manifest = formatManifest({ ...bundle.manifest, files: kept })
      const sums = formatSums([...kept, { path: 'MANIFEST.json', sha256: sha256(manifest) }])
      await writeFile(join(directory, 'MANIFEST.json'), manifest)
      await writeFile(join(directory, 'SHA256SUMS'), sums)
      await writeFile(join(directory, 'SHA256SUMS.asc'), armorSignature(await signDetached(key, Buffer.from(sums))))
      return (await verify(directory)).findings.map(({ code, file }) => [code, file])
    }
    const other = Buffer.from(
      `${await readFile(join(bundle.directory, path), 'latin1')}`.replace('1120', '0000'),
      'latin1',
    )
    expect(
      await forge(
        directory => writeFile(join(directory, path), other),
        () => other,
      ),
    ).toEqual([['RECORDING', path]])
    expect(
      await forge(
        directory => rm(join(directory, path)),
        () => undefined,
      ),
    ).toContainEqual(['FILE_MISSING', path])
    const plain = await build()
    await writeFile(join(plain.directory, path), other)
    expect((await verify(plain.directory)).findings.map(({ code, file }) => [code, file])).toContainEqual([
      'FILE_EXTRA',
      path,
    ])
  })

  test('stay out with pseudonyms, for they may name people, and without the key of the vault', async () => {
    await expect(build({ recordings: true, identities: 'pseudonyms' })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
    const ledger = { directory: join(folder, 'ledger'), fingerprint: key.fingerprint }
    await expect(build({ recordings: true, ledger })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })
})
