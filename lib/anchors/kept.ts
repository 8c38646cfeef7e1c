/**
 * Keeps the words of others for this ledger, and has each become an entry. Keeping needs no open ledger: whoever obtains one puts it
 * down, with a note of what its entry will say, and the ledger's writer appends that when it next looks.
 */
import { hash } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { basename, join } from 'node:path'
import { isOurs } from '../errors.ts'
import { type AnchorKind, anchorFile, unrecordedFolder } from '../format/anchor.ts'
import { canonical, parseJson } from '../format/canonical.ts'
import { type Clear, timestamp } from '../format/entry.ts'
import type { Hash } from '../format/merkle.ts'
import { check, oneOf, record } from '../format/shape.ts'
import { keepFile, namesIn, readIfThere, replaceFiles, syncFolder } from '../ledger/files.ts'
import type { Ledger } from '../ledger/ledger.ts'

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

/** Durable on return. @returns the file's path in the ledger's directory */
export async function keepAnchor(directory: string, { bytes, root, at, ...rest }: Obtained): Promise<string> {
  const digest = hash('sha256', bytes, 'base64url' as 'hex')
  const said = { ...rest, root: Buffer.from(root).toString('base64url'), file: digest, at: timestamp(at) }
  const file = anchorFile(rest.anchor, rest.size, digest)
  if ((await readIfThere(join(directory, file))) !== undefined) return file
  // The note of it first: a file that no entry will ever name is worse than a note of a file that is not there, which is dropped.
  await replaceFiles(directory, [[`${unrecordedFolder}/${digest}.json`, canonical(said)]])
  await keepAnchorFile(directory, file, bytes)
  return file
}

/** Whatever else lies beside anchors looks like a forgery: each is written aside above them, under a name of this file and process. */
export const keepAnchorFile = (directory: string, file: string, bytes: Uint8Array): Promise<void> =>
  keepFile(directory, file, bytes, `anchors.${basename(file)}.${process.pid}.tmp`)

/** Appends an entry for each that has none. Killed in between it appends one twice, which says nothing false. @returns how many */
export async function recordAnchors(directory: string, ledger: Pick<Ledger, 'append'>): Promise<number> {
  const folder = join(directory, unrecordedFolder)
  let recorded = 0
  for (const name of await namesIn(folder)) {
    if (!name.endsWith('.json')) continue
    const said = await readSaid(join(folder, name))
    if (said !== undefined && (await readIfThere(join(directory, fileOf(said)))) !== undefined) {
      await ledger.append([{ kind: 'anchored', ...said }])
      recorded += 1
    }
    await fs.rm(join(folder, name), { force: true })
  }
  if (recorded > 0) await syncFolder(folder)
  return recorded
}

const fileOf = ({ anchor, size, file }: Clear<'anchored'>) => anchorFile(anchor, size, file)

async function readSaid(path: string): Promise<Clear<'anchored'> | undefined> {
  try {
    const value = parseJson((await fs.readFile(path)).toString('utf8'))
    check(shape, value)
    return value as unknown as Clear<'anchored'>
  } catch (error) {
    if (isOurs(error) || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
