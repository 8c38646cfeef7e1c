/** What injected faults and a look for more of their kind have found, each shown again without any injection. */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verifyLedger } from '../../evidence/verify.ts'
import { slotFile } from '../../lib/format/layout.ts'
import { slotBytes } from '../../lib/format/vault.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { destroy } from '../../lib/ledger/erasure.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { crashImage, ledgerOptions, settled } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'

const unavailable = { code: 'ERR_LEDGER_UNAVAILABLE' }
const naming = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => ({ ...settled(), disclose: { name: 'x' }, slot: `${prefix}:${i}` }))

describe('an opening that fails', () => {
  it('says so with a type, and closes no descriptor that is somebody else’s by then', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    // The publication of the opening cannot replace its checkpoint.
    mkdirSync(join(options.directory, 'checkpoint.tmp'))
    const before = readdirSync('/proc/self/fd').length
    await expect(openDirectoryLedger(options)).rejects.toMatchObject(unavailable)
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
    rmSync(join(options.directory, 'checkpoint.tmp'), { recursive: true })
    await (await openDirectoryLedger(options)).close()
  })

  it('says so with a type where the lock or the folder itself cannot be had', async () => {
    const options = ledgerOptions()
    mkdirSync(join(options.directory, 'LOCK'))
    await expect(openDirectoryLedger(options)).rejects.toMatchObject(unavailable)
    const file = join(options.directory, 'file')
    writeFileSync(file, '')
    await expect(openDirectoryLedger({ ...options, directory: file })).rejects.toMatchObject(unavailable)
  })

  it('does not say that another writer has the lock where the program that locks could not run', async () => {
    const options = ledgerOptions()
    const path = process.env.PATH
    const bin = join(options.directory, '..', `${options.directory.split('/').at(-1)}-bin`)
    mkdirSync(bin)
    try {
      writeFileSync(join(bin, 'flock'), '#!/bin/sh\nexit 71\n', { mode: 0o755 })
      process.env.PATH = `${bin}:${path}`
      await expect(openDirectoryLedger(options)).rejects.toMatchObject(unavailable)
      // Nor that it is not installed, where it is and could not be started.
      chmodSync(join(bin, 'flock'), 0o644)
      process.env.PATH = bin
      await expect(openDirectoryLedger(options)).rejects.toMatchObject(unavailable)
    } finally {
      process.env.PATH = path
      rmSync(bin, { recursive: true })
    }
  })
})

describe('a close that fails', () => {
  it('says so with a type', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    const [segment] = readdirSync(join(options.directory, 'wal'))
    rmSync(join(options.directory, 'wal', segment!))
    await expect(ledger.close()).rejects.toMatchObject(unavailable)
    await (await openDirectoryLedger(options)).close()
  })
})

describe('the keys of disclosures', () => {
  it('are never written over, though a writer was killed while it wrote a batch of them', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    // More names at once than are ready: the batch that is on its way is overtaken.
    const stored = await ledger.append(naming(150, 'first'))
    const image = crashImage(options)
    await ledger.close()
    const batches = readdirSync(join(image.directory, 'vault/slots')).filter(name => /^\d+$/.test(name))
    expect(batches).toEqual(batches.map((_, i) => String(i).padStart(3, '0')))
    const again = await openDirectoryLedger(image)
    await again.append(naming(150, 'second'))
    for (const { index } of stored) expect(await again.disclosures(index)).toEqual({ name: 'x' })
    await again.close()
  })

  it('that cannot be written stop the ledger, with a type', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    mkdirSync(join(options.directory, 'vault/slots/001/in the way'), { recursive: true })
    await expect(ledger.append(naming(150, 'first'))).rejects.toMatchObject(unavailable)
    await expect(ledger.append([settled()])).rejects.toMatchObject(unavailable)
    await ledger.close()
    rmSync(join(options.directory, 'vault/slots/001'), { recursive: true })
    await (await openDirectoryLedger(options)).close()
  })
})

describe('a seal whose writer was killed while it kept it', () => {
  async function sealed() {
    const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
    const options = ledgerOptions({ sealer: openpgpSealer(key), publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    return { options, ledger, fingerprint: key.fingerprint }
  }

  it('is never ahead of the checkpoint, which a verifier would take for a rollback', async () => {
    const { options, ledger, fingerprint } = await sealed()
    mkdirSync(join(options.directory, 'checkpoint.tmp'))
    await expect(ledger.seal()).rejects.toMatchObject(unavailable)
    const { directory } = crashImage(options)
    expect((await verifyLedger({ directory, fingerprint })).findings).toEqual([])
    await ledger.close()
  })

  it('is kept by the next opening, where only the checkpoint has it', async () => {
    const { options, ledger, fingerprint } = await sealed()
    const { size } = await ledger.seal()
    const image = crashImage(options)
    await ledger.close()
    const seal = readFileSync(join(image.directory, `checkpoint.d/${size}`))
    rmSync(join(image.directory, `checkpoint.d/${size}`))
    await (await openDirectoryLedger(image)).close()
    expect(readFileSync(join(image.directory, `checkpoint.d/${size}`)).equals(seal)).toBe(true)
    expect((await verifyLedger({ directory: image.directory, fingerprint })).verdict).toBe('OK')
  })

  it.each(['checkpoint.d', 'snapshot'])(
    'leaves nothing in %s that a verifier would take for a forgery',
    async folder => {
      const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
      const options = ledgerOptions({ sealer: openpgpSealer(key) })
      const ledger = await openDirectoryLedger(options)
      await ledger.append([settled()])
      await ledger.seal()
      await ledger.append([settled()])
      const beside = join(options.directory, `${folder}/${ledger.size}.tmp`)
      mkdirSync(beside)
      // Were it written aside there, it could not be now.
      await ledger.seal()
      rmSync(beside, { recursive: true })
      await ledger.close()
      const { directory } = options
      expect((await verifyLedger({ directory, fingerprint: key.fingerprint })).verdict).toBe('OK')
    },
  )
})

describe('a snapshot whose writer was killed while it wrote it', () => {
  it('leaves nothing among the snapshots that a verifier would take for a forgery', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    for await (const _ of ledger.state());
    await ledger.seal()
    await ledger.append([settled()])
    // Were it written aside there, it could not be now.
    mkdirSync(join(options.directory, `snapshot/${ledger.size}.tmp`))
    const { size } = await ledger.seal()
    expect(readdirSync(join(options.directory, 'snapshot'))).toContain(String(size))
    await ledger.close()
  })
})

describe('what cannot be read back', () => {
  it('is said so with a type, by whoever asks for it, and harms nothing', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const attachment = await ledger.attach({ slot: 'session:1' })
    await attachment.write(Buffer.from('recorded'))
    await attachment.close()
    await ledger.append([
      { kind: 'principal', subject: 'customer'.padEnd(22, '-'), type: 'person', disclose: { name: 'x' } },
    ])
    await ledger.append(Array.from({ length: 300 }, () => settled()))
    await ledger.publish()
    const about = { by: 'officer'.padEnd(22, '-'), approvers: ['counsel'.padEnd(22, '-')], basis: 'asked in writing' }
    const erasure = { scope: 'principal', of: 'customer'.padEnd(22, '-'), ground: 'art-17', ...about } as const
    const readers: Record<string, () => Promise<unknown>> = {
      entries: async () => {
        for await (const { index } of ledger.entries()) if (index === 2) return index
        return undefined
      },
      disclosures: () => ledger.disclosures(2),
      erase: () => ledger.erase!(erasure),
      attachment: async () => {
        let bytes = 0
        for await (const part of ledger.attachment(attachment.id)) bytes += part.length
        return bytes
      },
    }
    const { directory } = options
    const lies = (path: string) => join(directory, path)
    const folders = ['tile/entries/000', `vault/attachments/${attachment.id.slice(-2)}/${attachment.id}`]
    for (const path of folders) {
      renameSync(lies(path), `${directory}.aside`)
      mkdirSync(lies(path))
      for (const [name, read] of Object.entries(readers)) {
        if ((name === 'attachment') !== path.startsWith('vault')) continue
        await expect(read(), name).rejects.toMatchObject(unavailable)
      }
      rmdirSync(lies(path))
      renameSync(`${directory}.aside`, lies(path))
    }
    expect(await readers.entries!()).toBe(2)
    expect(await readers.disclosures!()).toEqual({ name: 'x' })
    expect(await readers.attachment!()).toBe(8)
    await readers.erase!()
    expect(await readers.disclosures!()).toEqual({})
    await ledger.close()
  })
})

describe('the key of what is erased', () => {
  interop(
    'prlimit',
    'is overwritten whole, or the erasure says that it is not: a write may take less than it is given',
    async prlimit => {
      const options = ledgerOptions()
      await (await openDirectoryLedger(options)).close()
      const slots = join(options.directory, slotFile(3))
      const before = readFileSync(slots)
      const atMost = (bytes: number | string) =>
        expect(spawnSync(prlimit, ['--pid', String(process.pid), `--fsize=${bytes}:`]).status).toBe(0)
      atMost(3 * slotBytes + 8)
      try {
        await expect(destroy(options.directory, new Set([3]))).rejects.toMatchObject({ code: 'EFBIG' })
      } finally {
        atMost('unlimited')
      }
      await destroy(options.directory, new Set([3]))
      const expected = Buffer.from(before)
      expected.fill(0, 3 * slotBytes, 4 * slotBytes)
      expect(readFileSync(slots).equals(expected)).toBe(true)
    },
  )
})
