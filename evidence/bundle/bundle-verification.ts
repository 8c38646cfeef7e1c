/** What the verification of a bundle is asked, and what it answers. */
import type { Control } from '../../lib/control.ts'
import type { EntryOf } from '../../lib/format/entry.ts'
import type { AnchorCode } from '../anchor-files.ts'
import type { Anchor, AnchorOptions } from '../anchors.ts'
import type { TestResult } from '../control-test.ts'
import type { Step, Verdict } from '../finding.ts'
import type { Reconciliation } from '../reconcile.ts'
import type { Manifest } from './manifest.ts'

export interface VerifyBundleOptions {
  readonly directory: string
  /** The OpenPGP key, pinned from outside: 40 hex digits. */
  readonly fingerprint: string
  /** Armored, from outside; where absent, the bundle's copy, which must have that fingerprint. */
  readonly certificate?: string
  /** A checkpoint held elsewhere; compared where its size lies within the bundle. Never written. */
  readonly pin?: string
  /** One of several of a series, which have the pin together: that this one does not show what was pinned is no matter then. */
  readonly among?: boolean
  /** That what led from the pinned key to another may be gone: the ledger before the first of these was disposed of, as they say. */
  readonly keyGone?: boolean
  /** By whose word, from outside, the bundle's anchors count. */
  readonly anchors?: AnchorOptions
  /** Reads the disclosed texts of controls again, so that the mapping follows from the ledger too. */
  readonly readControls?: (text: string) => readonly Control[]
}

export interface BundleFinding {
  readonly code:
    | 'BUNDLE_MISSING'
    | 'FILE_EXTRA'
    | 'FILE_MISSING'
    | 'FILE_CHANGED'
    | 'FILE_UNREADABLE'
    | 'MANIFEST'
    | 'SIGNATURE'
    | 'TRUST'
    | 'KEY_COMPROMISED'
    | 'KEY_UNPROVEN'
    | 'CHECKPOINT'
    | 'PIN'
    | 'PIN_UNREADABLE'
    | AnchorCode
    | 'LOG'
    | 'STATE'
    | 'DISCLOSURE'
    | 'RECORDING'
    | 'MAPPING'
    | 'NOT_DERIVED'
  readonly what: string
  readonly file?: string
  readonly index?: number
  /** Fingerprints, where another key speaks than the pinned one. */
  readonly expected?: string
  readonly actual?: string
}

export interface BundleVerification {
  readonly verdict: Verdict
  readonly steps: readonly Step[]
  readonly findings: readonly BundleFinding[]
  readonly manifest: Manifest | undefined
  readonly results: readonly TestResult[]
  readonly reconciliations: readonly Reconciliation[]
  /** Whether any test or reconciliation noted an exception: exit status 1 where the verdict is OK. */
  readonly exceptions: boolean
  /** What its ledger says of the one before it in its series, where the bundle shows that. */
  readonly continues: EntryOf<'continued'> | undefined
  /** Origins of ledgers before it that it says were disposed of. */
  readonly disposed: readonly string[]
  /** The newest of each who vouches for what is in the bundle, by keys from outside. */
  readonly anchors: readonly Anchor[]
  /** What cannot be seen from a bundle alone. */
  readonly undetectable: string
}
