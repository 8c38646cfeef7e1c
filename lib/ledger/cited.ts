/**
 * That an earlier ledger of a series is no less than the one that follows says it was: rolled back to one of its own
 * seals it looks whole, and whoever appended to it then would sign another history.
 */
import { LedgerError } from '../errors.ts'
import { readable } from './files.ts'
import type { DirectoryOptions } from './options.ts'
import { checkpointIn, signedEntry } from './published.ts'
import { memberOf } from './series.ts'
import { storedRoot } from './stored-tiles.ts'

/**
 * @param series its directory, and as `origin` its name. @param number of one that is followed by another
 * @throws LedgerError ERR_CHECKPOINT_ROLLBACK, ERR_CHECKPOINT_FORK; ERR_LEDGER_CORRUPT; as signedEntry, of the one that follows
 */
export async function requireAsCited(series: DirectoryOptions, number: number): Promise<void> {
  const { directory, origin } = memberOf(series, number)
  const next = memberOf(series, number + 1)
  const cites = await readable(() => signedEntry(next, 1))
  if (cites.kind !== 'continued') throw corrupt(`${next.origin} does not say what it follows`)
  const { of, size, root } = cites
  const checkpoint = await readable(() => checkpointIn(directory))
  if (checkpoint === undefined) throw corrupt(`a ledger of the series is gone: ${directory}`)
  const again = `bring it back from a copy: ${directory}`
  if (of !== origin || checkpoint.size < size) {
    const what = `${origin} ends at ${checkpoint.size}, and had ${size} entries when it was followed: it was rolled back; ${again}`
    throw new LedgerError('ERR_CHECKPOINT_ROLLBACK', what, { origin, size })
  }
  const stored = await readable(() => storedRoot(directory, size, checkpoint.size))
  if (Buffer.from(stored).toString('base64url') === root) return
  const what = `${origin} holds other entries than when it was followed: ${again}`
  throw new LedgerError('ERR_CHECKPOINT_FORK', what, { origin, size })
}

const corrupt = (what: string) => new LedgerError('ERR_LEDGER_CORRUPT', what)
