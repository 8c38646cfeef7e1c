import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isOurs } from '../../lib/errors.ts'
import { encodeEntry } from '../../lib/format/entry.ts'
import { decodeFrame, encodeFrame } from '../../lib/format/frame.ts'
import { segmentFile } from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { decodeBundle } from '../../lib/format/tile.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openDirectoryLedger, openForKeys } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { recover, trimZeros } from '../../lib/ledger/recovery.ts'
import {
  allEntries,
  crashImage,
  decision,
  exchangeId,
  fileDigests,
  kindsOf,
  ledgerOptions,
  outcome,
  settled,
} from '../support/directory-ledger.ts'

const walOf = ({ directory }: DirectoryOptions, first = 0) => join(directory, segmentFile(first))

/** A ledger killed after three appends behind its last checkpoint, and where each frame ends and how many entries it brings. */
async function killed(
  appends = 3,
  each = 2,
): Promise<{ options: DirectoryOptions; ends: { at: number; size: number }[] }> {
  const options = ledgerOptions({ publishMs: 1e6, heartbeatMs: 1e6 })
  const ledger = await openDirectoryLedger(options)
  for (let i = 0; i < appends; i += 1) await ledger.append(Array.from({ length: each }, () => settled()))
  const image = crashImage(options)
  await ledger.close()
  const bytes = readFileSync(walOf(image))
  const ends = [{ at: 0, size: 0 }]
  for (let next = decodeFrame(bytes, 0); next !== undefined; next = decodeFrame(bytes, next.end)) {
    ends.push({ at: next.end, size: next.frame.first + next.frame.count })
  }
  return { options: image, ends }
}

const logKey = ({ wrappingKey, origin }: DirectoryOptions) => macKey(wrappingKey, origin, 'wal')
const judge = (options: DirectoryOptions, epoch = 1) =>
  recover(options.directory, noteKeyOf(options.noteKey, options.origin).verifierKey, epoch, [logKey(options)])

/** Opening must be refused with the code, and leave every file as it was. */
async function expectRefused(options: DirectoryOptions, code: string): Promise<void> {
  const before = fileDigests(options.directory)
  const error: unknown = await openDirectoryLedger(options).catch((thrown: unknown) => thrown)
  expect(isOurs(error) && error.code).toBe(code)
  const { LOCK: _, ...after } = fileDigests(options.directory)
  const { LOCK: __, ...expected } = before
  expect(after).toEqual(expected)
}

describe('recovery', () => {
  it('keeps every acknowledged entry of a killed writer, and says that it recovered', async () => {
    const { options } = await killed()
    const ledger = await openDirectoryLedger(options)
    const entries = await allEntries(ledger)
    expect(kindsOf(entries)).toEqual(['opened', 'started', ...Array(6).fill('settled'), 'recovered', 'started'])
    expect(entries[8]!.entry).toMatchObject({ kind: 'recovered', epoch: 2, torn: 0 })
    expect(entries.map(({ entry }) => entry.seq)).toEqual(entries.map((_, i) => i + 1))
    await ledger.close()
  })

  it('says nothing of recovery after a clean close, and goes on with the same numbers', async () => {
    const options = ledgerOptions()
    for (let i = 0; i < 3; i += 1) {
      const ledger = await openDirectoryLedger(options)
      await ledger.append([settled()])
      await ledger.close()
      expect(readdirSync(join(options.directory, 'wal'))).toEqual([])
    }
    const ledger = await openDirectoryLedger(options)
    const entries = await allEntries(ledger)
    const round = ['started', 'settled', 'stopped']
    expect(kindsOf(entries)).toEqual(['opened', ...round, ...round, ...round, 'started'])
    expect(entries.map(({ entry }) => entry.seq)).toEqual(entries.map((_, i) => i + 1))
    await ledger.close()
  })

  it('numbers a second writer from 1, and the first one where it stopped', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    await (await openDirectoryLedger({ ...options, writer: 'other' })).close()
    const ledger = await openDirectoryLedger(options)
    const writers = (await allEntries(ledger)).map(({ entry }) => `${entry.writer} ${entry.seq}`)
    expect(writers).toEqual(['crm-gateway 1', 'crm-gateway 2', 'crm-gateway 3', 'other 1', 'other 2', 'crm-gateway 4'])
    await ledger.close()
  })

  it('closes what was in flight as unknown, once', async () => {
    const options = ledgerOptions()
    const [finished, refused, first, second] = Array.from({ length: 4 }, exchangeId)
    const writer = await openDirectoryLedger(options)
    await writer.append([decision(first!), decision(finished!), decision(refused!, 'deny'), decision(second!)])
    await writer.append([outcome(finished!)])
    const image = crashImage(options)
    await writer.close()
    const unknown = async (ledger: Awaited<ReturnType<typeof openDirectoryLedger>>) =>
      (await allEntries(ledger)).flatMap(({ entry }) =>
        entry.kind === 'outcome' && entry.result === 'unknown' ? [entry.exchange] : [],
      )
    const recovered = await openDirectoryLedger(image)
    expect(await unknown(recovered)).toEqual([first, second])
    const again = crashImage(image)
    await recovered.close()
    const twice = await openDirectoryLedger(again)
    expect(await unknown(twice)).toEqual([first, second])
    await twice.close()
  })

  it.each(['snapshot', 'entries'])(
    'closes as unknown, once, what was in flight when a writer stopped in order, found in the %s',
    async found => {
      const options = ledgerOptions()
      const exchanges = Array.from({ length: 2 }, exchangeId)
      const ledger = await openForKeys(options)
      // Who has asked for the state has a snapshot taken at the seal.
      if (found === 'snapshot') for await (const _ of ledger.state());
      // Another process of a shared ledger, which the one that leads did not outlive.
      await ledger.appendAs('web', [ledger.started(options), decision(exchanges[0]!)])
      await ledger.append([decision(exchanges[1]!)])
      await ledger.close()
      await (await openDirectoryLedger(options)).close()
      const again = await openDirectoryLedger(options)
      const entries = (await allEntries(again)).map(({ entry }) => entry)
      const unknown = entries.filter(entry => entry.kind === 'outcome' && entry.result === 'unknown')
      expect(unknown.map(entry => entry.kind === 'outcome' && entry.exchange).sort()).toEqual(exchanges)
      expect(entries.filter(({ kind }) => kind === 'recovered')).toHaveLength(1)
      await again.close()
    },
  )

  it('closes more than one append takes in several, and says last that it started', async () => {
    const options = ledgerOptions({ publishMs: 1e6, heartbeatMs: 1e6, segmentBytes: 1e9 })
    const ledger = await openDirectoryLedger(options)
    await ledger.append(Array.from({ length: 5000 }, () => decision()))
    const image = crashImage(options)
    await ledger.close()
    const again = await openDirectoryLedger(image)
    const bytes = readFileSync(walOf(image))
    const counts: number[] = []
    for (let next = decodeFrame(bytes, 0); next !== undefined; next = decodeFrame(bytes, next.end)) {
      counts.push(next.frame.count)
    }
    expect(counts.slice(-2)).toEqual([4096, 5002 - 4096])
    const kinds = kindsOf(await allEntries(again, 5002))
    expect([kinds[0], new Set(kinds.slice(1, -1)), kinds.at(-1)]).toEqual([
      'recovered',
      new Set(['outcome']),
      'started',
    ])
    await again.close()
  })

  it('sets a torn tail aside, cuts it off, and says how long it was', async () => {
    const { options, ends } = await killed()
    const last = ends.at(-1)!
    const wal = readFileSync(walOf(options))
    const torn = trimZeros(wal.subarray(ends.at(-2)!.at, last.at - 5))
    truncateSync(walOf(options), last.at - 5)
    const ledger = await openDirectoryLedger(options)
    const entries = await allEntries(ledger)
    expect(kindsOf(entries)).toEqual(['opened', 'started', ...Array(4).fill('settled'), 'recovered', 'started'])
    expect(entries[6]!.entry).toMatchObject({ torn: torn.length })
    const name = readdirSync(join(options.directory, 'wal')).find(found => found.startsWith('torn-'))!
    expect(readFileSync(join(options.directory, 'wal', name)).equals(torn)).toBe(true)
    await ledger.close()
  })

  it('opens again after a kill in the middle of a recovery', async () => {
    const { options, ends } = await killed()
    truncateSync(walOf(options), ends.at(-1)!.at - 5)
    const ledger = await openDirectoryLedger(options)
    const again = await openDirectoryLedger(crashImage(options))
    expect(again.size).toBe(ledger.size + 2)
    await ledger.close()
    await again.close()
  })

  it('follows the write-ahead log through several segments, and removes those that are sealed', async () => {
    const options = ledgerOptions({ segmentBytes: 2000, publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 40; i += 1) await ledger.append([settled()])
    const image = crashImage(options)
    expect(readdirSync(join(image.directory, 'wal')).length).toBeGreaterThan(4)
    await ledger.seal()
    expect(readdirSync(join(options.directory, 'wal'))).toHaveLength(1)
    const recovered = await openDirectoryLedger(image)
    expect((await allEntries(recovered)).slice(0, 42)).toEqual(await allEntries(ledger))
    const sealed = await openDirectoryLedger(crashImage(options))
    expect((await allEntries(sealed)).slice(0, 42)).toEqual(await allEntries(ledger))
    for (const each of [ledger, recovered, sealed]) await each.close()
  })

  it('finishes the creation of a ledger that was killed before its first entry', async () => {
    const { options } = await killed(0)
    rmSync(join(options.directory, 'checkpoint'))
    rmSync(join(options.directory, 'tile'), { recursive: true })
    truncateSync(walOf(options), 40)
    const ledger = await openDirectoryLedger(options)
    expect((await allEntries(ledger))[0]!.entry.kind).toBe('opened')
    await ledger.close()
  })

  it('derives tiles and checkpoint again when the kill came before the first publication', async () => {
    const { options } = await killed()
    rmSync(join(options.directory, 'checkpoint'))
    rmSync(join(options.directory, 'tile'), { recursive: true })
    const ledger = await openDirectoryLedger(options)
    expect(ledger.size).toBe(10)
    expect(existsSync(join(options.directory, 'tile/entries/000.p/10'))).toBe(true)
    await ledger.close()
  })
})

describe('a write-ahead log that was cut', () => {
  for (const zeros of [false, true]) {
    it(`gives the whole frames before the cut at every offset, ${zeros ? 'with' : 'without'} zeros behind it`, async () => {
      const { options, ends } = await killed(2, 1)
      const bytes = readFileSync(walOf(options))
      const published = 2
      for (let cut = 0; cut <= ends.at(-1)!.at; cut += 1) {
        const kept = bytes.subarray(0, cut)

        // A frame that ends in zeros is whole when only those are cut and zeros follow.
        const found = Buffer.concat([kept, Buffer.alloc(zeros ? 64 : 0)])
        const whole = ends.findLast(({ at }) => found.subarray(0, at).equals(bytes.subarray(0, at)))!
        writeFileSync(walOf(options), found)
        const judged = await judge(options).catch((error: unknown) => error)
        if (whole.size < published) {
          expect(isOurs(judged) && judged.code, `cut at ${cut}`).toBe('ERR_CHECKPOINT_ROLLBACK')
          continue
        }
        const { tree, torn } = judged as Awaited<ReturnType<typeof judge>>
        expect(tree.size, `cut at ${cut}`).toBe(whole.size)
        expect(torn === undefined, `cut at ${cut}`).toBe(found.subarray(whole.at).every(byte => byte === 0))
      }
    })
  }

  it('refuses any changed byte before the last frame, and takes one in the last for a torn write', async () => {
    const { options, ends } = await killed(2, 1)
    const wal = readFileSync(walOf(options))
    const lastFrame = ends.at(-2)!
    for (let at = 0; at < ends.at(-1)!.at; at += 1) {
      const altered = Buffer.from(wal.subarray(0, ends.at(-1)!.at + 100))
      altered[at]! ^= 1 << (at % 8)
      writeFileSync(walOf(options), altered)
      const judged = await judge(options).catch((error: unknown) => error)
      if (at < lastFrame.at) expect(isOurs(judged) && judged.code, `byte ${at}`).toBe('ERR_LEDGER_CORRUPT')
      else expect((judged as Awaited<ReturnType<typeof judge>>).tree.size, `byte ${at}`).toBe(lastFrame.size)
    }
  })
})

describe('opening refuses, and changes nothing, where', () => {
  it('the log ends below the last checkpoint', async () => {
    const { options, ends } = await killed()
    const ledger = await openDirectoryLedger(options)
    await ledger.append([settled()])
    await ledger.publish()
    const image = crashImage(options)
    await ledger.close()
    truncateSync(walOf(image), ends.at(-1)!.at)
    await expectRefused(image, 'ERR_CHECKPOINT_ROLLBACK')
  })

  it('an older checkpoint was put back under a seal of more', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const old = readFileSync(join(options.directory, 'checkpoint'))
    const tiles = crashImage(options)
    await ledger.close()
    const image = crashImage(options)
    writeFileSync(join(image.directory, 'checkpoint'), old)
    rmSync(join(image.directory, 'tile'), { recursive: true })
    const { cpSync } = await import('node:fs')
    cpSync(join(tiles.directory, 'tile'), join(image.directory, 'tile'), { recursive: true })
    cpSync(join(tiles.directory, 'vault'), join(image.directory, 'vault'), { recursive: true })
    await expectRefused(image, 'ERR_CHECKPOINT_ROLLBACK')
  })

  it('a byte was changed in the log with a valid frame after it', async () => {
    const { options, ends } = await killed()
    const wal = readFileSync(walOf(options))
    wal[ends[2]!.at + 90]! ^= 1
    writeFileSync(walOf(options), wal)
    await expectRefused(options, 'ERR_LEDGER_CORRUPT')
  })

  it('a byte was changed in a frame that only the last of those after it knew to be durable', async () => {
    const { options, ends } = await killed(4)
    const wal = readFileSync(walOf(options))
    const at = (i: number) => ends[i]!.at
    const { frame } = decodeFrame(wal, at(3))!
    // As one that was written while the sync of the one before it was still on its way.
    const entries = decodeBundle(frame.bundle, frame.count)
    const early = encodeFrame({ ...frame, durable: ends[2]!.size }, entries, [frame.sealed], logKey(options))
    expect(early.length).toBe(at(4) - at(3))
    early.copy(wal, at(3))
    writeFileSync(walOf(options), wal)
    expect((await judge(options)).tree.size).toBe(ends.at(-1)!.size)
    wal[at(2) + 90]! ^= 1
    writeFileSync(walOf(options), wal)
    await expectRefused(options, 'ERR_LEDGER_CORRUPT')
  })

  it('a byte was changed before a frame that ends in a zero, as the rest of the file does', async () => {
    const { options, ends } = await killed(2, 1)
    const wal = readFileSync(walOf(options))
    const { frame } = decodeFrame(wal, ends.at(-2)!.at)!
    const entries = decodeBundle(frame.bundle, frame.count)
    // What it says of how much was durable decides its checksum; any of it is more than stands before the altered byte.
    const ending = Array.from({ length: 10_000 }, (_, more) =>
      encodeFrame({ ...frame, durable: frame.durable + more }, entries, [frame.sealed], logKey(options)),
    ).find(bytes => bytes.at(-1) === 0)!
    const altered = Buffer.concat([wal.subarray(0, ends.at(-2)!.at), ending, Buffer.alloc(100)])
    altered[ends.at(-3)!.at + 90]! ^= 1
    writeFileSync(walOf(options), altered)
    await expectRefused(options, 'ERR_LEDGER_CORRUPT')
  })

  it('a segment before the last holds bytes that are no frame, or is missing', async () => {
    const options = ledgerOptions({ segmentBytes: 2000, publishMs: 1e6 })
    const ledger = await openDirectoryLedger(options)
    for (let i = 0; i < 40; i += 1) await ledger.append([settled()])
    const [image, missing] = [crashImage(options), crashImage(options)]
    await ledger.close()
    const segments = readdirSync(join(image.directory, 'wal'))
    const second = join('wal', segments[1]!)
    const bytes = readFileSync(join(image.directory, second))
    bytes[bytes.indexOf('{')]! ^= 1
    writeFileSync(join(image.directory, second), bytes)
    await expectRefused(image, 'ERR_LEDGER_CORRUPT')
    rmSync(join(missing.directory, second))
    await expectRefused(missing, 'ERR_LEDGER_CORRUPT')
  })

  it('a frame with a right checksum has a wrong root, place or epoch', async () => {
    const { options, ends } = await killed()
    const wal = readFileSync(walOf(options))
    const { size } = ends.at(-1)!
    const entry = encodeEntry((await judgeEntry(options)) as never)
    const tree = new Frontier()
    for (const { leaf } of (await judge(options)).recent.range(0, size)) tree.append(leaf)
    tree.append(leafHash(entry))
    const good = { epoch: 1, first: size, durable: size, root: tree.root() }
    const appended = (head: Partial<typeof good>) => {
      const frame = encodeFrame({ ...good, ...head }, [entry], [Buffer.of(0, 0)], logKey(options))
      writeFileSync(walOf(options), Buffer.concat([wal.subarray(0, ends.at(-1)!.at), frame]))
    }
    appended({})
    expect((await judge(options)).tree.size).toBe(size + 1)
    for (const head of [
      { root: new Uint8Array(32) },
      { first: size + 1 },
      { first: size - 1 },
      { epoch: 2 },
      { epoch: 0 },
    ]) {
      appended(head)
      await expectRefused(options, 'ERR_LEDGER_CORRUPT')
    }
  })

  it('the entries are not those that the checkpoint signs', async () => {
    const a = ledgerOptions()
    const b = ledgerOptions({ noteKey: a.noteKey })
    for (const options of [a, b]) await (await openDirectoryLedger(options)).close()
    const forged = readFileSync(join(b.directory, 'checkpoint'))
    writeFileSync(join(a.directory, 'checkpoint'), forged)
    await expectRefused(a, 'ERR_LEDGER_ROOT')
  })

  it('the checkpoint is not signed by the note key', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    const path = join(options.directory, 'checkpoint')
    writeFileSync(path, readFileSync(path, 'utf8').replace(/^3\n/m, '2\n'))
    await expectRefused(options, 'ERR_CHECKPOINT_SIGNATURE')
    await expectRefused({ ...options, noteKey: ledgerOptions().noteKey }, 'ERR_CHECKPOINT_SIGNATURE')
  })

  it('the origin or the note key is another than entry 0 names', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const image = crashImage(options)
    await ledger.close()
    rmSync(join(image.directory, 'checkpoint'))
    await expectRefused({ ...image, noteKey: ledgerOptions().noteKey }, 'ERR_LEDGER_INCONSISTENT')
    await expectRefused({ ...image, origin: 'another.example/ledger' }, 'ERR_LEDGER_INCONSISTENT')
  })

  it('somebody wrote an epoch that would run out, which frames would be under for good', async () => {
    const closed = ledgerOptions()
    await (await openDirectoryLedger(closed)).close()
    const { options: crashed } = await killed()
    // Nothing in the last bundle says it.
    const long = ledgerOptions()
    const ledger = await openDirectoryLedger(long)
    await ledger.append(Array.from({ length: 600 }, () => settled()))
    await ledger.close()
    for (const options of [closed, crashed, long]) {
      const path = join(options.directory, 'epoch')
      writeFileSync(path, '999999999\n')
      await expectRefused(options, 'ERR_LEDGER_CORRUPT')
      await expect(openDirectoryLedger(options)).rejects.toMatchObject({ data: { expected: 1 } })
      writeFileSync(path, '1\n')
      await (await openDirectoryLedger(options)).close()
    }
  })

  it('the checkpoint, a tile or the epoch is missing', async () => {
    for (const [code, ...gone] of [
      ['ERR_LEDGER_CORRUPT', 'tile/entries/000.p/3'],
      ['ERR_LEDGER_CORRUPT', 'epoch'],
      ['ERR_CHECKPOINT_ROLLBACK', 'checkpoint'],
      ['ERR_LEDGER_CORRUPT', 'checkpoint', 'checkpoint.d'],
      ['ERR_LEDGER_CORRUPT', 'checkpoint', 'checkpoint.d', 'wal'],
    ] as const) {
      const options = ledgerOptions()
      await (await openDirectoryLedger(options)).close()
      for (const path of gone) rmSync(join(options.directory, path), { recursive: true })
      await expectRefused(options, code)
    }
  })

  it('the directory holds something else, or nothing and none was to be made', async () => {
    const options = ledgerOptions()
    await expectRefused({ ...options, create: false }, 'ERR_LEDGER_MISSING')
    expect(readdirSync(options.directory)).toEqual([])
    writeFileSync(join(options.directory, 'letter.txt'), 'dear')
    await expectRefused(options, 'ERR_LEDGER_MISSING')
    expect(readdirSync(options.directory)).toEqual(['letter.txt'])
  })
})

describe('a bundle that was altered after it was published', () => {
  it('is refused when it is read, since what the guard knows is folded from it', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.append(Array.from({ length: 300 }, () => settled()))
    await ledger.close()
    const path = join(options.directory, 'tile/entries/000')
    const bytes = readFileSync(path, 'latin1').replace('"committed"', '"forgotten"')
    expect(statSync(path).size).toBe(bytes.length)
    writeFileSync(path, bytes, 'latin1')
    await expectRefused(options, 'ERR_LEDGER_CORRUPT')
  })
})

/** Some entry of the ledger, to make another frame of. */
async function judgeEntry(options: DirectoryOptions) {
  const { recent } = await judge(options)
  return recent.get(2)!.entry
}
