/** The public face of `counterfoil/evidence`: verify a ledger, build a bundle of a period, verify a bundle. */
export type { Anchor, AnchorOptions } from './anchors.ts'
export { tarGz } from './bundle/archive.ts'
export { type BundleOptions, type BundleResult, buildBundle } from './bundle/build.ts'
export type { Manifest } from './bundle/manifest.ts'
export {
  type BundleFinding,
  type BundleVerification,
  type VerifyBundleOptions,
  verifyBundle,
} from './bundle/verify-bundle.ts'
export { type BundlesVerification, type VerifiedBundle, verifyBundles } from './bundle/verify-bundles.ts'
export type { Gap } from './continuity.ts'
export type { Interval, ResultWord, TestResult } from './control-test.ts'
export { type Criterion, criteria, isCriterion } from './criteria.ts'
export {
  type Completeness,
  type Finding,
  type FindingCode,
  familyOf,
  type Integrity,
  type Step,
  type Verdict,
} from './finding.ts'
export { Follower, type LiveEntry } from './follow/follower.ts'
export { Opener } from './follow/opener.ts'
export { type LedgerKey, type LedgerKeys, ledgerKeys } from './ledger-keys.ts'
export { formatPin, type Pin, readPin } from './pin.ts'
export { proofScript } from './proof-script.ts'
export {
  type CheckedProof,
  type CheckProofOptions,
  checkProof,
  type Proved,
  type ProveOptions,
  proveEntry,
} from './prove.ts'
export type { Explained, Import, ImportOptions, Reconciliation } from './reconcile.ts'
export {
  type ErasedBy,
  type Recorded,
  type RecordedAttachment,
  recordings,
  type SessionRecord,
  sayErased,
} from './recordings.ts'
export { periodsIn, type VerifiedMember, verifySeries } from './series.ts'
export { inspectLedger, type LedgerRecord, type Verification, type VerifyOptions, verifyLedger } from './verify.ts'
