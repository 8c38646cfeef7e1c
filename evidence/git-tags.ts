/**
 * Reads the annotated tags of a ledger's checkpoints out of a git repository, through git itself.
 * Nothing in it is run, fetched or checked out.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, Misuse } from '../lib/errors.ts'
import { gitAlone, tagName } from '../lib/format/tag.ts'

const run = promisify(execFile)
const most = 16 * 1024 * 1024
/** Its config may include what never ends. */
const longestMs = 60_000

export interface Tag {
  readonly name: string
  /** As the name says. */
  readonly size: number
  /** The tag object. */
  readonly bytes: Buffer
}

/** @throws Misuse ERR_OPTION_INVALID where it is no repository, or git is not installed */
export async function readTags(repository: string, origin: string): Promise<Tag[]> {
  const prefix = `refs/tags/${tagName(origin, 0).slice(0, -1)}`
  const listed = await git(repository, ['for-each-ref', '--format=%(objecttype) %(objectname) %(refname)', prefix])
  const tags: Tag[] = []
  for (const line of listed.toString('utf8').split('\n')) {
    const [, object, name] = /^tag ([0-9a-f]{40,64}) refs\/tags\/(\S+)$/.exec(line) ?? []
    const size = Number(name?.slice(prefix.length - 'refs/tags/'.length))
    if (object === undefined || !Number.isSafeInteger(size)) continue
    tags.push({ name: name!, size, bytes: await git(repository, ['cat-file', 'tag', object]) })
  }
  return tags
}

async function git(repository: string, command: readonly string[]): Promise<Buffer> {
  try {
    const { stdout } = await run('git', ['-C', repository, ...gitAlone.options, ...command], {
      encoding: 'buffer',
      maxBuffer: most,
      timeout: longestMs,
      env: { ...process.env, ...gitAlone.env },
    })
    return stdout
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const what = missing
      ? 'git is needed to read tags, and is not installed'
      : `no git repository that can be read: ${repository}`
    throw new Misuse('ERR_OPTION_INVALID', `${what} (${describe(error)})`, {}, error)
  }
}
