/**
 * Rollover: a ledger is concluded and sealed, and the next of its series begins by citing it and saying again what is
 * still in force. Done at an opening, while nobody appends. The next one is made aside and put in place whole; what a
 * kill leaves undone, the next opening does.
 */
import { randomBytes } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { dirname } from 'node:path'
import { systemClock } from '../clock.ts'
import { describe, Fault, isOurs, LedgerError } from '../errors.ts'
import { CarriedDigest, type CarriedEntry, carriedOf } from '../format/carried.ts'
import type { Checkpoint } from '../format/checkpoint.ts'
import type { Living } from '../format/living.ts'
import { sameHash } from '../format/merkle.ts'
import { Scopes } from '../format/scope.ts'
import { openDirectory, taking } from './directory.ts'
import type { DirectoryLedger } from './directory-ledger.ts'
import { makeFolder, syncFolder, unreadable } from './files.ts'
import type { Draft, DraftOf, Ledger } from './ledger.ts'
import { lockDirectory } from './lock.ts'
import type { DirectoryOptions } from './options.ts'
import { checkpointIn, publishedIn, signedEntry } from './published.ts'
import { encoded, type Restated, Scribe } from './scribe.ts'
import { memberOf, newestIn } from './series.ts'
import { storiesIn } from './story.ts'

/** After which a ledger is to be followed by another. */
export interface Bounds {
  /** Milliseconds since it began. */
  readonly everyMs?: number
  readonly entries?: number
}

/** So many of them together are within a frame, however long they are, with what they disclose. */
const together = 24
/**
 * Milliseconds after a ledger's conclusion within which an opening begins the next, if that is not there: a kill may have come between.
 */
const unfinishedMs = 3_600_000
/** How often somebody else may have changed what is being rolled over. */
const attempts = 3

/**
 * Opens the newest ledger of a series, after beginning it where the one before is past its bounds, or was concluded a moment ago.
 * @param options of the series: its directory, and as `origin` its name
 * @param tell told why the one before is past its bounds and goes on: what is in force in it could not be said again
 * @throws LedgerError ERR_LEDGER_CONCLUDED where the newest was concluded long ago: the one that follows may have been taken away
 * @throws as `open`
 */
export async function openNewest(
  options: DirectoryOptions,
  bounds: Bounds,
  open: (options: DirectoryOptions) => Promise<Ledger>,
  tell: (why: LedgerError) => void = () => undefined,
): Promise<Ledger> {
  for (let left = attempts; ; left -= 1) {
    const last = await newestIn(options.directory)
    if (await isDue(memberOf(options, last), bounds)) {
      await rollOverIfIdle(options, last).catch(error => {
        // It was not concluded, or the opening below says so.
        if (!(error instanceof LedgerError)) throw error
        tell(error)
      })
    }
    const newest = await newestIn(options.directory)
    try {
      return await open(memberOf(options, newest))
    } catch (error) {
      if (left === 0 || !isOurs(error) || error.code !== 'ERR_LEDGER_CONCLUDED') throw error
      requireUnfinished(error.data, options.clock)
      await rollOverIfIdle(options, newest)
    }
  }
}

/** By now whoever was cut off would have been started again: a new ledger in the place of one that is gone would hide that it is. */
function requireUnfinished({ next, at }: Readonly<Record<string, unknown>>, clock = systemClock): void {
  if (clock.now() - Date.parse(String(at)) <= unfinishedMs) return
  throw new LedgerError(
    'ERR_LEDGER_CONCLUDED',
    `the ledger was concluded at ${at}, and ${next} is not there: bring it back, or have it begun with "counterfoil rollover" if it never was`,
    { next, at },
  )
}

/** Whether a ledger is past its bounds. What cannot be read is not judged here. */
export async function isDue(
  options: DirectoryOptions,
  { everyMs = Number.POSITIVE_INFINITY, entries = Number.POSITIVE_INFINITY }: Bounds,
): Promise<boolean> {
  if (everyMs === Number.POSITIVE_INFINITY && entries === Number.POSITIVE_INFINITY) return false
  try {
    const { directory, clock = systemClock } = options
    const checkpoint = await checkpointIn(directory)
    if (checkpoint === undefined || checkpoint.size === 0) return false
    if (checkpoint.size >= entries) return true
    return clock.now() - Date.parse((await signedEntry(options, 0)).time) >= everyMs
  } catch (error) {
    if (isOurs(error)) return false
    throw unreadable(error)
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
 * @throws LedgerError ERR_LEDGER_LOCKED; ERR_LEDGER_CORRUPT where what is in force cannot be said again: it is not
 * concluded then; as openDirectoryLedger
 */
export async function rollOver(
  options: DirectoryOptions,
  number: number,
  { idle = false }: { readonly idle?: boolean } = {},
): Promise<string> {
  const from = memberOf(options, number)
  const next = memberOf(options, number + 1)
  const ledger = await openDirectory(from, {
    owed: taking(from),
    admit: living => {
      if (idle && living.concluded === undefined) requireIdle(living, from.writer)
    },
  })
  const drafts = new Map<number, Restated>()
  try {
    for (const one of carriedOf(ledger.living)) drafts.set(one.index, await restated(one, ledger))
    requireSayable([...drafts.values()], next)
    // Not before it is known that the next one can begin: this one goes on otherwise.
    if (ledger.living.concluded === undefined) await ledger.append([{ kind: 'concluded', next: next.origin }])
  } finally {
    await ledger.close()
  }
  // Closing appended that it stopped: whoever verifies derives what is carried from all of it.
  await begin(next, from, ledger, drafts).catch(error => {
    if (isOurs(error)) throw error
    const what = `${next.origin} could not be begun: ${describe(error)}`
    throw new Fault('ERR_LEDGER_UNAVAILABLE', what, { next: next.origin }, error)
  })
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
  { head: cited, living }: Pick<DirectoryLedger, 'head' | 'living'>,
  drafts: ReadonlyMap<number, Restated>,
): Promise<void> {
  const { directory } = options
  const lock = lockDirectory(from.directory)
  try {
    if ((await checkpointIn(directory)) !== undefined) return
    // Between its closing and this lock another process may have had it.
    const { checkpoint } = (await publishedIn(from)) ?? {}
    if (checkpoint?.size !== cited.size || !sameHash(checkpoint.root, cited.root)) {
      const what = `${from.origin} was opened again meanwhile, or its checkpoint is not what it published: try again`
      throw new LedgerError('ERR_LEDGER_LOCKED', what)
    }
    const aside = `${directory}.tmp`
    await fs.rm(aside, { recursive: true, force: true })
    await makeFolder(dirname(directory))
    await write({ ...options, directory: aside, create: true }, from.origin, cited, carriedOf(living), drafts)
    await fs.rename(aside, directory)
    await syncFolder(dirname(directory))
  } finally {
    lock.release()
  }
}

async function write(
  options: DirectoryOptions,
  of: string,
  { size, root }: Checkpoint,
  carried: readonly CarriedEntry[],
  said: ReadonlyMap<number, Restated>,
): Promise<void> {
  const digest = new CarriedDigest()
  for (const { entry } of carried) digest.add(entry)
  const continued: DraftOf<'continued'> = {
    ...{ kind: 'continued', of, size, root: Buffer.from(root).toString('base64url') },
    ...{ carried: digest.count, state: digest.digest() },
  }
  const ledger = await openDirectory(options, { owed: () => [], fresh: () => [continued] })
  try {
    const drafts = carried.map(({ index }) => said.get(index)!)
    for (let at = 0; at < drafts.length; at += together) await ledger.append(drafts.slice(at, at + together))
  } catch (error) {
    await ledger.abandon()
    throw error
  }
  await ledger.close()
}

/**
 * What is disclosed of it that is gone or altered stays so, and whoever verifies is told of it in both ledgers. Who
 * somebody is must be there: a name that got lost would make two of whoever comes back under it.
 * @throws LedgerError ERR_LEDGER_CORRUPT
 */
async function restated({ index, entry }: CarriedEntry, ledger: DirectoryLedger): Promise<Restated> {
  const { v: _v, id: _id, time: _time, writer: _writer, seq: _seq, sd = [], ...draft } = entry
  const disclosed = await ledger.encodedDisclosures(index).catch(error => {
    if (!isOurs(error) || error.code !== 'ERR_DISCLOSURE_MISMATCH') throw error
    return []
  })
  if (entry.kind === 'principal' && disclosed.length !== sd.length) {
    const what = `the vault no longer holds who entry ${index} names, and what is in force cannot be said again: bring vault/ back from a copy`
    throw new LedgerError('ERR_LEDGER_CORRUPT', what, { index })
  }
  const slot = new Scopes().of(entry)
  return { ...(draft as Draft), ...(slot === undefined ? {} : { slot }), [encoded]: { sd, disclosed } }
}

/** Makes entries of them as the next ledger will, under a key that is thrown away. @throws LedgerError ERR_LEDGER_CORRUPT */
function requireSayable(drafts: readonly Restated[], { origin, writer, clock = systemClock }: DirectoryOptions): void {
  const key = randomBytes(32)
  // Behind `opened` and `continued`.
  const scribe = new Scribe({ origin, writer, clock, seq: 2, slot: () => ({ slot: 0, key }) })
  try {
    for (let at = 0; at < drafts.length; at += together) scribe.prepare(drafts.slice(at, at + together))
  } catch (error) {
    if (!isOurs(error)) throw error
    const what = `what is in force cannot be said again by the writer ${writer}: ${error.message}`
    throw new LedgerError('ERR_LEDGER_CORRUPT', what)
  }
}
