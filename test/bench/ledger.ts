/**
 * What a ledger in a directory costs: appending, against raw synced writes to the same kind of file on the same disk;
 * bytes written and kept; opening it again; and verifying it (verify.ts). All in one run.
 */
import { generateKeyPairSync, hash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeFrame } from '../../lib/format/frame.ts'
import { segmentFile } from '../../lib/format/layout.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { Draft, Ledger } from '../../lib/ledger/ledger.ts'
import { Segment } from '../../lib/ledger/segment.ts'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { quantile, row } from './measure.ts'
import type { Row } from './row.ts'
import * as verify from './verify.ts'

const singles = 1500
const concurrent = 64
const entries = 40_000

export async function suite(): Promise<readonly Row[]> {
  const directory = mkdtempSync(join(tmpdir(), 'counterfoil-bench-'))
  try {
    const rows: Row[] = []
    for (const part of [appending, sharing, keeping, reopening]) rows.push(...(await part(directory)))
    return [...rows, ...(await verify.suite())]
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const noteKey = generateKeyPairSync('ed25519').privateKey

const optionsOf = (directory: string, writer = 'bench') => ({
  ...{ directory, origin: 'bench.example/ledger', writer, noteKey, wrappingKey: new Uint8Array(32) },
  ...({ software: 'counterfoil/bench', placement: 'embedded', create: true } as const),
})

const open = (directory: string): Promise<Ledger> => openDirectoryLedger(optionsOf(directory))

async function appending(directory: string): Promise<Row[]> {
  const ledger = await open(join(directory, 'ledger'))
  const raw = await Segment.open(join(directory, 'raw'), 0)
  const frame = await frameOf(ledger, join(directory, 'ledger'))
  await ledger.append([draft(0)])
  // Once unmeasured: a process that serves has its code compiled.
  await saturated(ledger)
  const many = await saturated(ledger)
  const single = await interleaved(ledger, raw, frame)
  const after = await rawSyncs(raw, frame)
  await raw.close()
  await ledger.close()
  return rows(single, many, [...single.raw, ...after])
}

/** One append at a time by a process that shares the ledger, and in turns by the leader: what the way through its socket costs. */
async function sharing(directory: string): Promise<Row[]> {
  const shared = join(directory, 'shared')
  const leader = await openSharedLedger(optionsOf(shared, 'leader'))
  const other = await openSharedLedger(optionsOf(shared, 'other'))
  const samples = { leader: [] as number[], other: [] as number[] }
  for (let i = 0; i < singles; i += 1) {
    samples.leader.push(await timed(() => leader.append([draft(2 * i)])))
    samples.other.push(await timed(() => other.append([draft(2 * i + 1)])))
  }
  await other.close()
  await leader.close()
  const [value, own] = [samples.other, samples.leader].map(of => quantile(of, 0.5) * 1000)
  const against = { what: 'one by the leader itself', value: own! }
  return [
    row({ suite: 'ledger', name: 'one durable append through the leader, p50', value: value!, unit: 'us', against }),
  ]
}

/** Bytes that go to disk for a ledger and stay there, from its opening to its end. */
async function keeping(directory: string): Promise<Row[]> {
  const kept = join(directory, 'kept')
  const before = written()
  const ledger = await open(kept)
  let payload = 0
  ledger.follow(({ entry }) => {
    payload += JSON.stringify(entry).length
  })
  await saturated(ledger, decidedAndEnded)
  await ledger.close()
  const bytes = { what: 'bytes of entries', value: payload / entries }
  const figure = { suite: 'ledger', unit: 'B/entry', against: bytes }
  return [
    row({ ...figure, name: 'G8 written', value: (written() - before) / entries }, { most: 2.2 }),
    row({ ...figure, name: 'G8 kept', value: sizeOf(kept) / entries }, { most: 1.08 }),
  ]
}

/**
 * How long it takes to open it again: after a stop in order, and after a kill: at the end of a
 * burst, and at the moderate pace that follows.
 */
async function reopening(directory: string): Promise<Row[]> {
  const [closed, burst, killed] = ['closed', 'burst', 'killed'].map(name => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const ledger = await open(closed)
  await saturated(ledger, decidedAndEnded)
  // As a kill would leave it.
  cpSync(closed, burst, { recursive: true })
  for (let i = 0; i < singles; i += 1) await ledger.append([draft(entries + i), ended(entries + i)])
  for (let i = 0; i < concurrent; i += 1) await ledger.append([draft(entries + singles + i)])
  cpSync(closed, killed, { recursive: true })
  for (let i = 0; i < concurrent; i += 1) await ledger.append([ended(entries + singles + i)])
  await ledger.close()
  const rows: Row[] = []
  for (const [name, where] of [
    ['closed', closed],
    ['killed at work', killed],
    ['killed at the end of a burst of as many', burst],
  ] as const) {
    let again: Ledger | undefined
    const value = await timed(async () => {
      again = await open(where)
    })
    await again?.close()
    const figure = { suite: 'ledger', unit: 'ms', name: `G9 opened again at ${entries} entries, ${name}` }
    rows.push(row({ ...figure, value, against: { what: 'what is allowed', value: 300 } }, { most: 1 }))
  }
  return rows
}

/** proc(5): bytes that this process has handed to write(2). */
const written = (): number => Number(/^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))![1])

const sizeOf = (folder: string): number =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => statSync(join(folder, name)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0)

const exchangeOf = (i: number) => `0190b0a0-0000-7000-8000-${i.toString(16).padStart(12, '0')}`

const draft = (i: number, tables: readonly string[] = ['customers']): Draft => ({
  kind: 'decision',
  exchange: exchangeOf(i),
  session: '0190b0a0-0000-7000-8000-000000000000',
  subject: 'AAAAAAAAAAAAAAAAAAAAAA',
  protocol: 'postgres',
  target: 'crm',
  action: hash('sha256', String(i), 'base64url' as 'hex'),
  accesses: tables.map(table => ({ action: 'select', resource: `crm/public.${table}` })),
  controls: ['AC-03', 'CF-01'],
  risk: 'low',
  read: true,
  verdict: 'permit',
  durability: 'durable',
})

const ended = (i: number): Draft => ({
  ...{ kind: 'outcome', exchange: exchangeOf(i), result: 'completed', items: 1, bytes: 100 },
})

/** Each exchange is decided, and ends soon afterwards: as in a ledger at work. The two have the bytes of two of the above. */
const decidedAndEnded = (i: number): Draft =>
  i % 2 === 0 ? draft(i, ['customers', 'orders', 'invoices', 'payments', 'refunds', 'addresses']) : ended(i - 1)

/** Bytes of the frame that one such append makes. */
async function frameOf(ledger: Ledger, directory: string): Promise<Uint8Array> {
  await ledger.append([draft(0)])
  const wal = readFileSync(join(directory, segmentFile(0)))
  let at = 0
  let last = 0
  for (let next = decodeFrame(wal, 0); next !== undefined; next = decodeFrame(wal, at)) {
    last = at
    at = next.end
  }
  return wal.subarray(last, at)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

interface Singles {
  readonly raw: readonly number[]
  readonly append: readonly number[]
}

/** One of the ones, one of the others, so that both meet the same disk. */
async function interleaved(ledger: Ledger, raw: Segment, frame: Uint8Array): Promise<Singles> {
  const samples = { raw: [] as number[], append: [] as number[] }
  for (let i = 0; i < singles; i += 1) {
    samples.raw.push(await timed(() => raw.write(frame, true)))
    samples.append.push(await timed(() => ledger.append([draft(i)])))
  }
  return samples
}

async function rawSyncs(raw: Segment, frame: Uint8Array): Promise<number[]> {
  const samples: number[] = []
  for (let i = 0; i < singles / 3; i += 1) samples.push(await timed(() => raw.write(frame, true)))
  return samples
}

interface Burst {
  readonly perSecond: number
  readonly latencies: readonly number[]
  /** Microseconds of processor time an entry, all threads. */
  readonly cpu: number
}

async function saturated(ledger: Ledger, of: (i: number) => Draft = i => draft(i)): Promise<Burst> {
  const latencies: number[] = []
  const drafts = Array.from({ length: entries }, (_, i) => [of(i)])
  let next = 0
  const client = async () => {
    while (next < entries) {
      const i = next
      next += 1
      latencies.push(await timed(() => ledger.append(drafts[i]!)))
    }
  }
  const cpu = process.cpuUsage()
  const taken = await timed(() => Promise.all(Array.from({ length: concurrent }, client)))
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: (entries / taken) * 1000, latencies, cpu: (user + system) / entries }
}

/** Microseconds an event for what no ledger can do without: stringify, hash the leaf, hash one node. */
function leastCpu(): number {
  const events = Array.from({ length: 20_000 }, (_, i) => ({
    ...draft(i),
    v: 1,
    id: 'x'.repeat(36),
    time: 'x'.repeat(24),
    writer: 'bench',
    seq: i,
  }))
  const round = () => {
    const start = process.cpuUsage()
    for (const event of events) {
      const leaf = hash('sha256', JSON.stringify(event), 'buffer' as 'hex')
      hash('sha256', Buffer.concat([leaf as unknown as Buffer, leaf as unknown as Buffer]), 'buffer' as 'hex')
    }
    const { user, system } = process.cpuUsage(start)
    return (user + system) / events.length
  }
  round()
  return quantile([round(), round(), round()], 0.5)
}

function rows(single: Singles, many: Burst, raw: readonly number[]): Row[] {
  const suite = 'ledger'
  const us = 'us'
  const rate = '1/s'
  const beside = { what: 'a raw synced write', value: quantile(single.raw, 0.5) * 1000 }
  const sync = { what: 'a raw synced write', value: quantile(raw, 0.5) * 1000 }
  const syncs = { what: 'raw synced writes', value: 1e6 / sync.value }
  const least = { what: 'stringify and two hashes, a core', value: 1e6 / leastCpu() }
  const p50 = quantile(single.append, 0.5) * 1000
  const p99 = quantile(many.latencies, 0.99) * 1000
  return [
    row({ suite, name: 'G1 one durable append, p50', value: p50, unit: us, against: beside }, { most: 1.3 }),
    row({ suite, name: 'G2 entries a core', value: 1e6 / many.cpu, unit: rate, against: least }, { least: 0.5 }),
    row({ suite, name: 'G3 64 in flight', value: many.perSecond, unit: rate, against: syncs }, { least: 10 }),
    row({ suite, name: 'G3 64 in flight, p99', value: p99, unit: us, against: sync }, { most: 10 }),
  ]
}
