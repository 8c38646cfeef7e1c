/** What the verification of a bundle was asked and has established so far. Each step adds to it, and needs what those before it added. */
import { LedgerError } from '../../lib/errors.ts'
import { parseFingerprint } from '../../lib/openpgp.ts'
import type { TestResult } from '../control-test.ts'
import type { Reconciliation } from '../reconcile.ts'
import type { Trust } from '../trust.ts'
import type { BundleFinding, VerifyBundleOptions } from './bundle-verification.ts'
import { certificateCopy, type Manifest } from './manifest.ts'
import type { Material } from './material.ts'

export class BundleExamination {
  readonly options: VerifyBundleOptions
  readonly fingerprint: string
  readonly findings: BundleFinding[] = []
  /** By path. */
  readonly files = new Map<string, Buffer>()
  manifest: Manifest | undefined
  material: Material | undefined
  trust: Trust | undefined
  results: readonly TestResult[] = []
  reconciliations: readonly Reconciliation[] = []

  /** @throws Misuse ERR_OPTION_INVALID where the options do not make sense */
  constructor(options: VerifyBundleOptions) {
    this.options = options
    this.fingerprint = parseFingerprint(options.fingerprint)
  }

  /** @throws LedgerError ERR_BUNDLE_MANIFEST where there is no such file */
  text(path: string): string {
    const bytes = this.files.get(path)
    if (bytes === undefined) throw new LedgerError('ERR_BUNDLE_MANIFEST', `${path} is missing`, { file: path })
    return bytes.toString('utf8')
  }

  /** Armored. From outside, or the bundle's copy: either way it must have the pinned fingerprint. */
  certificate(): string {
    return this.options.certificate ?? this.text(certificateCopy)
  }

  /** @returns what is wrong, as the step's detail */
  fail(finding: BundleFinding): string {
    this.findings.push(finding)
    return finding.what
  }
}
