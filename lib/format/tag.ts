/** A git tag object that carries a checkpoint: `counterfoil/ORIGIN/SIZE`, with the signed note as its message. */
import { LedgerError } from '../errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from './checkpoint.ts'

export const tagName = (origin: string, size: number): string => `counterfoil/${origin}/${size}`

/**
 * For git in a repository that was handed over: its config is its maker's, and names programs. What is not there is not
 * fetched (an object of a partial clone would be, when it is asked for; older versions of git know of no other way to
 * forbid that than to allow no protocol), nothing stands in for anything else, and no hook or monitor runs.
 */
export const gitAlone = {
  env: {
    GIT_ALLOW_PROTOCOL: 'none',
    GIT_NO_LAZY_FETCH: '1',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_OPTIONAL_LOCKS: '0',
  },
  options: ['--no-pager', '-c', 'core.hooksPath=/dev/null', '-c', 'core.fsmonitor=false', '-c', 'gc.auto=0'],
} as const

export interface TaggedCheckpoint {
  readonly name: string
  /** Unix milliseconds, as whoever made the tag had it. */
  readonly time: number
  readonly checkpoint: SignedCheckpoint
}

/** @param bytes as `git cat-file tag` gives them. @throws LedgerError ERR_CHECKPOINT_SIGNATURE: it is no such tag */
export function parseTag(bytes: Uint8Array): TaggedCheckpoint {
  const text = Buffer.from(bytes).toString('utf8')
  const at = text.indexOf('\n\n')
  const head = new Map(
    text
      .slice(0, Math.max(0, at))
      .split('\n')
      .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const),
  )
  const [, seconds] = / (\d{1,12}) [+-]\d{4}$/.exec(head.get('tagger') ?? '') ?? []
  const name = head.get('tag')
  if (at < 0 || name === undefined || seconds === undefined) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'not an annotated tag')
  }
  const checkpoint = parseCheckpoint(Buffer.from(text.slice(at + 2)))
  if (name !== tagName(checkpoint.origin, checkpoint.size)) {
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a tag under the name of another checkpoint')
  }
  return { name, time: Number(seconds) * 1000, checkpoint }
}
