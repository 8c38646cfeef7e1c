import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { entryBundle, hashTile, tileFill, vaultBundle } from '../../lib/format/layout.ts'
import { sameHash, treeRoot } from '../../lib/format/merkle.ts'
import { openpgpKeyId } from '../../lib/format/note.ts'
import { tileReader } from '../../lib/format/tile.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { certifiedText, openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, verifyDetached } from '../../lib/openpgp.ts'
import { allEntries, crashImage, exchangeId, ledgerOptions, origin, settled } from '../support/directory-ledger.ts'

const read = (directory: string, path: string) => readFileSync(join(directory, path))

/** As an outsider would: the checkpoint first, then every tile that it needs. */
async function readAsStranger(directory: string): Promise<number> {
  const { size, root } = parseCheckpoint(read(directory, 'checkpoint'))
  const reader = tileReader(size, (level, n, width) => read(directory, hashTile(level, n, width)))
  expect(sameHash(await treeRoot(size, reader), root)).toBe(true)
  const last = Math.floor((size - 1) / 256)
  read(directory, entryBundle(last, tileFill(size, 0, last)))
  return size
}

/**
 * A reader that was overtaken starts again, as often as it is: each time there is a newer checkpoint, or its tiles are missing indeed.
 */
async function readUntilNotOvertaken(directory: string): Promise<number> {
  for (;;) {
    const before = read(directory, 'checkpoint')
    try {
      return await readAsStranger(directory)
    } catch (error) {
      if (read(directory, 'checkpoint').equals(before)) throw error
    }
  }
}

describe('publication', () => {
  it('leaves one partial of each tile, none of a full one, and no file that is half written', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 31; i += 1) {
      await ledger.append(Array.from({ length: 17 }, () => settled()))
      await ledger.publish()
    }
    const size = 2 + 31 * 17
    const files = readdirSync(options.directory, { recursive: true, withFileTypes: true })
      .filter(file => file.isFile())
      .map(file => join(file.parentPath, file.name).slice(options.directory.length + 1))
    const tiles = files.filter(path => path.startsWith('tile/') || path.startsWith('vault/entries')).sort()
    const widths = [256, 256, size - 512]
    expect(tiles).toEqual(
      [
        hashTile(1, 0, 2),
        ...widths.flatMap((width, n) => [hashTile(0, n, width), entryBundle(n, width), vaultBundle(n, width)]),
      ].sort(),
    )
    expect(files.filter(path => path.endsWith('.tmp'))).toEqual([])
    await ledger.close()
  })

  it('never shows a checkpoint without its tiles, however often it is read meanwhile', async () => {
    const options = ledgerOptions({ publishMs: 1 })
    const ledger = await openDirectoryLedger(options)
    let writing = true
    const seen = new Set<number>()
    const writer = (async () => {
      // How many checkpoints there are meanwhile is the machine's affair: it goes on until some have been read.
      for (let i = 0; i < 150 || (seen.size <= 3 && i < 10_000); i += 1) {
        await ledger.append(Array.from({ length: 5 }, () => settled()))
      }
      writing = false
    })()
    while (writing) {
      seen.add(await readUntilNotOvertaken(options.directory))
      await setImmediate()
    }
    await writer
    expect(seen.size).toBeGreaterThan(3)
    expect([...seen]).toEqual([...seen].toSorted((a, b) => a - b))
    await ledger.close()
  })

  it('publishes by itself within the interval', async () => {
    const options = ledgerOptions({ publishMs: 20 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    await expect.poll(() => parseCheckpoint(read(options.directory, 'checkpoint')).size).toBe(3)
    await ledger.close()
  })

  it('signs nothing, and stops, once another writer has opened the ledger whatever the lock said', async () => {
    const options = ledgerOptions({ publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    writeFileSync(join(options.directory, 'epoch'), '2\n')
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(parseCheckpoint(read(options.directory, 'checkpoint')).size).toBe(2)
    await expect(ledger.append([settled()])).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await ledger.close()
  })

  it("refuses to publish or seal once closed: the directory may be another writer's by then", async () => {
    const ledger = await openDirectoryLedger(ledgerOptions())
    await ledger.close()
    await expect(ledger.publish()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await expect(ledger.seal()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
  })
})

describe('a heartbeat', () => {
  it('is appended at the interval, and counts the exchanges in flight', async () => {
    const options = ledgerOptions({ heartbeatMs: 20 })
    const ledger = await openDirectoryLedger(options)
    const { decision } = await import('../support/directory-ledger.ts')
    await ledger.append([decision(exchangeId()), decision(exchangeId()), decision(exchangeId(), 'deny')])
    const beats = async () =>
      (await allEntries(ledger)).flatMap(({ entry }) => (entry.kind === 'heartbeat' ? [entry.open] : []))
    await expect.poll(async () => (await beats()).at(-1)).toBe(2)
    await ledger.close()
  })
})

describe('a seal', () => {
  it('carries an OpenPGP signature over the same body, is kept for good, and entry 0 certifies the note key', async () => {
    const key = await readPrivateKey((await generateKey({ name: 'Ledger' })).privateKey)
    const options = ledgerOptions({ sealer: openpgpSealer(key) })
    const ledger = await openDirectoryLedger(options)
    const { size, note } = await ledger.seal()
    const stored = read(options.directory, `checkpoint.d/${size}`)
    expect(stored.equals(read(options.directory, 'checkpoint'))).toBe(true)
    const { certificate, fingerprint } = key
    expect(read(options.directory, 'keys/seal.pub.asc').toString()).toBe(certificate)
    const [, line] = note.signatures
    expect(Buffer.from(line!.keyId).equals(openpgpKeyId(origin, fingerprint))).toBe(true)
    await verifyDetached({ data: Buffer.from(note.text), signature: line!.signature, certificate, fingerprint })
    const [opened] = await allEntries(ledger)
    if (opened!.entry.kind !== 'opened') throw new Error('entry 0 is not opened')
    const { noteKey, certification, sealKey } = opened!.entry
    expect(sealKey).toBe(fingerprint)
    const data = Buffer.from(certifiedText(origin, noteKey))
    await verifyDetached({ data, signature: certification!, certificate, fingerprint })
    await ledger.close()
  })

  it('that the key does not make leaves the ledger unharmed, and its write-ahead log in place', async () => {
    const key = await readPrivateKey((await generateKey({ name: 'Ledger' })).privateKey)
    let locked = false
    const sealer = openpgpSealer(key)
    const sign = (bytes: Uint8Array) => (locked ? Promise.reject(new Error('the card was drawn')) : sealer.sign(bytes))
    const options = ledgerOptions({ sealer: { ...sealer, sign } })
    const ledger = await openDirectoryLedger(options)
    locked = true
    await expect(ledger.seal()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await ledger.append([settled()])
    await expect(ledger.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    const again = await openDirectoryLedger(crashImage({ ...options, sealer }))
    expect((await allEntries(again)).map(({ entry }) => entry.kind)).toEqual([
      'opened',
      'started',
      'settled',
      'stopped',
      'started',
    ])
    await again.close()
  })
})
