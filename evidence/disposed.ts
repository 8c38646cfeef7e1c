/** Which ledgers of its series a ledger says were disposed of, as its files have it: nothing of it is believed yet. */
import { isOurs } from '../lib/errors.ts'
import { parseEntry } from '../lib/format/entry.ts'
import { tileWidth } from '../lib/format/layout.ts'
import { isUnreachable } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'

/** RFC 8785 writes it so and no other way; where it stands in a text, parsing tells. */
const mark = Buffer.from('"kind":"disposed"')

/** @returns origins; what cannot be read names none. @throws Fault ERR_LEDGER_UNAVAILABLE */
export async function disposedIn(place: string, ca: string | undefined): Promise<ReadonlySet<string>> {
  const of = new Set<string>()
  const files = await LedgerFiles.open(place, ca)
  try {
    const { size } = await files.checkpoint()
    for (let n = 0; n * tileWidth < size; n += 1) for (const one of await within(files, n, size)) of.add(one)
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
  } finally {
    files.close()
  }
  return of
}

async function within(files: LedgerFiles, n: number, size: number): Promise<string[]> {
  return (await files.entriesOf(n, size)).flatMap(bytes => {
    const entry = Buffer.from(bytes).includes(mark) ? parseEntry(bytes) : undefined
    return entry?.kind === 'disposed' ? [entry.of] : []
  })
}
