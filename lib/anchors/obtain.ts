/** Obtains a time stamp or a git tag for a published checkpoint, and keeps it; the ledger need not be open for that, nor closed. */
import { execFile } from 'node:child_process'
import { createHash, hash, randomBytes, type X509Certificate } from 'node:crypto'
import { promises as fs } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, Fault, LedgerError, Misuse } from '../errors.ts'
import { anchorFile, anchorFolder } from '../format/anchor.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../format/checkpoint.ts'
import { gitAlone, parseTag, tagName } from '../format/tag.ts'
import { isTrusted, nonceOf, readTimestamp, signerName, timestampRequest } from '../format/timestamp.ts'
import { namesIn, readIfThere } from '../ledger/files.ts'
import { type Published, publishedIn } from '../ledger/published.ts'
import { answerOf } from './answer.ts'
import { type AnchorPlace, keepAnchor, keepAnchorFile } from './kept.ts'

export interface Got {
  /** In the ledger's directory. */
  readonly file: string
  readonly by: string
  readonly size: number
  /** Unix milliseconds. */
  readonly at: number
}

/** The published note, kept under anchors/ so that what is vouched for stays, however the ledger grows. @throws LedgerError */
async function keepPublished(place: AnchorPlace): Promise<Published> {
  const published = await publishedIn(place)
  if (published === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'the ledger has no published checkpoint')
  const { checkpoint, note } = published
  const digest = hash('sha256', note, 'base64url' as 'hex')
  await keepAnchorFile(place.directory, anchorFile('witness', checkpoint.size, digest), note)
  return published
}

/** @returns a request for the published checkpoint (RFC 3161), to be carried to an authority by other means */
export async function requestFor(
  place: AnchorPlace,
): Promise<{ readonly request: Buffer; readonly size: number; readonly nonce: string }> {
  const { checkpoint, note } = await keepPublished(place)
  const nonce = randomBytes(8)
  const request = timestampRequest(createHash('sha256').update(note).digest(), nonce)
  return { request, size: checkpoint.size, nonce: nonceOf(nonce) }
}

/**
 * Takes an authority's answer to a request that was made here, however long ago.
 * @param nonce of the request, where it was sent just now: then the answer must repeat it
 * @throws LedgerError ERR_CHECKPOINT_SIGNATURE: it is false, of another checkpoint, or by none of the authorities
 */
export async function acceptTimestamp(
  place: AnchorPlace,
  response: Uint8Array,
  authorities: readonly X509Certificate[],
  nonce?: string,
): Promise<Got> {
  const stamp = readTimestamp(response)
  if (!isTrusted(stamp, authorities)) throw refused('its certificate leads to none of the given authorities')
  if (nonce !== undefined && stamp.nonce !== nonce) throw refused('it answers another request')
  const checkpoint = await stamped(place, stamp.imprint)
  if (checkpoint === undefined) throw refused('it is of no checkpoint of this ledger that a request was made for')
  const { size, root } = checkpoint
  const by = signerName(stamp)
  const file = await keepAnchor(place, { anchor: 'timestamp', by, size, root, at: stamp.time, bytes: response })
  return { file, by, size, at: stamp.time }
}

/** The kept note with that digest: it is its name. */
async function stamped({ directory }: AnchorPlace, imprint: Buffer): Promise<SignedCheckpoint | undefined> {
  for (const size of await namesIn(join(directory, anchorFolder))) {
    if (!/^[1-9]\d{0,15}$/.test(size)) continue
    const note = await readIfThere(join(directory, anchorFile('witness', Number(size), imprint.toString('base64url'))))
    if (note !== undefined && createHash('sha256').update(note).digest().equals(imprint)) return parseCheckpoint(note)
  }
  return undefined
}

const longestAnswer = 1_000_000

/** RFC 3161, 3.4. @throws Fault ERR_UPSTREAM where it cannot be reached, or answers something else; else as acceptTimestamp */
export async function stampBy(place: AnchorPlace, url: string, authorities: readonly X509Certificate[]): Promise<Got> {
  const { request, nonce } = await requestFor(place)
  let response: Buffer | undefined
  try {
    const answered = await fetch(url, {
      method: 'POST',
      body: new Uint8Array(request),
      headers: { 'content-type': 'application/timestamp-query' },
      signal: AbortSignal.timeout(30_000),
    })
    if (!answered.ok) throw new Error(`status ${answered.status}`)
    response = await answerOf(answered, longestAnswer)
  } catch (error) {
    throw new Fault(
      'ERR_UPSTREAM',
      `the timestamping authority cannot be reached, or refuses: ${describe(error)}`,
      {},
      error,
    )
  }
  if (response === undefined) {
    const what = `what answers at ${url} is no timestamping authority: it goes on for more than ${longestAnswer} bytes`
    throw new Fault('ERR_UPSTREAM', what)
  }
  return acceptTimestamp(place, response, authorities, nonce)
}

const refused = (what: string) => new LedgerError('ERR_CHECKPOINT_SIGNATURE', `the time stamp: ${what}`)

/**
 * Makes an annotated tag `counterfoil/ORIGIN/SIZE` in a repository, over the published note, which is its message.
 * Pushing it to where the ledger's operators cannot rewrite it is what makes it an anchor, and is the user's.
 * @throws Misuse ERR_OPTION_INVALID: no repository, or git is not installed
 */
export async function tagIn(place: AnchorPlace, repository: string): Promise<Got> {
  await requireRepository(repository)
  const { checkpoint, note } = await keepPublished(place)
  const { origin, size, root } = checkpoint
  const name = tagName(origin, size)
  const path = join(place.directory, anchorFile('witness', size, hash('sha256', note, 'base64url' as 'hex')))
  const there = await git(repository, ['tag', '--list', name])
  if (there.length === 0) {
    const blob = (await git(repository, ['hash-object', '-w', '--no-filters', '--', await fs.realpath(path)]))
      .toString()
      .trim()
    const made = [
      'tag',
      '--annotate',
      '--no-sign',
      '--cleanup=verbatim',
      '--file',
      await fs.realpath(path),
      '--',
      name,
      blob,
    ]
    await git(repository, made)
  }
  const bytes = await git(repository, ['cat-file', 'tag', `refs/tags/${name}`])
  const tag = parseTag(bytes)
  if (!Buffer.from(tag.checkpoint.root).equals(Buffer.from(root))) {
    throw new LedgerError('ERR_CHECKPOINT_FORK', `${name} stands there already, for another history`)
  }
  const file = await keepAnchor(place, { anchor: 'git', by: name, size, root, at: tag.time, bytes })
  return { file, by: name, size, at: tag.time }
}

const run = promisify(execFile)

/** No person is named in the tag: it is kept in the ledger, in clear. */
const nobody = {
  GIT_COMMITTER_NAME: 'counterfoil',
  GIT_COMMITTER_EMAIL: 'counterfoil@localhost',
}

async function requireRepository(repository: string): Promise<void> {
  await git(repository, ['rev-parse', '--git-dir']).catch((error: Misuse) => {
    if (error.message === notInstalled) throw error
    throw new Misuse('ERR_OPTION_INVALID', `there is no git repository at ${repository}`, {}, error)
  })
}

const notInstalled = 'git is not installed'

async function git(repository: string, command: readonly string[]): Promise<Buffer> {
  try {
    const env = { ...process.env, ...gitAlone.env, ...nobody }
    return (await run('git', ['-C', repository, ...gitAlone.options, ...command], { encoding: 'buffer', env })).stdout
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const what = missing ? notInstalled : `git ${command[0]} failed in ${repository}`
    throw new Misuse('ERR_OPTION_INVALID', what, {}, error)
  }
}
