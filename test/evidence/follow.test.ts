/**
 * A ledger followed while it is written: what is durable shows before it is published, and
 * what is torn, released or replaced harms nobody.
 */
import { chmodSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Follower, type LiveEntry, Opener } from '../../evidence/index.ts'
import { decodeFrame } from '../../lib/format/frame.ts'
import { segmentFile } from '../../lib/format/layout.ts'
import { macKey } from '../../lib/format/mac.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { trimZeros } from '../../lib/ledger/recovery.ts'
import {
  allEntries,
  crashImage,
  decision,
  exchangeId,
  fileDigests,
  ledgerOptions,
  outcome,
  settled,
  temporaryDirectory,
} from '../support/directory-ledger.ts'
import { goingOn, plantFrame } from '../support/planted-log.ts'

/** Far beyond a test: nothing is published but where a test says so. */
const never = { publishMs: 1_000_000, heartbeatMs: 1_000_000 }

async function opened(more: Partial<DirectoryOptions> = {}): Promise<{ ledger: Ledger; options: DirectoryOptions }> {
  const options = ledgerOptions({ ...never, ...more })
  const ledger = await openDirectoryLedger(options)
  onTestFinished(() => ledger.close().catch(() => undefined))
  return { ledger, options }
}

const follow = async (directory: string) => (await Follower.open(directory))!

async function drain(follower: Follower): Promise<LiveEntry[]> {
  const all: LiveEntry[] = []
  for (let some = await follower.poll(); some.length > 0; some = await follower.poll()) all.push(...some)
  return all
}

const ids = (live: readonly LiveEntry[]) => live.map(({ index, entry }) => [index, entry?.id])
const idsOf = async (ledger: Ledger, from = 0) =>
  (await allEntries(ledger, from)).map(({ index, entry }) => [index, entry.id])

const segments = ({ directory }: DirectoryOptions) =>
  readdirSync(join(directory, 'wal'))
    .filter(name => name.endsWith('.seg'))
    .map(name => join(directory, 'wal', name))

/** Where the last frame of a segment ends. */
function endOf(path: string): number {
  const bytes = readFileSync(path)
  let at = 0
  for (let next = decodeFrame(bytes, at); next !== undefined; next = decodeFrame(bytes, at)) at = next.end
  return at
}

/** Every file, but for the zeros that the ledger goes on laying down ahead of its log. */
function stateOf({ directory }: DirectoryOptions) {
  const log = segmentFile(0)
  const { [log]: _, ...others } = fileDigests(directory)
  return { others, log: trimZeros(readFileSync(join(directory, log))).toString('hex') }
}

describe('a ledger that is followed', () => {
  it('shows each entry once, in order, before a checkpoint covers it, and is left as it was', async () => {
    const { ledger, options } = await opened()
    const follower = await follow(options.directory)
    expect(ids(await drain(follower))).toEqual(await idsOf(ledger))
    const { published } = follower
    const exchange = exchangeId()
    await ledger.append([decision(exchange)])
    await ledger.append([outcome(exchange), settled(exchange)])
    const before = stateOf(options)
    const seen = await drain(follower)
    expect(seen.map(({ entry }) => entry?.kind)).toEqual(['decision', 'outcome', 'settled'])
    expect(follower.published).toBe(published)
    expect(stateOf(options)).toEqual(before)
    await ledger.publish()
    expect(await drain(follower)).toEqual([])
  })

  it('goes on across segments, seals that release them, a clean end and a new beginning', async () => {
    const { ledger, options } = await opened({ segmentBytes: 4096 })
    const follower = await follow(options.directory)
    const seen = await drain(follower)
    for (let i = 0; i < 60; i += 1) {
      await ledger.append([decision(), decision()])
      if (i % 7 === 0) seen.push(...(await drain(follower)))
      if (i % 20 === 10) await ledger.seal()
    }
    expect(segments(options).length).toBeGreaterThan(1)
    await ledger.close()
    expect(segments(options)).toEqual([])
    seen.push(...(await drain(follower)))
    const again = await openDirectoryLedger({ ...options, create: false })
    onTestFinished(() => again.close())
    await again.append([decision()])
    seen.push(...(await drain(follower)))
    expect(ids(seen)).toEqual(await idsOf(again))
  })

  it('is read from its tiles, where it has been released, and from any entry on', async () => {
    const { ledger, options } = await opened()
    for (let i = 0; i < 9; i += 1) await ledger.append(Array.from({ length: 100 }, () => decision()))
    await ledger.close()
    const all = await drain(await follow(options.directory))
    expect(all.map(({ index }) => index)).toEqual(all.map((_, i) => i))
    const follower = await follow(options.directory)
    follower.next = 700
    expect(ids(await drain(follower))).toEqual(ids(all.slice(700)))
  })

  it('waits for a frame that is torn, and reads what is written in its place', async () => {
    const { ledger, options } = await opened()
    await ledger.append([decision()])
    const image = crashImage(options)
    const [path] = segments(image)
    const bytes = readFileSync(path!)
    const end = endOf(path!)
    // The half of another frame, as a kill in the midst of a write leaves it.
    const torn = Buffer.from(bytes.subarray(0, 200))
    writeFileSync(path!, Buffer.concat([bytes.subarray(0, end), torn]))
    const follower = await follow(image.directory)
    const seen = await drain(follower)
    expect(await drain(follower)).toEqual([])
    const again = await openDirectoryLedger({ ...image, create: false })
    onTestFinished(() => again.close())
    seen.push(...(await drain(follower)))
    expect(seen.map(({ entry }) => entry?.kind)).toContain('recovered')
    expect(ids(seen)).toEqual(await idsOf(again))
  })

  it('shows what is published where its log cannot be read on', async () => {
    const { ledger, options } = await opened()
    const follower = await follow(options.directory)
    await drain(follower)
    const [path] = segments(options)
    const at = endOf(path!)
    await ledger.append([decision()])
    const bytes = readFileSync(path!)
    bytes.writeUInt8(bytes.readUInt8(at + 80) ^ 1, at + 80)
    writeFileSync(path!, bytes)
    expect(await drain(follower)).toEqual([])
    await ledger.publish()
    expect((await drain(follower)).map(({ entry }) => entry?.kind)).toEqual(['decision'])
  })

  it('is refused where a whole frame follows what it does not follow', async () => {
    const { ledger, options } = await opened()
    await ledger.append([decision()])
    const image = crashImage(options)
    const [path] = segments(image)
    const bytes = readFileSync(path!)
    const end = endOf(path!)
    const first = decodeFrame(bytes, 0)!.end
    writeFileSync(path!, Buffer.concat([bytes.subarray(0, end), bytes.subarray(0, first)]))
    const follower = await follow(image.directory)
    await drain(follower).catch(() => undefined)
    await expect(drain(follower)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
  })
})

describe('a log that somebody wrote into', () => {
  it('is shown all the same, and known not to be of the ledger by who has the key of the vault', async () => {
    const options = ledgerOptions()
    await (await openDirectoryLedger(options)).close()
    const planted = goingOn(options.directory, [{ kind: 'stopped' }])
    const look = async (wrapping?: Uint8Array) => {
      const follower = (await Follower.open(options.directory, wrapping))!
      follower.next = planted.size
      return [(await drain(follower)).map(({ entry }) => entry?.kind), follower.unproven]
    }
    plantFrame(options.directory, planted, macKey(options.wrappingKey, options.origin, 'wal'))
    expect(await look(options.wrappingKey)).toEqual([['stopped'], false])
    plantFrame(options.directory, planted, macKey(new Uint8Array(32), options.origin, 'wal'))
    expect(await look(options.wrappingKey)).toEqual([['stopped'], true])
    expect(await look()).toEqual([['stopped'], false])
  })
})

describe('a log that its reader may not read', () => {
  /** root may read anything: it is somebody else for as long as it looks. */
  async function asStranger<T>(look: () => Promise<T>): Promise<T> {
    const isRoot = process.getuid?.() === 0
    if (isRoot) process.seteuid!(65_534)
    try {
      return await look()
    } finally {
      if (isRoot) process.seteuid!(0)
    }
  }

  it('is left alone: what is published is shown, and that it lags is known', async () => {
    const { ledger, options } = await opened()
    const published = await idsOf(ledger)
    await ledger.append([decision()])
    const image = crashImage(options)
    chmodSync(image.directory, 0o755)
    chmodSync(join(image.directory, 'wal'), 0)
    onTestFinished(() => chmodSync(join(image.directory, 'wal'), 0o700))
    const follower = await asStranger(() => follow(image.directory))
    expect(follower.behind).toBe(false)
    expect(ids(await asStranger(() => drain(follower)))).toEqual(published)
    expect(follower.behind).toBe(true)
  })
})

describe('a ledger that is not there', () => {
  it('is none, until it is', async () => {
    const directory = temporaryDirectory()
    expect(await Follower.open(join(directory, 'none'))).toBeUndefined()
    expect(await Follower.open(directory)).toBeUndefined()
    const { ledger } = await opened({ directory })
    expect(ids(await drain(await follow(directory)))).toEqual(await idsOf(ledger))
  })

  it('is said to have gone, once it has', async () => {
    const { ledger, options } = await opened()
    await ledger.close()
    const follower = await follow(options.directory)
    await drain(follower)
    rmSync(join(options.directory, 'checkpoint'))
    await expect(follower.poll()).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
    rmSync(options.directory, { recursive: true })
    await expect(follower.poll()).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
  })

  it('is said to be replaced: by another directory, another ledger, or its own past', async () => {
    const { ledger, options } = await opened()
    const past = crashImage(options)
    await ledger.append([decision()])
    await ledger.close()
    const follower = await follow(options.directory)
    await drain(follower)
    const checkpoint = join(options.directory, 'checkpoint')
    const kept = readFileSync(checkpoint)
    cpSync(join(past.directory, 'checkpoint'), checkpoint)
    await expect(follower.poll()).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_ROLLBACK' })
    writeFileSync(checkpoint, kept.toString().replace(/^.*\n/, 'another\n'))
    await expect(follower.poll()).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
    writeFileSync(checkpoint, kept)
    expect(await follower.poll()).toEqual([])
    renameSync(options.directory, `${options.directory}-moved`)
    onTestFinished(() => rmSync(`${options.directory}-moved`, { recursive: true }))
    cpSync(`${options.directory}-moved`, options.directory, { recursive: true })
    await expect(follower.poll()).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
  })
})

describe('names of a ledger that is followed', () => {
  const principal = (subject: string, name: string) =>
    ({ kind: 'principal', subject, type: 'person', disclose: { name, issuer: 'test' }, slot: name }) as const
  const [one, two, three] = ['a', 'b', 'c'].map(letter => letter.repeat(22)) as [string, string, string]

  it('are found in what was seen, and far back, in tiles and before any tile', async () => {
    const { ledger, options } = await opened()
    await ledger.append([principal(one, 'one@x')])
    for (let i = 0; i < 9; i += 1) await ledger.append(Array.from({ length: 100 }, () => decision()))
    await ledger.append([principal(two, 'two@x')])
    await ledger.seal()
    const follower = await follow(options.directory)
    follower.next = follower.published
    const opener = new Opener(follower, options.wrappingKey)
    await ledger.append([principal(three, 'three@x')])
    for (const live of await drain(follower)) await opener.see(live)
    expect(follower.published).toBeLessThan(follower.next)
    expect(await opener.name(three)).toBe('three@x')
    expect(await opener.name(two)).toBe('two@x')
    expect(await opener.name(one)).toBe('one@x')
    expect(await opener.name('d'.repeat(22))).toBeUndefined()
  })

  it('stay pseudonyms under another key, and where the vault is gone', async () => {
    const { ledger, options } = await opened()
    await ledger.append([principal(one, 'one@x')])
    await ledger.close()
    const other = new Opener(await follow(options.directory), new Uint8Array(32))
    expect(await other.name(one)).toBeUndefined()
    rmSync(join(options.directory, 'vault'), { recursive: true })
    const none = new Opener(await follow(options.directory), options.wrappingKey)
    expect(await none.name(one)).toBeUndefined()
  })
})
