/** What the verification of a bundle was asked and has established so far. Each step adds to it, and needs what those before it added. */
import { Misuse } from '../../lib/errors.ts'
import { parseFingerprint } from '../../lib/openpgp.ts'
import { type AnchorKeys, Anchors, readAnchorKeys } from '../anchors.ts'
import type { TestResult } from '../control-test.ts'
import { Findings } from '../findings.ts'
import type { Reconciliation } from '../reconcile.ts'
import { need } from '../steps/step.ts'
import type { Trust } from '../trust.ts'
import type { BundleFiles } from './bundle-files.ts'
import type { BundleFinding, VerifyBundleOptions } from './bundle-verification.ts'
import { certificateCopy, type Manifest } from './manifest.ts'
import type { DisclosedMaterial, Material } from './material.ts'

export class BundleExamination {
  readonly options: VerifyBundleOptions
  readonly fingerprint: string
  readonly findings = new Findings<BundleFinding>()
  #files: BundleFiles | undefined
  /** SHA256SUMS: path to digest. */
  sums: ReadonlyMap<string, string> = new Map()
  /** Whether the pinned key signed SHA256SUMS. */
  signed = false
  manifest: Manifest | undefined
  material: Material | undefined
  disclosed: DisclosedMaterial | undefined
  trust: Trust | undefined
  /** From outside: by whose word anchors count. */
  readonly anchorKeys: AnchorKeys
  anchors: Anchors
  results: readonly TestResult[] = []
  reconciliations: readonly Reconciliation[] = []

  /** @throws Misuse ERR_OPTION_INVALID where the options do not make sense */
  constructor(options: VerifyBundleOptions) {
    this.options = options
    this.fingerprint = parseFingerprint(options.fingerprint)
    if (options.anchors?.cosignedWithinMs !== undefined) {
      throw new Misuse(
        'ERR_OPTION_INVALID',
        'how old cosignatures may be is asked of a ledger: a bundle is of the past',
      )
    }
    this.anchorKeys = readAnchorKeys(options.anchors ?? {})
    this.anchors = new Anchors(this.anchorKeys.quorum)
  }

  set files(files: BundleFiles) {
    this.#files = files
  }

  /** Where there are none, the step is not made. */
  get files(): BundleFiles {
    return need(this.#files)[0]
  }

  /** Armored. From outside, or the bundle's copy: either way it must have the pinned fingerprint. */
  certificate(): string {
    return this.options.certificate ?? this.files.text(certificateCopy)
  }

  /** Whether this file is, to the byte, what the pinned key signed. */
  isSigned(path: string): boolean {
    return this.signed && this.files.seen(path)?.sha256 === this.sums.get(path)
  }

  /** @returns what is wrong, as the step's detail */
  fail(finding: BundleFinding): string {
    return this.findings.add(finding)
  }
}
