/**
 * What a bundle is derived from: the envelopes of the period between two checkpoints, the state before it, what is disclosed,
 * and the controls. Everything else in a bundle follows from this, and is derived again when it is verified.
 */

import type { Control } from '../../lib/control.ts'
import { isOurs, LedgerError } from '../../lib/errors.ts'
import { canonical, type Json, parseJson } from '../../lib/format/canonical.ts'
import { decodeDisclosure, disclosureDigest } from '../../lib/format/disclosure.ts'
import { type Entry, parseEntry } from '../../lib/format/entry.ts'
import type { Hash } from '../../lib/format/merkle.ts'
import { isControl, type Mapping } from '../mapping.ts'
import { type Import, isImport } from '../reconcile.ts'
import type { Disclosed, Period } from '../views.ts'
import type { Node } from './range.ts'

export interface Scope {
  readonly organisation: string
  /** What the evidence is collected for; part of the seed of every sample. */
  readonly engagement: string
  readonly period: Period
  /** RFC 3339: the time at which it is made, as far as its contents are concerned. */
  readonly asOf: string
  readonly demo: boolean
  readonly software: string
  readonly identities: 'identified' | 'pseudonyms'
  readonly samples: number
}

/** An entry from before the opening checkpoint, with its proof of inclusion in the tree there. */
export interface StateEntry {
  readonly index: number
  readonly bytes: Uint8Array
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
  readonly envelopes: readonly Uint8Array[]
  readonly state: readonly StateEntry[]
  readonly disclosures: readonly { readonly index: number; readonly encoded: string }[]
  readonly mapping: Mapping
  readonly imports: readonly Import[]
  readonly ledger: LedgerSummary
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
} as const

export const primaryPaths: ReadonlySet<string> = new Set<string>(Object.values(paths))

/** The primary files, by path. */
export function writeMaterial(m: Material): Map<string, string> {
  const files = new Map<string, string>()
  if (m.opening !== undefined) files.set(paths.opening, m.opening)
  files.set(paths.closing, m.closing)
  files.set(paths.consistency, line({ first: m.openingSize, hashes: m.consistency.map(base64) }))
  const nodes = m.frontier.map(({ level, index, hash }) => ({ level, index, hash: base64(hash) }))
  files.set(paths.frontier, line({ size: m.openingSize, nodes }))
  files.set(paths.entries, m.envelopes.map(bytes => `${text(bytes)}\n`).join(''))
  files.set(paths.ledger, line(m.ledger as unknown as Json))
  const entries = m.state.map(({ index, bytes, proof }) => ({ index, entry: text(bytes), proof: proof.map(base64) }))
  files.set(paths.state, line({ size: m.openingSize, entries }))
  files.set(paths.disclosures, m.disclosures.map(({ index, encoded }) => line({ index, disclosure: encoded })).join(''))
  files.set(paths.mapping, line(m.mapping as unknown as Json))
  if (m.imports.length > 0) files.set(paths.imports, line(m.imports as unknown as Json))
  return files
}

const malformed = (file: string, what: string, cause?: unknown) =>
  new LedgerError('ERR_BUNDLE_MANIFEST', `${file}: ${what}`, { file }, cause)

type Read = (path: string) => string | undefined

/** @throws LedgerError ERR_BUNDLE_MANIFEST naming the file */
export function readMaterial(scope: Scope, read: Read): Material {
  const need = (path: string): string => {
    const found = read(path)
    if (found === undefined) throw malformed(path, 'is missing')
    return found
  }
  const parse = <T>(path: string, shape: (value: unknown) => T): T => {
    try {
      return shape(parseJson(need(path)))
    } catch (error) {
      if (error instanceof LedgerError && error.code === 'ERR_BUNDLE_MANIFEST') throw error
      if (!isOurs(error) && !(error instanceof TypeError)) throw error
      throw malformed(path, 'is malformed', error)
    }
  }
  const consistency = parse(paths.consistency, value => list(value, 'hashes').map(hashOf))
  const openingSize = parse(paths.state, value => count(member(value, 'size')))
  return {
    scope,
    opening: read(paths.opening),
    openingSize,
    closing: need(paths.closing),
    consistency,
    frontier: parse(paths.frontier, value =>
      list(value, 'nodes').map(node => ({
        level: count(member(node, 'level')),
        index: count(member(node, 'index')),
        hash: hashOf(member(node, 'hash')),
      })),
    ),
    envelopes: lines(paths.entries, need(paths.entries)).map(entry => Buffer.from(entry)),
    state: parse(paths.state, value =>
      list(value, 'entries').map(one => ({
        index: count(member(one, 'index')),
        bytes: Buffer.from(string(member(one, 'entry'))),
        proof: list(one, 'proof').map(hashOf),
      })),
    ),
    disclosures: lines(paths.disclosures, need(paths.disclosures)).map(one => {
      try {
        const value = parseJson(one)
        return { index: count(member(value, 'index')), encoded: string(member(value, 'disclosure')) }
      } catch (error) {
        throw malformed(paths.disclosures, 'is malformed', error)
      }
    }),
    mapping: parse(paths.mapping, value => ({
      versions: list(value, 'versions').map(version => ({
        policy: string(member(version, 'policy')),
        controls: list(version, 'controls').map(controlOf),
      })),
      unreadable: list(value, 'unreadable').map(string),
    })),
    imports:
      read(paths.imports) === undefined ? [] : parse(paths.imports, value => list({ value }, 'value').map(importOf)),
    ledger: parse(paths.ledger, summaryOf),
  }
}

function lines(path: string, content: string): string[] {
  if (content === '') return []
  if (!content.endsWith('\n')) throw malformed(path, 'does not end with a newline')
  return content.slice(0, -1).split('\n')
}

const wrong = (what: string) => new LedgerError('ERR_ENTRY_MALFORMED', what)

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) throw wrong(`no member ${name}`)
  return (value as Record<string, unknown>)[name]
}
function list(value: unknown, name: string): unknown[] {
  const found = member(value, name)
  if (!Array.isArray(found)) throw wrong(`${name} is no list`)
  return found
}
function count(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong('not a count')
  return value as number
}
function string(value: unknown): string {
  if (typeof value !== 'string') throw wrong('not a string')
  return value
}
function controlOf(value: unknown): Control {
  if (!isControl(value)) throw wrong('not a control')
  return value
}
function importOf(value: unknown): Import {
  if (!isImport(value)) throw wrong('not an import')
  return value
}
const texts = ['verdict', 'integrity', 'completeness', 'root', 'undetectable'] as const
function summaryOf(value: unknown): LedgerSummary {
  for (const name of texts) string(member(value, name))
  count(member(value, 'size'))
  list(value, 'findings').forEach(string)
  return value as LedgerSummary
}
function hashOf(value: unknown): Hash {
  const hash = Buffer.from(string(value), 'base64')
  if (hash.length !== 32 || base64(hash) !== value) throw wrong('not a hash')
  return hash
}

/** Entries with what is disclosed of them. @throws LedgerError where a disclosure is none of its entry's */
export function disclose(m: Material): { before: Disclosed[]; entries: Disclosed[] } {
  const values = new Map<number, { name: string; value: Json; digest: string }[]>()
  for (const { index, encoded } of m.disclosures) {
    const { name, value } = decodeDisclosure(encoded)
    const all = values.get(index) ?? []
    all.push({ name, value, digest: disclosureDigest(encoded) })
    values.set(index, all)
  }
  const open = (index: number, entry: Entry): Disclosed => {
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
  const before = m.state.map(({ index, bytes }) => open(index, parseEntry(bytes)))
  const entries = m.envelopes.map((bytes, i) => open(m.openingSize + i, parseEntry(bytes)))
  const stray = values.keys().next().value
  if (stray !== undefined) {
    throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `a disclosure for entry ${stray}, which is not in the bundle`, {
      index: stray,
    })
  }
  return { before, entries }
}
