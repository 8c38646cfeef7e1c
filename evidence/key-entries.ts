/** The entries that say which keys speak, found before anything else is: no checkpoint can be judged without them. */
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import { type Entry, type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { tileFill, tileWidth } from '../lib/format/layout.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { cut } from './tree.ts'

export interface KeyEntry {
  readonly index: number
  readonly entry: EntryOf<'key-rotated'> | EntryOf<'key-revoked'>
}

export const isKeyEntry = (entry: Entry): entry is KeyEntry['entry'] =>
  entry.kind === 'key-rotated' || entry.kind === 'key-revoked'

/** RFC 8785 writes it so and no other way; where it stands in a text, parsing tells. */
const mark = Buffer.from('"kind":"key-r')
/** As the tree step has it: the size is the checkpoint's word. */
const mostAbsent = 20

/** In order. What cannot be read is left to the step that reads everything: it tells where the two differ. */
export async function findKeyEntries(files: LedgerFiles, { size }: Checkpoint): Promise<KeyEntry[]> {
  const found: KeyEntry[] = []
  let absent = 0
  for (let n = 0; n * tileWidth < size && absent < mostAbsent; n += 1) {
    const bytes = await files.entries(n, size).then(
      read => read.bytes,
      () => undefined,
    )
    absent = bytes === undefined ? absent + 1 : 0
    if (bytes === undefined || !bytes.includes(mark)) continue
    for (const [i, one] of cut(bytes, tileFill(size, 0, n)).entries.entries()) {
      const entry = Buffer.from(one).includes(mark) ? readable(one) : undefined
      if (entry !== undefined && isKeyEntry(entry)) found.push({ index: n * tileWidth + i, entry })
    }
  }
  return found
}

function readable(bytes: Uint8Array): Entry | undefined {
  try {
    return parseEntry(bytes)
  } catch {
    return undefined
  }
}
