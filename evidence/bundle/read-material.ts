/**
 * Reads the material of a bundle that strangers may have made: every shape checked, and lines taken one at a time, so that the first
 * that is none ends it.
 */
import type { Control } from '../../lib/control.ts'
import { isOurs, LedgerError } from '../../lib/errors.ts'
import { parseJson, utf8 } from '../../lib/format/canonical.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import type { Hash } from '../../lib/format/merkle.ts'
import { longestEntry } from '../../lib/format/tile.ts'
import { isControl } from '../mapping.ts'
import { type Import, isImport } from '../reconcile.ts'
import { base64 } from '../verification.ts'
import type { AnchorFile, LaterTree } from './anchors.ts'
import { type KeyMaterial, type LedgerSummary, type Material, paths, type Scope, type StateEntry } from './material.ts'
import type { Node } from './range.ts'

const malformed = (file: string, what: string, cause?: unknown) =>
  new LedgerError('ERR_BUNDLE_MANIFEST', `${file}: ${what}`, { file }, cause)

/** @returns undefined where there is no such file */
type Read = (path: string) => Buffer | undefined

/** @param anchors as they are there. @throws LedgerError ERR_BUNDLE_MANIFEST naming the file */
export function readMaterial(scope: Scope, read: Read, anchors: readonly AnchorFile[] = []): Material {
  const need = (path: string): Buffer => {
    const found = read(path)
    if (found === undefined) throw malformed(path, 'is missing')
    return found
  }
  const parse = <T>(path: string, shape: (value: unknown) => T): T =>
    within(path, 'is malformed', () => shape(parseJson(utf8(need(path)))))
  const eachLine = <T>(path: string, most: number, shape: (line: Buffer, i: number) => T): T[] =>
    lines(path, need(path), most, (line, i) => within(path, `line ${i + 1} is malformed`, () => shape(line, i)))

  const state = parse(paths.state, value => ({
    size: count(member(value, 'size')),
    entries: list(value, 'entries').map(stateEntryOf),
  }))
  if (state.entries.some(({ index }, i) => index >= (state.entries[i + 1]?.index ?? state.size))) {
    throw malformed(paths.state, 'entries that are not in order, or not from before the opening')
  }
  return {
    scope,
    opening: read(paths.opening)?.toString('utf8'),
    openingSize: state.size,
    closing: need(paths.closing).toString('utf8'),
    consistency: parse(paths.consistency, value => list(value, 'hashes').map(hashOf)),
    frontier: parse(paths.frontier, value => list(value, 'nodes').map(nodeOf)),
    envelopes: eachLine(paths.entries, longestEntry, (bytes, i) => ({
      index: state.size + i,
      bytes,
      entry: parseEntry(bytes),
    })),
    state: state.entries,
    disclosures: eachLine(paths.disclosures, longestDisclosure, line => {
      const value = parseJson(utf8(line))
      return { index: count(member(value, 'index')), encoded: string(member(value, 'disclosure')) }
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
    keys: read(paths.keys) === undefined ? undefined : parse(paths.keys, keysOf),
    anchors: {
      files: anchors,
      later: read(paths.later) === undefined ? [] : parse(paths.later, value => list(value, 'trees').map(laterOf)),
    },
    ledger: parse(paths.ledger, summaryOf),
  }
}

/** Runs it; what is wrong with a value is said of its file. */
function within<T>(path: string, what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof LedgerError && error.code === 'ERR_BUNDLE_MANIFEST') throw error
    if (!isOurs(error) && !(error instanceof TypeError)) throw error
    throw malformed(path, what, error)
  }
}

/** Base64url of a salt, a name and a value that fitted an entry's frame; a text of controls is the longest there is. */
const longestDisclosure = 16 * 1024 * 1024

function lines<T>(path: string, content: Buffer, most: number, take: (line: Buffer, i: number) => T): T[] {
  const taken: T[] = []
  for (let at = 0; at < content.length; ) {
    const end = content.indexOf(10, at)
    if (end < 0) throw malformed(path, 'does not end with a newline')
    if (end - at > most) throw malformed(path, `a line of over ${most} bytes`)
    taken.push(take(content.subarray(at, end), taken.length))
    at = end + 1
  }
  return taken
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
function stateEntryOf(value: unknown): StateEntry {
  const bytes = Buffer.from(string(member(value, 'entry')))
  return {
    index: count(member(value, 'index')),
    bytes,
    entry: parseEntry(bytes),
    proof: list(value, 'proof').map(hashOf),
  }
}
function keysOf(value: unknown): KeyMaterial {
  const certificates = member(value, 'certificates')
  if (typeof certificates !== 'object' || certificates === null) throw wrong('certificates are no record')
  for (const [fingerprint, armored] of Object.entries(certificates)) {
    if (!/^[0-9A-F]{40}$/.test(fingerprint)) throw wrong('not a fingerprint')
    string(armored)
  }
  const later = list(value, 'later').map(one => {
    const bytes = Buffer.from(string(member(one, 'entry')))
    return { index: count(member(one, 'index')), bytes, entry: parseEntry(bytes) }
  })
  return { certificates: certificates as Record<string, string>, later }
}
function laterOf(value: unknown): LaterTree {
  const [size, root] = [count(member(value, 'size')), hashOf(member(value, 'root'))]
  return { size, root, hashes: list(value, 'hashes').map(hashOf) }
}
function nodeOf(value: unknown): Node {
  return {
    level: count(member(value, 'level')),
    index: count(member(value, 'index')),
    hash: hashOf(member(value, 'hash')),
  }
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
