/** Opens the ledger in a directory: judges what is there, locks it, and appends what the opening owes. */
import { describe, Fault, isOurs, LedgerError } from '../errors.ts'
import { anchorFolder, unrecordedFolder } from '../format/anchor.ts'
import type { SignedCheckpoint } from '../format/checkpoint.ts'
import { type Entry, formatVersion, parseEntry } from '../format/entry.ts'
import { forged } from '../format/frame.ts'
import { attachingFolder, certificateFile, certificateOf, snapshotFolder, tileWidth } from '../format/layout.ts'
import { Living } from '../format/living.ts'
import { macKey } from '../format/mac.ts'
import { type NoteKey, noteKeyOf } from './checkpoint.ts'
import { DirectoryLedger } from './directory-ledger.ts'
import { epochFile, readEpoch, requireOpenings, writeEpoch } from './epoch.ts'
import { makeFolder, namesIn, replaceFiles, requireOwnFolder } from './files.ts'
import type { Draft, Ledger, Stored } from './ledger.ts'
import { type Lock, lockDirectory, lockFile } from './lock.ts'
import { recoveryDrafts, requireOpened, type Standing } from './opening.ts'
import { checkOptions, type DirectoryOptions } from './options.ts'
import { keepFoundSeal } from './publisher.ts'
import { type Recovered, recover } from './recovery.ts'
import { finishRewrap, requireWrappingKey, rewrap } from './rewrap.ts'
import { certifyNoteKey, type Sealer } from './sealer.ts'
import { leaderFolder } from './shared/address.ts'
import { newestSnapshot } from './snapshots.ts'
import { requireSpeaking } from './speaking.ts'
import { StoredBundles } from './stored-tiles.ts'
import { storiesIn } from './story.ts'

export type { DirectoryOptions } from './options.ts'

/** What a ledger that is being created may have left, had it been killed: nothing was acknowledged by then. */
const unfinished = new Set([lockFile, epochFile, `${epochFile}.tmp`, 'keys', 'vault', 'wal', leaderFolder])

/** Folders that a ledger writes into. Those within them are looked at when they are written into. */
const written = [
  ...['wal', 'tile', 'checkpoint.d', snapshotFolder, 'keys', anchorFolder, unrecordedFolder],
  ...['vault/slots', 'vault/entries', 'vault/attachments', attachingFolder],
]

/**
 * Opens a ledger for appending; there is one writer at a time.
 * @throws LedgerError ERR_LEDGER_MISSING, ERR_LEDGER_LOCKED, ERR_LEDGER_CORRUPT, ERR_LEDGER_INCONSISTENT (another origin or key),
 *   ERR_LEDGER_ROOT, ERR_CHECKPOINT_ROLLBACK, ERR_CHECKPOINT_SIGNATURE: then nothing was changed
 * @throws Fault ERR_LEDGER_UNAVAILABLE where a file could not be read or written
 * @throws Misuse ERR_OPTION_UNKNOWN, ERR_OPTION_INVALID, ERR_PACKAGE_MISSING
 */
export async function openDirectoryLedger(options: DirectoryOptions): Promise<Ledger> {
  checkOptions(options)
  const ledger = await openDirectory(options, { owed: taking(options) })
  ledger.beat()
  return ledger
}

/** For what concerns keys and the vault, which goes on where a ledger was concluded. @throws as openDirectoryLedger */
export function openForKeys(options: DirectoryOptions): Promise<DirectoryLedger> {
  checkOptions(options)
  return openDirectory(options, { owed: taking(options), admit: () => undefined })
}

/** What is known when an opening says what it appends. */
export interface Opening {
  readonly standing: Standing
  readonly ledger: DirectoryLedger
}

export interface Manner {
  /** What the opening appends, where the ledger is not new. */
  readonly owed: (opening: Opening) => readonly Draft[]
  /** What a new one begins with, behind entry 0. Who opened it has started, unless said otherwise. */
  readonly fresh?: (ledger: DirectoryLedger) => readonly Draft[]
  /** Whether it may be opened at all, asked before anything is written. A ledger that was concluded may not be, unless said otherwise. */
  readonly admit?: (known: Living) => void
}

/** For who has the ledger alone. */
export const taking =
  (options: DirectoryOptions) =>
  ({ standing, ledger }: Opening): readonly Draft[] => [
    ...recoveryDrafts(standing, ledger.epoch, ledger.torn),
    ledger.started(options),
  ]

/** @throws as openDirectoryLedger; LedgerError ERR_LEDGER_CONCLUDED */
export async function openDirectory(options: DirectoryOptions, manner: Manner): Promise<DirectoryLedger> {
  const noteKey = noteKeyOf(options.noteKey, options.origin)
  let lock: Lock | undefined
  try {
    await requireDirectory(options)
    lock = lockDirectory(options.directory)
    return await openLocked(options, noteKey, lock, manner)
  } catch (error) {
    lock?.release()
    throw isOurs(error)
      ? error
      : new Fault('ERR_LEDGER_UNAVAILABLE', `the ledger could not be opened: ${describe(error)}`, {}, error)
  }
}

export interface Looked {
  readonly checkpoint: SignedCheckpoint | undefined
  readonly living: Living
  entries(): AsyncIterable<Stored>
}

/** What a ledger holds that nobody has open, judged as an opening judges it; nothing is written. @throws as openDirectoryLedger */
export async function lookInto(options: DirectoryOptions): Promise<Looked> {
  const { directory, origin, noteKey } = options
  const { verifierKey } = noteKeyOf(noteKey, origin)
  const recovered = await recover(directory, verifierKey, (await readEpoch(directory)) ?? 0, logKeys(options))
  await requireProven(options, recovered)
  return {
    checkpoint: recovered.checkpoint,
    living: await known(directory, recovered, verifierKey),
    entries: () => forwards(directory, recovered, 0),
  }
}

/** Those that frames of the write-ahead log may be under: also the former one, while the key of the vault is being changed. */
const logKeys = ({ origin, wrappingKey, formerWrappingKey }: DirectoryOptions) =>
  [wrappingKey, formerWrappingKey].flatMap(key => (key === undefined ? [] : [macKey(key, origin, 'wal')]))

/** @throws LedgerError ERR_LEDGER_CORRUPT; as requireWrappingKey, where the key of the vault is a wrong one */
async function requireProven(options: DirectoryOptions, { unproven }: Recovered): Promise<void> {
  if (unproven === undefined) return
  await requireWrappingKey(options)
  throw forged(unproven)
}

/** Nothing is written where no ledger is, and none is meant to be. */
async function requireDirectory({ directory, create }: DirectoryOptions): Promise<void> {
  for (const folder of written) requireOwnFolder(directory, folder)
  const names = await namesIn(directory)
  if (names.includes('checkpoint') || (names.includes('wal') && names.includes(epochFile))) return
  requireNoTiles(names)
  if (names.some(name => !unfinished.has(name))) {
    throw new LedgerError('ERR_LEDGER_MISSING', 'the directory is not empty, and holds no ledger')
  }
  if (create !== true) throw new LedgerError('ERR_LEDGER_MISSING', 'the directory holds no ledger')
  await makeFolder(directory)
}

/** Tiles come after entries: with the ones and without the others, it is no new ledger. */
function requireNoTiles(names: readonly string[]): void {
  if (names.includes('tile')) throw new LedgerError('ERR_LEDGER_CORRUPT', 'the ledger has lost its checkpoint')
}

async function openLocked(
  options: DirectoryOptions,
  noteKey: NoteKey,
  lock: Lock,
  { owed, fresh = ledger => [ledger.started(options)], admit = requireGoingOn }: Manner,
): Promise<DirectoryLedger> {
  const { directory, origin, sealer, create, formerWrappingKey } = options
  const before = await readEpoch(directory)
  const recovered = await recover(directory, noteKey.verifierKey, before ?? 0, logKeys(options))
  if (before !== undefined) await requireOpenings(before, () => lastOpening(directory, recovered))
  const isNew = recovered.tree.size === 0
  if (isNew) requireNoTiles(await namesIn(directory))
  if (isNew && create !== true) throw new LedgerError('ERR_LEDGER_MISSING', 'the directory holds no ledger')
  let folded: Promise<Living> | undefined
  const fold = () => {
    folded ??= known(directory, recovered, noteKey.verifierKey)
    return folded
  }
  if (!isNew) {
    if (before === undefined) throw new LedgerError('ERR_LEDGER_CORRUPT', 'the epoch file is missing')
    const opened = requireOpened(await entryAt(directory, recovered, 0), origin)
    await requireSpeaking({
      directory,
      opened,
      recovered,
      noteKey: noteKey.verifierKey,
      sealKey: sealer?.fingerprint,
      entry: index => entryAt(directory, recovered, index),
      known: fold,
    })
  }
  if (formerWrappingKey === undefined && !isNew) await requireWrappingKey(options)
  await requireProven(options, recovered)
  const living = await fold()
  if (!isNew) admit(living)
  const last = isNew ? undefined : await entryAt(directory, recovered, recovered.tree.size - 1)
  const standing = { stories: storiesIn(living.writers), stopped: last?.kind === 'stopped' }
  const epoch = (before ?? 0) + 1
  await writeEpoch(directory, epoch)
  if (sealer !== undefined) {
    await publishCertificate(directory, sealer)
    const { checkpoint } = recovered
    if (checkpoint !== undefined) await keepFoundSeal(directory, checkpoint, sealer.fingerprint)
  }
  const rewrapped =
    formerWrappingKey === undefined ? undefined : await rewrap({ ...options, formerWrappingKey }, recovered.tree.size)
  const { stories } = standing
  const ledger = await DirectoryLedger.start({ options, noteKey, lock, recovered, epoch, stories, living })
  try {
    await ledger.begin(isNew ? [await openedDraft(options, noteKey), ...fresh(ledger)] : owed({ standing, ledger }))
    if (rewrapped !== undefined) {
      const entries = (from: number) => ledger.entries(from)
      await finishRewrap(directory, rewrapped, entries, draft => ledger.append([draft]))
    }
  } catch (error) {
    await ledger.abandon()
    throw error
  }
  return ledger
}

/** @throws LedgerError ERR_LEDGER_CONCLUDED */
function requireGoingOn({ concluded }: Living): void {
  if (concluded === undefined) return
  throw new LedgerError('ERR_LEDGER_CONCLUDED', `the ledger was concluded: it goes on as ${concluded.next}`, {
    next: concluded.next,
    at: concluded.time,
  })
}

/** The current one, and by its fingerprint, where it stays when another one follows. */
export const publishCertificate = (directory: string, { fingerprint, certificate }: Sealer): Promise<void> =>
  replaceFiles(directory, [
    [certificateOf(fingerprint), certificate],
    [certificateFile, certificate],
  ])

async function openedDraft({ origin, sealer }: DirectoryOptions, { verifierKey }: NoteKey): Promise<Draft> {
  const opened = { kind: 'opened', origin, format: formatVersion, noteKey: verifierKey } as const
  if (sealer === undefined) return opened
  const certification = await certifyNoteKey(sealer, origin, verifierKey)
  return { ...opened, sealKey: sealer.fingerprint, certification }
}

async function entryAt(directory: string, { recent, tree }: Recovered, index: number): Promise<Entry> {
  const held = recent.get(index)
  if (held !== undefined) return held.entry
  const bundle = await new StoredBundles(directory, tree).entries(Math.floor(index / tileWidth))
  return parseEntry(bundle[index % tileWidth]!)
}

/** The epoch of the last opening that said anything. */
async function lastOpening(directory: string, { recent, tree, epoch }: Recovered): Promise<number> {
  if (epoch !== undefined) return epoch
  for (let index = recent.end - 1; index >= recent.base; index -= 1) {
    const { entry } = recent.get(index)!
    if (entry.kind === 'started' || entry.kind === 'recovered') return entry.epoch
  }
  const stored = new StoredBundles(directory, tree)
  for (let n = recent.base / tileWidth - 1; n >= 0; n -= 1) {
    for (const bytes of (await stored.entries(n)).toReversed()) {
      const entry = parseEntry(bytes)
      if (entry.kind === 'started' || entry.kind === 'recovered') return entry.epoch
    }
  }
  return 0
}

/** Folded from the newest snapshot on; where there is none, from all. */
async function known(directory: string, recovered: Recovered, noteKey: string): Promise<Living> {
  const living = (await newestSnapshot(directory, recovered.tree.size, noteKey)) ?? new Living()
  for await (const stored of forwards(directory, recovered, living.size)) living.add(stored)
  return living
}

async function* forwards(directory: string, { recent, tree }: Recovered, from: number): AsyncGenerator<Stored> {
  const stored = new StoredBundles(directory, tree)
  for (let index = from; index < recent.base; ) {
    const bundle = await stored.entries(Math.floor(index / tileWidth))
    for (const bytes of bundle.slice(index % tileWidth)) {
      yield { index, entry: parseEntry(bytes) }
      index += 1
    }
  }
  for (let index = Math.max(from, recent.base); index < recent.end; index += 1) {
    yield { index, entry: recent.get(index)!.entry }
  }
}
