/** The bundles of a series, held against each other: who holds all keys has one of them show another history than the next one cites. */
import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { derive, manifestOf } from '../../evidence/bundle/derive.ts'
import { type Material, writeMaterial } from '../../evidence/bundle/material.ts'
import { examineBundle, verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import { verifyBundles } from '../../evidence/bundle/verify-bundles.ts'
import { CarriedDigest } from '../../lib/format/carried.ts'
import { formatCheckpoint } from '../../lib/format/checkpoint.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { bundleOf, forgedOf, readControls } from '../support/bundle-of.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'
import { Story } from './support.ts'

const keys = await builderKeys()
const sealer = openpgpSealer(keys.seal)
const now = Date.parse('2026-08-01T00:00:00Z')

interface First {
  readonly code?: string
  readonly isConcluded?: boolean
  /** When what stands behind the first seal was recorded. */
  readonly later?: string
}

/**
 * A ledger that another follows at `size`, opened once more since, as for its keys. `sealed`: how much of it was, before what may differ.
 */
async function first({ code = 'ERR_GRANT_REQUIRED', isConcluded = true, later }: First) {
  const story = await Story.begin({ keys })
  const { builder } = story
  const sealed = builder.entries.length
  if (later !== undefined) builder.now = Date.parse(later)
  story.update(undefined, { verdict: 'deny', code })
  builder.add('stopped', {})
  if (isConcluded) builder.add('concluded', { next: `${builder.origin}/2` })
  const size = builder.entries.length
  openedAgain(builder)
  return { builder, sealed, size }
}

function openedAgain(builder: LedgerBuilder): void {
  builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 })
  builder.add('stopped', {})
}

/** What follows a ledger at a size, as far as it says. */
async function following(builder: LedgerBuilder, size: number, of = builder.origin): Promise<LedgerBuilder> {
  const next = new LedgerBuilder({ keys, origin: `${builder.origin}/2`, start: builder.now })
  const root = Buffer.from(builder.tree(size).root).toString('base64url')
  await next.open({ of, size, root, carried: 0, state: new CarriedDigest().digest() })
  next.add('stopped', {})
  return next
}

interface Shown {
  readonly from?: string
  /** Sizes at which it is sealed before its end. */
  readonly seals?: readonly number[]
}

async function bundled(ledger: LedgerBuilder, folder: string, number: number, { from, seals = [] }: Shown = {}) {
  const directory = join(temporaryDirectory(), 'ledger')
  await ledger.write(directory, { seals: [...seals, ledger.entries.length] })
  const { wrappingKey } = ledger
  const out = join(folder, `${number}`)
  const source = { directory, sealer, wrappingKey }
  const of = { ledger: { directory, fingerprint: keys.seal.fingerprint, now }, out }
  return { source, made: await bundleOf(source, from === undefined ? of : { ...of, from }) }
}

/** By who holds all keys: all that follows from it is made to fit. */
async function rewritten(
  { source, made }: Awaited<ReturnType<typeof bundled>>,
  change: (material: Material) => Material,
) {
  const { directory } = made
  const { fingerprint } = keys.seal
  const { material } = await examineBundle({ directory, fingerprint, readControls })
  const changed = change(material!)
  const { files, views } = await derive(changed)
  const manifest = manifestOf(changed, views, fingerprint, made.manifest.files)
  const forged = await forgedOf(
    { ...made, manifest },
    source,
    Object.fromEntries([...writeMaterial(changed), ...files]),
  )
  rmSync(directory, { recursive: true })
  cpSync(forged, directory, { recursive: true })
}

async function told(folder: string, each = ['OK', 'OK']): Promise<readonly string[]> {
  const verified = await verifyBundles({ directory: folder, fingerprint: keys.seal.fingerprint, readControls })
  expect(verified.bundles.map(({ verification }) => verification.verdict)).toEqual(each)
  return [verified.verdict, ...verified.findings.map(({ code }) => code)]
}

// biome-ignore format: a table
it.each<[string, cited: First, isShown: boolean, expected: readonly string[]]>([
  ['is what was cited',             {},                     true,  ['OK']],
  ['was written anew',              {},                     false, ['TAMPERED', 'LOG']],
  ['was not concluded before that', { isConcluded: false }, true,  ['TAMPERED', 'LOG']],
])('is held against what the next ledger cites, whatever stands behind that: one that %s', async (_, cited, isShown, expected) => {
  const { builder, size } = await first(cited)
  const folder = temporaryDirectory()
  await bundled(isShown ? builder : (await first({ code: 'ERR_OTHER' })).builder, folder, 1)
  await bundled(await following(builder, size), folder, 2)
  expect(await told(folder)).toEqual(expected)
})

it('shows nothing that was recorded behind its conclusion, but what concerns its keys', async () => {
  const { builder, size } = await first({})
  const folder = temporaryDirectory()
  await bundled(await following(builder, size), folder, 2)
  const one = await bundled(builder, folder, 1)
  const { index, entry } = builder.add('event', { source: 'crm', event: 'login', level: 'info' })
  const more = { index, entry, bytes: builder.entries[index]! }
  const closing = formatCheckpoint(await builder.checkpoint(index + 1, true))
  await rewritten(one, material => ({ ...material, closing, envelopes: [...material.envelopes, more] }))
  expect(await told(folder, ['TAMPERED', 'OK'])).toEqual(['TAMPERED'])
  const { directory } = one.made
  const { findings } = await verifyBundle({ directory, fingerprint: keys.seal.fingerprint, readControls })
  expect(findings.map(({ what }) => what)).toEqual([
    `entry ${index} is of kind event, and the ledger was concluded by entry ${size - 1}`,
  ])
})

describe('that begins behind the first entries of its ledger', () => {
  const later = '2026-07-20T00:00:00Z'
  const quarter = { from: '2026-07-10' }

  // Whoever holds all keys has what is shown bound by nothing that the next ledger cites.
  // biome-ignore format: a table
  it.each<[string, cited: (sealed: number, size: number) => number, isConcluded: boolean, expected: readonly string[]]>([
    ['is cited whole',                                      (_, size) => size,  true,  ['OK']],
    ['is cited whole, and was never concluded',             (_, size) => size,  false, ['TAMPERED', 'LOG']],
    ['is cited at nothing',                                 () => 0,            true,  ['TAMPERED', 'LOG']],
    ['is cited at nothing, and was never concluded',        () => 0,            false, ['TAMPERED', 'LOG']],
    ['is cited at a tree before what is shown',             () => 4,            true,  ['TAMPERED', 'LOG']],
    ['is cited at a tree before it, and never concluded',   () => 4,            false, ['TAMPERED', 'LOG']],
    ['is cited where it begins',                            sealed => sealed,   true,  ['TAMPERED', 'LOG']],
    ['is cited where it begins, and was never concluded',   sealed => sealed,   false, ['TAMPERED', 'LOG']],
    ['is cited where no tree can be told',                  sealed => sealed - 2, true, ['TAMPERED', 'LOG']],
  ])('is held against it: one that %s', async (_, cited, isConcluded, expected) => {
    const { builder, sealed, size } = await first({ isConcluded, later })
    const folder = temporaryDirectory()
    await bundled(builder, folder, 1, { ...quarter, seals: [sealed] })
    await bundled(await following(builder, cited(sealed, size)), folder, 2)
    expect(await told(folder)).toEqual(expected)
  })

  it('and behind its conclusion, is told to be concluded by the entry itself; without that it could not be told', async () => {
    const { builder, size } = await first({})
    builder.now = Date.parse(later)
    openedAgain(builder)
    const folder = temporaryDirectory()
    const one = await bundled(builder, folder, 1, { ...quarter, seals: [size] })
    await bundled(await following(builder, size), folder, 2)
    expect(await told(folder)).toEqual(['OK'])
    // As bundles were once made, or by who leaves it out.
    const isOther = ({ entry }: { entry: Entry }) => entry.kind !== 'concluded'
    await rewritten(one, material => ({ ...material, state: material.state.filter(isOther) }))
    expect(await told(folder)).toEqual(['INCOMPLETE', 'BUNDLE_MISSING'])
  })
})

describe('the next one', () => {
  it('shows its ledger from the first entry on, or not all of the period is shown', async () => {
    const { builder, size } = await first({})
    const next = await following(builder, size)
    const sealed = next.entries.length
    next.now = Date.parse('2026-07-20T00:00:00Z')
    openedAgain(next)
    const folder = temporaryDirectory()
    await bundled(builder, folder, 1)
    await bundled(next, folder, 2, { from: '2026-07-10', seals: [sealed] })
    expect(await told(folder)).toEqual(['INCOMPLETE', 'BUNDLE_MISSING'])
  })

  it.each([
    ['nothing of it', undefined],
    ['that it follows another', 'other.example'],
  ])('is told, where it says %s', async (_, of) => {
    const { builder, size } = await first({})
    const alone = new LedgerBuilder({ keys, origin: `${builder.origin}/2`, start: builder.now })
    const folder = temporaryDirectory()
    await bundled(builder, folder, 1)
    await bundled(of === undefined ? await alone.open() : await following(builder, size, of), folder, 2)
    expect(await told(folder)).toEqual(['TAMPERED', 'LOG'])
  })
})
