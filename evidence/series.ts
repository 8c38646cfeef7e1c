/**
 * Verifies a series of ledgers, oldest first: each by itself, and each held to what the one after it says of it. One key and one pin are given for
 * all: a rotation leads on from one ledger to the next, and the pin is of whichever was the newest when it was kept.
 */
import { join } from 'node:path'
import { isOurs } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type EntryOf, parseEntry } from '../lib/format/entry.ts'
import { memberFolder } from '../lib/format/layout.ts'
import { originOf } from '../lib/format/series.ts'
import { isAddress } from './address.ts'
import { isUnreachable } from './finding.ts'
import { LedgerFiles } from './ledger-files.ts'
import { type Pin, type PinnedEarlier, readPin } from './pin.ts'
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
  for (let left = mostAnew; ; left -= 1) {
    const all = await look(options)
    const verified = await verifyAll(options, all)
    const isWrong = verified.some(({ verification }) => verification.findings.length > 0)
    // One may have been concluded, followed or disposed of meanwhile: what is found then is told where it is found again.
    if (!isWrong || left === 0 || !hasChanged(all, await look(options))) return verified
  }
}

const hasChanged = (before: readonly Seen[], now: readonly Seen[]): boolean =>
  before.length !== now.length ||
  now.some(({ checkpoint, opened }, i) => {
    const then = before[i]!
    return checkpoint?.size !== then.checkpoint?.size || (opened === undefined) !== (then.opened === undefined)
  })

async function verifyAll(options: VerifyOptions, all: readonly Seen[]): Promise<readonly VerifiedMember[]> {
  const [first] = all
  if (first === undefined || (all.length === 1 && first.continued !== undefined)) {
    return [{ ledger: options.directory, verification: await verifyLedger(options) }]
  }
  const gone = all.slice(0, -1).filter(({ opened }) => opened === undefined)
  const there = all.filter(one => !gone.includes(one))
  const pin = options.pin === undefined ? undefined : await readPin(options.pin).catch(() => undefined)
  const pinned = there.find(({ opened }) => opened !== undefined && opened.origin === pin?.origin)
  const verified: VerifiedMember[] = []
  for (const [i, one] of there.entries()) {
    const next = there[i + 1]
    const before = next === undefined && pinned !== undefined && pinned !== one ? pin?.origin : undefined
    const seen = next === undefined ? undefined : seenOf(pin, one)
    const given =
      next === undefined ? forNewest(options, before !== undefined, verified) : forEarlier(options, one === pinned)
    const member: Member = {
      number: one.number,
      ...(next?.continued === undefined ? {} : { followed: next.continued }),
      ...(i === 0 || one.continued === undefined ? {} : { follows: one.continued }),
      ...(seen === undefined ? {} : { seen }),
      ...(next === undefined ? { gone, earlier: earlierOf(verified) } : {}),
      ...(before === undefined ? {} : { pinnedBefore: before }),
    }
    const { certificate: _, ...rest } = given
    const { fingerprint, certificate } = keyFor(options, one, verified.at(-1))
    const key = certificate === undefined ? { fingerprint } : { fingerprint, certificate }
    const verification = await verifyLedger({ ...rest, ...key, directory: one.ledger, member })
    verified.push({ ledger: one.ledger, verification })
  }
  return verified
}

/** As it was when the pin was kept: what was appended since it was concluded must still be there too. */
function seenOf(pin: Pin | undefined, { opened }: Seen): Pin | undefined {
  const found = pin?.earlier?.find(({ origin }) => origin === opened?.origin)
  if (pin === undefined || found === undefined) return undefined
  const { fingerprint, time } = pin
  return { fingerprint, time, origin: found.origin, size: found.size, root: Buffer.from(found.root, 'base64') }
}

const earlierOf = (verified: readonly VerifiedMember[]): PinnedEarlier[] =>
  verified.map(({ verification: { origin = '', size, root } }) => ({ origin, size, root }))

export interface Period {
  /** Of the ledger, its directory. */
  readonly directory: string
  readonly number: number
  /** RFC 3339. */
  readonly from: string
  readonly to: string
}

/**
 * Which ledgers of a series a period lies in, and which part of it in each. By their first entries as they are found: whoever goes on with one
 * of them verifies it. What was before the oldest is asked of that one.
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
  const held = verified.every(({ verification }) => verification.integrity.verdict === 'whole')
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

/** The key of the ledger before it at its end, where that one was found to be whole, and this one begins with it. */
function keyFor(
  { fingerprint, certificate }: VerifyOptions,
  { opened }: Seen,
  before: VerifiedMember | undefined,
): { readonly fingerprint: string; readonly certificate: string | undefined } {
  const last = before?.verification.integrity.verdict === 'whole' ? before.verification.sealKey : undefined
  if (last !== undefined && last !== fingerprint && opened?.sealKey?.toUpperCase() === last) {
    return { fingerprint: last, certificate: undefined }
  }
  return { fingerprint, certificate }
}

/** A number that holds a ledger of another series, or the same one once more, ends it: the one before has no successor then. */
async function look({ directory, ca }: Pick<VerifyOptions, 'directory' | 'ca'>): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  let series: string | undefined
  for (let number = 1; number <= mostMembers; number += 1) {
    const ledger = placeOf(directory, number)
    if (number > 1 && !(await isThere(ledger, ca))) break
    const one = { number, ledger, ...(await peek(ledger, ca)) }
    const origin = one.opened?.origin ?? one.checkpoint?.origin
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

/** What is there and cannot be read is one that is there. @throws Fault ERR_LEDGER_UNAVAILABLE */
async function isThere(place: string, ca: string | undefined): Promise<boolean> {
  try {
    return (await within(place, ca, files => files.checkpointIfThere())) !== undefined
  } catch (error) {
    if (!isOurs(error) || isUnreachable(error) || error.name === 'Misuse') throw error
    return error.code !== 'ERR_LEDGER_MISSING'
  }
}

/** What cannot be read is left out: verifying it says why. @throws Fault ERR_LEDGER_UNAVAILABLE */
async function peek(place: string, ca: string | undefined): Promise<Omit<Seen, 'number' | 'ledger'>> {
  const unread = (error: unknown) => {
    if (!isOurs(error) || isUnreachable(error) || error.name === 'Misuse') throw error
    return undefined
  }
  const found = await within(place, ca, async files => {
    const checkpoint = await files.checkpoint()
    return { checkpoint, entries: await files.entriesOf(0, checkpoint.size).catch(unread) }
  }).catch(unread)
  const [opened, continued] = (found?.entries ?? []).slice(0, 2).map(read)
  return {
    checkpoint: found?.checkpoint,
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
