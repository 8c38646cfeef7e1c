/** The bundle of a ledger that a test has made, its verification, and a forger who holds the key that signs it. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type BundleOptions, type BundleResult, buildBundle } from '../../evidence/bundle/build.ts'
import { formatManifest, formatSums, listFiles, sha256 } from '../../evidence/bundle/manifest.ts'
import { type VerifyBundleOptions, verifyBundle } from '../../evidence/bundle/verify-bundle.ts'
import type { Control } from '../../lib/control.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { armorSignature } from '../../lib/openpgp.ts'
import { temporaryDirectory } from './directory-ledger.ts'

type Signer = NonNullable<DirectoryOptions['sealer']>

export const readControls = (text: string) => JSON.parse(text) as Control[]
const signWith = (sealer: Signer) => async (bytes: Uint8Array) => armorSignature(await sealer.sign(bytes))

export interface Source {
  readonly directory: string
  readonly sealer: Signer
  readonly wrappingKey?: Uint8Array
}

/** Of all that the ledger has, unless a test says otherwise. */
export const bundleOf = (
  { directory, sealer, wrappingKey }: Source,
  { ledger, out = join(temporaryDirectory(), 'bundle'), ...more }: Partial<BundleOptions> = {},
): Promise<BundleResult> =>
  buildBundle({
    ledger: {
      directory,
      fingerprint: sealer.fingerprint,
      ...(wrappingKey === undefined ? {} : { wrappingKey }),
      ...ledger,
    },
    ...{ out, organisation: 'CRM Example', from: '2020-01-01', to: '2099-01-01' },
    ...{ asOf: Date.parse('2099-01-02'), controls: readControls },
    sign: signWith(sealer),
    ...more,
  })

export const verifyOf = (directory: string, { sealer }: Source, more: Partial<VerifyBundleOptions> = {}) =>
  verifyBundle({ directory, fingerprint: sealer.fingerprint, readControls, ...more })

const unlisted = ['MANIFEST.json', 'SHA256SUMS', 'SHA256SUMS.asc']

/** Changes files of a copy, then lists and signs all of it anew. @param change undefined takes the file away */
export async function forgedOf(
  { directory, manifest }: BundleResult,
  { sealer }: Source,
  change: Readonly<Record<string, Uint8Array | string | undefined>>,
): Promise<string> {
  const copy = join(temporaryDirectory(), 'forged')
  cpSync(directory, copy, { recursive: true })
  for (const [path, content] of Object.entries(change)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    if (content === undefined) rmSync(join(copy, path))
    else writeFileSync(join(copy, path), content)
  }
  const found = readdirSync(copy, { recursive: true, withFileTypes: true }).filter(one => one.isFile())
  const paths = found.map(({ parentPath, name }) => join(parentPath, name).slice(copy.length + 1))
  const contents = paths
    .filter(path => !unlisted.includes(path))
    .map(path => [path, readFileSync(join(copy, path))] as const)
  const files = listFiles(new Map(contents))
  const said = formatManifest({ ...manifest, files })
  const sums = formatSums([...files, { path: 'MANIFEST.json', sha256: sha256(said) }])
  writeFileSync(join(copy, 'MANIFEST.json'), said)
  writeFileSync(join(copy, 'SHA256SUMS'), sums)
  writeFileSync(join(copy, 'SHA256SUMS.asc'), await signWith(sealer)(Buffer.from(sums)))
  return copy
}
