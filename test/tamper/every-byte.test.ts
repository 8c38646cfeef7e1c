/**
 * One changed byte anywhere in a ledger or a bundle is named by its file. Of the ledger as the store writes it, of a
 * larger one with tiles upon tiles, and of a bundle with every kind of file that there is.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { requireArmor } from '../../evidence/bundle/armor.ts'
import { paths, primaryPaths } from '../../evidence/bundle/material.ts'
import { buildBundle, verifyLedger } from '../../evidence/index.ts'
import { LedgerError } from '../../lib/errors.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { armorSignature, generateKey, readPrivateKey, signDetached, verifyDetached } from '../../lib/openpgp.ts'
import { BundleFixture } from '../evidence/bundle-fixture.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

/** In the suite a sample of what is alike; with COUNTERFOIL_TAMPER=all every one. */
const everything = process.env.COUNTERFOIL_TAMPER === 'all'

type Verify = (directory: string) => Promise<{
  verdict: string
  findings: readonly { readonly file?: string }[]
}>

/**
 * Changes a byte at so many places in each file, and puts it back. @returns the places where that was not named, and how many there were
 */
async function flipEach(directory: string, verify: Verify, places: number, except: readonly string[] = []) {
  const unnamed: string[] = []
  const kinds = new Set<string>()
  let flips = 0
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    const file = relative(directory, path)
    if (!entry.isFile() || except.includes(file)) continue
    kinds.add(file.split('/')[0]!)
    const bytes = await readFile(path)
    const step = Math.max(1, Math.floor(bytes.length / places))
    for (let at = Math.floor(step / 2); at < bytes.length; at += step) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      await writeFile(path, changed)
      const { verdict, findings } = await verify(directory)
      if (verdict !== 'TAMPERED' || !findings.some(finding => finding.file === file))
        unnamed.push(`${file}:${at} ${verdict}`)
      flips += 1
    }
    await writeFile(path, bytes)
  }
  return { unnamed, flips, kinds: [...kinds].sort() }
}

/** Changes a byte in the midst of so many files at once. @returns those that were not named */
async function flipTogether(directory: string, verify: Verify, files: readonly string[]): Promise<string[]> {
  const unnamed: string[] = []
  // Fewer than findings of one kind are told.
  for (let from = 0; from < files.length; from += 50) {
    const group = files.slice(from, from + 50)
    const whole = await Promise.all(group.map(file => readFile(join(directory, file))))
    for (const [i, file] of group.entries()) {
      const changed = Buffer.from(whole[i]!)
      changed[changed.length >> 1]! ^= 1
      await writeFile(join(directory, file), changed)
    }
    const { findings } = await verify(directory)
    unnamed.push(...group.filter(file => !findings.some(finding => finding.file === file)))
    for (const [i, file] of group.entries()) await writeFile(join(directory, file), whole[i]!)
  }
  return unnamed
}

/** All of them but so many, drawn. */
function sampleBut<T>(count: number, all: readonly T[]): T[] {
  const rest = [...all]
  for (let i = 0; i < count; i += 1) rest.splice(Math.floor(Math.random() * rest.length), 1)
  return rest
}

describe('a ledger with its vault', () => {
  let folder = ''
  let trust: { fingerprint: string; certificate: string; wrappingKey: Buffer }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'counterfoil-bytes-'))
    const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
    trust = { fingerprint: key.fingerprint, certificate: key.certificate, wrappingKey: randomBytes(32) }
    const ledger = await openDirectoryLedger({
      directory: join(folder, 'ledger'),
      origin: 'bytes.example',
      writer: 'test',
      noteKey: generateKeyPairSync('ed25519').privateKey,
      sealer: openpgpSealer(key),
      wrappingKey: trust.wrappingKey,
      software: 'test',
      placement: 'embedded',
      create: true,
    })
    const subject = randomBytes(16).toString('base64url')
    const draft = { kind: 'principal', subject, type: 'person' } as const
    await ledger.append([{ ...draft, disclose: { name: 'dba@crm.example' }, slot: 'principal:1' }])
    const writer = await ledger.attach({ slot: 'principal:1' })
    await writer.write(Buffer.alloc(70_000, 'recorded'))
    const { id, salt, ...closed } = await writer.close()
    const exchange = '019bffff-0000-7000-8000-222222222222'
    const attached = { kind: 'attachment', attachment: id, exchange, part: 'response', type: 'text/plain' } as const
    await ledger.append([{ ...attached, ...closed, disclose: { contentSalt: salt }, slot: 'principal:1' }])
    await ledger.close()
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const verify = (directory: string) => verifyLedger({ directory, ...trust, depth: 'all' })

  it('is whole as it was written', async () => {
    expect(await verify(join(folder, 'ledger'))).toMatchObject({ verdict: 'OK', findings: [] })
  })

  it('names the file of a changed byte, wherever it is; LOCK alone is examined by nobody', async () => {
    const copy = join(folder, 'copy')
    await cp(join(folder, 'ledger'), copy, { recursive: true })
    const { unnamed, flips, kinds } = await flipEach(copy, verify, everything ? 24 : 12, ['LOCK'])
    expect(unnamed).toEqual([])
    expect(flips).toBeGreaterThan(100)
    expect(kinds).toEqual(['checkpoint', 'checkpoint.d', 'epoch', 'keys', 'snapshot', 'tile', 'vault'])
  })

  it('names an epoch that is no number or went back; a higher one may be an opening that failed, none a copy', async () => {
    const copy = join(folder, 'epochs')
    await cp(join(folder, 'ledger'), copy, { recursive: true })
    const epoch = join(copy, 'epoch')
    for (const text of ['', '0\n', '1', '-1\n', '1\n\n', '01\n', '1e3\n', '9'.repeat(1000)]) {
      await writeFile(epoch, text)
      const { verdict, findings } = await verify(copy)
      expect([verdict, findings.map(({ code, file }) => [code, file])], JSON.stringify(text)).toEqual([
        'TAMPERED',
        [['EPOCH_INVALID', 'epoch']],
      ])
    }
    for (const text of ['1\n', '2\n', '999999999\n']) {
      await writeFile(epoch, text)
      expect((await verify(copy)).findings).toEqual([])
    }
    await rm(epoch)
    expect((await verify(copy)).findings).toEqual([])
  })
})

describe('a ledger of more than one tile, opened twice', () => {
  it('names the file of a changed byte, and an epoch of before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'counterfoil-bytes-'))
    try {
      const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
      for (let i = 0; i < 300; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
      builder.add('stopped', {})
      builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 })
      await builder.write(folder, { seals: [256, builder.entries.length] })
      const { fingerprint, wrappingKey, keys } = builder
      const trust = { fingerprint, wrappingKey, certificate: keys.seal.certificate, now: builder.now }
      const verify = (directory: string) => verifyLedger({ directory, ...trust })
      await writeFile(join(folder, 'epoch'), '2\n')
      expect(await verify(folder)).toMatchObject({ verdict: 'OK', findings: [] })
      // The builder publishes no digest of the certificate, and what was never in a slot stands for nothing.
      const except = ['epoch', 'keys/seal.pub.asc', 'vault/slots/000']
      expect((await flipEach(folder, verify, 8, except)).unnamed).toEqual([])
      await writeFile(join(folder, 'epoch'), '1\n')
      expect((await verify(folder)).findings).toMatchObject([
        { code: 'EPOCH_INVALID', file: 'epoch', index: 303, expected: 'at least 2', actual: '1' },
      ])
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

describe('a bundle with every kind of file', () => {
  it('names the file of a changed byte, wherever it is', async () => {
    const fixture = await BundleFixture.make()
    try {
      const text = 'time,user,application,session,line,tag,database\n2026-07-01T00:00:03Z,x,psql,1.1,1,SELECT,crm\n'
      const imports = [{ name: 'server-log', text, format: 'csv', target: 'crm', user: 'gateway' } as const]
      const { directory, files } = await buildBundle(fixture.options({ imports }))
      expect((await fixture.verify(directory)).findings).toEqual([])
      expect([...primaryPaths].filter(path => !files.has(path))).toEqual([paths.keys, paths.later])
      const outside = ['MANIFEST.json', 'SHA256SUMS', 'SHA256SUMS.asc']
      const written = [...files].flatMap(([path, content]) => (content === '' ? [] : [path]))
      const derived = written.filter(path => !primaryPaths.has(path) && !outside.includes(path))
      // What all else follows from, each alone. Of what follows a few alone, the rest together: each costs a verification.
      const together = everything ? [] : sampleBut(3, derived)
      const { unnamed, flips } = await flipEach(directory, fixture.verify, 1, together)
      expect(unnamed).toEqual([])
      expect(flips).toBe(written.length - together.length)
      expect(flips).toBeGreaterThan(15)
      expect(await flipTogether(directory, fixture.verify, derived)).toEqual([])
      expect(new Set(written.map(path => path.split('/')[0]))).toHaveLength(21)
    } finally {
      await fixture.remove()
    }
  }, 300_000)

  it('refuses the signature, whichever of its bytes was changed: its armor has many that no reader of OpenPGP looks at', async () => {
    const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
    const data = Buffer.from('sums')
    const whole = armorSignature(await signDetached(key, data))
    const accepts = async (signature: string) => {
      try {
        requireArmor(signature)
        await verifyDetached({ data, signature, ...key })
        return true
      } catch (error) {
        expect(error).toBeInstanceOf(LedgerError)
        return false
      }
    }
    expect([await accepts(whole), await accepts(whole.replaceAll('\n', '\r\n'))]).toEqual([true, true])
    expect(await accepts(whole.replace('\n', '\nComment: anybody wrote this\n'))).toBe(false)
    const accepted: number[] = []
    for (let at = 0; at < whole.length; at += 1) {
      for (const bit of [1, 0x20]) {
        const changed = Buffer.from(whole)
        changed[at]! ^= bit
        if (await accepts(changed.toString('latin1'))) accepted.push(at)
      }
    }
    expect(accepted).toEqual([])
  })
})
