import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { entryBundle, snapshotFile } from '../../lib/format/layout.ts'
import { parseSnapshot } from '../../lib/format/snapshot.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Draft, Ledger, Stored } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer, type Sealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { crashImage, ledgerOptions, settled } from '../support/directory-ledger.ts'

const pseudonym = 'A'.repeat(22)
const request = (n: number): Draft => ({
  kind: 'grant-requested',
  grant: `g-${String(n).padStart(10, '0')}`,
  subject: pseudonym,
  resource: 'crm/**',
  actions: ['*'],
  seconds: 60,
  longest: 600,
  roles: [],
  controls: [],
})
const many = (count: number) => Array.from({ length: count }, () => settled())

async function state(ledger: Ledger): Promise<Stored[]> {
  const found: Stored[] = []
  for await (const stored of ledger.state()) found.push(stored)
  return found
}

/** Folded, then closed: three full bundles, a principal in the first, a request in the second. */
async function closed(options: DirectoryOptions): Promise<Stored[]> {
  const ledger = await openDirectoryLedger(options)
  await state(ledger)
  await ledger.append([{ kind: 'principal', subject: pseudonym, type: 'person' }, ...many(300)])
  await ledger.append([request(1), ...many(600)])
  const known = await state(ledger)
  await ledger.close()
  return known
}

const snapshots = ({ directory }: DirectoryOptions) => readdirSync(join(directory, 'snapshot')).sort()

describe('a snapshot', () => {
  it('is made at a seal, and the next opening reads no more than it and what follows', async () => {
    const options = ledgerOptions()
    const known = await closed(options)
    expect(known.map(({ index, entry }) => [index, entry.kind])).toEqual([
      [0, 'opened'],
      [2, 'principal'],
      [303, 'grant-requested'],
    ])
    // What it stands for is not looked at: the bundle that holds the request is not even there.
    rmSync(join(options.directory, entryBundle(1)))
    const again = await openDirectoryLedger(options)
    await again.append([request(2)])
    const after = await state(again)
    expect(after.slice(0, 3)).toEqual(known)
    expect(after.slice(3)).toMatchObject([{ entry: { grant: 'g-0000000002' } }])
    await again.close()
  })

  it('is made at every seal, and two are kept', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 3; i += 1) {
      await ledger.append(many(1))
      await ledger.seal()
    }
    expect(snapshots(options)).toEqual(['4', '5'])
    await ledger.close()
  })

  it('of another tree, of another key, or altered, is passed over', async () => {
    const options = ledgerOptions()
    const known = await closed(options)
    const [name] = snapshots(options)
    const path = (of: DirectoryOptions) => join(of.directory, snapshotFile(Number(name)))
    const whole = readFileSync(path(options))
    const stranger = ledgerOptions()
    await closed(stranger)
    const forged = Buffer.from(whole)
    forged[forged.length - 1]! ^= 1
    for (const bytes of [forged, readFileSync(path(stranger)), whole.subarray(0, 99), Buffer.alloc(0)]) {
      const image = crashImage(options)
      writeFileSync(path(image), bytes)
      const again = await openDirectoryLedger(image)
      expect((await state(again)).slice(0, 3)).toEqual(known)
      await again.close()
      // It must have been read from the beginning.
      const holed = crashImage(options)
      writeFileSync(path(holed), bytes)
      rmSync(join(holed.directory, entryBundle(1)))
      const half = openDirectoryLedger(holed).then(state)
      await expect(half).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
    }
  })

  it('stands for what was durable when its seal was made, whatever is appended meanwhile', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await state(ledger)
    const appended = Promise.all(Array.from({ length: 40 }, (_, n) => ledger.append([request(n)])))
    const sealed = await ledger.seal()
    await appended
    const { checkpoint, living } = parseSnapshot(readFileSync(join(options.directory, snapshotFile(sealed.size))))
    expect(checkpoint).toMatchObject({ size: sealed.size, origin: options.origin })
    expect(living.entries().every(({ index }) => index < sealed.size)).toBe(true)
    await ledger.close()
  })
})

describe('a ledger that stays open', () => {
  const seals = ({ directory }: DirectoryOptions) => readdirSync(join(directory, 'checkpoint.d'))
  const segments = ({ directory }: DirectoryOptions) => readdirSync(join(directory, 'wal'))
  const publishedSize = ({ directory }: DirectoryOptions) =>
    parseCheckpoint(readFileSync(join(directory, 'checkpoint'))).size

  it('is sealed when it is time', async () => {
    let now = Date.now()
    const options = ledgerOptions({ publishMs: 1, sealMs: 60_000, clock: { now: () => now } })
    const ledger = await openDirectoryLedger(options)
    await ledger.append(many(1))
    await expect.poll(() => readFileSync(join(options.directory, 'checkpoint'), 'latin1')).toContain('\n3\n')
    expect(() => seals(options)).toThrow('ENOENT')
    now += 60_000
    await ledger.append(many(1))
    await expect.poll(() => seals(options)).toEqual(['4'])
    await ledger.close()
  })

  it('is sealed when its write-ahead log has grown by a segment, which is given up then', async () => {
    const options = ledgerOptions({ publishMs: 1, segmentBytes: 8192 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 50; i += 1) await ledger.append(many(5))
    await expect.poll(() => segments(options).length).toBe(1)
    expect(seals(options).length).toBeGreaterThan(0)
    await ledger.close()
  })

  it('is sealed then at once, however long it may wait to be published', async () => {
    const options = ledgerOptions({ publishMs: 1e6, segmentBytes: 8192 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 50; i += 1) await ledger.append(many(5))
    await expect.poll(() => segments(options).length).toBe(1)
    expect(seals(options).length).toBeGreaterThan(1)
    await ledger.close()
  })

  it('asks a key that does not sign no sooner again than with the next publication, however far it is behind', async () => {
    const { privateKey } = await generateKey({ name: 'Ledger' })
    const real = openpgpSealer(await readPrivateKey(privateKey))
    let asked = 0
    let signs = true
    const sealer: Sealer = {
      ...real,
      sign: async bytes => {
        asked += 1
        if (!signs) throw new Error('the card is out')
        return real.sign(bytes)
      },
    }
    const ledger = await openDirectoryLedger(ledgerOptions({ publishMs: 1e6, segmentBytes: 8192, sealer }))
    signs = false
    const before = asked
    for (let i = 0; i < 50; i += 1) await ledger.append(many(5))
    await expect.poll(() => asked).toBe(before + 1)
    for (let i = 0; i < 50; i += 1) await ledger.append(many(5))
    await ledger.publish()
    expect(asked).toBe(before + 1)
    signs = true
    await ledger.close()
  })

  it('is not sealed for each segment where its snapshot would be most of what is written', async () => {
    const options = ledgerOptions({ publishMs: 1, segmentBytes: 8192 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append(Array.from({ length: 200 }, (_, n) => request(n)))
    const { size } = await ledger.seal()
    const { length } = readFileSync(join(options.directory, snapshotFile(size)))
    const grown = async (bytes: number) => {
      for (let at = 0; at < bytes; at += 8192) await ledger.append(many(40))
      const { size } = await ledger.publish()
      // By the schedule, too.
      await ledger.append(many(1))
      await expect.poll(() => publishedSize(options)).toBeGreaterThan(size)
    }
    await grown(4 * length)
    expect(segments(options).length).toBeGreaterThan(2)
    expect(seals(options)).toEqual([String(size)])
    await grown(8 * length)
    await expect.poll(() => seals(options).length).toBeGreaterThan(1)
    await ledger.close()
  })

  it('is published where its OpenPGP key does not sign, and sealed when it does again', async () => {
    let signs = false
    const { privateKey } = await generateKey({ name: 'Ledger' })
    const real = openpgpSealer(await readPrivateKey(privateKey))
    let asked = 0
    const sealer: Sealer = {
      ...real,
      sign: async bytes => {
        asked += 1
        // The first certifies the note key, in entry 0.
        if (asked > 1 && !signs) throw new Error('the card is out')
        return real.sign(bytes)
      },
    }
    const options = ledgerOptions({ publishMs: 1, sealMs: 1, sealer })
    const ledger = await openDirectoryLedger(options)
    await ledger.append(many(1))
    await expect.poll(() => asked).toBeGreaterThan(1)
    await expect.poll(() => readFileSync(join(options.directory, 'checkpoint'), 'latin1')).toContain('\n3\n')
    signs = true
    await ledger.append(many(1))
    // Whoever tried again in between sealed three.
    await expect.poll(() => seals(options)).toContain('4')
    await ledger.close()
  })

  it('is published as often as that can be done: whoever asks for it does not wait for what time has piled up', async () => {
    const { privateKey } = await generateKey({ name: 'Ledger' })
    const real = openpgpSealer(await readPrivateKey(privateKey))
    let asked = 0
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    const sealer: Sealer = {
      ...real,
      sign: async bytes => {
        asked += 1
        // The first certifies the note key, in entry 0.
        if (asked > 1) await released
        return real.sign(bytes)
      },
    }
    const ledger = await openDirectoryLedger(ledgerOptions({ publishMs: 1, sealMs: 1, sealer }))
    for (let i = 0; i < 100; i += 1) await ledger.append(many(1))
    let over = false
    const goOn = (async () => {
      while (!over) await ledger.append(many(1))
    })()
    const published = ledger.publish()
    release()
    await published
    over = true
    expect(asked).toBeLessThan(6)
    await goOn
    await ledger.close()
  })
})
