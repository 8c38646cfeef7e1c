/** One of a ledger's entries, by its own signed tree: of a ledger that is not opened for that, and that somebody else may have open. */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { type Entry, parseEntry } from '../format/entry.ts'
import { checkpointFile, tileFill, tileWidth } from '../format/layout.ts'
import { inclusionProof, leafHash, verifyInclusion } from '../format/merkle.ts'
import { parseVerifierKey, requireSignature } from '../format/note.ts'
import { tileReader } from '../format/tile.ts'
import { noteKeyOf } from './checkpoint.ts'
import { readIfThere } from './files.ts'
import type { DirectoryOptions } from './options.ts'
import { readBundle, readTile } from './stored-tiles.ts'

/** @returns undefined where there is none; its signatures are not verified yet. @throws LedgerError ERR_CHECKPOINT_SIGNATURE where it is malformed */
export async function checkpointIn(directory: string): Promise<SignedCheckpoint | undefined> {
  const bytes = await readIfThere(join(directory, checkpointFile))
  return bytes === undefined ? undefined : parseCheckpoint(bytes)
}

/** @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_CORRUPT, ERR_CHECKPOINT_SIGNATURE, ERR_PROOF_INVALID */
export async function signedEntry({ directory, origin, noteKey }: DirectoryOptions, index: number): Promise<Entry> {
  const checkpoint = await checkpointIn(directory)
  if (checkpoint === undefined || checkpoint.size <= index) {
    throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} that ${origin} has signed, in ${directory}`)
  }
  const { size, root, note } = checkpoint
  requireSignature(note, parseVerifierKey(noteKeyOf(noteKey, origin).verifierKey))
  const n = Math.floor(index / tileWidth)
  // As wide as the tree has it: a narrower one, wherever it is from, is of no checkpoint any more.
  const bytes = (await readBundle(directory, n, tileFill(size, 0, n)))[index % tileWidth]!
  const tiles = tileReader(size, async (level, n, width) => Buffer.concat(await readTile(directory, level, n, width)))
  verifyInclusion(leafHash(bytes), index, size, await inclusionProof(index, size, tiles), root)
  return parseEntry(bytes)
}
