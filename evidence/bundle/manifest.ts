/** MANIFEST.json and SHA256SUMS: every file of a bundle, by path, length and digest. */
import { createHash } from 'node:crypto'
import { LedgerError } from '../../lib/errors.ts'
import { type Json, parseJson } from '../../lib/format/canonical.ts'
import { check, list, oneOf, optional, record, type TypeOf } from '../../lib/format/shape.ts'
import type { Scope } from './material.ts'

export const manifestFile = 'MANIFEST.json'
export const sumsFile = 'SHA256SUMS'
export const signatureFile = 'SHA256SUMS.asc'
/** A copy for convenience: a key found only in a bundle proves nothing. */
export const certificateCopy = 'log/ledger.pub.asc'

const head = record({ size: 'count', root: 'text' })
const shape = record({
  format: 'count',
  organisation: 'text',
  engagement: 'text',
  period: record({ from: 'time', to: 'time' }),
  /** Of several, made of one period, one for each ledger of a series: which it is of how many. */
  part: optional(record({ number: 'count', of: 'count' })),
  asOf: 'time',
  stamps: list(oneOf('DEMO', 'PROVISIONAL'), 2),
  software: 'text',
  identities: oneOf('identified', 'pseudonyms'),
  actions: oneOf('none', 'approved', 'all'),
  /**
   * Of whom nothing is disclosed, and of which entries something is not for another reason than
   * what such a bundle discloses: see withheld.ts.
   */
  withheld: record({
    principals: list('pseudonym', 4096),
    entries: list('count', 1_000_000),
    erasedLater: list('count', 1_000_000),
  }),
  samples: 'count',
  ledger: record({ origin: 'word', fingerprint: 'word', opening: head, closing: head }),
  /** `readers`: fingerprints of who alone can open those that are sealed to others. */
  recordings: record({ listed: 'count', here: 'count', cut: 'count', sealed: 'count', readers: list('word', 4096) }),
  /** SHA-256, hex, of mapping/controls.json. */
  mapping: 'word',
  files: list(record({ path: 'word', bytes: 'count', sha256: 'word', rows: 'count' }), 1_000_000),
})

export type Manifest = TypeOf<typeof shape>

/** What the manifest says of what the bundle is. */
export function scopeIn(manifest: Manifest): Omit<Scope, 'demo'> {
  const { organisation, engagement, period, part, asOf, software, identities, actions, withheld, samples } = manifest
  return { organisation, engagement, period, part, asOf, software, identities, actions, withheld, samples }
}

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

export interface ListedFile {
  readonly path: string
  readonly bytes: number
  readonly sha256: string
  /** Lines, less the header of a CSV; 0 for what has no rows. */
  readonly rows: number
}

export const listFiles = (files: ReadonlyMap<string, string | Uint8Array>): ListedFile[] =>
  [...files]
    .map(([path, content]) => ({
      path,
      bytes: Buffer.byteLength(content),
      sha256: sha256(content),
      rows: rowsOf(path, content),
    }))
    .sort(comparePaths)

export const byPath = (files: readonly ListedFile[]): ListedFile[] => [...files].sort(comparePaths)
const comparePaths = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1)

function rowsOf(path: string, content: string | Uint8Array): number {
  const header = path.endsWith('.csv') ? 1 : 0
  if (header === 0 && !path.endsWith('.jsonl')) return 0
  let lines = 0
  const bytes =
    typeof content === 'string' ? Buffer.from(content) : Buffer.from(content.buffer, content.byteOffset, content.length)
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines += 1
  return Math.max(0, lines - header)
}

export const formatManifest = (manifest: Manifest): string => `${JSON.stringify(manifest, undefined, 2)}\n`

/** @throws LedgerError ERR_BUNDLE_MANIFEST */
export function parseManifest(text: string): Manifest {
  try {
    const value = parseJson(text)
    check(shape, value as Json)
    const manifest = value as unknown as Manifest
    for (const { path } of manifest.files) requirePath(path)
    requirePeriod(manifest)
    return manifest
  } catch (error) {
    throw new LedgerError('ERR_BUNDLE_MANIFEST', 'MANIFEST.json is malformed', { file: manifestFile }, error)
  }
}

/** Days that there are, and one of them at least. */
function requirePeriod({ period: { from, to }, asOf }: Manifest): void {
  const real = [from, to, asOf].every(time => new Date(time).toISOString() === time)
  if (!real || from >= to) throw new LedgerError('ERR_BUNDLE_MANIFEST', 'a period that is none', { file: manifestFile })
}

/** `sha256sum` writes and checks these lines. */
export const formatSums = (files: readonly { readonly path: string; readonly sha256: string }[]): string =>
  [...files]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ path, sha256: digest }) => `${digest}  ${path}\n`)
    .join('')

/** @throws LedgerError ERR_BUNDLE_MANIFEST */
export function parseSums(text: string): Map<string, string> {
  const sums = new Map<string, string>()
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf('\n', at)
    const [, digest, path] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(text.slice(at, Math.max(at, end))) ?? []
    if (digest === undefined || path === undefined || sums.has(path)) {
      throw new LedgerError('ERR_BUNDLE_MANIFEST', 'SHA256SUMS is malformed', { file: sumsFile })
    }
    requirePath(path)
    sums.set(path, digest)
    at = end + 1
  }
  return sums
}

/** Relative, forward slashes, no way out. */
function requirePath(path: string): void {
  if (
    !/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(path) ||
    path.split('/').some(part => part === '.' || part === '..')
  ) {
    throw new LedgerError('ERR_BUNDLE_MANIFEST', 'a path that leads elsewhere', {})
  }
}
