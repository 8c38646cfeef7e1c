/** Recordings that a bundle cannot hold whole: those that a crash cut, that others alone can open, and that were erased. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BundleResult } from '../../evidence/bundle/build.ts'
import { parseCsv } from '../../evidence/csv.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { type Draft, disclosedOf } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { bundleOf, type Source, verifyOf } from '../support/bundle-of.ts'
import { attachedOf, openingDrafts, shownPart } from '../support/cut-recording.ts'
import { crashImage } from '../support/directory-ledger.ts'
import { erasableLedger, erased, erasure, session } from '../support/erasable-ledger.ts'
import { reader } from '../support/reader.ts'

let folder: string
let own: Awaited<ReturnType<typeof reader>>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'counterfoil-recordings-'))
  own = await reader()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const sourceOf = ({ directory, sealer, wrappingKey }: DirectoryOptions): Source => ({
  ...{ directory, sealer: sealer!, wrappingKey: wrappingKey! },
})
const rows = (bundle: BundleResult) => {
  const [head, ...lines] = [...parseCsv(bundle.files.get('recordings/index.csv')!)].map(({ cells }) => cells)
  return lines.map(cells => Object.fromEntries(head!.map((name, i) => [name, cells[i]])))
}
const detailOf = async (bundle: BundleResult, source: Source, step = 'recordings') => {
  const { verdict, findings, steps } = await verifyOf(bundle.directory, source)
  expect([verdict, findings]).toEqual(['OK', []])
  return steps.find(({ name }) => name === step)!.detail
}

describe('a recording in a bundle', () => {
  it('that a crash cut is listed with what is left of it, and by which entry it was cut', async () => {
    const whole = await erasableLedger(join(folder, 'whole'))
    const ledger = await openDirectoryLedger(whole.options)
    await ledger.append(openingDrafts())
    const writer = await ledger.attach(attachedOf)
    for (const part of [1, 2, 3]) await writer.write(shownPart(part))
    const options = crashImage(whole.options)
    await writer.close()
    await ledger.close()
    await (await openDirectoryLedger(options)).close()
    const bundle = await bundleOf(sourceOf(options), { recordings: true })
    const [, cut] = rows(bundle)
    const recovered = bundle.files
      .get('log/entries.jsonl')!
      .split('\n')
      .findIndex(line => line.includes('"kind":"recovered"'))
    expect(cut).toMatchObject({ session, cut: 'true', cut_by: String(recovered), content: '' })
    expect(cut!.location).toMatch(/^ledger: /)
    expect(Number(cut!.chunks)).toBeGreaterThan(0)
    expect(bundle.manifest.recordings).toEqual({ listed: 2, here: 1, cut: 1, sealed: 0, readers: [] })
    expect(bundle.files.get('report/report.html')).toContain('a crash cut 1 of them')
    expect(bundle.files.get('statements/limitations.txt')).toContain('A crash cut 1 recording:')
    expect(await detailOf(bundle, sourceOf(options))).toContain('1 that a crash cut')
  })

  it('that is encrypted to others is listed with the keys that alone open it, and is not in it', async () => {
    const { options } = await erasableLedger(join(folder, 'sealed'), { readers: own.readers })
    const bundle = await bundleOf(sourceOf(options), { recordings: true })
    const [fingerprint] = own.readers.fingerprints
    expect(rows(bundle)).toMatchObject([
      { sealed_to: fingerprint, cut: 'false', location: expect.stringMatching(/^ledger: /) },
    ])
    expect(bundle.manifest.recordings).toEqual({ listed: 1, here: 0, cut: 0, sealed: 1, readers: [fingerprint] })
    expect(bundle.files.get('report/report.html')).toContain(
      `can be opened with the key <code>${fingerprint}</code> alone`,
    )
    expect(await detailOf(bundle, sourceOf(options))).toContain('0 of 1 are here')
    // Whose key that is could be looked up.
    const pseudonyms = await bundleOf(sourceOf(options), { identities: 'pseudonyms' })
    expect([...pseudonyms.files.values()].join()).not.toContain(fingerprint)
  })

  it('has a file whatever it is said to be a recording of', async () => {
    const { options } = await erasableLedger(join(folder, 'types'))
    const ledger = await openDirectoryLedger(options)
    await ledger.append(openingDrafts())
    const types = ['toString', '__proto__', 'constructor']
    for (const type of types) {
      const writer = await ledger.attach({ slot: attachedOf.slot })
      await writer.write(shownPart(1))
      const closed = await writer.close()
      const { id, salt: _, sealed: __, ...attached } = closed
      const entry = { ...attachedOf.of, ...attached, kind: 'attachment', attachment: id, type }
      await ledger.append([{ ...entry, disclose: disclosedOf(closed), slot: attachedOf.slot } as Draft])
    }
    await ledger.close()
    const bundle = await bundleOf(sourceOf(options), { recordings: true })
    const found = rows(bundle).filter(({ type }) => types.includes(type!))
    expect(found.map(({ location }) => location)).toEqual(
      types.map(() => expect.stringMatching(/^recordings\/[\w-]+\.bin$/)),
    )
    expect(await detailOf(bundle, sourceOf(options))).toContain('4 of 4 are here')
    // What is told of its files is one number, here and where it is verified.
    expect(await detailOf(bundle, sourceOf(options), 'files')).toContain(`${bundle.count} files, `)
  })

  it('that was erased is listed with the entry that says so', async () => {
    const at = await erased(await erasableLedger(join(folder, 'erased')), erasure({ scope: 'session', of: session }))
    const bundle = await bundleOf(sourceOf(at.options), { recordings: true })
    expect(rows(bundle)).toMatchObject([{ location: expect.stringMatching(/^ERASED \(by #\d+\)$/) }])
    expect(bundle.manifest.recordings).toMatchObject({ listed: 1, here: 0 })
    expect(bundle.files.get('statements/limitations.txt')).not.toContain('encrypted in the ledger')
    expect(await detailOf(bundle, sourceOf(at.options))).toContain('0 of 1 are here')
  })
})
