/**
 * Copies of a bundle from which what is disclosed of somebody is withheld: it is nowhere in them,
 * they say so, and what is missing is told from it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BundleResult } from '../../evidence/bundle/build.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { bundleOf, forgedOf, type Source, verifyOf } from '../support/bundle-of.ts'
import {
  copyOf,
  counsel,
  customer,
  type Erasable,
  erasableLedger,
  erased,
  erasure,
  officer,
} from '../support/erasable-ledger.ts'

const name = 'customer@crm.example'
let folder: string
let at: Erasable
let source: Source
let to: string
/** With everything disclosed that a bundle can disclose. */
let whole: BundleResult
const all = { actions: 'all', recordings: true } as const

const sourceOf = ({ options: { directory, sealer, wrappingKey } }: Erasable): Source => ({
  ...{ directory, sealer: sealer!, wrappingKey: wrappingKey! },
})

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-withheld-'))
  at = await erasableLedger(join(folder, 'ledger'))
  source = sourceOf(at)
  const ledger = await openDirectoryLedger(at.options)
  const hold = { kind: 'hold-placed', scope: 'ledger', by: officer } as const
  await ledger.append([
    { ...hold, hold: 'h-1', disclose: { reason: `what ${name} asks` } },
    { kind: 'hold-released', hold: 'h-1', by: counsel, disclose: { reason: 'settled' } },
  ])
  await ledger.close()
  whole = await bundleOf(source, { ...all, out: join(folder, 'whole') })
  to = new Date(Date.now() + 1).toISOString()
  while (new Date().toISOString() <= to) await new Promise(resolve => setImmediate(resolve))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const textOf = ({ directory }: BundleResult) =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter(one => one.isFile())
    .map(({ parentPath, name: file }) => readFileSync(join(parentPath, file), 'latin1'))
    .join('\n')
/** Disclosures are encoded. */
const openedIn = ({ files }: BundleResult) =>
  files
    .get('disclosures/disclosures.jsonl')!
    .split('\n')
    .filter(line => line !== '')
    .map(line => Buffer.from(JSON.parse(line).disclosure, 'base64url').toString())
const detailOf = (result: { steps: readonly { name: string; detail: string }[] }) =>
  result.steps.find(step => step.name === 'disclosures')!.detail

describe('a principal that is withheld from a bundle', () => {
  it.each([
    ['by name', name],
    ['by pseudonym', customer],
  ])('%s is nowhere in it, and it says of whom and of which entries', async (_, who) => {
    const all = { actions: 'all', recordings: true } as const
    for (const text of [name, '192.0.2.1', 'select 1'])
      expect(textOf(whole) + openedIn(whole).join(), text).toContain(text)
    const copy = await bundleOf(source, { ...all, withhold: [who] })
    for (const text of [name, '192.0.2.1', 'select 1'])
      expect(textOf(copy) + openedIn(copy).join(), text).not.toContain(text)
    expect([whole, copy].map(({ manifest }) => manifest.recordings.here)).toEqual([1, 0])
    expect(textOf(copy)).toContain('officer@crm.example')
    expect(textOf(copy)).toContain('settled')
    const { principals, entries } = copy.manifest.withheld
    expect([principals, entries.length]).toEqual([[customer], 1])
    expect(copy.files.get('statements/limitations.txt')).toContain('of one principal is withheld from this copy')
    expect(copy.files.get('report/report.html')).toContain('Withheld from this copy')
    const result = await verifyOf(copy.directory, source)
    expect([result.verdict, result.findings]).toEqual(['OK', []])
    expect(detailOf(result)).toMatch(/, [1-9]\d* withheld of the principal whom MANIFEST.json names/)
  })

  it('must be known to the ledger', async () => {
    await expect(bundleOf(source, { withhold: ['nobody@crm.example'] })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringContaining('nobody@crm.example'),
    })
    const { wrappingKey: _, ...closed } = source
    await expect(bundleOf(closed, { withhold: [customer] })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
  })

  it('is told from a disclosure that is missing, though who took it away lists and signs all of it anew', async () => {
    const copy = await bundleOf(source, { withhold: [name] })
    const path = 'disclosures/disclosures.jsonl'
    const lines = copy.files.get(path)!.split('\n')
    const at = openedIn(copy).findIndex(text => text.includes('officer@crm.example'))
    const { index } = JSON.parse(lines[at]!)
    const fewer = lines.filter((_, i) => i !== at).join('\n')
    const forged = await verifyOf(await forgedOf(copy, source, { [path]: fewer }), source)
    expect(forged.verdict).toBe('TAMPERED')
    expect(forged.findings).toContainEqual(
      expect.objectContaining({ code: 'DISCLOSURE', index, what: expect.stringContaining('is missing') }),
    )
  })
})

it('what was erased after the period of a bundle is not missing from it', async () => {
  const gone = await erased(copyOf(at, join(folder, 'gone')), erasure())
  const bundle = await bundleOf(sourceOf(gone), { to })
  expect(bundle.manifest.withheld.erasedLater.length).toBeGreaterThan(0)
  const result = await verifyOf(bundle.directory, sourceOf(gone))
  expect([result.verdict, result.findings]).toEqual(['OK', []])
  expect(detailOf(result)).toMatch(/[1-9] erased after what is here/)
})
