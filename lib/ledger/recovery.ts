/**
 * Opens what a directory holds, and judges it, as named steps. Reads only: what it finds torn is set aside by `setAside`, once
 * every step has passed, so that a ledger that is refused stays as it was found.
 */
import { constants } from 'node:fs'
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { parseEntry } from '../format/entry.ts'
import { decodeFrame, type Frame, findFrames, forged, isAuthentic } from '../format/frame.ts'
import { checkpointFile, sealFile, segmentFile, tileWidth } from '../format/layout.ts'
import type { MacKey } from '../format/mac.ts'
import { leafHash, sameHash } from '../format/merkle.ts'
import { type NoteVerifier, parseVerifierKey, requireSignature } from '../format/note.ts'
import { decodeBundle } from '../format/tile.ts'
import { createAnew, namesIn, openOwn, readIfThere, readOwn, syncFolder } from './files.ts'
import { Recent } from './recent.ts'
import type { Prepared } from './scribe.ts'
import { readBundle, readTile, readVaultBundle, splitSealed, storedRoot } from './stored-tiles.ts'
import { Tree } from './tree.ts'
import type { SegmentState } from './wal.ts'

export interface Torn {
  readonly segment: SegmentState
  readonly bytes: Buffer
}

export interface Recovered {
  readonly tree: Tree
  readonly recent: Recent
  /** Size whose tiles are surely on disk: those after it are derived again from the write-ahead log. */
  readonly published: number
  readonly checkpoint: SignedCheckpoint | undefined
  readonly segments: readonly SegmentState[]
  readonly torn: Torn | undefined
  /** Of the last frame; undefined where there is none. */
  readonly epoch: number | undefined
  /** First index of a frame that none of the keys made: forged, or the keys are others. Nothing may be written before that is judged. */
  readonly unproven: number | undefined
}

/**
 * @param keys of the write-ahead log: a frame is under one of them
 * @throws LedgerError ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_SIGNATURE, ERR_CHECKPOINT_ROLLBACK, ERR_LEDGER_ROOT
 */
export async function recover(
  directory: string,
  verifierKey: string,
  epoch: number,
  keys: readonly MacKey[],
): Promise<Recovered> {
  const checkpoint = await readCheckpoint(directory, parseVerifierKey(verifierKey).name)
  const files = await segmentFiles(directory)
  const base = files[0]?.first ?? checkpoint?.size ?? 0
  const { tree, recent } = await restore(directory, base)
  const replay = new Replay(tree, recent, { epoch, keys, checkpointSize: checkpoint?.size })
  const segments: SegmentState[] = []
  let torn: Torn | undefined
  for (const [i, file] of files.entries()) {
    const bytes = await readOwn(file.path)
    const position = replay.segment(file.first, bytes)
    const segment = { ...file, position, allocated: bytes.length }
    segments.push(segment)
    const rest = bytes.subarray(position)
    const tail = trimZeros(rest)
    if (tail.length === 0) continue
    requireTorn(rest, i === files.length - 1, tree.size)
    torn = { segment, bytes: Buffer.from(tail) }
  }
  if (checkpoint !== undefined) requireSpeaker(checkpoint, speakerAt(checkpoint.size, recent, verifierKey))
  await requireCheckpoint(directory, checkpoint, replay)
  await requireSeals(directory, tree.size)
  requireCovered(base, checkpoint)
  const { unproven, epoch: last } = replay
  return { tree, recent, published: base - (base % tileWidth), checkpoint, segments, torn, epoch: last, unproven }
}

/** The last checkpoint; who signed it is judged when it is known whether a rotation came after it. */
async function readCheckpoint(directory: string, origin: string): Promise<SignedCheckpoint | undefined> {
  const bytes = await readIfThere(join(directory, checkpointFile))
  if (bytes === undefined) return undefined
  const checkpoint = parseCheckpoint(bytes)
  if (checkpoint.origin !== origin) throw corrupt('the checkpoint is of another ledger')
  return checkpoint
}

function requireSpeaker({ note }: SignedCheckpoint, speaker: NoteVerifier): void {
  if (!note.signatures.some(({ keyId }) => Buffer.compare(keyId, speaker.keyId) === 0)) {
    throw new LedgerError(
      'ERR_CHECKPOINT_SIGNATURE',
      'the checkpoint is not signed by the given note key: it is another ledger\'s, or was rotated; "counterfoil keys show" names the one in force, and "counterfoil keys rotate note" finishes a rotation that was cut off',
    )
  }
  requireSignature(note, speaker)
}

/** The note key by which a checkpoint of this size is signed: where a rotation is not published yet, the one that it replaced. */
function speakerAt(size: number, recent: Recent, verifierKey: string): NoteVerifier {
  for (let index = Math.max(size, recent.base); index < recent.end; index += 1) {
    const { entry } = recent.get(index)!
    if (entry.kind === 'key-rotated' && entry.key === 'note') return parseVerifierKey(entry.old)
  }
  return parseVerifierKey(verifierKey)
}

/** Of the write-ahead log, in order. */
export async function segmentFiles(directory: string): Promise<{ path: string; first: number }[]> {
  const folder = join(directory, segmentFile(0), '..')
  return (await namesIn(folder)).flatMap(name => {
    const [, digits] = /^(\d{16})\.seg$/.exec(name) ?? []
    return digits === undefined ? [] : [{ path: join(folder, name), first: Number(digits) }]
  })
}

/** The tree of `base` leaves, from the tiles at its edge: nothing of it stands in the write-ahead log any more. */
async function restore(directory: string, base: number): Promise<{ tree: Tree; recent: Recent }> {
  const tree = new Tree()
  for (let level = levelsOf(base); level > 0; level -= 1) {
    const hashes = Math.floor(base / tileWidth ** level)
    const [n, width] = [Math.floor(hashes / tileWidth), hashes % tileWidth]
    if (width === 0) continue
    for (const hash of await readTile(directory, level, n, width)) tree.appendSubtree(level, hash)
  }
  const full = Math.floor(base / tileWidth)
  const recent = new Recent(full * tileWidth)
  const width = base - full * tileWidth
  if (width === 0) return { tree, recent }
  const entries = await readBundle(directory, full, width)
  const sealed = await readVaultBundle(directory, full, width)
  const items = entries.map((bytes, i) => item(bytes, sealed[i]!))
  for (const { leaf } of items) tree.append(leaf)
  recent.add(items)
  return { tree, recent }
}

/** Levels of tiles above the leaves' own. */
function levelsOf(size: number): number {
  let level = 0
  while (size >= tileWidth ** (level + 1)) level += 1
  return level
}

const item = (bytes: Uint8Array, sealed: Uint8Array): Prepared => ({
  entry: parseEntry(bytes),
  bytes,
  leaf: leafHash(bytes),
  sealed,
})

/** @param isProven who made it need not have made entries */
function itemsOf({ first, count, bundle, sealed }: Frame, isProven: boolean): Prepared[] {
  try {
    const each = splitSealed(sealed, count)
    return decodeBundle(bundle, count).map((bytes, i) => item(bytes, each[i]!))
  } catch (error) {
    throw isProven ? error : forged(first)
  }
}

interface ReplayParts {
  readonly epoch: number
  readonly keys: readonly MacKey[]
  readonly checkpointSize: number | undefined
}

/** Accepts frames one after the other, each contiguous with the last, and giving the root that it says. */
class Replay {
  readonly tree: Tree
  readonly base: number
  /** The root at the checkpoint's size, where the replay went through it. */
  rootAtCheckpoint: Uint8Array | undefined
  /** First index of the first frame that none of the keys made. */
  unproven: number | undefined
  readonly #recent: Recent
  readonly #parts: ReplayParts
  /** Of the last frame. */
  epoch: number | undefined

  constructor(tree: Tree, recent: Recent, parts: ReplayParts) {
    this.tree = tree
    this.base = tree.size
    this.#recent = recent
    this.#parts = parts
    this.#note()
  }

  /** @returns where the segment's valid frames end */
  segment(first: number, bytes: Buffer): number {
    if (first !== this.tree.size) throw corrupt('a segment of the write-ahead log is missing')
    let at = 0
    for (let next = decodeFrame(bytes, at); next !== undefined; next = decodeFrame(bytes, at)) {
      this.#accept(next.frame)
      at = next.end
    }
    return at
  }

  // A frame whose checksum is right was written whole: what does not fit in it was not torn, but made.
  #accept(frame: Frame): void {
    if (frame.first !== this.tree.size) throw corrupt('a frame of the write-ahead log is out of place')
    if (frame.epoch < (this.epoch ?? 0) || frame.epoch > this.#parts.epoch)
      throw corrupt('a frame of an epoch that was not its turn')
    this.epoch = frame.epoch
    const isProven = isAuthentic(frame, this.#parts.keys)
    if (!isProven) this.unproven ??= frame.first
    const items = itemsOf(frame, isProven)
    for (const { leaf } of items) {
      this.tree.append(leaf)
      this.#note()
    }
    this.#recent.add(items)
    if (!sameHash(this.tree.root(), frame.root)) throw corrupt('a frame of the write-ahead log does not give its root')
  }

  #note(): void {
    if (this.tree.size === this.#parts.checkpointSize) this.rootAtCheckpoint = this.tree.root()
  }
}

/**
 * Bytes behind the last valid frame are a torn write, unless a later frame shows that they were durable once.
 * @param rest to the end of the file: a frame may itself end in zeros
 */
function requireTorn(rest: Buffer, last: boolean, size: number): void {
  if (!last) throw corrupt('bytes that are no frame within the write-ahead log')
  // Not the first of them alone: it may have been written before anything behind the tear was known to be durable.
  for (const { durable } of findFrames(rest, 0)) {
    if (durable <= size) continue
    throw corrupt('a frame of the write-ahead log was altered: a later one was written when it was durable')
  }
}

/** What was signed must still be there, and be the same. */
async function requireCheckpoint(
  directory: string,
  checkpoint: SignedCheckpoint | undefined,
  replay: Replay,
): Promise<void> {
  if (checkpoint === undefined) {
    if (replay.base > 0) throw corrupt('the checkpoint is missing')
    return
  }
  const { size, root } = checkpoint
  if (size > replay.tree.size) throw rollback(`${replay.tree.size} entries are left of ${size} that a checkpoint signs`)
  const own = replay.rootAtCheckpoint ?? (await storedRoot(directory, size, replay.base))
  if (!sameHash(own, root)) {
    throw new LedgerError('ERR_LEDGER_ROOT', 'the entries do not give the root that the checkpoint signs', {
      size,
      expected: Buffer.from(root).toString('base64'),
      actual: Buffer.from(own).toString('base64'),
    })
  }
}

/** What stands before the write-ahead log is in tiles alone, which anybody could lay there: a checkpoint signs all of it. */
function requireCovered(base: number, checkpoint: SignedCheckpoint | undefined): void {
  if (base > (checkpoint?.size ?? 0)) throw corrupt('the write-ahead log begins behind the checkpoint')
}

/** An older checkpoint, put back, is betrayed by a seal of more. */
async function requireSeals(directory: string, size: number): Promise<void> {
  const seals = (await namesIn(join(directory, sealFile(0), '..'))).filter(name => /^\d{1,16}$/.test(name)).map(Number)
  const largest = Math.max(0, ...seals)
  if (largest > size) throw rollback(`${size} entries are left of ${largest} that a seal signs`)
}

/** Copies the torn tail to wal/torn-EPOCH, and cuts it off: nothing is overwritten that was not kept. @param epoch of this opening */
export async function setAside({ segment, bytes }: Torn, epoch: number): Promise<SegmentState> {
  const { path, position } = segment
  const folder = join(path, '..')
  const copy = await createAnew(join(folder, `torn-${epoch}`), 0o600)
  try {
    await copy.writeFile(bytes)
    await copy.sync()
  } finally {
    await copy.close()
  }
  const file = await openOwn(path, constants.O_RDWR)
  try {
    await file.truncate(position)
    await file.sync()
  } finally {
    await file.close()
  }
  await syncFolder(folder)
  return { ...segment, allocated: position }
}

/** What is left without the zeros that were laid down ahead. */
export function trimZeros(bytes: Buffer): Buffer {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  return bytes.subarray(0, end)
}

const corrupt = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', what)
const rollback = (what: string) => new LedgerError('ERR_CHECKPOINT_ROLLBACK', what)
