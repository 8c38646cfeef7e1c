/**
 * The words of others that a bundle carries: those of its ledger's anchors that vouch for a tree within the bundle, and
 * the next that vouch for one beyond it, with the proof that it goes on from there. Each file is as it lies in the
 * ledger; a git tag is only named, since it counts where it was pushed to.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isOurs } from '../../lib/errors.ts'
import { type AnchorKind, anchorFile, anchorFolder, parseAnchorName } from '../../lib/format/anchor.ts'
import { type Checkpoint, parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { consistencyProof, type Hash, type HashReader, treeRoot } from '../../lib/format/merkle.ts'
import { readTimestamp, signerName } from '../../lib/format/timestamp.ts'
import type { LedgerFiles } from '../ledger-files.ts'
import type { LedgerRecord } from '../verify.ts'
import type { Row } from '../view-columns.ts'
import type { Disclosed } from '../views.ts'
import { type ListedFile, sha256 } from './manifest.ts'

/** A note with cosignatures, or that was stamped; or a time stamp. */
export interface AnchorFile {
  /** In the ledger and in the bundle: anchors/SIZE/DIGEST.note, or .tsr. */
  readonly path: string
  readonly size: number
  /** Of a note: whose lines it has beside the ledger's own. By their own word: whether they signed, their keys tell. */
  readonly cosigners: readonly string[]
  /** Of a time stamp: the path of the note that it is for, whose certificate came with it, and the time that it says. */
  readonly stamped: { readonly note: string; readonly by: string; readonly at: string } | undefined
}

/** A tree beyond the closing checkpoint, and the proof that it begins with all that is there. */
export interface LaterTree {
  readonly size: number
  readonly root: Hash
  readonly hashes: readonly Hash[]
}

export interface AnchorMaterial {
  readonly files: readonly AnchorFile[]
  readonly later: readonly LaterTree[]
}

/** Of more anchors than one an hour for ten years the later ones stay in the ledger. */
const mostFiles = 90_000

/** @returns size and kind, where a path is that of an anchor which is carried */
export function anchorPath(path: string): { readonly size: number; readonly kind: AnchorKind } | undefined {
  const [, size, name] = /^anchors\/([1-9]\d{0,15})\/([^/]+)$/.exec(path) ?? []
  const known = name === undefined ? undefined : parseAnchorName(name)
  if (known === undefined || known.kind === 'git' || !Number.isSafeInteger(Number(size))) return undefined
  return { size: Number(size), kind: known.kind }
}

/** What a file says of itself. One that cannot be read says nothing; that it is none is found when it is examined. */
export function describeAnchor(path: string, bytes: Uint8Array): AnchorFile {
  const { size, kind } = anchorPath(path)!
  const file = { path, size, cosigners: [], stamped: undefined }
  try {
    if (kind === 'timestamp') {
      const stamp = readTimestamp(bytes)
      const note = anchorFile('witness', size, stamp.imprint.toString('base64url'))
      return { ...file, stamped: { note, by: signerName(stamp), at: new Date(stamp.time).toISOString() } }
    }
    const { origin, note } = parseCheckpoint(bytes)
    const names = note.signatures.map(({ name }) => name).filter(name => name !== origin)
    return { ...file, cosigners: [...new Set(names)] }
  } catch (error) {
    if (!isOurs(error)) throw error
    return file
  }
}

/**
 * @param ledger verified up to `size`. @param openingSize of the bundle. @param closing the checkpoint that the bundle ends with
 * @returns in the order of sizes and names
 */
export async function chooseAnchors(
  ledger: LedgerFiles,
  records: readonly LedgerRecord[],
  { size, openingSize, closing }: { readonly size: number; readonly openingSize: number; readonly closing: Checkpoint },
): Promise<AnchorMaterial> {
  const names = await namesOf(ledger, records)
  const within = (one: number) => one >= openingSize && one <= closing.size
  const files = await described(ledger, names.filter(path => within(anchorPath(path)!.size)).slice(0, mostFiles))
  const beyond = names.filter(path => anchorPath(path)!.size > closing.size && anchorPath(path)!.size <= size)
  const found = new Map<string, readonly AnchorFile[]>()
  for (const at of [...new Set(beyond.map(path => anchorPath(path)!.size))].sort((a, b) => a - b)) {
    const there = await described(
      ledger,
      beyond.filter(path => anchorPath(path)!.size === at),
    )
    if (there.some(({ cosigners }) => cosigners.length > 0) && !found.has('witness')) found.set('witness', there)
    if (there.some(({ stamped }) => stamped !== undefined) && !found.has('timestamp')) found.set('timestamp', there)
    if (found.size === 2) break
  }
  const next = new Map([...found.values()].flat().map(file => [file.path, file]))
  const tagged = records.flatMap(({ entry }) =>
    entry.kind === 'anchored' && entry.anchor === 'git' && entry.size > closing.size && entry.size <= size
      ? [entry.size]
      : [],
  )
  const sizes = [...[...next.values()].map(file => file.size), ...tagged.sort((a, b) => a - b).slice(0, 1)]
  const read = ledger.hashReader(size)
  const later = [...new Set(sizes)].sort((a, b) => a - b).map(at => laterTree(closing.size, at, read))
  return { files: [...files, ...next.values()].sort(bySize), later: await Promise.all(later) }
}

const laterTree = async (from: number, size: number, read: HashReader): Promise<LaterTree> => ({
  ...{ size, root: await treeRoot(size, read), hashes: await consistencyProof(from, size, read) },
})

export const bySize = (a: AnchorFile, b: AnchorFile) => a.size - b.size || (a.path < b.path ? -1 : 1)

/** Of a directory, all that is there; at an address, those that entries tell of, and the notes that were stamped. */
async function namesOf(ledger: LedgerFiles, records: readonly LedgerRecord[]): Promise<string[]> {
  if (ledger.directory === undefined) return namedIn(ledger, records)
  const { sizes } = await ledger.anchorSizes()
  const names: string[] = []
  for (const size of sizes) {
    for (const name of await ledger.anchorNames(size)) names.push(`${anchorFolder}/${size}/${name}`)
  }
  return names.filter(path => anchorPath(path) !== undefined)
}

async function namedIn(ledger: LedgerFiles, records: readonly LedgerRecord[]): Promise<string[]> {
  const told = records.flatMap(({ entry }) =>
    entry.kind === 'anchored' && entry.anchor !== 'git' ? [anchorFile(entry.anchor, entry.size, entry.file)] : [],
  )
  const names = new Set<string>()
  for (const path of told) {
    if (!(await ledger.hasAnchor(path))) continue
    names.add(path)
    const { stamped } = describeAnchor(path, await ledger.anchor(path))
    if (stamped !== undefined && (await ledger.hasAnchor(stamped.note))) names.add(stamped.note)
  }
  return [...names]
}

async function described(ledger: LedgerFiles, paths: readonly string[]): Promise<AnchorFile[]> {
  const files: AnchorFile[] = []
  for (const path of paths) files.push(describeAnchor(path, await ledger.anchor(path)))
  return files
}

/** @param content of a file in the ledger */
export async function listAnchors({ files }: AnchorMaterial, content: Content): Promise<ListedFile[]> {
  const listed: ListedFile[] = []
  for (const { path } of files) {
    const bytes = await content(path)
    listed.push({ path, bytes: bytes.length, sha256: sha256(bytes), rows: 0 })
  }
  return listed
}

export async function writeAnchors(out: string, { files }: AnchorMaterial, content: Content): Promise<void> {
  for (const { path } of files) {
    await mkdir(dirname(join(out, path)), { recursive: true })
    await writeFile(join(out, path), await content(path), { flag: 'wx', mode: 0o644 })
  }
}

type Content = (path: string) => Promise<Uint8Array>

export const anchorColumns = ['index', 'time', 'anchor', 'by', 'size', 'at', 'location', 'stamps'] as const

/**
 * Every word of others that an entry here tells of, or that is here: `index` and `time` are its
 * entry's, `at` is by the clock of whoever vouches, `stamps` the note that a time stamp is for. By
 * their own word: whether it is theirs, their keys tell.
 */
export function anchorRows({ files }: AnchorMaterial, entries: readonly Disclosed[]): Row[] {
  const here = new Map(files.map(file => [file.path, file]))
  const told = new Set<string>()
  const rows = entries.flatMap(({ index, entry }): Row[] => {
    if (entry.kind !== 'anchored') return []
    const { time, anchor, by, size, at } = entry
    const path = anchorFile(anchor, size, entry.file)
    told.add(path)
    const elsewhere = anchor === 'git' ? 'where it was pushed to' : `ledger: ${path}`
    const place = { location: here.has(path) ? path : elsewhere, stamps: here.get(path)?.stamped?.note ?? null }
    return [{ index, time, anchor, by, size, at, ...place }]
  })
  const untold = files.filter(({ path }) => !told.has(path))
  return [
    ...rows,
    ...untold.flatMap(({ path, size, cosigners, stamped }): Row[] => {
      const one = { index: null, time: null, size, location: path }
      if (stamped !== undefined) {
        const { note, by, at } = stamped
        return [{ ...one, anchor: 'timestamp', by, at, stamps: note }]
      }
      // A note that nobody signed is there to be stamped.
      return cosigners.length === 0 ? [] : [{ ...one, anchor: 'witness', by: cosigners, at: null, stamps: null }]
    }),
  ]
}
