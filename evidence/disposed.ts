/**
 * Which ledgers of its series a ledger says were disposed of, and at which checkpoint, as its
 * files have it: nothing of it is believed yet.
 */
import { isOurs } from '../lib/errors.ts'
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { tileWidth } from '../lib/format/layout.ts'
import { isUnreachable } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { isMarked, markOf } from './marked.ts'

const mark = markOf('disposed')

type Disposed = EntryOf<'disposed'>

/** @returns by origin, the last of each; what cannot be read names none. @throws Fault ERR_LEDGER_UNAVAILABLE */
export async function disposedIn(place: string, ca: string | undefined): Promise<ReadonlyMap<string, Disposed>> {
  const said = new Map<string, Disposed>()
  const files = await LedgerFiles.open(place, ca)
  try {
    const { size } = await files.checkpoint()
    for (let n = 0; n * tileWidth < size; n += 1) for (const one of await within(files, n, size)) said.set(one.of, one)
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
  } finally {
    files.close()
  }
  return said
}

/** Where another key speaks than the pinned one, and the ledger before says that it was disposed of: nothing is known to be altered. */
export const rotationGone =
  'another OpenPGP key speaks here than the pinned one: if it was rotated to, that was in a ledger that was disposed of. Ask the owner of this ' +
  'one, and not whoever gave it to you, for the fingerprint'

/** Whether that is the checkpoint at which it was disposed of: only then was it this one. */
export const isAsDisposed = ({ size, root }: Disposed, left: Checkpoint | undefined): boolean =>
  left?.size === size && Buffer.from(left.root).toString('base64url') === root

async function within(files: LedgerFiles, n: number, size: number): Promise<Disposed[]> {
  return (await files.entriesOf(n, size)).flatMap(bytes => {
    const entry = isMarked(bytes, mark) ? parseEntry(bytes) : undefined
    return entry?.kind === 'disposed' ? [entry] : []
  })
}
