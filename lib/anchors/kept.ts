/**
 * Keeps the words of others for this ledger, and has each become an entry. Keeping needs no open ledger: whoever
 * obtains one puts it down, with a note of what its entry will say, and the ledger's writer appends that when it next
 * looks. Whoever writes into the directory and has no key has none of theirs recorded: a note has a MAC
 * (../format/mac.ts), and what it is of is proved to be of this history.
 */
import { hash } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { basename, join } from 'node:path'
import { isOurs, LedgerError } from '../errors.ts'
import { type AnchorKind, anchorFile, unrecordedFolder } from '../format/anchor.ts'
import { canonical, parseJson } from '../format/canonical.ts'
import { type Clear, timestamp } from '../format/entry.ts'
import { macKey } from '../format/mac.ts'
import { consistencyProof, type Hash, verifyConsistency } from '../format/merkle.ts'
import { check, oneOf, record } from '../format/shape.ts'
import { decodeNote, encodeNote } from '../ledger/authenticated-note.ts'
import { keepFile, namesIn, readIfThere, replaceFiles, syncFolder } from '../ledger/files.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { DirectoryOptions } from '../ledger/options.ts'
import { publishedIn } from '../ledger/published.ts'
import { storedHashes } from '../ledger/stored-tiles.ts'

export interface Obtained {
  readonly anchor: AnchorKind
  readonly by: string
  readonly size: number
  readonly root: Hash
  /** Unix milliseconds, by the clock of whoever vouches. */
  readonly at: number
  readonly bytes: Uint8Array
}

const shape = record({
  anchor: oneOf('witness', 'timestamp', 'git'),
  by: 'word',
  size: 'count',
  root: 'digest',
  file: 'digest',
  at: 'time',
})

/** A ledger's directory, and what shows that something in it is the ledger's own. */
export type AnchorPlace = Pick<DirectoryOptions, 'directory' | 'origin' | 'noteKey' | 'wrappingKey'>

const noteKeyAt = ({ wrappingKey, origin }: AnchorPlace) => macKey(wrappingKey, origin, 'anchor')
const noteFile = (digest: string) => `${unrecordedFolder}/${digest}.json`

/** Durable on return. @returns the file's path in the ledger's directory */
export async function keepAnchor(at: AnchorPlace, { bytes, root, at: time, ...rest }: Obtained): Promise<string> {
  const digest = hash('sha256', bytes, 'base64url' as 'hex')
  const said = { ...rest, root: Buffer.from(root).toString('base64url'), file: digest, at: timestamp(time) }
  const file = anchorFile(rest.anchor, rest.size, digest)
  // Of other bytes it was laid there by somebody else, to keep this one out.
  if ((await readIfThere(join(at.directory, file)))?.equals(bytes)) return file
  // The note of it first: a file that no entry will ever name is worse than a note of a file that is not there, which is dropped.
  await replaceFiles(at.directory, [[noteFile(digest), encodeNote(noteKeyAt(at), digest, canonical(said))]])
  await keepAnchorFile(at.directory, file, bytes)
  return file
}

/** Whatever else lies beside anchors looks like a forgery: each is written aside above them, under a name of this file and process. */
export const keepAnchorFile = (directory: string, file: string, bytes: Uint8Array): Promise<void> =>
  keepFile(directory, file, bytes, `anchors.${basename(file)}.${process.pid}.tmp`)

/**
 * Appends an entry for each that has none. Killed in between it appends one twice, which says nothing false.
 * @returns how many. @throws what is wrong with the first that is not the ledger's own, of another history, or cannot
 * be read: nothing is said of that, and it is left
 */
export async function recordAnchors(at: AnchorPlace, ledger: Pick<Ledger, 'append'>): Promise<number> {
  const folder = join(at.directory, unrecordedFolder)
  let recorded = 0
  let refused: unknown
  for (const name of await namesIn(folder)) {
    if (!name.endsWith('.json')) continue
    try {
      const said = await readSaid(at, name.slice(0, -'.json'.length))
      const isThere = said !== undefined && (await readIfThere(join(at.directory, fileOf(said)))) !== undefined
      if (isThere) {
        if (!(await isOfThisHistory(at, said))) continue
        await ledger.append([{ kind: 'anchored', ...said }])
        recorded += 1
      }
      await fs.rm(join(folder, name), { force: true })
    } catch (error) {
      // That the ledger takes none now, each would be told. What is wrong with one note keeps none behind it from being recorded.
      if (isOurs(error) && !(error instanceof LedgerError)) throw error
      refused ??= error
    }
  }
  if (recorded > 0) await syncFolder(folder)
  if (refused !== undefined) throw refused
  return recorded
}

const fileOf = ({ anchor, size, file }: Clear<'anchored'>) => anchorFile(anchor, size, file)

/**
 * Proved to be the beginning of what is published. @returns false where so much is not published yet. @throws
 * LedgerError ERR_CHECKPOINT_FORK
 */
async function isOfThisHistory(at: AnchorPlace, { size, root, file }: Clear<'anchored'>): Promise<boolean> {
  const published = await publishedIn(at)
  if (published === undefined || size > published.checkpoint.size) return false
  const { checkpoint } = published
  const proof = await consistencyProof(size, checkpoint.size, storedHashes(at.directory, checkpoint.size))
  try {
    verifyConsistency(size, Buffer.from(root, 'base64url'), checkpoint.size, checkpoint.root, proof)
    return true
  } catch (cause) {
    const what = `${noteFile(file)} is of another history of ${size} entries than this one: it is not recorded`
    throw new LedgerError('ERR_CHECKPOINT_FORK', what, { file: noteFile(file) }, cause)
  }
}

/** @throws LedgerError ERR_LEDGER_CORRUPT where it was not made with the key of the vault */
async function readSaid(at: AnchorPlace, digest: string): Promise<Clear<'anchored'> | undefined> {
  const bytes = await readIfThere(join(at.directory, noteFile(digest)))
  if (bytes === undefined) return undefined
  const value = parseJson(decodeNote([noteKeyAt(at)], digest, noteFile(digest), bytes))
  check(shape, value)
  return value as unknown as Clear<'anchored'>
}
