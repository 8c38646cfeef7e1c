/**
 * What was added while a ledger was being verified, behind the checkpoint that is verified:
 * believed only as far as a verification of its own establishes it, of the ledger as it is now,
 * which must begin with the one that is verified here.
 */
import type { AnyError } from '../../lib/errors.ts'
import { sameHash } from '../../lib/format/merkle.ts'
import type { Alibis } from '../alibis.ts'
import { entriesAgain } from '../bundles.ts'
import { Erasures, toldOf } from '../erasures.ts'
import { Examination } from '../examination.ts'
import { type Finding, familyOf, unlessUnreachable } from '../finding.ts'
import { checkErasures, checkTree } from './recorded.ts'
import { checkNote, establishTrust, openLedger } from './signed.ts'
import { takeSteps } from './step.ts'

/** So often what was published since is verified, of a ledger to which much is added meanwhile. */
const mostLater = 4

/** @returns as Examination.later. What it has verified it remembers. */
export function laterOf(x: Examination): Examination['later'] {
  let known: Examination | undefined
  let left = mostLater
  const has = (size: number) => known !== undefined && known.checkpoint!.size >= size
  return async size => {
    if (has(size)) return known
    const published = await x.files?.checkpointIfThere().catch(unlessUnreachable)
    if (left === 0 || published === undefined || published.size < size) return undefined
    left -= 1
    known = (await establishLater(x)) ?? known
    return has(size) ? known : undefined
  }
}

/** @returns undefined where nothing was published since, or what was does not hold */
export async function laterAlibis(x: Examination): Promise<Alibis | undefined> {
  const { checkpoint, files } = x
  if (checkpoint === undefined || (await files?.checkpointIfThere())?.size === checkpoint.size) return undefined
  const now = await establishLater(x, [checkErasures], true)
  if (now === undefined) return undefined
  const erasures = new Erasures(now.erasures.ofSessions, now.erasures.names)
  for await (const { index, entry } of entriesAgain(now, toldOf)) erasures.add(index, entry)
  return erasures.alibis
}

type Run = (x: Examination) => Promise<string>

/** @param whole reads every entry once more, and not only those that were added */
async function establishLater(
  x: Examination,
  more: readonly Run[] = [],
  whole = false,
): Promise<Examination | undefined> {
  const { checkpoint, fingerprint, options } = x
  if (checkpoint === undefined) return undefined
  const { wrappingKey: _, depth, progress, pin, first, incremental, ...given } = options
  const now = new Examination({ ...given, depth: 'envelopes', renew: false }, false)
  // What is verified here, as a checkpoint that was seen before: the later one must lead back to it.
  now.pin = { ...checkpoint, fingerprint, time: new Date(x.now).toISOString() }
  if (!whole) now.after = now.pin
  now.held = x.held
  const take = async (...steps: readonly Run[]) => {
    const named = steps.map(run => ({
      name: run.name,
      run: () => run(now),
      asFinding: (error: AnyError): Finding => ({ code: 'FILE_UNREADABLE', what: error.message }),
    }))
    await takeSteps(named, now.findings)
    return !now.findings.has(code => familyOf(code) !== 'completeness')
  }
  try {
    // Nothing is read of what nobody signed.
    const holds = (await take(openLedger, establishTrust, checkNote)) && (await take(checkTree, ...more))
    const root = now.rootAt.get(checkpoint.size)
    return holds && now.trust !== undefined && root !== undefined && sameHash(root, checkpoint.root) ? now : undefined
  } finally {
    now.files?.close()
    now.files = x.files
  }
}
