/** The last line of a verification: what is so, in a sentence, whatever the verdict. */
import { basename } from 'node:path'
import type { BundlesVerification, BundleVerification, Step, Verification } from '../evidence/index.ts'
import { counted } from '../lib/format/words.ts'

/** Whether a bundle is what it was. Files that are too many change nothing that was signed, and are still none of it. */
export function bundleConclusion({ verdict, findings, exceptions, steps, continues }: BundleVerification): string {
  const [first] = findings
  if (verdict === 'OK') return `the bundle is what it was${exceptions ? '; it notes exceptions' : ''}`
  if (first?.code === 'BUNDLE_MISSING') return 'no bundle'
  if (verdict === 'INCOMPLETE' || first === undefined)
    return `whether the bundle is what it was could not be told: ${first?.what ?? leftOut(steps)}`
  const other = findings.find(({ code, actual }) => code === 'SIGNATURE' && actual !== undefined)
  if (other !== undefined && findings.every(({ code }) => aboutKeys.has(code))) {
    const together =
      continues === undefined
        ? ''
        : ` It continues ${continues.of}: verify it with the bundle of that one, in one folder.`
    return (
      `the bundle is signed by another key than the one given, and nothing in it leads from one to the other: ${other.actual}.${together} ` +
      `Which keys spoke for a ledger when, "counterfoil keys show LEDGER --key ${other.expected}" says`
    )
  }
  const count = `${counted(findings.length, 'finding')}, the first: ${first.what}`
  return findings.every(({ code }) => code === 'FILE_EXTRA')
    ? `the bundle holds what nobody signed; ${count}`
    : `the bundle is not what the given key signed; ${count}`
}

const aboutKeys: ReadonlySet<string> = new Set(['SIGNATURE', 'TRUST'])

/** Whether they are what they were, and one after another: each was concluded by itself before. */
export function bundlesConclusion({ bundles, findings, verdict, exceptions }: BundlesVerification): string {
  const count = counted(bundles.length, 'bundle')
  if (verdict === 'OK')
    return `${count}, each what it was, one after another${exceptions ? '; with exceptions noted' : ''}`
  const bad = bundles.filter(({ verification }) => verification.verdict !== 'OK')
  const said = bad.map(({ bundle, verification }) => `${basename(bundle)} is ${verification.verdict}`)
  const [first] = findings
  const together = first === undefined ? [] : [`of them together: ${first.what}`]
  return `${count}: ${[...said.slice(0, 5), ...(said.length > 5 ? [`and ${said.length - 5} more`] : []), ...together].join('; ')}`
}

/** Anchors come last, and before them the pin: where none was given, its step is left out and nothing is missing. */
function leftOut(steps: readonly Step[]): string {
  const unmade = steps.filter(({ status }) => status === 'not-examined')
  const step = unmade.find(({ name }) => name !== 'pin' && name !== 'anchors') ?? unmade[0]
  return step === undefined ? 'a step was not made' : `${step.name}: ${step.detail}`
}

/** Which ledger it was, its length and its root: as much of it as could be told. */
export function ledgerConclusion({ origin, size, root, findings }: Verification): string {
  const has = (code: string) => findings.some(finding => finding.code === code)
  if (has('LEDGER_MISSING')) return 'no ledger'
  if (size === 0 && has('LEDGER_UNREACHABLE')) return 'a ledger that could not be reached'
  if (has('CHECKPOINT_MALFORMED')) return 'a ledger whose checkpoint cannot be read'
  const name = origin ?? (size === 0 ? 'an empty ledger' : 'a ledger for which the given key does not speak')
  return `${name}, ${counted(size, 'entry')}${root === '' ? '' : `, root ${root}`}`
}
