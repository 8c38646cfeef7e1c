/** The steps over everything recorded: the tree recomputed, the seals held against it, what entries say, and what they disclose. */

import type { SignedCheckpoint } from '../../lib/format/checkpoint.ts'
import { parseEntry } from '../../lib/format/entry.ts'
import { tileWidth } from '../../lib/format/layout.ts'
import { sameHash } from '../../lib/format/merkle.ts'
import { counted } from '../../lib/format/words.ts'
import { examineCertificates, examineEpoch } from '../beside.ts'
import { bundlesAgain, bundlesOf, entriesAgain } from '../bundles.ts'
import type { LateErasure } from '../custody-rights.ts'
import { Erasures, toldOf } from '../erasures.ts'
import type { Examination } from '../examination.ts'
import type { Finding } from '../finding.ts'
import { Findings } from '../findings.ts'
import { readTags, type Tag } from '../git-tags.ts'
import type { FoundKeyEntry } from '../key-entries.ts'
import type { Meaning } from '../meaning.ts'
import { sayRevoked } from '../revoked-keys.ts'
import { examineSeals, missingSeals } from '../seals.ts'
import { findSnapshots, Refold } from '../snapshots.ts'
import { type Stored, summariesOf } from '../stored.ts'
import { examineTree, treeOf } from '../tree.ts'
import { isSealed, type Trust } from '../trust.ts'
import { base64 } from '../verification.ts'
import { need, needRead, skip } from './step.ts'

/** What nobody who is trusted has signed is read so far, to say what is wrong with it: its size is anybody's word. */
const mostUnsigned = 2 ** 24

export async function checkTree(x: Examination): Promise<string> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  if (!x.isSigned && checkpoint.size > mostUnsigned) {
    // Nor is anything else of it.
    x.checkpoint = undefined
    skip(`no key that is trusted has signed so many entries: ${checkpoint.size} are not read`)
  }
  const sizes = new Set<number>([checkpoint.size])
  if (x.pin !== undefined) sizes.add(x.pin.size)
  const begin = x.after?.size ?? 0
  const { sizes: seals } = await files.sealSizes().catch(() => ({ sizes: [] }))
  const { sizes: anchors } = await files.anchorSizes().catch(() => ({ sizes: [] }))
  const tags = (await readOutside(x)).map(({ size }) => size)
  for (const size of [...seals, ...anchors, ...tags]) if (size >= begin) sizes.add(size)
  const followed = x.options.member?.followed?.size
  if (x.after === undefined && files.directory !== undefined && x.trust !== undefined) {
    x.snapshots = await findSnapshots(files, x.trust, checkpoint, laterSizeOf(x))
    for (const { checkpoint: of } of x.snapshots.snapshots) sizes.add(of.size)
  }
  if (x.after === undefined) x.refold = new Refold(x.snapshots?.snapshots ?? [], followed)
  if (followed !== undefined && followed <= checkpoint.size) sizes.add(followed)
  const malformed = new Findings<Finding>()
  const visit = (stored: Stored) => {
    malformed.addAll(stored.malformed)
    x.options.progress?.(Math.min(checkpoint.size, (stored.n + 1) * tileWidth), checkpoint.size)
    for (const { index, place, summary } of summariesOf(stored)) {
      if (index < begin) continue
      x.sum(index, summary)
      const bytes = stored.bytes.get(place)
      const entry = bytes === undefined ? undefined : parseEntry(bytes)
      if (bytes !== undefined && entry !== undefined) x.add(index, bytes, entry)
      x.refold?.add(index, summary, entry)
    }
  }
  // Within these a root is wanted, and not only behind them.
  const leaves = new Set([...sizes].filter(size => size % tileWidth !== 0).map(size => Math.floor(size / tileWidth)))
  const before = await treeOf(files, Math.floor(begin / tileWidth) * tileWidth, checkpoint.size)
  const bundles = bundlesOf(x, { from: before.size / tileWidth, leaves, bytes: x.keep ? 'all' : 'rare' })
  const question = { files, checkpoint, sizes, from: before, visit }
  const { findings, entries, rootAt } = await examineTree(question, bundles)
  x.findings.merge(findings)
  x.findings.merge(malformed)
  x.refold?.reach(checkpoint.size)
  // Roots of altered entries show no fork: that is two signed trees that disagree. The alteration is named already.
  const entire = rootAt.get(checkpoint.size)
  if (entire !== undefined && sameHash(entire, checkpoint.root)) x.rootAt = rootAt
  comparePin(x)
  if (x.after === undefined) return `${counted(entries, 'entry')} and every tile give the signed root`
  return `the ${entries} entries from the pin's last bundle on, and the tiles before it, give the signed root`
}

/** Tags name sizes that the ledger itself may not know of: their roots are wanted too. */
async function readOutside(x: Examination): Promise<readonly Tag[]> {
  const { git } = x.anchorKeys
  if (git !== undefined && x.trust !== undefined) x.tags = await readTags(git, x.trust.origin)
  return x.tags
}

/** By the entries themselves, where the tiles gave no proof. */
function comparePin({ pin, rootAt, findings }: Examination): void {
  const actual = pin === undefined ? undefined : rootAt.get(pin.size)
  if (pin === undefined || actual === undefined || sameHash(actual, pin.root)) return
  if (findings.has(code => code === 'FORK')) return
  const what = `the first ${pin.size} entries are not those that were pinned`
  findings.add({ code: 'FORK', what, expected: base64(pin.root), actual: base64(actual) })
}

export async function checkSeals(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const existedBy = (size: number) => x.existedBy(size)
  const { seals, worthless, findings } = await examineSeals(
    files,
    checkpoint,
    trust,
    x.rootAt,
    existedBy,
    x.after?.size ?? 0,
    laterSizeOf(x),
  )
  x.seals.push(...seals)
  x.findings.addAll(findings)
  x.findings.addAll(await missingSeals(files, sealsKnownOf(x, checkpoint, trust)))
  const newest = x.seals.at(-1)
  const unlisted = files.directory === undefined ? '; others than the newest cannot be listed at an address' : ''
  const since = x.after === undefined ? '' : ' since the pin'
  if (newest === undefined) return `${sayNoSeal(x, checkpoint, trust)}${unlisted}`
  const [of] = worthless
  const also = of === undefined ? '' : `; ${worthless.length} more are not counted: their key is ${sayRevoked(of)}`
  return `${x.seals.length}${since}, the newest over ${counted(newest.size, 'entry')}${also}${unlisted}`
}

/**
 * Sizes at which the ledger was sealed, by what else tells of that, and what that is. A checkpoint that is a seal
 * itself stands for its own: that is kept right behind it, and whoever copies a ledger that is at work may come between.
 */
function sealsKnownOf(
  { options, held, snapshots }: Examination,
  checkpoint: SignedCheckpoint,
  trust: Trust,
): ReadonlyMap<number, string> {
  const known = new Map<number, string>()
  if (held?.sealed !== undefined) known.set(held.sealed, 'it stood there when the ledger was pinned')
  for (const { checkpoint: of, file } of snapshots?.snapshots ?? []) {
    known.set(of.size, `${file} is there, which is written behind it`)
  }
  const followed = options.member?.followed?.size
  if (followed !== undefined) known.set(followed, 'a ledger that another follows is sealed before that')
  const end = isSealed(checkpoint, trust) ? checkpoint.size : checkpoint.size + 1
  return new Map([...known].filter(([size]) => size < end))
}

function sayNoSeal({ after }: Examination, checkpoint: SignedCheckpoint, trust: Trust): string {
  if (after !== undefined) return 'none since the pin'
  if (isSealed(checkpoint, trust)) return 'none but the checkpoint itself: the next opening keeps it'
  return 'none: the ledger was not sealed yet, or they were taken away'
}

export async function checkSnapshots(x: Examination): Promise<string> {
  const [files] = need(x.files, x.checkpoint)
  if (files.directory === undefined) return skip('not examined: they are not published, being the own of who writes')
  if (x.after !== undefined) return skip('not examined: they stand for what is before the pin too')
  const [found, refold] = need(x.snapshots, x.refold)
  x.findings.addAll(found.findings)
  // Of altered entries none could be derived: the alteration is named already.
  if (x.rootAt.size > 0) x.findings.addAll(refold.findings(x.rootAt))
  const others = found.others === 0 ? '' : `; ${found.others} of another version, not examined`
  const sizes = found.snapshots.map(({ checkpoint }) => checkpoint.size)
  if (sizes.length === 0) return `none${others}`
  return `derived again from the entries: those of ${sizes.join(' and ')} entries${others}`
}

export async function checkEntries(x: Examination): Promise<string> {
  const [files, checkpoint] = need(x.files, x.checkpoint)
  needRead(x)
  const besides = async () => {
    for (const finding of strayKeyEntries(x)) x.findings.add(finding)
    const certificates = await examineCertificates(files, x.taken, x.keyEntriesInTree, x.sealKey)
    x.findings.addAll(certificates.length === 0 ? [] : await unlessLater(x, certificates))
    x.findings.addAll(await examineEpoch(files, x.taken))
  }
  if (x.after !== undefined) {
    const left = x.meaning.leaveDoubts()
    const more = left === 0 ? '' : `; ${left} have ids of before the pin, and were not compared with entries there`
    x.findings.merge(x.meaning.findings)
    await besides()
    return `${counted(x.strict, 'entry')} since the pin ${x.strict === 1 ? 'is' : 'are'} in the strict format${more}${sayAhead(x)}`
  }
  await settleDoubts(x)
  await besides()
  return `${x.strict} of ${checkpoint.size} entries are in the strict format${sayAhead(x)}`
}

/** By reading all again, for so many doubts at a time as are kept. */
async function settleDoubts(x: Examination): Promise<void> {
  for (let meaning: Meaning | undefined = x.meaning; meaning !== undefined; ) {
    const next = meaning.next()
    if (meaning.doubtful > 0) {
      for await (const stored of bundlesAgain(x, 'rare')) {
        for (const { index, summary } of summariesOf(stored)) {
          meaning.lookAgain(index, summary)
          next?.add(index, summary)
        }
      }
    }
    meaning.settleDoubts(next === undefined)
    x.findings.merge(meaning.findings)
    meaning = next
  }
}

/** No finding: they are counted as what they are, and make nothing that follows them look old. */
function sayAhead({ meaning: { ahead } }: Examination): string {
  if (ahead.count === 0) return ''
  const are = ahead.count === 1 ? 'has an id' : 'have ids'
  return `; ${counted(ahead.count, 'entry')} ${are} of over a minute later, by the clock of ${ahead.writers.join(', ')}`
}

/** By what stands in clear: that what was erased was erased by who may, needs no key; that nothing else is gone does. */
export async function checkErasures(x: Examination): Promise<string> {
  need(x.checkpoint)
  needRead(x)
  const begin = x.after?.size ?? 0
  const before = x.options.member?.erasedBefore ?? []
  const gone = x.options.member?.goneBefore ?? []
  if (begin > 0 && !x.erasures.isAny && before.length === 0) {
    x.findings.addAll([...x.erasures.namedAgain(gone)])
    return 'none since the pin'
  }
  // What an erasure is judged by may be of long ago, or of a kind that is too frequent to
  // keep: it is read for the erasures that there are.
  const isLong = begin > 0 || x.erasures.names.size > 0 || x.depth === 'all'
  if (isLong && (x.erasures.isAny || before.length > 0)) {
    const again = new Erasures(x.erasures.ofSessions, x.erasures.names)
    for await (const { index, entry } of entriesAgain(x, toldOf)) again.add(index, entry)
    x.erasures = again
  }
  const { all, holds, findings } = x.erasures
  x.erasedLate = [...x.erasures.judge(before), ...lateIn(x)]
  const found = [...findings, ...x.erasures.namedAgain(gone)]
  x.findings.addAll(found.filter(({ index = begin }) => index >= begin))
  const standing = holds === 0 ? '' : `; ${holds} ${holds === 1 ? 'hold stands' : 'holds stand'}`
  if (all.length === 0) return `none${standing}`
  const told = all.map(({ index, entry: { scope, of } }) => `#${index} ${scope} ${of}`)
  const more = told.length > 5 ? ` and ${told.length - 5} more` : ''
  return `${told.slice(0, 5).join(', ')}${more}: each asked for by one person and approved by another${standing}`
}

const lateIn = ({ erasures, trust }: Examination): readonly LateErasure[] =>
  erasures.late.map(one => ({
    ...{ ...one, origin: trust?.origin ?? '', concerned: erasures.concernedBy(one.entry) ?? [] },
  }))

const laterSizeOf = (x: Examination) => async (size: number) => (await x.later(size))?.checkpoint?.size

/** Those that no later entry explains, of a ledger that is being written: another certificate may have been published since. */
async function unlessLater(x: Examination, findings: readonly Finding[]): Promise<readonly Finding[]> {
  const [{ size }] = need(x.checkpoint)
  const now = await x.later(size + 1)
  if (now === undefined) return findings
  const published = new Set([...now.taken, ...now.keyEntriesInTree].map(({ entry }) => entry.certificate))
  return findings.filter(({ actual }) => actual === undefined || !published.has(actual))
}

/** Keys were judged by what was found first: the tree must hold those entries, and no others. */
function* strayKeyEntries({ keyEntries, keyEntriesInTree }: Examination): Generator<Finding> {
  const places = (entries: readonly FoundKeyEntry[]) =>
    entries.map(({ index, digest }) => `${index} ${digest}`).join(', ')
  const [expected, actual] = [places(keyEntriesInTree), places(keyEntries)]
  if (expected === actual) return
  yield {
    code: 'ROTATION_INVALID',
    what: 'the entries about keys are not those by which keys were judged',
    expected,
    actual,
  }
}

export async function checkContinuity(x: Examination): Promise<string> {
  need(x.checkpoint)
  needRead(x)
  x.findings.merge(x.continuity.findings)
  x.findings.merge(x.speakers.findings)
  const { crashes, latest } = x.continuity
  const back = crashes === 0 ? '' : `; ${sayCrashes(x)}`
  const told = `no gap in the writers' counters and heartbeats; newest entry ${latest}${back}`
  return x.cut.length === 0 ? told : `${told}; recordings that a crash cut: ${sayCut(x)}`
}

/**
 * No finding: whoever led the ledger then said in clear that the writer was gone (`recovered`),
 * and it starts anew before it says anything else.
 */
function sayCrashes({ continuity: { crashes, gaps } }: Examination): string {
  const told = gaps.filter(({ kind }) => kind === 'crash').slice(0, 5)
  const more = crashes > told.length ? `, and ${crashes - told.length} more` : ''
  return `crashed, and given up until it started again: ${told.map(({ writer, from, to, index }) => `${writer} from ${from} to ${to} (entry ${index})`).join(', ')}${more}`
}

/** No finding: what a crash left is told by the entry of the opening after it, and that much is committed to. */
function sayCut({ cut }: Examination): string {
  const said = cut.map(({ index, chunks, recovered }) => {
    const crash = recovered === undefined ? '' : `, cut by a crash at entry #${recovered} (\`recovered\`)`
    return `#${index}, ${chunks === 0 ? 'nothing of it left' : `complete to chunk ${chunks}`}${crash}`
  })
  return `${said.slice(0, 5).join('; ')}${said.length > 5 ? `; and ${said.length - 5} more` : ''}`
}
