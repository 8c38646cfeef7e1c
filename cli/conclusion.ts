/** The last line of a verification: what is so, in a sentence, whatever the verdict. */
import type { BundleVerification, Step, Verification } from '../evidence/index.ts'

/** Whether a bundle is what it was. Files that are too many change nothing that was signed, and are still none of it. */
export function bundleConclusion({ verdict, findings, exceptions, steps }: BundleVerification): string {
  const [first] = findings
  if (verdict === 'OK') return `the bundle is what it was${exceptions ? '; it notes exceptions' : ''}`
  if (first?.code === 'BUNDLE_MISSING') return 'no bundle'
  if (verdict === 'INCOMPLETE' || first === undefined)
    return `whether the bundle is what it was could not be told: ${first?.what ?? leftOut(steps)}`
  const count = `${findings.length} finding${findings.length === 1 ? '' : 's'}, the first: ${first.what}`
  return findings.every(({ code }) => code === 'FILE_EXTRA')
    ? `the bundle holds what nobody signed; ${count}`
    : `the bundle is not what the given key signed; ${count}`
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
  return `${name}, ${size} entries${root === '' ? '' : `, root ${root}`}`
}
