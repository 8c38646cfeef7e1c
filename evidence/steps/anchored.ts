/** The step about what others vouch for: kept in the ledger or in a repository outside, and counted only by keys from outside. */

import { isOurs } from '../../lib/errors.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import { tileWidth } from '../../lib/format/layout.ts'
import {
  consistencyProof,
  type Hash,
  inclusionProof,
  leafHash,
  treeRoot,
  verifyConsistency,
  verifyInclusion,
} from '../../lib/format/merkle.ts'
import { counted } from '../../lib/format/words.ts'
import { examineAnchors } from '../anchor-files.ts'
import type { Anchor, Anchors } from '../anchors.ts'
import type { Examination } from '../examination.ts'
import { type Finding, isUnreachable, unreadable } from '../finding.ts'
import type { Trust } from '../trust.ts'
import { need, skip } from './step.ts'

export async function checkAnchors(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const { anchored: recorded, anchorKeys: keys, tags } = x
  const of = 'this ledger'
  const given = {
    files,
    checkpoint,
    trust,
    keys,
    recorded,
    tags,
    rootOf: rootsOf(x),
    laterRootOf: async (size: number) => {
      const later = await x.later(size)
      return later === undefined ? undefined : rootsOf(later)(size)
    },
    isPart: x.after !== undefined,
    of,
  }
  const examined = await examineAnchors(given)
  const { anchors, files: kept, unpublished } = examined
  // Whoever vouches for the ledger that follows vouches for this one, which that cites: of this one nobody need.
  const isFollowed = x.options.member?.followed !== undefined
  const findings = examined.findings.filter(({ code }) => !isFollowed || code !== 'ANCHOR_ABSENT')
  x.anchors = anchors
  x.findings.addAll(findings)
  if (x.anchoredBeyond > 0) {
    const what = `${x.anchoredBeyond} entries tell of more anchors than ${recorded.length}: whether these are kept was not looked up`
    x.fail({ code: 'ANCHOR_ABSENT', what })
  }
  const stale = isFollowed ? undefined : (staleness(x) ?? (await leftBehind(x)))
  if (stale !== undefined) x.fail(stale)
  const { last } = anchors
  if (findings.length > 0) return ''
  const limits = limitsOf(x, unpublished)
  if (last !== undefined) {
    const age = ageOf(x.now - Date.parse(last.time))
    const told = `${last.anchor} ${shortly(last.by)} vouches for ${last.size} of ${checkpoint.size} entries since ${last.time}, ${age}`
    return `${told}${sayOthers(anchors, last)}${limits}`
  }
  if (kept > 0)
    skip(
      `${counted(kept, 'file')} ${kept === 1 ? 'is' : 'are'} whole; who vouches was not examined: that needs --witness, --tsa or --git${limits}`,
    )
  return skip(
    `${limits === '' ? 'nobody vouches for this ledger: it has no anchors' : 'no anchors were found'}${limits}`,
  )
}

const mostOthers = 5

/** Whoever else vouches, each for how much: of tags the newest, and how many they are. */
export function sayOthers({ newest }: Anchors, last: Anchor): string {
  const tags = newest.filter(({ anchor }) => anchor === 'git')
  const others = newest.filter(one => one !== last && (one.anchor !== 'git' || one === tags[0]))
  const told = others.slice(0, mostOthers).map(({ anchor, by, size }) => `${anchor} ${shortly(by)} for ${size}`)
  const more = others.length > mostOthers ? [`${others.length - mostOthers} more`] : []
  const all = tags.length > 1 ? `; ${tags.length} tags hold` : ''
  return told.length === 0 ? all : `; besides, ${[...told, ...more].join(', ')}${all}`
}

/** How far a witness's clock may be ahead of the verifier's. */
const allowedAheadMs = 5 * 60_000
const tolerated = (now: number): string => new Date(now + allowedAheadMs).toISOString()

/**
 * Whether the newest cosignatures are older than was asked for. That there is no quorum of them at all is told already,
 * but where they cannot be listed.
 */
function staleness({ anchors, anchorKeys, now, after, files }: Examination): Finding | undefined {
  const { cosignedWithinMs: most, quorum } = anchorKeys
  if (most === undefined) return undefined
  // Where no quorum is left without those that are ahead, theirs is what there is.
  const actual = anchors.cosignedAt(tolerated(now)) ?? anchors.cosignedAt()
  const expected = `since ${new Date(now - most).toISOString()}`
  if (actual === undefined) {
    if (after === undefined || files!.directory !== undefined) return undefined
    const what = 'no cosignature is known since the pin, and those from before it cannot be listed at an address'
    return { code: 'ANCHOR_STALE', what, expected }
  }
  const age = now - Date.parse(actual)
  if (age <= most && age >= -allowedAheadMs) return undefined
  const who = quorum === 1 ? 'a witness' : `a quorum of ${quorum} witnesses`
  const what = `${who} cosigned this ledger last at ${actual}, ${ageOf(age)}: ${age < 0 ? 'how old that is cannot be told' : 'older than was asked for'}`
  return { code: 'ANCHOR_STALE', what, expected, actual }
}

/**
 * Whether what was cosigned so short a time ago leaves out entries that are older than that. Of a split
 * view the half that the witness does not know can have the beginning cosigned again and again, as any
 * checkpoint of the size that the witness knows.
 */
async function leftBehind(x: Examination): Promise<Finding | undefined> {
  const { anchors, anchorKeys, now } = x
  const [{ size }] = need(x.checkpoint)
  const { cosignedWithinMs: most, quorum } = anchorKeys
  if (most === undefined || anchors.cosignedAt() === undefined) return undefined
  const since = new Date(now - most).toISOString()
  const cosigned = anchors.cosignedSince(since, tolerated(now))
  if (cosigned >= size) return undefined
  const actual = await timeOf(x, cosigned)
  const age = now - Date.parse(actual ?? '')
  if (age <= most && age >= -allowedAheadMs) return undefined
  const who = quorum === 1 ? 'a witness has' : `a quorum of ${quorum} witnesses has`
  const old = actual === undefined ? 'cannot be read' : `is of ${actual}, ${ageOf(age)}`
  const what = `${who} cosigned ${cosigned} of ${size} entries since ${since}, and entry ${cosigned} ${old}: what was cosigned lately leaves it out`
  return { code: 'ANCHOR_STALE', what, expected: `since ${since}`, ...(actual === undefined ? {} : { actual }) }
}

/** Of an entry of the signed tree, RFC 3339; undefined where none can be read that is in it, which is told of where all are. */
async function timeOf(x: Examination, index: number): Promise<string | undefined> {
  const [files, { size, root }] = need(x.files, x.checkpoint)
  try {
    const bytes = (await files.entriesOf(Math.floor(index / tileWidth), size))[index % tileWidth]!
    verifyInclusion(leafHash(bytes), index, size, await inclusionProof(index, size, files.hashReader(size)), root)
    return parseEntry(bytes).time
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    return undefined
  }
}

/**
 * Ahead of their own step, which says what is wrong with them: where it matters when a key's signature was made, before
 * the entries are read. At an address only entries tell what anchors there are, so that none are known yet.
 * @param trust for the note key of the checkpoints that they are of; who vouches is known from outside alone
 * @returns whether anybody vouches
 */
export async function establishAnchors(x: Examination, trust: Trust): Promise<boolean> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  const { anchorKeys: keys } = x
  if (keys.cosigners.length === 0 && keys.authorities.length === 0) return false
  const rootOf = remembered(size => provenRoot(x, size, () => undefined))
  const { anchors } = await examineAnchors({
    files,
    checkpoint,
    trust,
    keys,
    recorded: [],
    tags: [],
    rootOf,
    isPart: true,
    of: 'this ledger',
  })
  x.anchors = anchors
  return anchors.last !== undefined
}

/** What of the anchors this verification could not see, or did not count. */
function limitsOf(x: Examination, unpublished: number): string {
  return `${notCounted(x)}${unseen(x, unpublished)}`
}

/** Where it is asked how old cosignatures are. */
function notCounted({ anchors, anchorKeys, now }: Examination): string {
  const ahead = anchorKeys.cosignedWithinMs === undefined ? [] : anchors.cosignedAfter(tolerated(now))
  return ahead.length === 0
    ? ''
    : `; what is ahead of the clock here was not counted: a cosignature of ${ahead.join(', ')}`
}

function unseen({ after, files, anchored }: Examination, unpublished: number): string {
  const since = after === undefined ? '' : ' since the pin'
  if (files!.directory !== undefined) {
    return after === undefined
      ? ''
      : '; whether those that entries before the pin tell of are still kept was not examined'
  }
  const missing = unpublished === 0 ? '' : `, and ${unpublished} of them are not published`
  const named =
    anchored.length === 0
      ? `no entry${since} tells of one`
      : `those were looked up that entries${since} tell of${missing}`
  return `; anchors/ cannot be listed at an address: ${named}`
}

/**
 * Roots by size: of the entries that were read. Of a size within what was passed over, or that was not known when they
 * were read, it is the root that the tiles prove to be of the signed tree.
 */
function rootsOf(x: Examination): (size: number) => Promise<Hash | undefined> {
  const prove = remembered(size => provenRoot(x, size, finding => x.fail(finding)))
  return async size => {
    // Where the entries do not give the signed root, nothing is held against them: that is told already.
    if (x.rootAt.size === 0 || x.rootAt.has(size)) return x.rootAt.get(size)
    return prove(size)
  }
}

function remembered(prove: (size: number) => Promise<Hash | undefined>): (size: number) => Promise<Hash | undefined> {
  const proven = new Map<number, Promise<Hash | undefined>>()
  return size => {
    const root = proven.get(size) ?? prove(size)
    proven.set(size, root)
    return root
  }
}

async function provenRoot(
  x: Examination,
  size: number,
  fail: (finding: Finding) => unknown,
): Promise<Hash | undefined> {
  const { size: whole, root: signed } = x.checkpoint!
  const hashes = x.files!.hashReader(whole)
  try {
    const root = await treeRoot(size, hashes)
    verifyConsistency(size, root, whole, signed, await consistencyProof(size, whole, hashes))
    return root
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error)) throw error
    const what = `the tiles of the first ${size} entries do not lead to the signed root`
    fail(error.code === 'ERR_PROOF_INVALID' ? { code: 'TILE_ALTERED', what } : unreadable(error, 'tile'))
    return undefined
  }
}

export const shortly = (by: string) => (/^[0-9a-f]{64}$/.test(by) ? `${by.slice(0, 16)}...` : by)

const units: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
]

/** In the largest unit of which there is one. */
function ageOf(ms: number): string {
  if (ms < 0) return 'ahead of the clock here'
  const [unit, name] = units.find(([length]) => ms >= length) ?? [1000, 'second']
  const count = Math.floor(ms / unit)
  return `${count} ${name}${count === 1 ? '' : 's'} ago`
}
