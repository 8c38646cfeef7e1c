/**
 * How fast a ledger is verified: whole, against SHA-256 over the same bytes; from a pin; and proofs. Processor time of
 * all threads wherever that can tell, since others use the machine too. The code is compiled, as it is shipped.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { VerifyOptions, verifyLedger } from '../../evidence/verify.ts'
import { inclusionProof, treeRoot, verifyInclusion } from '../../lib/format/merkle.ts'
import { tileReader } from '../../lib/format/tile.ts'
import { compiled } from '../support/compiled.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'
import { writeLong } from '../support/long-ledger.ts'
import { uniform, uniformTiles } from '../support/uniform-tree.ts'
import { quantile, row } from './measure.ts'
import type { Row } from './row.ts'

const run = promisify(execFile)
const suiteName = { suite: 'verify' }
const entries = 400_000
const rounds = 3
/** After the pin. */
const behind = 1000

export async function suite(): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-verify-'))
  try {
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    const modules = (module: string) => pathToFileURL(join(compiled(), `${module}.js`)).href
    return [
      ...(await whole(folder, builder, modules)),
      ...(await fromPin(folder, builder, modules)),
      ...(await proofs()),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type Modules = (module: string) => string

/** Long after all entries. */
const now = Date.parse('2027-08-01T00:00:00Z')

async function whole(folder: string, builder: LedgerBuilder, modules: Modules): Promise<Row[]> {
  const directory = join(folder, 'whole')
  const { bytes } = await writeLong(directory, builder, { entries, behind })
  const { verifyLedger: verify } = (await import(modules('evidence/verify'))) as { verifyLedger: typeof verifyLedger }
  const verified = async (threads: number) => {
    const { verdict } = await verify({ directory, fingerprint: builder.fingerprint, now, threads })
    if (verdict !== 'OK') throw new Error(`the benchmark's ledger is ${verdict}`)
  }
  await verified(1)
  const [one, two]: [Spent[], Spent[]] = [[], []]
  for (let i = 0; i < rounds; i += 1) {
    one.push(await spent(() => verified(1)))
    two.push(await spent(() => verified(2)))
  }
  const least = (all: readonly Spent[], take: (one: Spent) => number) => Math.min(...all.map(take))
  const cpu = least(one, ({ all }) => all)
  const sum = least(two, ({ all }) => all)
  const own = least(two, ({ main }) => main)
  const piece = Buffer.alloc(bytes / 4)
  const hashing = () => {
    for (let i = 0; i < 4; i += 1) createHash('sha256').update(piece).digest()
  }
  const bandwidth = quantile(
    [await spent(hashing), await spent(hashing)].map(({ all }) => all),
    0,
  )
  const mb = (seconds: number) => bytes / seconds / 1e6
  const rate = { ...suiteName, unit: 'MB/s' }
  const sha = { what: 'SHA-256 of the same bytes', value: mb(bandwidth) }
  const gain = { ...suiteName, unit: 'entries/s' }
  return [
    row({ ...rate, name: 'G4 whole ledger, a core', value: mb(cpu), against: sha }, { least: 0.5 }),
    row(
      {
        ...{ ...gain, name: 'G4 two threads on two idle cores, by their processor time' },
        // The slower of the two: the thread that folds what they found, or half of all there is to do.
        value: entries / Math.max(own, sum / 2),
        against: { what: 'one thread', value: entries / cpu },
      },
      { least: 1.8 },
    ),
    row({
      ...{ ...gain, name: 'G4 two threads here, by the clock', value: entries / least(two, ({ wall }) => wall) },
      against: { what: 'one thread', value: entries / least(one, ({ wall }) => wall) },
    }),
  ]
}

/** The same at two sizes: all but the ends of these ledgers is alike, and of that only the tree is there to be read. */
async function fromPin(folder: string, builder: LedgerBuilder, modules: Modules): Promise<Row[]> {
  const took: Fresh[] = []
  for (const size of [1e6, 1e8]) {
    const directory = join(folder, `pinned-${size}`)
    const { pin } = await writeLong(directory, builder, { entries: size, behind, sparse: true })
    await writeFile(`${directory}.pin`, pin)
    const { fingerprint } = builder
    const options = { directory, fingerprint, now, pin: `${directory}.pin`, incremental: true, renew: false }
    took.push(await inFreshProcess(modules, options))
  }
  const [small, large] = took as [Fresh, Fresh]
  const ms = { ...suiteName, unit: 'ms' }
  return [
    row(
      {
        ...{ ...ms, name: `G5 from a pin, ${behind} entries on, at 10^8, modules loaded`, value: large.cpu },
        against: { what: 'what is allowed', value: 20 },
      },
      { most: 1 },
    ),
    row({
      ...{ ...ms, name: 'G5 the same, loading the modules too', value: large.cpu + large.load },
      against: { what: 'what is allowed', value: 20 },
    }),
    row({
      ...{ ...ms, name: 'G5 the same, by the clock', value: large.wall },
      against: { what: 'what is allowed', value: 20 },
    }),
    row({
      ...{ ...ms, name: 'G5 the same, a hundred times the entries', value: large.cpu },
      against: { what: 'at 10^6', value: small.cpu },
    }),
  ]
}

/** Milliseconds: of processor time, but for `wall`. */
interface Fresh {
  readonly load: number
  readonly cpu: number
  readonly wall: number
}

/** The best of some, each in a process that has just started. */
async function inFreshProcess(modules: Modules, options: VerifyOptions): Promise<Fresh> {
  const script = `
    const spent = before => { const { user, system } = process.cpuUsage(before); return (user + system) / 1000 }
    const begun = process.cpuUsage()
    const { verifyLedger } = await import(${JSON.stringify(modules('evidence/verify'))})
    const [loaded, at] = [process.cpuUsage(), performance.now()]
    const { verdict } = await verifyLedger(${JSON.stringify(options)})
    const [cpu, wall] = [spent(loaded), performance.now() - at]
    console.log(JSON.stringify({ verdict, cpu, wall, load: spent(begun) - cpu }))`
  const all: Fresh[] = []
  for (let i = 0; i < 5; i += 1) {
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script])
    const { verdict, ...took } = JSON.parse(stdout) as Fresh & { verdict: string }
    if (verdict !== 'OK') throw new Error(`the benchmark's ledger is ${verdict}`)
    all.push(took)
  }
  const least = (take: (one: Fresh) => number) => Math.min(...all.map(take))
  return { load: least(({ load }) => load), cpu: least(({ cpu }) => cpu), wall: least(({ wall }) => wall) }
}

/** At 10^9 entries, of which all are alike. */
async function proofs(): Promise<Row[]> {
  const size = 1e9
  const read = uniform()
  const root = await treeRoot(size, read)
  const given = await Promise.all(
    Array.from({ length: 1000 }, async (_, i) => ({
      index: i * 999_983,
      path: await inclusionProof(i * 999_983, size, read),
    })),
  )
  const leaf = await read(0, 0)
  const count = 20_000
  const { all } = await spent(() => {
    for (let i = 0; i < count; i += 1) verifyInclusion(leaf, given[i % 1000]!.index, size, given[i % 1000]!.path, root)
  })
  // Those of the right edge serve every proof.
  const edge = new Set<string>()
  const noted = (tiles: Set<string>) =>
    tileReader(
      size,
      uniformTiles((level, n) => tiles.add(`${level}/${n}`)),
    )
  await treeRoot(size, noted(edge))
  let most = 0
  for (const { index } of given.slice(0, 100)) {
    const tiles = new Set<string>()
    await inclusionProof(index, size, noted(tiles))
    most = Math.max(most, [...tiles].filter(tile => !edge.has(tile)).length)
  }
  const longest = Math.max(...given.map(({ path }) => path.length))
  const figure = (name: string, value: number, unit: string, what: string, bound: number) => ({
    ...{ ...suiteName, name: `G6 ${name}`, value, unit },
    against: { what, value: bound },
  })
  return [
    row(figure('proofs verified at 10^9 entries', count / all, 'proofs/s', 'what is wanted', 20_000), { least: 1 }),
    row(figure('hashes in a proof', longest, 'hashes', 'what is allowed', 30), { most: 1 }),
    row(figure('tiles read for one, beside the right edge', most, 'tiles', 'what is allowed', 4), { most: 1 }),
  ]
}

/** Seconds. */
interface Spent {
  readonly wall: number
  /** Of processor time, all threads; and this one, where the system tells. */
  readonly all: number
  readonly main: number
}

async function spent(work: () => void | Promise<void>): Promise<Spent> {
  const [wall, cpu, main] = [performance.now(), process.cpuUsage(), mainThread()]
  await work()
  const { user, system } = process.cpuUsage(cpu)
  return { wall: (performance.now() - wall) / 1000, all: (user + system) / 1e6, main: mainThread() - main }
}

/** proc(5): the times of a thread are in hundredths of a second. The main thread has the number of the process. */
function mainThread(): number {
  const stat = readFileSync(`/proc/self/task/${process.pid}/stat`, 'latin1')
  const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number)
  return (user! + system!) / 100
}
