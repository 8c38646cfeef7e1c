/** What a ledger has published, by its own signature: of one that is not opened for that, and that somebody else may have open. */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { type Entry, parseEntry } from '../format/entry.ts'
import { checkpointFile, tileFill, tileWidth } from '../format/layout.ts'
import { inclusionProof, leafHash, verifyInclusion } from '../format/merkle.ts'
import { parseVerifierKey, requireSignature } from '../format/note.ts'
import { noteKeyOf } from './checkpoint.ts'
import { readIfThere } from './files.ts'
import type { DirectoryOptions } from './options.ts'
import { readBundle, storedHashes } from './stored-tiles.ts'

export interface Published {
  readonly checkpoint: SignedCheckpoint
  /** As it lies. */
  readonly note: Buffer
}

/**
 * @returns undefined where there is none; its signatures are not verified yet. @throws LedgerError
 * ERR_CHECKPOINT_SIGNATURE where it is malformed
 */
export async function checkpointIn(directory: string): Promise<SignedCheckpoint | undefined> {
  return (await read(directory))?.checkpoint
}

/** @returns undefined where there is none. @throws LedgerError ERR_CHECKPOINT_SIGNATURE where it is not the ledger's own */
export async function publishedIn({
  directory,
  origin,
  noteKey,
}: Pick<DirectoryOptions, 'directory' | 'origin' | 'noteKey'>): Promise<Published | undefined> {
  const published = await read(directory)
  if (published === undefined) return undefined
  const { checkpoint } = published
  if (checkpoint.origin !== origin) {
    const what = `the checkpoint in ${directory} is of ${checkpoint.origin}, not of ${origin}: see ledger.directory and ledger.origin`
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', what, { expected: origin, actual: checkpoint.origin })
  }
  requireSignature(checkpoint.note, parseVerifierKey(noteKeyOf(noteKey, origin).verifierKey))
  return published
}

/** @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_SIGNATURE, ERR_PROOF_INVALID */
export async function signedEntry(options: DirectoryOptions, index: number): Promise<Entry> {
  const { directory, origin } = options
  const published = await publishedIn(options)
  if (published === undefined || published.checkpoint.size <= index) {
    throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} that ${origin} has signed, in ${directory}`)
  }
  const { size, root } = published.checkpoint
  const n = Math.floor(index / tileWidth)
  // As wide as the tree has it: a narrower one, wherever it is from, is of no checkpoint any more.
  const bytes = (await readBundle(directory, n, tileFill(size, 0, n)))[index % tileWidth]!
  const proof = await inclusionProof(index, size, storedHashes(directory, size))
  verifyInclusion(leafHash(bytes), index, size, proof, root)
  return parseEntry(bytes)
}

async function read(directory: string): Promise<Published | undefined> {
  const note = await readIfThere(join(directory, checkpointFile))
  return note === undefined ? undefined : { checkpoint: parseCheckpoint(note), note }
}
