import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyLedger } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'

/** What the writer keeps for itself while it runs: no evidence, and not examined. */
const writersOwn = new Set(['LOCK', 'epoch'])

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
    await ledger.close()
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const verify = (directory: string) => verifyLedger({ directory, ...trust, depth: 'all' })

  it('is whole as it was written', async () => {
    expect(await verify(join(folder, 'ledger'))).toMatchObject({ verdict: 'OK', findings: [] })
  })

  it('names the file of a changed byte, wherever in the evidence it is', async () => {
    const copy = join(folder, 'copy')
    await cp(join(folder, 'ledger'), copy, { recursive: true })
    const files = (await readdir(copy, { withFileTypes: true, recursive: true })).filter(entry => entry.isFile())
    const unnamed: string[] = []
    let flips = 0
    for (const entry of files) {
      const path = join(entry.parentPath, entry.name)
      const file = relative(copy, path)
      if (writersOwn.has(file)) continue
      const bytes = await readFile(path)
      const step = Math.max(1, Math.floor(bytes.length / 24))
      for (let at = 0; at < bytes.length; at += step) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= 1
        await writeFile(path, changed)
        const { verdict, findings } = await verify(copy)
        if (verdict === 'OK' || !findings.some(finding => finding.file === file))
          unnamed.push(`${file}:${at} ${verdict}`)
        flips += 1
      }
      await writeFile(path, bytes)
    }
    expect(flips).toBeGreaterThan(100)
    expect(unnamed).toEqual([])
  })
})
