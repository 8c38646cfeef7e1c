/** The step about a ledger's place in its series: what holds between it and the ones before and after. */

import { isOurs } from '../../lib/errors.ts'
import { canonical } from '../../lib/format/canonical.ts'
import { type EntryOf, encodeEntry } from '../../lib/format/entry.ts'
import { inclusionProof, leafHash, sameHash, verifyInclusion } from '../../lib/format/merkle.ts'
import { originOf } from '../../lib/format/series.ts'
import { counted } from '../../lib/format/words.ts'
import { entriesAgain } from '../bundles.ts'
import { isAsDisposed } from '../disposed.ts'
import type { Examination } from '../examination.ts'
import { isUnreachable } from '../finding.ts'
import { base64 } from '../verification.ts'
import { need, needRead, skip } from './step.ts'

export async function checkSeries(x: Examination): Promise<string> {
  need(x.checkpoint)
  const { succession, options } = x
  const { concluded } = succession
  // Behind a pin nothing is told of what was carried.
  if (x.after === undefined) succession.conclude()
  x.findings.merge(succession.findings)
  await checkFollows(x)
  const gone = await checkGone(x)
  if (options.member?.followed !== undefined) return checkFollowed(x, options.member.followed)
  needRead(x)
  if (concluded !== undefined && options.member !== undefined) {
    const what = `concluded by entry ${concluded.index}: ${concluded.entry.next}, as which it goes on, is not there, or cannot be read`
    return x.fail({ code: 'SUCCESSOR_MISSING', what, index: concluded.index })
  }
  const continued = succession.continued ?? options.member?.follows
  const before = continued === undefined ? [] : [`continues ${continued.of} at ${counted(continued.size, 'entry')}`]
  const after = concluded === undefined ? [] : [`goes on as ${concluded.entry.next}`]
  const alone = options.member === undefined && before.length + after.length > 0 ? ['which is not looked at here'] : []
  const told = [...before, ...after, ...alone, ...gone]
  if (told.length > 0) return told.join(', ')
  // What it begins with was not read.
  return x.after === undefined
    ? 'it follows no other ledger, and none follows it'
    : 'none follows it; what it says of one before it stands before the pin'
}

/** What the one before was held against, before this one was verified, is what stands here. */
async function checkFollows(x: Examination): Promise<void> {
  const { member } = x.options
  if (member === undefined || member.number === 1) return
  const begun = x.sealKey?.toUpperCase()
  // A key that was retired there cannot begin what follows.
  if (member.begunBy !== undefined && begun !== undefined && begun !== member.begunBy) {
    const what = 'the ledger begins with another OpenPGP key than the one before was followed under'
    x.findings.add({ code: 'KEY_SUBSTITUTED', what, index: 0, expected: member.begunBy, actual: begun })
  }
  const { continued } = x.succession
  const wrong = (what: string) => x.findings.add({ code: 'SUCCESSION_INVALID', what, index: 1 })
  const other = 'the one before was held against another entry 1'
  if (x.after !== undefined) {
    if (member.follows !== undefined && !(await standsFirst(x, member.follows))) wrong(other)
  } else if (continued === undefined) {
    // Of a tree that is not whole it is named already what is missing of it.
    if (x.rootAt.size === 0) return
    wrong(`the ledger has number ${member.number} in its series, and does not say which one it follows`)
  } else if (x.trust !== undefined && continued.of !== originIn(x, member.number - 1)) {
    wrong(`the ledger has number ${member.number} in its series, and follows ${continued.of}`)
  } else if (member.follows !== undefined && canonical({ ...continued }) !== canonical({ ...member.follows }))
    wrong(other)
}

/** By a proof from the tiles, where entries before the pin are not read. */
async function standsFirst(x: Examination, entry: EntryOf<'continued'>): Promise<boolean> {
  const [files, { size, root }] = need(x.files, x.checkpoint)
  try {
    const proof = await inclusionProof(1, size, files.hashReader(size))
    verifyInclusion(leafHash(encodeEntry(entry)), 1, size, proof, root)
    return true
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    return false
  }
}

/** Of what was disposed of there is an entry, and no more is gone than that says. @returns what was disposed of, and how much of it is left */
async function checkGone(x: Examination): Promise<readonly string[]> {
  const left: string[] = []
  const gone = x.trust === undefined ? [] : (x.options.member?.gone ?? [])
  const disposed = new Map(x.succession.disposed.map(entry => [entry.of, entry]))
  if (x.after !== undefined && gone.some(({ number }) => !disposed.has(originIn(x, number)))) {
    for await (const { entry } of entriesAgain(x, new Set(['disposed']))) {
      if (entry.kind === 'disposed') disposed.set(entry.of, entry)
    }
  }
  for (const { number, checkpoint } of gone) {
    const origin = originIn(x, number)
    const said = disposed.get(origin)
    const expected = said === undefined ? undefined : `${origin} ${said.size} ${said.root}`
    const actual =
      checkpoint === undefined
        ? 'none'
        : `${checkpoint.origin} ${checkpoint.size} ${Buffer.from(checkpoint.root).toString('base64url')}`
    if (expected === actual) {
      left.push(`${origin} was disposed of: its last checkpoint, of ${counted(said!.size, 'entry')}, is left`)
      continue
    }
    const missing = checkpoint === undefined ? `${origin} has no checkpoint any more` : `${origin} is gone`
    const what =
      expected === undefined
        ? `${missing}, and no entry says that it was disposed of`
        : `of ${origin}, which was disposed of, another checkpoint is left than its last, or none`
    x.findings.add({ code: 'FILE_MISSING', what, ...(expected === undefined ? {} : { expected, actual }) })
  }
  for (const { number, checkpoint } of x.trust === undefined ? [] : (x.options.member?.left ?? [])) {
    const origin = originIn(x, number)
    const said = disposed.get(origin)
    if (said === undefined || !isAsDisposed(said, checkpoint)) continue
    const what = `${origin} was disposed of, and not all of it is removed yet: opening the ledger for writing finishes it`
    x.findings.add({ code: 'ERASURE_UNDONE', what })
  }
  return left
}

/**
 * The origin of the ledger with that number in the same series: known where a key is trusted, which the ledger's own origin comes from.
 */
function originIn({ options: { member }, trust }: Examination, number: number): string {
  const own = trust?.origin ?? ''
  return originOf(member === undefined || member.number === 1 ? own : own.slice(0, -`/${member.number}`.length), number)
}

function checkFollowed(x: Examination, { size, root, carried, state }: EntryOf<'continued'>): string {
  const [checkpoint] = need(x.checkpoint)
  const { concluded } = x.succession
  if (checkpoint.size < size) {
    const what = `the ledger has ${checkpoint.size} entries, and had ${size} when it was followed`
    return x.fail({ code: 'ROLLBACK', what, expected: String(size), actual: String(checkpoint.size) })
  }
  // Of a tree that is not whole it is named already what is missing of it.
  if (concluded === undefined && x.rootAt.size === 0) skip('the entry that concludes it could not be read')
  if (concluded === undefined || concluded.index >= size)
    return x.fail({ code: 'SUCCESSION_INVALID', what: 'it is followed, and was not concluded before that' })
  const found = x.rootAt.get(size)
  const cited = Buffer.from(root, 'base64url')
  if (found !== undefined && !sameHash(found, cited)) {
    const what = `the first ${size} entries are not those that ${concluded.entry.next} follows`
    return x.fail({ code: 'FORK', what, expected: base64(cited), actual: base64(found) })
  }
  const derived = x.refold?.carried
  if (found !== undefined && derived !== undefined) {
    const [expected, actual] = [`${derived.count} ${derived.digest()}`, `${carried} ${state}`]
    const what = `${concluded.entry.next} says again other than what was in force here`
    if (expected !== actual) return x.fail({ code: 'SUCCESSION_INVALID', what, expected, actual })
  }
  return `${concluded.entry.next} follows it at ${counted(size, 'entry')}, and says again what was in force: ${counted(carried, 'entry')}`
}
