/**
 * Verifies a bundle by itself, against a fingerprint from outside: the files, the signature, both checkpoints, every envelope between
 * them, and that each view, population and result can be derived again from the envelopes alone.
 */
import type { AnyError } from '../../lib/errors.ts'
import { takeSteps } from '../steps/step.ts'
import type { Trust } from '../trust.ts'
import { stampedOnly, vouched } from '../verification.ts'
import { BundleExamination } from './bundle-examination.ts'
import type { BundleFinding, BundleVerification, VerifyBundleOptions } from './bundle-verification.ts'
import { continuesOf, disposedOf, type Material } from './material.ts'
import { checkAnchors } from './steps/anchored.ts'
import { checkDisclosures, checkMapping, checkRecordings, deriveAgain } from './steps/derived.ts'
import { checkFiles, checkManifest, checkSignature } from './steps/files.ts'
import { checkCheckpoints, checkLog, checkPin, checkState, establishTrust, takeMaterial } from './steps/log.ts'

export type { BundleFinding, BundleVerification, VerifyBundleOptions } from './bundle-verification.ts'

/** @throws Misuse where the options do not make sense or DuckDB is not installed; what the bundle holds never throws */
export const verifyBundle = async (options: VerifyBundleOptions): Promise<BundleVerification> =>
  (await examineBundle(options)).verification

export interface ExaminedBundle {
  readonly verification: BundleVerification
  readonly trust: Trust | undefined
  readonly material: Material | undefined
}

/** As verifyBundle, with what the next one of its series is held against: it begins with one of these keys, and cites this log. */
export async function examineBundle(options: VerifyBundleOptions): Promise<ExaminedBundle> {
  const x = new BundleExamination(options)
  // Table: the steps, in their order; each names the finding that a typed error of it becomes.
  // biome-ignore format: a table
  const steps: readonly [name: string, code: BundleFinding['code'], run: (x: BundleExamination) => Promise<string>][] = [
    ['files',       'FILE_UNREADABLE', checkFiles],
    ['manifest',    'MANIFEST',        checkManifest],
    ['signature',   'SIGNATURE',       checkSignature],
    ['material',    'MANIFEST',        takeMaterial],
    ['pinned key',  'TRUST',           establishTrust],
    ['checkpoints', 'CHECKPOINT',      checkCheckpoints],
    ['log',         'LOG',             checkLog],
    ['pin',         'PIN',             checkPin],
    ['anchors',     'ANCHOR_INVALID',  checkAnchors],
    ['state',       'STATE',           checkState],
    ['disclosures', 'DISCLOSURE',      checkDisclosures],
    ['recordings',  'RECORDING',       checkRecordings],
    ['mapping',     'MAPPING',         checkMapping],
    ['results',     'NOT_DERIVED',     deriveAgain],
  ]
  const named = steps.map(([name, code, run]) => ({
    name,
    run: () => run(x),
    asFinding: (error: AnyError): BundleFinding => ({ code, what: error.message, ...placeOf(error) }),
  }))
  const { steps: taken, skipped } = await takeSteps(named, x.findings)
  const { manifest, results, reconciliations } = x
  const findings = x.findings.all()
  const missing = findings.some(({ code }) => code === 'BUNDLE_MISSING')
  const broken = findings.some(({ code }) => !untold.has(code))
  const verification: BundleVerification = {
    verdict: broken ? 'TAMPERED' : skipped || findings.length > 0 ? 'INCOMPLETE' : 'OK',
    steps: taken,
    findings,
    manifest,
    results,
    reconciliations,
    exceptions: [...results, ...reconciliations].some(({ word }) => word === 'exceptions-noted'),
    continues: continuesOf(x.material),
    disposed: disposedOf(x.material),
    anchors: x.anchors.newest,
    undetectable: missing ? 'There was no bundle here to verify.' : undetectable(x, broken),
  }
  return { verification, trust: x.trust, material: x.material }
}

/** Nothing was found to be changed: it could not be told. */
const untold: ReadonlySet<BundleFinding['code']> = new Set<BundleFinding['code']>([
  ...(['BUNDLE_MISSING', 'ANCHOR_ABSENT', 'KEY_COMPROMISED', 'KEY_UNPROVEN', 'PIN_UNREADABLE'] as const),
])

/** What a bundle alone cannot show, and how much of that others vouch for by keys from outside. */
function undetectable({ material, anchors }: BundleExamination, broken: boolean): string {
  const { last } = anchors
  if (broken && last !== undefined)
    return `Not even the ${last.size} entries ${vouched(last)} are shown to be what they were, since the bundle is not what it was.`
  if (last === undefined || material === undefined) {
    return (
      'A bundle shows one period. That the ledger was not rewritten before it was made, and that no entry is missing from ' +
      'state/opening.json, is for the ledger itself to show, against a checkpoint held elsewhere.'
    )
  }
  const size = material.openingSize + material.envelopes.length
  const which = `${last.size} entries ${vouched(last)}`
  const held =
    last.size >= size
      ? `All that it shows of the log is among the ${which} and cannot have been rewritten since.`
      : `What it shows of the first ${which} cannot have been rewritten since. What was appended behind them, up to entry ` +
        `${size - 1}, could have been rewritten before it was made, by whoever holds the ledger's keys.`
  return (
    `A bundle shows one period. ${held}${stampedOnly(last)} That no entry is missing from state/opening.json is for the ledger ` +
    'itself to show.'
  )
}

function placeOf({ data }: AnyError): Partial<BundleFinding> {
  const { file, index, expected, actual } = data
  const texts = Object.entries({ file, expected, actual }).filter(([, value]) => typeof value === 'string')
  return { ...Object.fromEntries(texts), ...(typeof index === 'number' ? { index } : {}) }
}
