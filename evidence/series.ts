/**
 * Verifies a series of ledgers, oldest first: each by itself, and each held to what the one after it says of
 * it. One key and one pin are given for all: a rotation leads on from one ledger to the next, and the pin is
 * of whichever was the newest when it was kept.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { isOurs } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { memberFolder } from '../lib/format/layout.ts'
import { originOf } from '../lib/format/series.ts'
import { isAddress } from './address.ts'
import { disposedIn, isAsDisposed } from './disposed.ts'
import { type FindingCode, familyOf, isUnreachable } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { heldSince, type Pin, type PinnedEarlier, readPin } from './pin.ts'
import type { Member, Verification, VerifyOptions } from './verification.ts'
import { verifyLedger } from './verify.ts'

export interface VerifiedMember {
  /** Its directory or address. */
  readonly ledger: string
  readonly verification: Verification
}

/** As its files have it: nothing of it is believed yet. */
interface Seen {
  readonly number: number
  readonly ledger: string
  readonly checkpoint: SignedCheckpoint | undefined
  readonly opened: EntryOf<'opened'> | undefined
  readonly continued: EntryOf<'continued'> | undefined
  /** Whether there are tiles: of one that was disposed of none are left. */
  readonly hasTiles: boolean
}

const mostMembers = 10_000
/** How often a series that changes while it is verified is verified anew. */
const mostAnew = 2

/**
 * @param options the directory or address of the first ledger; of another, that alone is verified
 * @returns those that are there, oldest first. What was disposed of is none of them: the newest is held to its having an entry for that
 * @throws as verifyLedger
 */
export async function verifySeries(options: VerifyOptions): Promise<readonly VerifiedMember[]> {
  try {
    return await verifySettled(options)
  } catch (error) {
    if (!isOurs(error) || !isUnreachable(error)) throw error
    return [{ ledger: options.directory, verification: await unreached(options, error.message) }]
  }
}

/** What can be told of a series whose address does not answer, or no more: of that ledger by itself, never that it is whole. */
async function unreached(options: VerifyOptions, what: string): Promise<Verification> {
  const verification = await verifyLedger({ ...options, renew: false })
  const { findings, verdict } = verification
  if (findings.some(({ code }) => code === 'LEDGER_UNREACHABLE')) return verification
  const integrity = { verdict: 'undetermined', detail: what } as const
  return {
    ...verification,
    findings: [...findings, { code: 'LEDGER_UNREACHABLE', what }],
    ...(verdict === 'TAMPERED' ? {} : { verdict: 'INCOMPLETE', integrity }),
  }
}

async function verifySettled(options: VerifyOptions): Promise<readonly VerifiedMember[]> {
  for (let left = mostAnew; ; left -= 1) {
    const all = await look(options)
    const first = await verifyAll(options, all)
    const going = await beingRemoved(options, all, first)
    const verified = going.size === 0 ? first : await verifyAll(options, all, going)
    const isWrong = verified.some(({ verification }) => verification.findings.length > 0)
    // One may have been concluded, followed or disposed of meanwhile: what is found then is told where it is found again.
    if (!isWrong || left === 0) return verified
    if (!hasChanged(all, await look(options)) && !(await isFollowedSoon(options, all, verified))) return verified
  }
}

/** A ledger that was concluded so short a time ago may be followed yet: its successor is made right after. */
const justMs = 10_000
const waits = { most: 30, ms: 50 }

async function isFollowedSoon(
  options: VerifyOptions,
  all: readonly Seen[],
  verified: readonly VerifiedMember[],
): Promise<boolean> {
  const { findings, latest } = verified.at(-1)!.verification
  const isMissing = findings.some(({ code }) => code === 'SUCCESSOR_MISSING')
  if (!isMissing || !(Math.abs(Date.now() - Date.parse(latest)) < justMs)) return false
  for (let left = waits.most; left > 0; left -= 1) {
    await setTimeout(waits.ms)
    if (hasChanged(all, await look(options))) return true
  }
  return false
}

const hasChanged = (before: readonly Seen[], now: readonly Seen[]): boolean =>
  before.length !== now.length ||
  now.some(({ checkpoint, opened }, i) => {
    const then = before[i]!
    return checkpoint?.size !== then.checkpoint?.size || (opened === undefined) !== (then.opened === undefined)
  })

const missing: ReadonlySet<string> = new Set<FindingCode>([
  ...(['FILE_MISSING', 'DISCLOSURE_MISSING', 'ATTACHMENT_MISSING', 'ANCHOR_MISSING'] as const),
])

/**
 * Those before the newest of which nothing is wrong but that something is missing, and that it says were
 * disposed of: their removal was cut off, or is under way. That it says so rightly is judged where it is
 * verified, with these as gone as they are to be.
 */
async function beingRemoved(
  { ca }: VerifyOptions,
  all: readonly Seen[],
  verified: readonly VerifiedMember[],
): Promise<ReadonlySet<Seen>> {
  const lacking = verified.slice(0, -1).filter(({ ledger, verification: { findings, integrity } }) => {
    const found = findings.filter(({ code }) => familyOf(code) === 'integrity')
    // Without its first entry nothing of it is held against any key.
    const isHeadless = all.some(one => one.ledger === ledger && one.opened === undefined)
    return integrity.verdict === 'broken' && (isHeadless || found.every(({ code }) => missing.has(code)))
  })
  if (lacking.length === 0) return new Set()
  const disposed = await disposedIn(all.at(-1)!.ledger, ca)
  return new Set(
    all.filter(({ ledger, checkpoint }) => {
      const said = checkpoint === undefined ? undefined : disposed.get(checkpoint.origin)
      return lacking.some(one => one.ledger === ledger) && said !== undefined && isAsDisposed(said, checkpoint)
    }),
  )
}

/** @param going ledgers that are held to be gone, whatever is left of them */
async function verifyAll(
  options: VerifyOptions,
  all: readonly Seen[],
  going: ReadonlySet<Seen> = new Set(),
): Promise<readonly VerifiedMember[]> {
  const [first] = all
  if (first === undefined || (all.length === 1 && first.continued !== undefined)) {
    return [{ ledger: options.directory, verification: await verifyLedger(options) }]
  }
  const before = all.slice(0, -1)
  // What is damaged is verified by itself too, so that it is told what of it is missing.
  const gone = before.filter(one => isGone(one) || going.has(one))
  const left = before.filter(one => !isGone(one))
  const there = all.filter(one => !gone.includes(one) || (one.hasTiles && !going.has(one)))
  const pin = options.pin === undefined ? undefined : await readPin(options.pin).catch(() => undefined)
  const pinned = there.find(one => pin !== undefined && originIn(one) === pin.origin)
  const verified: VerifiedMember[] = []
  let { fingerprint } = options
  for (const [i, one] of there.entries()) {
    const next = there[i + 1]
    const last = verified.at(-1)
    const pinnedBefore = next === undefined && pinned !== undefined && pinned !== one ? pin?.origin : undefined
    const seen = next === undefined ? undefined : seenOf(pin, one)
    const given =
      next === undefined
        ? forNewest(options, pinnedBefore !== undefined, verified)
        : forEarlier(options, one === pinned)
    const member: Member = {
      number: one.number,
      ...(next?.continued === undefined ? {} : { followed: next.continued }),
      ...(i === 0 || one.continued === undefined ? {} : { follows: one.continued }),
      ...(seen === undefined ? {} : { seen }),
      erasedBefore: last?.verification.erasedLate ?? [],
      goneBefore: verified.flatMap(({ verification }) => verification.gone),
      ...(last?.verification.followedBy === undefined ? {} : { begunBy: last.verification.followedBy.fingerprint }),
      ...(gone.length === 0 || verified.some(isWhole)
        ? {}
        : { keyGone: () => areDisposed(gone, all.at(-1)!, options.ca) }),
      ...(next === undefined ? { gone, left, earlier: earlierOf(verified, pin) } : {}),
      ...(pinnedBefore === undefined ? {} : { pinnedBefore }),
    }
    const { certificate, ...rest } = given
    fingerprint = keyFor(options, last, fingerprint)
    const own = certificate === undefined || fingerprint !== options.fingerprint ? {} : { certificate }
    const verification = await verifyLedger({ ...rest, ...own, fingerprint, directory: one.ledger, member })
    verified.push({ ledger: one.ledger, verification })
  }
  return verified
}

/** What a disposal leaves is a checkpoint. Without one nothing says what it was, whatever else is there. */
const isGone = ({ opened, checkpoint, hasTiles }: Seen): boolean =>
  checkpoint === undefined || (opened === undefined && !hasTiles)

const originIn = ({ opened, checkpoint }: Seen): string | undefined => opened?.origin ?? checkpoint?.origin

const isWhole = ({ verification }: VerifiedMember): boolean => verification.integrity.verdict === 'whole'

async function areDisposed(gone: readonly Seen[], { ledger }: Seen, ca: string | undefined): Promise<boolean> {
  const disposed = await disposedIn(ledger, ca)
  return gone.every(({ checkpoint }) => checkpoint !== undefined && disposed.has(checkpoint.origin))
}

/** As it was when the pin was kept: what was appended since it was concluded must still be there too. */
function seenOf(pin: Pin | undefined, seen: Seen): Pin | undefined {
  const found = pin?.earlier?.find(({ origin }) => origin === originIn(seen))
  if (pin === undefined || found === undefined) return undefined
  const { fingerprint } = pin
  const time = found.since ?? pin.time
  return { fingerprint, time, origin: found.origin, size: found.size, root: Buffer.from(found.root, 'base64') }
}

const earlierOf = (verified: readonly VerifiedMember[], pin: Pin | undefined): PinnedEarlier[] =>
  verified.map(({ verification: { origin = '', size, root } }) => {
    const since = heldSince(pin, { origin, size, root: Buffer.from(root, 'base64') })
    return { origin, size, root, ...(since === undefined ? {} : { since }) }
  })

export interface Period {
  /** Of the ledger, its directory. */
  readonly directory: string
  readonly number: number
  /** RFC 3339. */
  readonly from: string
  readonly to: string
}

/**
 * Which ledgers of a series a period lies in, and which part of it in each. By their first entries as they are found:
 * whoever goes on with one of them verifies it. What was before the oldest is asked of that one.
 * @param period RFC 3339 or a date; `to` excluded
 */
export async function periodsIn(
  directory: string,
  { from, to }: Pick<Period, 'from' | 'to'>,
): Promise<readonly Period[]> {
  const there = (await look({ directory })).filter(({ opened }) => opened !== undefined)
  const periods = there.map(({ ledger, number, opened }, i): Period => {
    const next = there[i + 1]?.opened?.time
    const begins = i === 0 || Date.parse(opened!.time) <= Date.parse(from) ? from : opened!.time
    const ends = next === undefined || Date.parse(next) >= Date.parse(to) ? to : next
    return { directory: ledger, number, from: begins, to: ends }
  })
  const within = periods.filter(one => Date.parse(one.from) < Date.parse(one.to))
  return within.length > 0 ? within : [{ directory, number: 1, from, to }]
}

/** The pin is renewed only where all that it is to vouch for held. */
function forNewest(
  { incremental, ...options }: VerifyOptions,
  isPinnedBefore: boolean,
  verified: readonly VerifiedMember[],
): VerifyOptions {
  const held = verified.every(({ verification }) => verification.verdict === 'OK')
  // What is of an earlier ledger is nothing to go on from.
  const from = incremental === undefined || isPinnedBefore ? {} : { incremental }
  return { ...options, ...from, ...(held ? {} : { renew: false }) }
}

/** Earlier ones change no more, but for what is erased in them. */
function forEarlier(
  { pin, first: _first, incremental: _incremental, ...options }: VerifyOptions,
  isPinned: boolean,
): VerifyOptions {
  return isPinned && pin !== undefined ? { ...options, pin, renew: false } : options
}

/** Of the one before, found to be whole: the key that it was verified by, or one that spoke later, and with which this one begins. */
function keyFor(options: VerifyOptions, before: VerifiedMember | undefined, used: string): string {
  if (before?.verification.integrity.verdict !== 'whole') return options.fingerprint
  const { followedBy } = before.verification
  return followedBy?.isLater === true ? followedBy.fingerprint : used
}

/** A number that holds a ledger of another series, or the same one once more, ends it: the one before has no successor then. */
async function look({ directory, ca }: Pick<VerifyOptions, 'directory' | 'ca'>): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  let series: string | undefined
  for (let number = 1; number <= mostMembers; number += 1) {
    const ledger = placeOf(directory, number)
    const found = await peek(ledger, ca)
    if (number > 1 && found === undefined) break
    const one = { number, ledger, ...(found ?? unread) }
    const origin = originIn(one)
    if (number === 1) series = origin
    else if (series !== undefined && origin !== undefined && origin !== originOf(series, number)) break
    seen.push(one)
  }
  return seen
}

const placeOf = (directory: string, number: number): string => {
  if (number === 1) return directory
  return isAddress(directory)
    ? `${directory.replace(/\/?$/, '/')}${memberFolder(number)}/`
    : join(directory, memberFolder(number))
}

const unread = { checkpoint: undefined, opened: undefined, continued: undefined, hasTiles: false } as const

/** @returns undefined where nothing is. What cannot be read is left out: verifying it says why. @throws Fault ERR_LEDGER_UNAVAILABLE */
async function peek(place: string, ca: string | undefined): Promise<Omit<Seen, 'number' | 'ledger'> | undefined> {
  const unless = (error: unknown) => {
    if (!isOurs(error) || isUnreachable(error) || error.name === 'Misuse') throw error
    return error
  }
  const found = await within(place, ca, async files => {
    const checkpoint = await files.checkpointIfThere().catch(error => void unless(error))
    const hasTiles = await files.hasTiles(checkpoint?.size)
    if (checkpoint === undefined) return hasTiles ? { ...unread, hasTiles } : undefined
    const entries = await files.entriesOf(0, checkpoint.size).catch(error => void unless(error))
    return { checkpoint, entries, hasTiles }
  }).catch(error => (unless(error).code === 'ERR_LEDGER_MISSING' ? undefined : unread))
  if (found === undefined || found.checkpoint === undefined) return found
  const { checkpoint, entries = [], hasTiles } = found
  const [opened, continued] = entries.slice(0, 2).map(read)
  return {
    checkpoint,
    hasTiles,
    opened: opened?.kind === 'opened' ? opened : undefined,
    continued: continued?.kind === 'continued' ? continued : undefined,
  }
}

async function within<T>(place: string, ca: string | undefined, work: (files: LedgerFiles) => Promise<T>): Promise<T> {
  const files = await LedgerFiles.open(place, ca)
  try {
    return await work(files)
  } finally {
    files.close()
  }
}

function read(bytes: Uint8Array) {
  try {
    return parseEntry(bytes)
  } catch {
    return undefined
  }
}
