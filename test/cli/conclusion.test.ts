/** The last line of a verification says what is so, for a whole bundle and for broken ones. */
import { cp, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundleConclusion, ledgerConclusion } from '../../cli/conclusion.ts'
import { verifyBundle, verifyLedger } from '../../evidence/index.ts'
import { BundleFixture, readControls } from '../evidence/bundle-fixture.ts'
import { builderKeys } from '../support/ledger-builder.ts'

let fixture: BundleFixture

beforeAll(async () => {
  fixture = await BundleFixture.make()
})
afterAll(() => fixture.remove())

test('a whole bundle is what it was, and its exceptions are named', async () => {
  const whole = await fixture.verify(fixture.built.directory)
  expect(bundleConclusion(whole)).toBe('the bundle is what it was; it notes exceptions')
  expect(bundleConclusion({ ...whole, exceptions: false })).toBe('the bundle is what it was')
})

test('a bundle with a file changed, or one too many, is not said to be what it was', async () => {
  const directory = await fixture.copy()
  await writeFile(join(directory, 'more.txt'), '')
  expect(bundleConclusion(await fixture.verify(directory))).toBe(
    'the bundle holds what nobody signed; 1 finding, the first: more.txt is not in SHA256SUMS',
  )
  await writeFile(join(directory, 'VERIFY.txt'), 'trust me\n')
  const changed = bundleConclusion(await fixture.verify(directory))
  expect(changed).toMatch(
    /^the bundle is not what the given key signed; \d+ findings, the first: VERIFY\.txt was changed/,
  )
})

test('a bundle of which something could not be examined is said to be that', async () => {
  const pin = join(fixture.scratch, 'later')
  const { origin } = fixture.built.manifest.ledger
  const later = { origin, size: 9999, root: Buffer.alloc(32).toString('base64') }
  const { fingerprint } = fixture.keys.seal
  await writeFile(pin, `${JSON.stringify({ ...later, fingerprint, time: '2026-07-01T00:00:00.000Z' })}\n`)
  const { directory } = fixture.built
  const result = await verifyBundle({ directory, fingerprint, readControls, pin })
  expect(result.verdict).toBe('INCOMPLETE')
  expect(bundleConclusion(result)).toBe(
    'whether the bundle is what it was could not be told: pin: the pinned size is not within this bundle',
  )
  await writeFile(pin, (await readFile(pin, 'utf8')).replace(origin, 'other'))
  const { verdict, steps } = await verifyBundle({ directory, fingerprint, readControls, pin })
  expect(verdict).toBe('INCOMPLETE')
  expect(steps.find(({ name }) => name === 'pin')?.detail).toBe(`the pin is of other, and not of ${origin}`)
  const missing = { directory, fingerprint, readControls, pin: `${pin}.not` }
  await expect(verifyBundle(missing)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
})

test('a bundle of another key says which, and what to do; one that was altered besides is not said to be that alone', async () => {
  const { fingerprint } = fixture.keys.seal
  const { seal } = await builderKeys('another')
  const { fingerprint: other, certificate } = seal
  const directory = await fixture.copy()
  for (const given of [{ fingerprint: other }, { fingerprint: other, certificate }]) {
    const result = await verifyBundle({ directory, readControls, ...given })
    expect(result.verdict).toBe('TAMPERED')
    expect(result.findings.map(({ code, expected, actual }) => [code, expected, actual])).toEqual([
      ['SIGNATURE', other, fingerprint],
      ['TRUST', other, fingerprint],
    ])
    expect(bundleConclusion(result)).toMatch(
      new RegExp(
        `^the bundle is signed by another key than the one given, .*: ${fingerprint}\\. .*keys show LEDGER --key ${other}`,
      ),
    )
  }
  await writeFile(join(directory, 'VERIFY.txt'), 'trust me\n')
  expect(bundleConclusion(await verifyBundle({ directory, readControls, fingerprint: other }))).toMatch(
    /^the bundle is not what the given key signed; \d+ findings/,
  )
})

test('of a ledger it says which it is, also where the key is another or its checkpoint is lost', async () => {
  const { fingerprint } = fixture.keys.seal
  const of = async (directory: string, key = fingerprint) =>
    ledgerConclusion(await verifyLedger({ directory, fingerprint: key }))
  const { size, origin } = await verifyLedger({ directory: fixture.ledger, fingerprint })
  expect(await of(fixture.ledger)).toMatch(new RegExp(`^${origin}, ${size} entries, root \\S{44}$`))
  const other = await builderKeys('another')
  expect(await of(fixture.ledger, other.seal.fingerprint)).toMatch(
    new RegExp(`^a ledger for which the given key does not speak, ${size} entries, root `),
  )
  expect(await of(join(fixture.scratch, 'nowhere'))).toBe('no ledger')
  const broken = fixture.folder()
  await cp(fixture.ledger, broken, { recursive: true })
  await truncate(join(broken, 'checkpoint'))
  expect(await of(broken)).toBe('a ledger whose checkpoint cannot be read')
})
