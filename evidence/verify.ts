/**
 * Verifies a ledger directory in named steps, trusting nothing in it but what a key pinned from outside has signed. It shares
 * only the format with the code that wrote the ledger.
 */
import type { AnyError } from '../lib/errors.ts'
import type { SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type Cut, Examination, type LedgerRecord } from './examination.ts'
import { unreadable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { hasMoved } from './moved.ts'
import { checkAnchors } from './steps/anchored.ts'
import { checkDisclosures } from './steps/disclosed.ts'
import { checkSeries } from './steps/followed.ts'
import { laterOf } from './steps/later.ts'
import { checkPin, keepPin } from './steps/pinned.ts'
import {
  checkContinuity,
  checkEntries,
  checkErasures,
  checkSeals,
  checkSnapshots,
  checkTree,
} from './steps/recorded.ts'
import { checkNote, establishTrust, openLedger } from './steps/signed.ts'
import { takeSteps } from './steps/step.ts'
import type { Trust } from './trust.ts'
import { conclude, type Verification, type VerifyOptions } from './verification.ts'

export type { LedgerRecord } from './examination.ts'
export type { Verification, VerifyOptions } from './verification.ts'

export interface Inspection {
  readonly verification: Verification
  readonly records: readonly LedgerRecord[]
  readonly files: LedgerFiles | undefined
  readonly checkpoint: SignedCheckpoint | undefined
  readonly seals: readonly SignedCheckpoint[]
  readonly trust: Trust | undefined
  /** Recordings that a crash cut. */
  readonly cut: readonly Cut[]
}

/** @throws Misuse ERR_OPTION_INVALID where the options do not make sense; what the ledger holds never throws */
export async function verifyLedger(options: VerifyOptions): Promise<Verification> {
  const [verification] = await settled(options, false)
  return verification
}

/** As verifyLedger, and keeps the entries: for a bundle, which reads only what was verified. */
export async function inspectLedger(options: VerifyOptions): Promise<Inspection> {
  const [verification, x] = await settled(options, true)
  const { records, files, checkpoint, seals, trust, cut } = x
  return { verification, records, files, checkpoint, seals, trust, cut }
}

/** So often a ledger that was written meanwhile is verified anew, where something was found. */
const mostAnew = 2

/** What is found in a ledger while it is being written is told only where it is found again: writers replace files as they go. */
async function settled(options: VerifyOptions, keep: boolean): Promise<[Verification, Examination]> {
  for (let left = mostAnew; ; left -= 1) {
    const x = new Examination(options, keep)
    let anew = false
    try {
      const verification = await examine(x)
      anew = left > 0 && (await hasMoved(x, verification.findings))
      if (!anew) return [verification, x]
    } finally {
      // Whoever keeps the entries reads on.
      if (anew || !keep) x.files?.close()
    }
  }
}

async function examine(x: Examination): Promise<Verification> {
  x.later = laterOf(x)
  // Table: the steps of a verification, in their order. Each needs what the ones before it established.
  // biome-ignore format: a table
  const steps: readonly [name: string, run: (x: Examination) => Promise<string>][] = [
    ['directory',    openLedger],
    ['pinned key',   establishTrust],
    ['checkpoint',   checkNote],
    ['pin',          checkPin],
    ['tree',         checkTree],
    ['anchors',      checkAnchors],
    ['seals',        checkSeals],
    ['entries',      checkEntries],
    ['snapshots',    checkSnapshots],
    ['erasures',     checkErasures],
    ['disclosures',  checkDisclosures],
    ['continuity',   checkContinuity],
    ['series',       checkSeries],
    ['new pin',      keepPin],
  ]
  const named = steps.map(([name, run]) => ({
    name,
    run: () => run(x),
    asFinding: (error: AnyError) => unreadable(error, String(error.data.file ?? name)),
  }))
  const taken = await takeSteps(named, x.findings)
  return conclude(x, taken.steps)
}
