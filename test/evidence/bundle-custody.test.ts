/** What was erased, held back and refused, as a bundle and its report tell it. */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BundleResult } from '../../evidence/bundle/build.ts'
import { parseCsv } from '../../evidence/csv.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { bundleOf, type Source, verifyOf } from '../support/bundle-of.ts'
import { counsel, customer, erasableLedger, erased, erasure, officer, session } from '../support/erasable-ledger.ts'

let folder: string
let source: Source
let built: BundleResult
/** When the second half of the ledger begins: all that is erased there was said before. */
let half: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-custody-'))
  const at = await erasableLedger(join(folder, 'ledger'))
  const { options } = at
  source = { directory: options.directory, sealer: options.sealer!, wrappingKey: options.wrappingKey! }
  const before = new Date().toISOString()
  while (new Date().toISOString() <= before) await new Promise(resolve => setImmediate(resolve))
  half = new Date().toISOString()
  const ledger = await openDirectoryLedger(options)
  const place = { kind: 'hold-placed', by: officer } as const
  await ledger.append([
    {
      ...place,
      hold: 'h-1',
      scope: 'session',
      of: session,
      disclose: { reason: 'a claim' },
      slot: `principal:${officer}`,
    },
    { ...place, hold: 'h-2', scope: 'ledger' },
    { kind: 'hold-released', hold: 'h-2', by: counsel, disclose: { reason: 'settled' }, slot: `principal:${counsel}` },
    {
      ...{ kind: 'custody-refused', verb: 'erase', of: session, by: officer, approvers: [counsel] },
      ...{ code: 'ERR_OBLIGATION_UNMET', why: 'under-hold', hold: 'h-1' },
    },
    {
      kind: 'attempt-refused',
      verb: 'approve',
      of: 'g-00000001',
      subject: customer,
      code: 'ERR_ACCESS_DENIED',
      why: 'requester',
    },
  ])
  await ledger.close()
  await erased(at, erasure())
  built = await bundleOf(source, { out: join(folder, 'bundle') })
}, 60_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const rows = (bundle: BundleResult, path: string) => {
  const [head, ...lines] = [...parseCsv(bundle.files.get(path)!)].map(({ cells }) => cells)
  return lines.map(cells => Object.fromEntries(head!.map((name, i) => [name, cells[i]])))
}

describe('a bundle', () => {
  it('tells what was erased, on whose word and why, and whom it was by the entry that erased the name', async () => {
    const [row, ...more] = rows(built, 'log/erasures.csv')
    expect(more).toEqual([])
    expect(row).toMatchObject({
      ...{ scope: 'principal', of_id: customer, of_name: `ERASED (by #${row!.index})`, ground: 'art-17' },
      ...{ basis: 'asked in writing', erased_by_name: 'officer@crm.example', approver_names: 'counsel@crm.example' },
    })
    expect(Number(row!.slots)).toBeGreaterThan(0)
    expect(built.files.get('statements/limitations.txt')).toContain('1 erasure has destroyed')
    const result = await verifyOf(built.directory, source)
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    expect([...built.files.values()].join()).not.toContain('customer@crm.example')
  })

  it('tells what was held back, from when to when, by whom and why', () => {
    expect(rows(built, 'log/holds.csv')).toMatchObject([
      {
        hold: 'h-1',
        scope: 'session',
        of_id: session,
        placed_by_name: 'officer@crm.example',
        reason: 'a claim',
        released_at: '',
      },
      { hold: 'h-2', scope: 'ledger', of_id: '', released_by_name: 'counsel@crm.example', released_reason: 'settled' },
    ])
  })

  it('tells what was tried and refused, of the vault and of grants, and what was in the way', () => {
    expect(rows(built, 'log/attempts.csv')).toMatchObject([
      {
        verb: 'erase',
        of_id: session,
        subject_name: 'officer@crm.example',
        approvers: counsel,
        why: 'under-hold',
        hold: 'h-1',
      },
      {
        verb: 'approve',
        of_id: 'g-00000001',
        subject_name: expect.stringMatching(/^ERASED \(by #\d+\)$/),
        why: 'requester',
      },
    ])
  })

  it('shows all of it in the report, each with its entry and proof', () => {
    const report = built.files.get('report/report.html')!
    const section = /<section aria-labelledby="custody">[\s\S]*?<\/section>/.exec(report)![0]
    for (const text of ['art-17', 'asked in writing', 'ERASED (by #', 'under-hold', 'the whole ledger', 'settled'])
      expect(section).toContain(text)
    const entries = [...section.matchAll(/href="(entries\/(\d+)\.html)"/g)]
    expect(entries).toHaveLength(6)
    for (const [, path, index] of entries) {
      expect(built.files.has(`report/${path}`)).toBe(true)
      expect(built.files.has(`proofs/${index}.tlog-proof`)).toBe(true)
    }
  })

  it('of another period tells of what stands from before, and of nothing that came later', async () => {
    const later = await bundleOf(source, { from: '2098-01-01' })
    expect(rows(later, 'log/holds.csv').map(({ hold }) => hold)).toEqual(['h-1'])
    expect([rows(later, 'log/erasures.csv'), rows(later, 'log/attempts.csv')]).toEqual([[], []])
    const earlier = await bundleOf(source, { to: half })
    expect(rows(earlier, 'log/holds.csv')).toEqual([])
    expect(earlier.files.get('report/report.html')).toContain('Nothing was erased.')
  })

  it('with pseudonyms names nobody, and quotes no reason', async () => {
    const bundle = await bundleOf(source, { identities: 'pseudonyms' })
    const [row] = rows(bundle, 'log/erasures.csv')
    expect(row).toMatchObject({ basis: '', erased_by: officer, erased_by_name: '', approver_names: counsel })
    expect(row!.of_name).toMatch(/^ERASED/)
  })
})
