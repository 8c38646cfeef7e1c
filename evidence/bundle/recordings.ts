/**
 * The recordings that go into a bundle, where they are asked for: their bytes as they were shown, opened from the vault. Each is read
 * a piece at a time, once to list it and once to write it, so that its length costs no memory.
 */
import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { LedgerError } from '../../lib/errors.ts'
import { commitmentStream } from '../../lib/format/disclosure.ts'
import type { Included } from '../recorded.ts'
import type { ListedFile } from './manifest.ts'

/** @returns the plain bytes of an attachment. @throws LedgerError where it does not open */
export type Open = (recording: Included) => AsyncIterable<Uint8Array>

/** @throws LedgerError ERR_DISCLOSURE_MISMATCH where one is not what its entry commits to */
export async function listRecordings(recordings: readonly Included[], open: Open): Promise<ListedFile[]> {
  const listed: ListedFile[] = []
  for (const recording of recordings) {
    const { file, index } = recording
    if (listed.some(({ path }) => path === file)) {
      throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `entry ${index} attaches what another one attached`, { index })
    }
    const digest = createHash('sha256')
    const bytes = await requireCommitted(recording, open(recording), piece => void digest.update(piece))
    listed.push({ path: file, bytes, sha256: digest.digest('hex'), rows: 0 })
  }
  return listed
}

export async function writeRecordings(out: string, recordings: readonly Included[], content: Open): Promise<void> {
  for (const recording of recordings) {
    const path = join(out, recording.file)
    await mkdir(dirname(path), { recursive: true })
    const file = await open(path, 'wx', 0o644)
    try {
      for await (const piece of content(recording)) await file.writeFile(piece)
    } finally {
      await file.close()
    }
  }
}

/** @returns how many bytes there are. @throws LedgerError ERR_DISCLOSURE_MISMATCH */
export async function requireCommitted(
  { index, entry, salt, file }: Included,
  pieces: AsyncIterable<Uint8Array>,
  each: (piece: Uint8Array) => void = () => undefined,
): Promise<number> {
  const content = commitmentStream(salt)
  let bytes = 0
  for await (const piece of pieces) {
    content.update(piece)
    each(piece)
    bytes += piece.length
  }
  if (bytes === entry.bytes && content.digest() === entry.content) return bytes
  throw new LedgerError('ERR_DISCLOSURE_MISMATCH', `${file} is not what entry ${index} commits to`, { index, file })
}
