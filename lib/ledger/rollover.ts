/**
 * Rollover: a ledger is concluded and sealed, and the next of its series begins by citing it and saying again what is still in force. Done at
 * an opening, while nobody appends. The next one is made aside and put in place whole; what a kill leaves undone, the next opening does.
 */
import { promises as fs } from 'node:fs'
import { dirname } from 'node:path'
import { isOurs, LedgerError } from '../errors.ts'
import { CarriedDigest, type CarriedEntry, carriedOf } from '../format/carried.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { parseEntry } from '../format/entry.ts'
import { checkpointFile } from '../format/layout.ts'
import type { Living } from '../format/living.ts'
import { Scopes } from '../format/scope.ts'
import { openDirectory, taking } from './directory.ts'
import { makeFolder, readIfThere, syncFolder } from './files.ts'
import type { Draft, DraftOf, Ledger } from './ledger.ts'
import { lockDirectory } from './lock.ts'
import type { DirectoryOptions } from './options.ts'
import { encoded, type Restated } from './scribe.ts'
import { memberOf, newestIn } from './series.ts'
import { readBundle } from './stored-tiles.ts'
import { storiesIn } from './story.ts'

/** After which a ledger is to be followed by another. */
export interface Bounds {
  /** Milliseconds since it began. */
  readonly everyMs?: number
  readonly entries?: number
}

/** So many of them together are within a frame, however long they are, with what they disclose. */
const together = 24
/** How often somebody else may have changed what is being rolled over. */
const attempts = 3

/**
 * Opens the newest ledger of a series, after beginning it where the one before is past its bounds or was concluded.
 * @param options of the series: its directory, and as `origin` its name
 * @throws as `open`
 */
export async function openNewest(
  options: DirectoryOptions,
  bounds: Bounds,
  open: (options: DirectoryOptions) => Promise<Ledger>,
): Promise<Ledger> {
  for (let left = attempts; ; left -= 1) {
    const last = await newestIn(options.directory)
    if (await isDue(memberOf(options, last), bounds)) await rollOverIfIdle(options, last)
    const newest = await newestIn(options.directory)
    try {
      return await open(memberOf(options, newest))
    } catch (error) {
      if (left === 0 || !isOurs(error) || error.code !== 'ERR_LEDGER_CONCLUDED') throw error
      await rollOverIfIdle(options, newest)
    }
  }
}

/** Whether a ledger is past its bounds. What cannot be read is not judged here. */
export async function isDue(
  { directory, clock }: DirectoryOptions,
  { everyMs = Number.POSITIVE_INFINITY, entries = Number.POSITIVE_INFINITY }: Bounds,
): Promise<boolean> {
  if (everyMs === Number.POSITIVE_INFINITY && entries === Number.POSITIVE_INFINITY) return false
  try {
    const checkpoint = await checkpointIn(directory)
    if (checkpoint === undefined || checkpoint.size === 0) return false
    if (checkpoint.size >= entries) return true
    const [first] = await readBundle(directory, 0, 1)
    return (clock?.now() ?? Date.now()) - Date.parse(parseEntry(first!).time) >= everyMs
  } catch (error) {
    if (isOurs(error)) return false
    throw error
  }
}

/** Where somebody is at work it is left for another time. */
async function rollOverIfIdle(options: DirectoryOptions, number: number): Promise<void> {
  try {
    await rollOver(options, number, { idle: true })
  } catch (error) {
    if (!isOurs(error) || error.code !== 'ERR_LEDGER_LOCKED') throw error
  }
}

/**
 * Concludes the newest ledger, unless it is, and begins the next, unless that is there. @param options of the series
 * @param number of the newest. @param idle whether it is refused where another writer may be at work, though nobody has it open now
 * @returns the origin of the next
 * @throws LedgerError ERR_LEDGER_LOCKED; as openDirectoryLedger
 */
export async function rollOver(
  options: DirectoryOptions,
  number: number,
  { idle = false }: { readonly idle?: boolean } = {},
): Promise<string> {
  const from = memberOf(options, number)
  const next = memberOf(options, number + 1)
  const ledger = await openDirectory(from, {
    owed: opening => [
      ...taking(from)(opening),
      ...(opening.ledger.living.concluded === undefined ? [{ kind: 'concluded', next: next.origin } as const] : []),
    ],
    admit: living => {
      if (idle && living.concluded === undefined) requireIdle(living, from.writer)
    },
  })
  const said = new Map<number, readonly string[]>()
  try {
    for (const { index } of carriedOf(ledger.living)) said.set(index, await ledger.encodedDisclosures(index))
  } catch (error) {
    await ledger.abandon()
    throw error
  }
  await ledger.close()
  // Closing appended that it stopped: whoever verifies derives what is carried from all of it.
  await begin(next, from, ledger.living, said)
  return next.origin
}

/** A process that shares the ledger may have lost its leader a moment ago, and be about to take over. */
function requireIdle({ writers }: Living, own: string): void {
  const others = [...storiesIn(writers)].filter(([name, { alive }]) => alive && name !== own)
  if (others.length > 0) throw new LedgerError('ERR_LEDGER_LOCKED', `the writer ${others[0]![0]} may be at work`)
}

async function begin(
  options: DirectoryOptions,
  from: DirectoryOptions,
  living: Living,
  said: ReadonlyMap<number, readonly string[]>,
): Promise<void> {
  const { directory } = options
  const lock = lockDirectory(from.directory)
  try {
    if ((await checkpointIn(directory)) !== undefined) return
    const cited = (await checkpointIn(from.directory))!
    if (cited.size !== living.size) throw new LedgerError('ERR_LEDGER_LOCKED', 'the ledger was opened again meanwhile')
    const aside = `${directory}.tmp`
    await fs.rm(aside, { recursive: true, force: true })
    await makeFolder(dirname(directory))
    await write({ ...options, directory: aside, create: true }, from.origin, cited, carriedOf(living), said)
    await fs.rename(aside, directory)
    await syncFolder(dirname(directory))
  } finally {
    lock.release()
  }
}

async function write(
  options: DirectoryOptions,
  of: string,
  { size, root }: SignedCheckpoint,
  carried: readonly CarriedEntry[],
  said: ReadonlyMap<number, readonly string[]>,
): Promise<void> {
  const digest = new CarriedDigest()
  for (const { entry } of carried) digest.add(entry)
  const continued: DraftOf<'continued'> = {
    ...{ kind: 'continued', of, size, root: Buffer.from(root).toString('base64url') },
    ...{ carried: digest.count, state: digest.digest() },
  }
  const ledger = await openDirectory(options, { owed: () => [], fresh: () => [continued] })
  try {
    const drafts = carried.map(one => restated(one, said.get(one.index)!))
    for (let at = 0; at < drafts.length; at += together) await ledger.append(drafts.slice(at, at + together))
  } catch (error) {
    await ledger.abandon()
    throw error
  }
  await ledger.close()
}

/** @throws LedgerError ERR_LEDGER_CORRUPT where something is gone from the vault that was not erased */
function restated({ index, entry }: CarriedEntry, said: readonly string[]): Restated {
  const { v: _v, id: _id, time: _time, writer: _writer, seq: _seq, sd = [], ...draft } = entry
  if (said.length !== sd.length) {
    throw new LedgerError('ERR_LEDGER_CORRUPT', `the vault no longer holds what entry ${index} discloses`, { index })
  }
  const slot = new Scopes().of(entry)
  return { ...(draft as Draft), ...(slot === undefined ? {} : { slot }), [encoded]: said }
}

async function checkpointIn(directory: string): Promise<SignedCheckpoint | undefined> {
  const bytes = await readIfThere(`${directory}/${checkpointFile}`)
  return bytes === undefined ? undefined : parseCheckpoint(bytes)
}
