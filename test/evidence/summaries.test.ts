/**
 * The short way through a bundle: entries summed up where they lie, files read without waiting.
 * Neither lets anything by that the long way stops.
 */
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openDirectory } from '../../evidence/read.ts'
import { Summing, summariesIn } from '../../evidence/summaries.ts'
import { LedgerError } from '../../lib/errors.ts'
import { encodeEntry, summarise } from '../../lib/format/entry.ts'

const vectors = readFileSync(new URL('../../fixtures/vectors/entries.json', import.meta.url), 'utf8')
const entries = (JSON.parse(vectors) as { bytes: string }[]).map(({ bytes }) => Buffer.from(bytes))

describe('entries summed up where they lie', () => {
  it('say what each says apart, also where it is not as entries are mostly written', () => {
    const heartbeat = { v: 1, kind: 'heartbeat', open: 0, interval: 60, seq: 1 } as const
    const [id, time] = ['0190b0a0-0000-7000-8000-000000000000', '2026-07-01T00:00:00.000Z']
    // Names that are escaped, and one name after another.
    const named = ['a', 'a', 'ab', 'a\\b', 'a"', 'a', 'gateway'].map(writer =>
      encodeEntry({ ...heartbeat, id, time, writer }),
    )
    const all = [...entries, ...named].slice(0, 256)
    const bundle = Buffer.concat(all)
    const summing = new Summing(all.length)
    let at = 0
    for (const [i, bytes] of all.entries()) {
      expect(summing.add(i, bundle, at, at + bytes.length)).toBe(summarise(bytes).kind)
      at += bytes.length
    }
    const told = [...summariesIn(summing.summaries, 512)]
    expect(told.map(({ index }) => index)).toEqual(all.map((_, i) => 512 + i))
    expect(told.map(({ summary }) => summary)).toEqual(
      all.map(bytes => {
        const { kind, id, time, writer, seq, exchange, interval, verdict, result, exchanges } = summarise(bytes)
        return { kind, id, time, writer, seq, exchange, interval, verdict, result, exchanges }
      }),
    )
  })

  it('end where they are said to end, whatever stands before and behind them', () => {
    for (const bytes of entries) {
      const doubled = Buffer.concat([bytes, bytes, bytes])
      const whole = { from: bytes.length, end: 2 * bytes.length }
      const summing = new Summing(1)
      for (const by of [-1, 1]) {
        const short = () => summing.add(0, doubled, whole.from, whole.end + by)
        expect(short).toThrow(LedgerError)
        expect(() => summing.add(0, doubled, whole.from + by, whole.end)).toThrow(LedgerError)
      }
      expect(() => summing.add(0, doubled, whole.from, doubled.length)).toThrow(LedgerError)
      expect(summing.add(0, doubled, whole.from, whole.end)).toBe(summarise(bytes).kind)
    }
  })
})

describe('a file that is read without waiting', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'now-'))
    for (const folder of ['inside/tile', 'outside']) {
      await mkdir(join(scratch, folder), { recursive: true })
      await writeFile(join(scratch, folder, 'file'), 'bytes')
    }
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  it('is one that lies inside, is no link, and is no larger than it may be', async () => {
    const inside = join(scratch, 'inside')
    await symlink(join(scratch, 'outside/file'), join(inside, 'tile/link'))
    await symlink(join(inside, 'tile/file'), join(inside, 'tile/alike'))
    await symlink(join(scratch, 'outside'), join(inside, 'elsewhere'))
    await mkdir(join(inside, 'tile/folder'))
    const { readNow } = await openDirectory(inside)
    expect(readNow('tile/file', 5)?.toString()).toBe('bytes')
    for (const path of ['tile/link', 'tile/alike', 'tile/folder', 'tile/none', 'none/file', 'elsewhere/file']) {
      expect(readNow(path, 5), path).toBeUndefined()
      // Once more, when the folder is known.
      expect(readNow(path, 5), path).toBeUndefined()
    }
    expect(readNow('tile/file', 4)).toBeUndefined()
    expect(readNow('../outside/file', 5)).toBeUndefined()
  })
})
