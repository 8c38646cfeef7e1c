/** The ledgers for which the keys of a configuration speak: all of its series that are there. What is done to keys is done in each. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../lib/config/config.ts'
import { isOurs, LedgerError } from '../lib/errors.ts'
import { checkpointFile, memberFolder, seriesFolder } from '../lib/format/layout.ts'
import { noteKeyOf } from '../lib/ledger/checkpoint.ts'
import { lockDirectory } from '../lib/ledger/lock.ts'
import type { BothKeys } from '../lib/ledger/rotation.ts'
import { earlierIn, memberOf, newestIn } from '../lib/ledger/series.ts'
import { say } from './output.ts'

/**
 * The configuration, as if each were the only one; the newest last.
 * @throws LedgerError ERR_LEDGER_MISSING
 */
export async function ledgersOf(config: Config): Promise<readonly [...Config[], Config]> {
  const { directory } = config.ledger
  requireLedger(directory)
  const at = (number: number): Config => {
    const member = memberOf({ directory, origin: config.name }, number)
    return { ...config, name: member.origin, ledger: { ...config.ledger, directory: member.directory } }
  }
  return [...(await earlierIn(directory)).map(at), at(await newestIn(directory))]
}

/**
 * A directory that was mistyped is no empty ledger. What is wrong with one that is there, its reader says. @throws
 * LedgerError ERR_LEDGER_MISSING
 */
export function requireLedger(directory: string): void {
  let names: readonly string[] = []
  try {
    names = readdirSync(directory)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    // One that may not be read is another matter, and its reader's.
    if (!['ENOENT', 'ENOTDIR'].includes(code)) return
  }
  if (names.some(name => traces.has(name))) return
  throw new LedgerError('ERR_LEDGER_MISSING', `there is no ledger in ${directory}`)
}

/** Of one that has lost its checkpoint too, or has none yet. */
const traces: ReadonlySet<string> = new Set([checkpointFile, 'tile', 'wal', seriesFolder])

/** The configuration, as if the newest of the series were the only one: that is the one that is read where no other is named. */
export const newestOf = async (config: Config): Promise<Config> => (await ledgersOf(config)).at(-1)!

/** Where the newest ledger of a series lies, by the directory of its first; that itself where none follows it. */
export const newestAt = async (directory: string): Promise<string> =>
  memberOf({ directory, origin: '' }, await newestIn(directory)).directory

/** Said where one ledger of several was named, and that alone is looked at. */
export async function sayIfGoesOn(directory: string): Promise<void> {
  const newest = await newestAt(directory)
  if (newest !== join(directory, memberFolder(1)))
    say(`this ledger was concluded, and goes on in ${newest}: name that to see what came after`)
}

/**
 * Before anything is begun that is done to each of them: half done is a state that the next command
 * trips over. @throws LedgerError ERR_LEDGER_LOCKED
 */
export function requireClosed(ledgers: readonly Config[]): void {
  for (const { ledger } of ledgers) {
    if (!existsSync(ledger.directory)) continue
    try {
      lockDirectory(ledger.directory).release()
    } catch (error) {
      if (!ledger.shared || !isOurs(error) || error.code !== 'ERR_LEDGER_LOCKED') throw error
      // Of those that share one, another takes the lock when the first is stopped.
      throw new LedgerError('ERR_LEDGER_LOCKED', `${error.message}, and every other process that shares it`, error.data)
    }
  }
}

/** A note key is named for the ledger that it speaks for. */
export const inNameOf = ({ name }: Config, keys: BothKeys): BothKeys => ({
  ...keys,
  noteKey: noteKeyOf(keys.noteKey.privateKey, name),
})
