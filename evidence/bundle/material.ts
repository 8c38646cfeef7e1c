/**
 * What a bundle is derived from: the envelopes of the period between two checkpoints, the state before it, what is disclosed,
 * and the controls. Everything else in a bundle follows from this, and is derived again when it is verified.
 */
import { LedgerError } from '../../lib/errors.ts'
import { canonical, type Json } from '../../lib/format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../../lib/format/disclosure.ts'
import type { Entry, EntryOf } from '../../lib/format/entry.ts'
import type { Hash } from '../../lib/format/merkle.ts'
import type { Mapping } from '../mapping.ts'
import type { Import } from '../reconcile.ts'
import type { Disclosed, Period } from '../views.ts'
import type { AnchorMaterial } from './anchors.ts'
import type { Node } from './range.ts'
import type { Withheld } from './withheld.ts'

export interface Scope {
  readonly organisation: string
  /** What the evidence is collected for; part of the seed of every sample. */
  readonly engagement: string
  readonly period: Period
  /** Of several, made of one period: which it is, from 1 on, of how many. */
  readonly part?: { readonly number: number; readonly of: number } | undefined
  /** RFC 3339: the time at which it is made, as far as its contents are concerned. */
  readonly asOf: string
  readonly demo: boolean
  readonly software: string
  readonly identities: 'identified' | 'pseudonyms'
  /** Which exact actions are disclosed. */
  readonly actions: 'none' | 'approved' | 'all'
  /** Of whom nothing is disclosed. */
  readonly withheld: Withheld
  readonly samples: number
}

/** An entry as it is stored, and read. */
export interface Envelope {
  readonly index: number
  readonly bytes: Uint8Array
  readonly entry: Entry
}

/** One from before the opening checkpoint, with its proof of inclusion in the tree there. */
export interface StateEntry extends Envelope {
  readonly proof: readonly Hash[]
}

/** How the whole ledger was verified when the bundle was made. Cannot be derived from the bundle, and says so. */
export interface LedgerSummary {
  readonly verdict: string
  readonly integrity: string
  readonly completeness: string
  readonly size: number
  readonly root: string
  readonly findings: readonly string[]
  readonly pinned: boolean
  readonly undetectable: string
}

export interface Material {
  readonly scope: Scope
  /** The signed note at the opening; undefined where the period begins with the ledger. */
  readonly opening: string | undefined
  readonly openingSize: number
  readonly closing: string
  readonly consistency: readonly Hash[]
  readonly frontier: readonly Node[]
  /** All from the opening checkpoint to the closing one, in order. */
  readonly envelopes: readonly Envelope[]
  /** In order. */
  readonly state: readonly StateEntry[]
  readonly disclosures: readonly { readonly index: number; readonly encoded: string }[]
  readonly mapping: Mapping
  readonly imports: readonly Import[]
  /** Where keys were rotated: what leads from any of them to any other. */
  readonly keys: KeyMaterial | undefined
  /** What others vouch for. The files themselves stay where they lie. */
  readonly anchors: AnchorMaterial
  readonly ledger: LedgerSummary
}

export interface KeyMaterial {
  /** Armored, by fingerprint, of every OpenPGP key that sealed. */
  readonly certificates: Readonly<Record<string, string>>
  /**
   * Entries about keys from after the closing checkpoint. They stand by their own signatures;
   * that they are in the ledger is not shown here.
   */
  readonly later: readonly Envelope[]
}

const base64 = (hash: Hash) => Buffer.from(hash).toString('base64')
const line = (value: Json) => `${canonical(value)}\n`
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8')

export const paths = {
  opening: 'log/checkpoint.opening',
  closing: 'log/checkpoint.closing',
  consistency: 'log/consistency.json',
  frontier: 'log/frontier.json',
  entries: 'log/entries.jsonl',
  ledger: 'log/verification.json',
  state: 'state/opening.json',
  disclosures: 'disclosures/disclosures.jsonl',
  mapping: 'mapping/controls.json',
  imports: 'imports/imports.json',
  keys: 'log/keys.json',
  later: 'log/later.json',
} as const

export const primaryPaths: ReadonlySet<string> = new Set<string>(Object.values(paths))

/**
 * Those that this material has: an opening checkpoint, imports, several keys and trees beyond it are not in every
 * bundle. Anchors are beside them.
 */
export const primaryPathsOf = ({ opening, imports, keys, anchors }: Material): string[] => {
  const has: Partial<Record<string, boolean>> = {
    [paths.opening]: opening !== undefined,
    [paths.imports]: imports.length > 0,
    [paths.keys]: keys !== undefined,
    [paths.later]: anchors.later.length > 0,
  }
  return Object.values(paths).filter(path => has[path] !== false)
}

/** The primary files, by path. */
export function writeMaterial(m: Material): Map<string, string> {
  const files = new Map<string, string>()
  if (m.opening !== undefined) files.set(paths.opening, m.opening)
  files.set(paths.closing, m.closing)
  files.set(paths.consistency, line({ first: m.openingSize, hashes: m.consistency.map(base64) }))
  const nodes = m.frontier.map(({ level, index, hash }) => ({ level, index, hash: base64(hash) }))
  files.set(paths.frontier, line({ size: m.openingSize, nodes }))
  files.set(paths.entries, m.envelopes.map(({ bytes }) => `${text(bytes)}\n`).join(''))
  files.set(paths.ledger, line(m.ledger as unknown as Json))
  const entries = m.state.map(({ index, bytes, proof }) => ({ index, entry: text(bytes), proof: proof.map(base64) }))
  files.set(paths.state, line({ size: m.openingSize, entries }))
  files.set(paths.disclosures, m.disclosures.map(({ index, encoded }) => line({ index, disclosure: encoded })).join(''))
  files.set(paths.mapping, line(m.mapping as unknown as Json))
  if (m.keys !== undefined) {
    const later = m.keys.later.map(({ index, bytes }) => ({ index, entry: text(bytes) }))
    files.set(paths.keys, line({ certificates: { ...m.keys.certificates }, later }))
  }
  if (m.anchors.later.length > 0) {
    const trees = m.anchors.later.map(({ size, root, hashes }) => ({
      ...{ size, root: base64(root), hashes: hashes.map(base64) },
    }))
    files.set(paths.later, line({ trees }))
  }
  if (m.imports.length > 0) files.set(paths.imports, line(m.imports as unknown as Json))
  return files
}

export interface DisclosedMaterial {
  readonly before: readonly Disclosed[]
  readonly entries: readonly Disclosed[]
}

/** The disclosures as they are encoded, by entry. */
export function disclosuresByEntry({ disclosures }: Material): ReadonlyMap<number, readonly string[]> {
  const byEntry = new Map<number, string[]>()
  for (const { index, encoded } of disclosures) byEntry.set(index, [...(byEntry.get(index) ?? []), encoded])
  return byEntry
}

/** Entries with what is disclosed of them. @throws LedgerError where a disclosure is none of its entry's */
export function disclose(m: Material): DisclosedMaterial {
  const values = new Map<number, { name: string; value: Json; digest: string }[]>()
  for (const { index, encoded } of m.disclosures) {
    const { name, value } = decodeDisclosure(encoded)
    const all = values.get(index) ?? []
    all.push({ name, value, digest: disclosureDigest(encoded) })
    values.set(index, all)
  }
  const open = ({ index, entry }: Envelope): Disclosed => {
    const own = values.get(index) ?? []
    values.delete(index)
    const committed = new Set(entry.sd ?? [])
    const opened: Record<string, Json> = {}
    for (const { name, value, digest } of own) {
      if (!committed.delete(digest) || Object.hasOwn(opened, name)) {
        throw new LedgerError(
          'ERR_DISCLOSURE_MISMATCH',
          `entry ${index} never committed to a disclosure given for it`,
          { index },
        )
      }
      Object.defineProperty(opened, name, { value, enumerable: true })
    }
    return { index, entry, values: opened }
  }
  const before = m.state.map(open)
  const entries = m.envelopes.map(open)
  const stray = values.keys().next().value
  if (stray !== undefined) {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `a disclosure for entry ${stray}, which is not in the bundle`, {
      index: stray,
    })
  }
  return { before, entries }
}

/** What the ledger says of the one before it in its series, where that is shown. */
export function continuesOf(material: Material | undefined): EntryOf<'continued'> | undefined {
  const { state = [], envelopes = [] } = material ?? {}
  for (const { index, entry } of [...state, ...envelopes.slice(0, 2)])
    if (index === 1 && entry.kind === 'continued') return entry
  return undefined
}

/** Origins of ledgers before it that it says were disposed of. */
export function disposedOf(material: Material | undefined): readonly string[] {
  const { state = [], envelopes = [] } = material ?? {}
  return [...state, ...envelopes].flatMap(({ entry }) => (entry.kind === 'disposed' ? [entry.of] : []))
}
