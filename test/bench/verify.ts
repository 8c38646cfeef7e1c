/**
 * How fast a ledger is verified: processor time of all threads, as others use the machine too, against that of SHA-256 over the same bytes.
 */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { verifyLedger } from '../../evidence/verify.ts'
import { inclusionProof, treeRoot, verifyInclusion } from '../../lib/format/merkle.ts'
import { Story } from '../evidence/support.ts'
import { builderKeys } from '../support/ledger-builder.ts'
import { uniform } from '../support/uniform-tree.ts'
import type { Row } from './row.ts'

const operations = 10_000
const rounds = 5

export async function suite(): Promise<readonly Row[]> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-verify-'))
  try {
    const story = await Story.begin({ keys: await builderKeys() })
    for (let i = 0; i < operations; i += 1) story.read()
    const { entries, fingerprint } = story.builder
    await story.builder.write(folder, { vault: false })
    const bytes = entries.reduce((sum, entry) => sum + entry.length, 0)
    let best = Number.POSITIVE_INFINITY
    let hashing = Number.POSITIVE_INFINITY
    for (let round = 0; round < rounds; round += 1) {
      const apart = () => void entries.map(entry => createHash('sha256').update(entry).digest())
      hashing = Math.min(hashing, await seconds(apart))
      const verify = async () => {
        const { verdict } = await verifyLedger({ directory: folder, fingerprint })
        if (verdict !== 'OK') throw new Error(`the benchmark's ledger is ${verdict}`)
      }
      best = Math.min(best, await seconds(verify))
    }
    // Many times over: once is too short for the clock of a processor.
    const whole = Buffer.concat(entries)
    const atOnce = () => {
      for (let i = 0; i < 20; i += 1) createHash('sha256').update(whole).digest()
    }
    const bandwidth = (await seconds(atOnce)) / 20
    const row = (
      name: string,
      value: number,
      unit: string,
      yardstick: string,
      ratio: number,
      target?: number,
    ): Row => ({
      suite: 'verify',
      name,
      value,
      unit,
      yardstick,
      ratio,
      ...(target === undefined ? {} : { target: `>= ${target}`, met: ratio >= target }),
    })
    return [
      row(
        'whole ledger, envelopes',
        entries.length / best,
        'entries/s',
        'SHA-256 of the same bytes at once',
        bandwidth / best,
        0.5,
      ),
      row('whole ledger, envelopes', bytes / best / 1e6, 'MB/s', 'SHA-256 of each entry apart', hashing / best),
      await proofs(),
    ]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Inclusion at 10^9 entries, of which all are alike: G6 wants 20,000 a second and core. */
async function proofs(): Promise<Row> {
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
  const took = await seconds(() => {
    for (let i = 0; i < count; i += 1) verifyInclusion(leaf, given[i % 1000]!.index, size, given[i % 1000]!.path, root)
  })
  const rate = count / took
  const against = { yardstick: 'proofs/s wanted (20000)', ratio: rate / 20_000, target: '>= 1', met: rate >= 20_000 }
  return { suite: 'verify', name: 'inclusion proof at 10^9 entries', value: rate, unit: 'proofs/s', ...against }
}

/** Of processor time. */
async function seconds(work: () => void | Promise<void>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
