/** What a verification is asked and what it answers: two verdicts, each from its own findings, and what no such verification can see. */
import type { Checkpoint } from '../lib/format/checkpoint.ts'
import type { EntryOf } from '../lib/format/entry.ts'
import type { Hash } from '../lib/format/merkle.ts'
import type { Anchor, AnchorOptions } from './anchors.ts'
import type { Gap } from './continuity.ts'
import type { LateErasure } from './custody-rights.ts'
import type { Examination } from './examination.ts'
import { type Completeness, type Finding, familyOf, type Integrity, type Step, type Verdict } from './finding.ts'
import type { Pin, PinnedEarlier } from './pin.ts'
import type { GonePrincipal } from './returns.ts'
import { type FollowedKey, sealKeyAt, type Trust } from './trust.ts'

export interface VerifyOptions {
  /** Where the ledger is: a directory, or an https address. */
  readonly directory: string
  /** PEM of the authorities that are trusted for an address. Default: those of the system and NODE_EXTRA_CA_CERTS. */
  readonly ca?: string
  /** The OpenPGP key, pinned from outside: 40 hex digits. */
  readonly fingerprint: string
  /** Armored, from outside; where absent, the ledger's own copy, which must have that fingerprint. */
  readonly certificate?: string
  /** The origin that is expected, where it is known. */
  readonly origin?: string
  /** The file where this verifier keeps its checkpoint, out of the reach of the ledger's operators. */
  readonly pin?: string
  /** There is no pin yet: write the first. */
  readonly first?: boolean
  /** Goes on from the pin: entries before it are not read again, but proven to be what they were. */
  readonly incremental?: boolean
  /**
   * At an address, how many entries are looked through for a rotation that leads to who signed, where the keys before
   * that did not: whoever serves it can serve for ever. 2^24 unless said otherwise.
   */
  readonly search?: number
  /** Told how many entries have been examined, of how many. */
  readonly progress?: (examined: number, of: number) => void
  /** Whether a pin that agreed is replaced by the newer one. Default: true. */
  readonly renew?: boolean
  /** 32 bytes: opens the vault, and so makes the depth `all` possible. */
  readonly wrappingKey?: Uint8Array
  /** `envelopes`: disclosures are not examined. Default: `all` where there is a wrapping key. */
  readonly depth?: 'envelopes' | 'all'
  /** By whose word, from outside, anchors count. */
  readonly anchors?: AnchorOptions
  /** Unix milliseconds. Default: now. */
  readonly now?: number
  /** The time by which something outside shows that so many entries were there, RFC 3339; undefined where nothing does. */
  readonly anchoredBefore?: (size: number) => string | undefined
  /** Its place among the ledgers of a series that are verified together. */
  readonly member?: Member
  /** That examine the entries. Default: one for each core, where the ledger is long enough. */
  readonly threads?: number
}

/** What the verification of a series knows of one ledger from the others (series.ts). */
export interface Member {
  readonly number: number
  /** As the one that follows it says, and is held to by its own verification; undefined for the newest. */
  readonly followed?: EntryOf<'continued'>
  /** What it was found to say of the one before, when that was verified; undefined where that is not there. */
  readonly follows?: EntryOf<'continued'>
  /** The OpenPGP key that spoke for the one before where it was followed: it is the one to begin with. */
  readonly begunBy?: string
  /**
   * Where nothing that is there leads from the pinned key to one of this ledger: whether those before it are said to
   * have been disposed of, in which that may have been told.
   */
  readonly keyGone?: () => Promise<boolean>
  /** What was erased in those before once they were concluded, and is to be held against the holds of this one. */
  readonly erasedBefore?: readonly LateErasure[]
  /** Who was erased in those before while they were not concluded: nobody names them again. */
  readonly goneBefore?: readonly GonePrincipal[]
  /** Of an earlier one: as it was when the pin was kept. */
  readonly seen?: Pin
  /** Of the newest: numbers of those that are gone, each with the checkpoint that is left of it. */
  readonly gone?: readonly { readonly number: number; readonly checkpoint: Checkpoint | undefined }[]
  /** Of the newest: those before it of which there is more than a disposal leaves. One of them may be among those that are gone. */
  readonly left?: Member['gone']
  /** Of the newest: the others as they were verified, for its pin. */
  readonly earlier?: readonly PinnedEarlier[]
  /** Of the newest: against which the pin was held, as it is of that one. */
  readonly pinnedBefore?: string
}

export interface SealSummary {
  readonly size: number
  readonly root: string
}

export interface Verification {
  readonly verdict: Verdict
  readonly integrity: Integrity
  readonly completeness: Completeness
  readonly steps: readonly Step[]
  readonly findings: readonly Finding[]
  readonly origin: string | undefined
  readonly size: number
  /** The first entry that was read: 0, unless the verification was incremental. */
  readonly from: number
  /** Base64, as the checkpoint has it; empty where there is none. */
  readonly root: string
  /** The OpenPGP key that speaks at its end, to which the pinned one leads; undefined where none is trusted. */
  readonly sealKey: string | undefined
  /** Of one that was followed: the OpenPGP key that spoke there, with which the next one begins. */
  readonly followedBy: FollowedKey | undefined
  /** What was erased in it, or in one before, once it was concluded: to be held against the holds of the next of its series. */
  readonly erasedLate: readonly LateErasure[]
  /** Who was erased in it before it was concluded. */
  readonly gone: readonly GonePrincipal[]
  /** The newest seal: a checkpoint that the pinned OpenPGP key signed. */
  readonly seal: SealSummary | undefined
  /** Time of the newest entry, by the writer's own clock. */
  readonly latest: string
  /** The first ten thousand of them. */
  readonly gaps: readonly Gap[]
  /** The newest of each who vouches for this ledger, by keys from outside. */
  readonly anchors: readonly Anchor[]
  /** What a verification such as this one cannot detect, said plainly. */
  readonly undetectable: string
}

export const base64 = (hash: Hash): string => Buffer.from(hash).toString('base64')

/** @param x everything that the steps established */
export function conclude(x: Examination, steps: readonly Step[]): Verification {
  const { checkpoint, trust, pin, continuity } = x
  const findings = x.findings.all()
  // Whether there was something signed, by a key that is trusted, to hold the ledger against.
  const examined = checkpoint !== undefined && trust !== undefined
  const seal = x.seals.at(-1)
  const followed = x.options.member?.followed
  const of = (family: string) => findings.filter(finding => familyOf(finding.code) === family)
  const [broken, untold, gaps] = [of('integrity'), of('untold'), of('completeness')]
  const integrity: Integrity =
    broken.length > 0
      ? { verdict: 'broken', detail: broken[0]!.what }
      : untold.length > 0 || !examined
        ? { verdict: 'undetermined', detail: untold[0]?.what ?? 'nothing signed to hold it against' }
        : { verdict: 'whole', detail: 'every entry is the one that was signed' }
  const completeness: Completeness =
    gaps.length > 0
      ? { verdict: 'gaps', detail: gaps[0]!.what }
      : broken.length > 0 || !examined
        ? { verdict: 'undetermined', detail: 'a ledger that is not whole cannot tell' }
        : { verdict: 'continuous', detail: 'counters and heartbeats have no gap that the ledger itself can show' }
  const verdict: Verdict =
    broken.length > 0 ? 'TAMPERED' : untold.length > 0 || gaps.length > 0 || !examined ? 'INCOMPLETE' : 'OK'
  return {
    verdict,
    integrity,
    completeness,
    steps,
    findings,
    origin: trust?.origin,
    size: checkpoint?.size ?? 0,
    from: x.after?.size ?? 0,
    root: checkpoint === undefined ? '' : base64(checkpoint.root),
    sealKey: trust?.seal.fingerprint,
    followedBy:
      followed === undefined || trust === undefined ? undefined : sealKeyAt(trust, followed.size, x.fingerprint),
    erasedLate: x.erasedLate,
    gone: x.erasures.gone,
    seal: seal === undefined ? undefined : { size: seal.size, root: base64(seal.root) },
    latest: continuity.latest,
    gaps: continuity.gaps,
    anchors: x.anchors.newest,
    undetectable:
      checkpoint === undefined && findings.some(({ code }) => code.startsWith('LEDGER_'))
        ? 'There was no ledger here to verify.'
        : (followedBy(x.options.member) ??
            notCompared(x) ??
            notHeld(x, broken) ??
            firstPin(x, findings) ??
            undetectable(pin, x.anchors.last, x.pinnedBefore)) +
          inOtherHands(trust) +
          passedOver(x.after),
  }
}

/** What is said of the ledger that cites this one is said of this one too. */
function followedBy(member: Member | undefined): string | undefined {
  if (member?.followed === undefined) return undefined
  return 'The ledger that follows this one cites it: what is said there of what could have been rewritten undetected holds here too.'
}

/** Where no key is trusted, what was pinned was held against nothing; nor where it could not be read. */
function notCompared({ options, trust, pin, pinnedBefore, checkpoint }: Examination): string | undefined {
  if (options.pin === undefined || options.first === true || checkpoint === undefined) return undefined
  if ((trust !== undefined && pin !== undefined) || pinnedBefore !== undefined) return undefined
  return (
    'The checkpoint held elsewhere was compared with nothing: whoever operates this ledger and holds its keys could have rewritten all of it, ' +
    'or have cut its end, undetected.'
  )
}

/** The first time there is nothing to compare with, and what is kept for the next time is only being made. */
function firstPin(x: Examination, findings: readonly Finding[]): string | undefined {
  const { pin, first, renew } = x.options
  if (pin === undefined || first !== true || renew === false || findings.length > 0) return undefined
  if ((x.pin ?? x.pinnedBefore ?? x.anchors.last) !== undefined) return undefined
  return (
    'There was no earlier checkpoint to compare with, and no anchor counts by keys from outside: whoever operates this ledger and holds its keys ' +
    'could have rewritten all of it before now, or have cut its end, undetected. This run makes the first one, the pin: kept where they cannot write, ' +
    'it shows from the next run on what is rewritten or cut off of what is there now.'
  )
}

/** A checkpoint held elsewhere says nothing of a ledger that is not the one it was taken of, or not whole. */
function notHeld({ pin, anchors }: Examination, broken: readonly Finding[]): string | undefined {
  const held = heldElsewhere(pin, anchors.last)
  if (held === undefined || broken.length === 0) return undefined
  const disagrees = broken.some(({ code }) => code === 'FORK' || code === 'ROLLBACK' || code === 'KEY_SUBSTITUTED')
  const why = disagrees ? 'what stands here does not agree with what is held elsewhere' : 'the ledger is not whole'
  return `Not even the ${held.size} entries ${held.how} are shown to be what they were, since ${why}.`
}

/** What a key that was compromised may have been used for, out of sight of this ledger. */
function inOtherHands(trust: Trust | undefined): string {
  const keys = (trust?.revoked ?? []).filter(({ reason }) => reason === 'compromised')
  if (keys.length === 0) return ''
  const told = keys.slice(0, 3).map(({ key, at }) => `${key} (from ${at} on)`)
  return (
    ` Keys were in other hands: ${told.join(', ')}${keys.length > 3 ? ` and ${keys.length - 3} more` : ''}. Whoever had one could have signed ` +
    'another history of the time when it spoke, and shown it to who holds no checkpoint of this one: a verification of this ledger does not see that.'
  )
}

function passedOver(after: Pin | undefined): string {
  if (after === undefined) return ''
  const when = after.whole === undefined ? 'in an earlier verification' : `at ${after.whole}`
  return (
    ` Entries before ${after.size} were not read: the tiles prove that the root still covers what was pinned, and whether ` +
    `those entries are still there to be read was last seen ${when}.`
  )
}

/** The larger of what this verifier pinned and what others vouch for. */
function heldElsewhere(pin: Pin | undefined, anchor: Anchor | undefined) {
  const pinned = pin === undefined ? undefined : { size: pin.size, how: `pinned at ${pin.time}`, anchor: undefined }
  const anchored = anchor === undefined ? undefined : { size: anchor.size, how: vouched(anchor), anchor }
  return anchored !== undefined && anchored.size >= (pinned?.size ?? 0) ? anchored : pinned
}

/** What no key, given from outside, excludes: from the newest checkpoint on that somebody else holds or vouches for. */
function undetectable(pin: Pin | undefined, anchor: Anchor | undefined, before: Pin | undefined): string {
  const held = heldElsewhere(pin, anchor)
  if (held === undefined && before !== undefined) {
    return (
      `Whoever operates this ledger and holds its keys could have rewritten all of it, undetected: it follows ${before.origin}, of which ` +
      `${before.size} entries were pinned at ${before.time}. From now on the pin is of this one.`
    )
  }
  if (held === undefined) {
    return (
      'No checkpoint held elsewhere was given, and no anchor counts by keys from outside: whoever operates this ledger and holds its keys ' +
      'could have rewritten all of it, or have cut its end, undetected.'
    )
  }
  return (
    `Whoever operates this ledger and holds its keys could have rewritten, undetected, what was appended after the ${held.size} ` +
    `entries ${held.how} and before now${anchor === undefined ? '; no anchor counts by keys from outside' : ''}. Before that, nothing can have changed since.${stampedOnly(held.anchor)}`
  )
}

export const stampedOnly = (anchor: Anchor | undefined): string =>
  anchor?.anchor === 'timestamp'
    ? ' A time stamp says when this history was there, and not that there was no other before.'
    : ''

export const vouched = ({ anchor, by, time }: Anchor): string => {
  if (anchor === 'witness') return `that ${by} cosigned at ${time}, by its clock,`
  if (anchor === 'timestamp') return `that were time-stamped at ${time}, by the authority's clock,`
  return `tagged as ${by}, at ${time} by whoever made the tag,`
}
