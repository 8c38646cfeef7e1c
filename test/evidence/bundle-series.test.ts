/** The bundles of a series, held against each other: who holds all keys has one of them show another history than the next one cites. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { verifyBundles } from '../../evidence/bundle/verify-bundles.ts'
import { CarriedDigest } from '../../lib/format/carried.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { bundleOf, readControls } from '../support/bundle-of.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'
import { builderKeys, LedgerBuilder } from '../support/ledger-builder.ts'
import { Story } from './support.ts'

const keys = await builderKeys()
const sealer = openpgpSealer(keys.seal)
const now = Date.parse('2026-08-01T00:00:00Z')

interface First {
  readonly code?: string
  readonly isConcluded?: boolean
}

/** A ledger that another follows at `size`, opened once more since, as for its keys. */
async function first({ code = 'ERR_GRANT_REQUIRED', isConcluded = true }: First) {
  const story = await Story.begin({ keys })
  const { builder } = story
  story.update(undefined, { verdict: 'deny', code })
  builder.add('stopped', {})
  if (isConcluded) builder.add('concluded', { next: `${builder.origin}/2` })
  const size = builder.entries.length
  builder.add('started', { software: 'builder', placement: 'gateway', epoch: 2, interval: 60 })
  builder.add('stopped', {})
  return { builder, size }
}

async function bundled(ledger: LedgerBuilder, folder: string, number: number): Promise<void> {
  const directory = join(temporaryDirectory(), 'ledger')
  await ledger.write(directory)
  const { wrappingKey } = ledger
  await bundleOf(
    { directory, sealer, wrappingKey },
    { ledger: { directory, fingerprint: keys.seal.fingerprint, now }, out: join(folder, `${number}`) },
  )
}

// biome-ignore format: a table
it.each<[string, cited: First, isShown: boolean, expected: readonly string[]]>([
  ['is what was cited',             {},                     true,  ['OK']],
  ['was written anew',              {},                     false, ['TAMPERED', 'LOG']],
  ['was not concluded before that', { isConcluded: false }, true,  ['TAMPERED', 'LOG']],
])('is held against what the next ledger cites, whatever stands behind that: one that %s', async (_, cited, isShown, expected) => {
  const { builder, size } = await first(cited)
  const next = new LedgerBuilder({ keys, origin: `${builder.origin}/2`, start: builder.now })
  const root = Buffer.from(builder.tree(size).root).toString('base64url')
  await next.open({ of: builder.origin, size, root, carried: 0, state: new CarriedDigest().digest() })
  next.add('stopped', {})
  const folder = temporaryDirectory()
  mkdirSync(folder, { recursive: true })
  await bundled(isShown ? builder : (await first({ code: 'ERR_OTHER' })).builder, folder, 1)
  await bundled(next, folder, 2)
  const { verdict, findings, bundles } = await verifyBundles({ directory: folder, fingerprint: keys.seal.fingerprint, readControls })
  expect(bundles.map(({ verification }) => verification.verdict)).toEqual(['OK', 'OK'])
  expect([verdict, ...findings.map(({ code }) => code)]).toEqual(expected)
})
