/**
 * Who may say how an exchange ended: nobody is accused who took up what a crash had left, and
 * everybody who speaks for a writer that is there.
 */
import { describe, expect, it } from 'vitest'
import { Speakers } from '../../evidence/speakers.ts'
import { verifyLedger } from '../../evidence/verify.ts'
import type { EntrySummary } from '../../lib/format/entry.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { anchoredLedger } from '../support/anchored-ledger.ts'
import { crashImage, decision, exchangeId, outcome, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { builderKeys, digestOf, LedgerBuilder } from '../support/ledger-builder.ts'

type Said = Partial<EntrySummary> & Pick<EntrySummary, 'kind'>
const [one, two] = ['0190b0a0-0000-7000-8000-000000000001', '0190b0a0-0000-7000-8000-000000000002']
const permits = (writer: string, exchange: string): Said => ({ kind: 'decision', verdict: 'permit', writer, exchange })
const ends = (writer: string, exchange: string, result = 'completed'): Said => ({
  kind: 'outcome',
  writer,
  exchange,
  result,
})
const recovers = (writer: string): Said => ({ kind: 'recovered', writer })
const settles = (writer: string, ...exchanges: string[]): Said => ({
  kind: 'settled',
  writer,
  exchanges,
  result: 'committed',
})

function told(entries: readonly Said[], most?: number): (readonly [number | undefined, string])[] {
  const speakers = new Speakers(most)
  for (const [index, entry] of entries.entries())
    speakers.add(index, { id: '', time: '', seq: 1, writer: 'a', ...entry })
  return speakers.findings.all().map(({ index, code }) => [index, code] as const)
}

describe('an end of an exchange', () => {
  // biome-ignore format: a table
  it.each([
    ['by who permitted it',                             [permits('a', one), ends('a', one), settles('a', one)]],
    ['in the name of one that is given up',             [permits('a', one), recovers('a'), ends('a', one, 'unknown')]],
    ['by who opens the ledger alone, of all that was',  [permits('a', one), permits('b', two), recovers('c'), ends('c', one, 'unknown'), ends('c', two, 'unknown')]],
    ['behind a recording that the crash cut',           [permits('a', one), recovers('c'), { kind: 'attachment-cut', writer: 'c', exchange: one } as Said, ends('c', one, 'unknown')]],
    ['of what was permitted before it is remembered',   [ends('b', one), settles('b', two)]],
    ['of what was refused',                             [{ kind: 'decision', verdict: 'deny', writer: 'a', exchange: one } as Said, ends('b', one)]],
  ] as const)('%s is in order', (_, entries) => {
    expect(told(entries)).toEqual([])
  })

  // biome-ignore format: a table
  it.each([
    ['another that nobody had given up',         [permits('a', one), ends('b', one)]],
    ['another, that it is not known',            [permits('a', one), ends('b', one, 'unknown')]],
    ['another that settles it',                  [permits('a', one), settles('b', two, one)]],
    ['who recovered, and claims to know',        [permits('a', one), recovers('b'), ends('b', one)]],
    ['who recovered, and then did other things', [permits('a', one), recovers('b'), { kind: 'started', writer: 'b' } as Said, ends('b', one, 'unknown')]],
    ['another than who recovered',               [permits('a', one), recovers('b'), ends('c', one, 'unknown')]],
    ['who recovered and settles it',             [permits('a', one), recovers('b'), ends('b', one, 'unknown'), settles('b', one)]],
  ] as const)('by %s is told', (_, entries) => {
    expect(told(entries)).toEqual([[entries.length - 1, 'OUTCOME_BY_ANOTHER']])
  })

  it('is judged of as many as are remembered, and of no more', () => {
    const others = (count: number) => Array.from({ length: count }, () => permits('a', exchangeId()))
    expect(told([permits('a', one), ...others(9), ends('b', one)], 10)).toHaveLength(1)
    expect(told([permits('a', one), ...others(30), ends('b', one)], 10)).toEqual([])
  })
})

describe('a verification', () => {
  it('says that a ledger is not complete in which one writer speaks for another', async () => {
    const builder = await new LedgerBuilder({ keys: await builderKeys() }).open()
    const exchange = builder.uuid()
    builder.add('decision', {
      ...{ exchange, protocol: 'postgres', target: 'crm', action: digestOf('x'), accesses: [], controls: [] },
      ...{ risk: 'low', read: true, verdict: 'permit', durability: 'durable' },
    })
    builder.writer = 'gateway-2'
    builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 })
    const { index } = builder.add('outcome', { exchange, result: 'completed', items: 1, bytes: 10 })
    const directory = temporaryDirectory()
    await builder.write(directory, { seals: [builder.entries.length] })
    const { fingerprint, now } = builder
    const result = await verifyLedger({ directory, fingerprint, now })
    expect(result).toMatchObject({
      verdict: 'INCOMPLETE',
      integrity: { verdict: 'whole' },
      completeness: { verdict: 'gaps' },
    })
    expect(result.findings).toMatchObject([
      { code: 'OUTCOME_BY_ANOTHER', index, expected: 'gateway-1', actual: 'gateway-2' },
    ])
  })

  it('finds nothing where another writer opens what a crash left, and then goes on', async () => {
    const made = await anchoredLedger()
    const ledger = await openDirectoryLedger(made.options)
    const [open, ended] = [exchangeId(), exchangeId()]
    await ledger.append([decision(open), decision(ended), outcome(ended)])
    await ledger.publish()
    const options = { ...crashImage(made.options), writer: 'crm-gateway-2' }
    await ledger.close()
    const again = await openDirectoryLedger(options)
    const own = exchangeId()
    await again.append([decision(own), outcome(own), settled(own)])
    await again.close()
    const result = await made.verify({ directory: options.directory })
    expect([result.verdict, result.findings]).toEqual(['OK', []])
  })
})
