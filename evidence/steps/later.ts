/**
 * What was erased while a ledger was being verified: told by entries behind the checkpoint that is verified. These are believed only as far as a
 * verification of their own establishes them, of the ledger as it is now, which must begin with the one that is verified here.
 */
import type { AnyError } from '../../lib/errors.ts'
import { sameHash } from '../../lib/format/merkle.ts'
import { entriesAgain } from '../bundles.ts'
import { Erasures, toldOf } from '../erasures.ts'
import { Examination } from '../examination.ts'
import { type Finding, familyOf } from '../finding.ts'
import { checkErasures, checkTree } from './recorded.ts'
import { checkNote, establishTrust, openLedger } from './signed.ts'
import { takeSteps } from './step.ts'

/** @returns undefined where nothing was published since, or what was does not hold */
export async function laterErasures(x: Examination): Promise<Erasures | undefined> {
  const { checkpoint, files, fingerprint, options } = x
  if (checkpoint === undefined || (await files?.checkpointIfThere())?.size === checkpoint.size) return undefined
  const { wrappingKey: _, depth, progress, pin, first, incremental, ...given } = options
  const now = new Examination({ ...given, depth: 'envelopes', renew: false }, false)
  // What is verified here, as a checkpoint that was seen before: the later one must lead back to it.
  now.pin = { ...checkpoint, fingerprint, time: new Date(x.now).toISOString() }
  const steps = [openLedger, establishTrust, checkNote, checkTree, checkErasures]
  await takeSteps(
    steps.map(run => ({
      name: run.name,
      run: () => run(now),
      asFinding: (error: AnyError): Finding => ({ code: 'FILE_UNREADABLE', what: error.message }),
    })),
    now.findings,
  )
  now.files?.close()
  const root = now.rootAt.get(checkpoint.size)
  const stands = root !== undefined && sameHash(root, checkpoint.root)
  if (!stands || now.trust === undefined || now.findings.has(code => familyOf(code) !== 'completeness'))
    return undefined
  const erasures = new Erasures(now.erasures.ofSessions, now.erasures.names)
  for await (const { index, entry } of entriesAgain(now, toldOf)) erasures.add(index, entry)
  return erasures
}
