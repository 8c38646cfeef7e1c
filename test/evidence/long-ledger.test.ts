/** Ledgers of many bundles: what is found is the same with one thread and with several, and memory does not grow with the entries. */
import { execFile } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Finding, Step } from '../../evidence/index.ts'
import { type VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { checkpointBody, formatCheckpoint } from '../../lib/format/checkpoint.ts'
import { certificateFile, checkpointFile, entryBundle, hashTile, tileFill, tileWidth } from '../../lib/format/layout.ts'
import { Frontier, leafHash } from '../../lib/format/merkle.ts'
import { signNote } from '../../lib/format/note.ts'
import { encodeBundle } from '../../lib/format/tile.ts'
import { compiledScript } from '../support/compiled.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'

const script = compiledScript(new URL('children/verify-ledger.ts', import.meta.url))
const run = promisify(execFile)

interface Told {
  readonly verdict?: string
  readonly findings: readonly Finding[]
  readonly steps: readonly Step[]
  readonly size: number
  readonly error?: string
}

/** In a process of its own: threads are started from sources there, and its heap has a size. */
async function verify(all: readonly VerifyOptions[], ...flags: string[]): Promise<Told[]> {
  const { stdout } = await run(process.execPath, [...flags, script, JSON.stringify(all)])
  return JSON.parse(stdout) as Told[]
}

let scratch: string
let builder: LedgerBuilder
let whole: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'long-'))
  builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
  builder.add('heartbeat', { open: 0, interval: 60 })
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const given = (directory: string, more: Partial<VerifyOptions> = {}): VerifyOptions => ({
  directory,
  fingerprint: builder.fingerprint,
  certificate: builder.keys.seal.certificate,
  now: Date.parse('2027-08-01T00:00:00Z'),
  ...more,
})

describe('a ledger of some hundred bundles', () => {
  const entries = 70 * tileWidth + 17

  beforeAll(async () => {
    whole = join(scratch, 'whole')
    for (let i = builder.entries.length; i < entries; i += 1) builder.add('heartbeat', { open: 0, interval: 60 })
    await builder.write(whole, { seals: [300, 40 * tileWidth, entries], vault: false })
  })

  it('has the same findings with one thread and with two, whole and tampered with', async () => {
    const tampered = join(scratch, 'tampered')
    await cp(whole, tampered, { recursive: true })
    const change = async (file: string, to: (bytes: Buffer) => Uint8Array) =>
      writeFile(join(tampered, file), to(await readFile(join(tampered, file))))
    const bundle = (n: number, at: number, to: Uint8Array) =>
      encodeBundle(builder.entries.slice(n * tileWidth, (n + 1) * tileWidth).with(at, Buffer.from(to)))
    // An entry altered, one that is no entry, a leaf hash altered, a bundle and a tile gone, a bundle cut short.
    await change('tile/entries/040', () => bundle(40, 9, Buffer.from(`${builder.entries[0]}`)))
    await change('tile/entries/045', () => bundle(45, 3, Buffer.from('no entry')))
    await change('tile/0/050', bytes => bytes.map((byte, i) => (i === 70 ? byte ^ 1 : byte)))
    await rm(join(tampered, 'tile/entries/055'))
    await rm(join(tampered, 'tile/0/060'))
    await change('tile/entries/065', bytes => bytes.subarray(0, 1000))
    const byOne: Told[] = []
    for (const directory of [whole, tampered]) {
      const { verdict, findings, steps, size } = await verifyLedger(given(directory, { threads: 1 }))
      byOne.push({ verdict, findings, steps, size })
    }
    const byTwo = await verify([given(whole, { threads: 2 }), given(tampered, { threads: 2 })])
    expect(byTwo).toEqual(byOne)
    expect(byTwo[0]).toMatchObject({ verdict: 'OK', findings: [], size: entries })
    const { verdict, findings } = byTwo[1]!
    expect(verdict).toBe('TAMPERED')
    const codes = new Set(findings.map(({ code }) => code))
    for (const code of ['ENTRY_ALTERED', 'ENTRY_MALFORMED', 'FILE_MISSING'] as const) expect(codes).toContain(code)
    expect(findings.map(({ file }) => file)).toEqual(expect.arrayContaining(['tile/entries/065', 'tile/0/060']))
  }, 120_000)

  it('has no verdict where a thread dies', async () => {
    // A thread that cannot even load what it runs.
    const broken = join(scratch, 'broken.mjs')
    await writeFile(broken, "import { isMainThread } from 'node:worker_threads'\nif (!isMainThread) process.exit(0)\n")
    const told = await verify([given(whole, { threads: 2 })], '--import', broken)
    expect(told).toEqual([{ error: 'ThreadFailed' }])
  }, 120_000)
})

describe('a ledger of many entries', () => {
  it('is verified in a heap that is far smaller than its entries', async () => {
    const directory = join(scratch, 'many')
    const size = 300 * tileWidth
    await writeMany(directory, size)
    const told = await verify([given(directory, { threads: 1 })], '--max-old-space-size=28', '--max-semi-space-size=4')
    expect(told).toMatchObject([{ verdict: 'OK', size }])
  }, 120_000)
})

/** Heartbeats without end, a bundle at a time: full bundles only. */
async function writeMany(directory: string, size: number): Promise<void> {
  const frontier = new Frontier()
  const tiles = new Map<string, Buffer[]>()
  const put = async (path: string, bytes: Uint8Array | string) => {
    await mkdir(dirname(join(directory, path)), { recursive: true })
    await writeFile(join(directory, path), bytes)
  }
  const first = builder.entries.slice(0, 2)
  const text = builder.entries[2]!.toString()
  const { id: anId, time: aTime } = JSON.parse(text)
  const start = Date.parse(aTime)
  // What stands around the id, the counter and the time, which are all that differs.
  const [before, between, behind, end] = text
    .replace(anId, '\n')
    .replace(/(?<="seq":)\d+/, '\n')
    .replace(aTime, '\n')
    .split('\n')
  for (let n = 0; n * tileWidth < size; n += 1) {
    const entries = Array.from({ length: tileWidth }, (_, i) => {
      const index = n * tileWidth + i
      const at = start + (index - 2) * 1000
      const hex = at.toString(16).padStart(12, '0')
      const id = `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${index.toString(16).padStart(12, '0')}`
      const time = new Date(at).toISOString()
      return first[index] ?? Buffer.from(`${before}${id}${between}${index + 1}${behind}${time}${end}`)
    })
    await put(entryBundle(n), encodeBundle(entries))
    const leaves = entries.map(leafHash)
    await put(hashTile(0, n), Buffer.concat(leaves))
    for (const leaf of leaves) {
      frontier.append(leaf, (level, index, hash) => {
        if (level === 0 || level % 8 !== 0) return
        const file = hashTile(
          level / 8,
          Math.floor(index / tileWidth),
          tileFill(size, level / 8, Math.floor(index / tileWidth)),
        )
        const hashes = tiles.get(file) ?? []
        tiles.set(file, hashes)
        hashes.push(Buffer.from(hash))
      })
    }
    for (const [file, hashes] of tiles) {
      if (hashes.length < tileWidth) continue
      await put(file, Buffer.concat(hashes))
      tiles.delete(file)
    }
  }
  for (const [file, hashes] of tiles) await put(file, Buffer.concat(hashes))
  const { origin, keys } = builder
  const checkpoint = { origin, size, root: frontier.root() }
  const body = checkpointBody(checkpoint)
  const signature = signNote(body, origin, keys.note, createPublicKey(keys.note))
  await put(checkpointFile, formatCheckpoint({ ...checkpoint, note: { text: body, signatures: [signature] } }))
  await put(certificateFile, keys.seal.certificate)
}
