/**
 * Verifies what `bundle` wrote of a period: one bundle, or of several ledgers of a series one each, in folders
 * by their numbers. Nobody signs the folder around these, so that each is held to be of the ledger that its
 * place says, and to be continued by the next one.
 */
import { join } from 'node:path'
import { isOurs } from '../../lib/errors.ts'
import type { EntryOf } from '../../lib/format/entry.ts'
import { sameHash, treeRoot } from '../../lib/format/merkle.ts'
import { numberIn, originOf } from '../../lib/format/series.ts'
import type { Verdict } from '../finding.ts'
import { openDirectory } from '../read.ts'
import { conclusionIn, mayFollowConclusion } from '../succession.ts'
import { sealKeyAt } from '../trust.ts'
import type { BundleFinding, BundleVerification, VerifyBundleOptions } from './bundle-verification.ts'
import { manifestFile, signatureFile, sumsFile } from './manifest.ts'
import type { Material } from './material.ts'
import { rangeReader } from './range.ts'
import { examineBundle, verifyBundle } from './verify-bundle.ts'

export interface VerifiedBundle {
  /** Its folder. */
  readonly bundle: string
  readonly verification: BundleVerification
}

export interface BundlesVerification {
  /** The worst, with what was found of them together. */
  readonly verdict: Verdict
  /** In the order of their ledgers; one by itself where the folder is a bundle, or none. */
  readonly bundles: readonly VerifiedBundle[]
  /** Of the folder around several, and of how one follows the other. */
  readonly findings: readonly BundleFinding[]
  readonly exceptions: boolean
}

const mostBundles = 10_000
const severity: readonly Verdict[] = ['OK', 'INCOMPLETE', 'TAMPERED']

/** @throws as verifyBundle */
export async function verifyBundles(options: VerifyBundleOptions): Promise<BundlesVerification> {
  const within = await look(options.directory)
  if (within === undefined) {
    const verification = await verifyBundle(options)
    const { verdict, exceptions } = verification
    return { verdict, bundles: [{ bundle: options.directory, verification }], findings: [], exceptions }
  }
  const { numbers, extra } = within
  const first = await examineAll(options, numbers)
  const keyGone = isKeyGone(first.bundles)
  const { bundles, discontinued } = keyGone ? await examineAll({ ...options, keyGone }, numbers) : first
  const pinned = options.pin === undefined || bundles.some(isPinned) ? [] : [unpinned]
  const findings = [
    ...extra,
    ...misplaced(bundles),
    ...discontinued,
    ...otherwiseBegun(bundles),
    ...leftOut(bundles),
    ...pinned,
  ]
  const verdicts = bundles.map(({ verification }) => verification.verdict)
  const worst = findings.map(({ code }): Verdict => (code === 'BUNDLE_MISSING' ? 'INCOMPLETE' : 'TAMPERED'))
  return {
    verdict: severity.findLast(one => [...verdicts, ...worst].includes(one)) ?? 'INCOMPLETE',
    bundles: bundles.map(({ bundle, verification }) => ({ bundle, verification })),
    findings,
    exceptions: bundles.some(({ verification }) => verification.exceptions),
  }
}

/** Each, and how it follows the one before. */
async function examineAll(options: VerifyBundleOptions, numbers: readonly number[]) {
  const bundles: Numbered[] = []
  const discontinued: BundleFinding[] = []
  // Of the one before alone: together they may be more than fits into memory.
  let shown: Material | undefined
  for (const number of numbers) {
    const directory = join(options.directory, String(number))
    const before = bundles.at(-1)
    const { material, ...examined } = await examineNext(options, directory, before)
    const one = { number, bundle: directory, ...examined }
    if (before !== undefined) discontinued.push(...(await followedBy(before, shown, one, material)))
    bundles.push(one)
    shown = material
  }
  return { bundles, discontinued }
}

/** Whether what led from the pinned key to the one that speaks in the first may be in a ledger that was disposed of: one of them says so. */
function isKeyGone(bundles: readonly Numbered[]): boolean {
  const [first] = bundles
  const before = first?.trust === undefined ? first?.verification.continues?.of : undefined
  return before !== undefined && bundles.some(({ verification }) => verification.disposed.includes(before))
}

interface Within {
  readonly numbers: readonly number[]
  readonly extra: readonly BundleFinding[]
}

/** @returns undefined where the folder is a bundle itself, or what is left of one, or holds none */
async function look(directory: string): Promise<Within | undefined> {
  const numbers: number[] = []
  const extra: BundleFinding[] = []
  try {
    const reader = await openDirectory(directory)
    for await (const { path, kind } of reader.entries('')) {
      if ([sumsFile, signatureFile, manifestFile].includes(path)) return undefined
      if (kind === 'folder' && /^[1-9]\d{0,8}$/.test(path)) numbers.push(Number(path))
      else if (extra.length < mostBundles)
        extra.push({ code: 'FILE_EXTRA', what: `${path} is of none of the bundles`, file: path })
    }
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
  if (numbers.length === 0 || numbers.length > mostBundles) return undefined
  return { numbers: numbers.sort((a, b) => a - b), extra }
}

const unpinned: BundleFinding = {
  code: 'BUNDLE_MISSING',
  what: 'the pinned checkpoint is within none of these bundles',
}

const isPinned = ({ verification }: VerifiedBundle) =>
  verification.steps.some(({ name, status }) => name === 'pin' && status !== 'not-examined')

type Examined = Awaited<ReturnType<typeof examineBundle>> & {
  /** The fingerprint against which it was held: the pinned one, or one to which the bundles before it lead from there. */
  readonly by: string
}
type Numbered = VerifiedBundle & Omit<Examined, 'material'> & { readonly number: number }

/**
 * Against the pinned key; where that does not speak for it, against the one that the bundle before it leads to, where
 * that was found to be what it was.
 */
async function examineNext(
  options: VerifyBundleOptions,
  directory: string,
  before: Numbered | undefined,
): Promise<Examined> {
  const { certificate, keyGone = false, ...rest } = options
  // What was found to be what it was leads on from there.
  const gone = keyGone && before?.verification.verdict !== 'OK' ? { keyGone } : {}
  const against = async (by: string) => {
    const own = certificate === undefined || by !== options.fingerprint ? {} : { certificate }
    return { by, ...(await examineBundle({ ...rest, ...own, ...gone, fingerprint: by, among: true, directory })) }
  }
  const by = before?.verification.verdict === 'OK' ? before.by : options.fingerprint
  const first = await against(by)
  const led = first.trust === undefined ? followedUnder(before, first.verification) : undefined
  return led?.isLater === true ? against(led.fingerprint) : first
}

/** The key that spoke where the next ledger of the series follows, as the bundle before it shows. */
function followedUnder(before: Numbered | undefined, { continues }: BundleVerification) {
  if (continues === undefined || before?.trust === undefined || before.verification.verdict !== 'OK') return undefined
  return sealKeyAt(before.trust, continues.size, before.by)
}

/** A key that was retired in one ledger cannot begin the next. */
function otherwiseBegun(bundles: readonly Numbered[]): BundleFinding[] {
  return bundles.slice(1).flatMap(({ number, trust, verification }, i): BundleFinding[] => {
    const before = bundles[i]!
    const expected = before.number === number - 1 ? followedUnder(before, verification)?.fingerprint : undefined
    const actual = trust?.spans[0]?.seal
    if (expected === undefined || actual === undefined || expected === actual) return []
    const what = `${number} begins with another OpenPGP key than ${before.number} was followed under`
    return [{ code: 'TRUST', what, file: String(number), expected, actual }]
  })
}

/** One that stands in another's place hides that. */
function misplaced(bundles: readonly Numbered[]): BundleFinding[] {
  const series = bundles.map(({ number, verification }) => seriesOf(verification, number))
  const known = series.find(one => one !== undefined)
  return bundles.flatMap(({ number, verification: { manifest } }, i) => {
    if (manifest === undefined || (series[i] !== undefined && series[i] === known)) return []
    const of = known === undefined ? '' : `: that would be ${originOf(known, number)}`
    return [
      missing(
        `${number} holds the bundle of ${manifest.ledger.origin}, and none of ledger ${number}${of}`,
        String(number),
      ),
    ]
  })
}

/** @returns the name of the series of which this is the ledger with that number */
function seriesOf({ manifest }: BundleVerification, number: number): string | undefined {
  if (manifest === undefined) return undefined
  const { origin } = manifest.ledger
  const series = number === 1 ? origin : origin.slice(0, -`/${number}`.length)
  return series !== '' && numberIn(series, origin) === number ? series : undefined
}

/**
 * Each ends as the ledger after it says that it does, and none between them is missing.
 * @param shown what the bundle before holds. @param begun what the next one does
 */
async function followedBy(
  before: Numbered,
  shown: Material | undefined,
  next: Numbered,
  begun: Material | undefined,
): Promise<BundleFinding[]> {
  const { number } = next
  const { continues } = next.verification
  if (before.number !== number - 1) return [missing(`there is no bundle of ledger ${number - 1}`)]
  const series = seriesOf(next.verification, number)
  const isMisplaced = series === undefined || series !== seriesOf(before.verification, before.number)
  if (shown === undefined || begun === undefined || isMisplaced || !isLogWhole(before) || !isLogWhole(next)) return []
  if (begun.openingSize > 0)
    return [missing(`the first ${begun.openingSize} entries of ${number} are in no bundle`, String(number))]
  if (continues?.of !== originOf(series, before.number))
    return [{ code: 'LOG', what: `${number} does not say that it continues ${before.number}`, file: String(number) }]
  return endsAsCited(before.number, shown, number, continues)
}

/** What it shows is bound by that: it is of the tree that is cited, or behind the conclusion of that, where nothing more is recorded. */
async function endsAsCited(
  before: number,
  shown: Material,
  number: number,
  { size, root: cited }: EntryOf<'continued'>,
): Promise<BundleFinding[]> {
  const otherwise = (what: string): BundleFinding[] => [{ code: 'LOG', what, file: String(number) }]
  const there = shown.openingSize + shown.envelopes.length
  if (there < size)
    return [missing(`${before} ends at ${there} entries of ${size}: the rest is in no bundle`, String(before))]
  // What stands behind its conclusion concerns its keys alone: what was cited is the tree before that.
  const root = await rootIn(shown, size)
  if (root !== undefined && !sameHash(root, Buffer.from(cited, 'base64url')))
    return otherwise(`${number} continues a ledger with another root than ${before} has at ${size} entries`)
  const concluded = conclusionIn([...shown.state, ...shown.envelopes].filter(({ index }) => index < size))
  // One that is not shown is before all that is; what is shown behind one is looked at with the bundle itself.
  const isMore = shown.envelopes.some(({ entry }) => !mayFollowConclusion(entry.kind))
  if (concluded === undefined && (isMore || shown.openingSize === 0 || size === 0))
    return otherwise(`${number} continues ${before} at ${size} entries, and that was not concluded before that`)
  if (root !== undefined && concluded !== undefined) return []
  const what =
    root === undefined
      ? `${before} begins behind the ${size} entries at which ${number} follows it: whether it is that ledger could not be told`
      : `the entry that concluded ${before} is not in its bundle: have that made anew, since whether it was concluded could not be told`
  return [missing(what, String(before))]
}

/** Where its envelopes are not what was signed, that is told already. */
const isLogWhole = ({ verification }: Numbered) =>
  verification.steps.some(({ name, status }) => name === 'log' && status === 'ok')

/** @returns undefined where the bundle begins behind that, and shows too little of what is before */
async function rootIn({ openingSize, frontier, envelopes }: Material, size: number) {
  try {
    return await treeRoot(size, rangeReader(openingSize, frontier, envelopes))
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}

/** Each says how many were made with it: those before the first that is here, and behind the last, are missed by that alone. */
function leftOut(bundles: readonly Numbered[]): BundleFinding[] {
  const [first, last] = [bundles[0]!, bundles.at(-1)!]
  const before = (first.verification.manifest?.part?.number ?? 1) - 1
  const { number = 1, of = 1 } = last.verification.manifest?.part ?? {}
  return [
    ...Array.from({ length: Math.min(before, first.number - 1, mostBundles) }, (_, i) => first.number - before + i),
    ...Array.from({ length: Math.min(of - number, mostBundles) }, (_, i) => last.number + 1 + i),
  ].map(one => missing(`there is no bundle of ledger ${one}, and one was made with these`))
}

const missing = (what: string, file?: string): BundleFinding => ({
  ...{ code: 'BUNDLE_MISSING', what },
  ...(file === undefined ? {} : { file }),
})
