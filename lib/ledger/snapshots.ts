/** Snapshots of an open ledger: written at seals, by whoever folds; read at an opening, where they are signed and of this tree. */
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { isOurs } from '../errors.ts'
import type { Checkpoint } from '../format/checkpoint.ts'
import { snapshotFile } from '../format/layout.ts'
import type { Living } from '../format/living.ts'
import { sameHash } from '../format/merkle.ts'
import { parseVerifierKey, requireSignature, signNote } from '../format/note.ts'
import { encodeSnapshot, parseSnapshot, type Snapshot, snapshotOf } from '../format/snapshot.ts'
import type { NoteKey } from './checkpoint.ts'
import { keepFile, namesIn, readIfThere } from './files.ts'
import { storedRoot } from './stored-tiles.ts'

/** The one before is kept too: a crash may leave the newest ahead of what is durable. */
const kept = 2

const sizes = async (directory: string): Promise<number[]> =>
  (await namesIn(join(directory, snapshotFile(0), '..')))
    .filter(name => /^\d{1,16}$/.test(name))
    .map(Number)
    .sort((a, b) => b - a)

export interface TakenSnapshot {
  readonly bytes: number
  readonly write: (directory: string) => Promise<void>
}

/** Signed where it is taken: `living` goes on. */
export function takeSnapshot(
  checkpoint: Checkpoint,
  living: Living,
  { privateKey, publicKey }: NoteKey,
): TakenSnapshot {
  const { text, body } = snapshotOf(checkpoint, living)
  const bytes = encodeSnapshot(text, signNote(text, checkpoint.origin, privateKey, publicKey), body)
  const write = async (directory: string) => {
    // A verifier takes whatever else lies beside snapshots for a forgery: a kill may come at any moment.
    await keepFile(directory, snapshotFile(checkpoint.size), bytes)
    for (const size of (await sizes(directory)).filter(size => size !== checkpoint.size).slice(kept - 1)) {
      await fs.unlink(join(directory, snapshotFile(size)))
    }
  }
  return { bytes: bytes.length, write }
}

/** The newest that holds, of a ledger of `size`; undefined where there is none: then everything is read. */
export async function newestSnapshot(directory: string, size: number, noteKey: string): Promise<Living | undefined> {
  for (const at of await sizes(directory)) {
    if (at > size) continue
    const snapshot = await readSnapshot(directory, at, noteKey)
    if (snapshot !== undefined && sameHash(await storedRoot(directory, at), snapshot.checkpoint.root))
      return snapshot.living
  }
  return undefined
}

/** A cache that does not hold is none. */
async function readSnapshot(directory: string, size: number, noteKey: string): Promise<Snapshot | undefined> {
  const bytes = await readIfThere(join(directory, snapshotFile(size)))
  if (bytes === undefined) return undefined
  try {
    const verifier = parseVerifierKey(noteKey)
    const snapshot = parseSnapshot(bytes)
    requireSignature(snapshot.note, verifier)
    return snapshot.checkpoint.size === size && snapshot.checkpoint.origin === verifier.name ? snapshot : undefined
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}
