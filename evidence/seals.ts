/** The seals that a ledger kept: each signed by the note key and the pinned OpenPGP key, over what the entries gave at its size. */
import { isOurs, LedgerError } from '../lib/errors.ts'
import type { Checkpoint, SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { type Hash, sameHash } from '../lib/format/merkle.ts'
import { type Finding, isUnreachable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { requireNoteSignature, requireSealSignature, type Trust } from './trust.ts'
import { base64 } from './verification.ts'

/** After so many files among the seals that are none, no more are looked at: who put them there could go on for ever. */
const mostInvalid = 50

/**
 * @param rootAt the roots of the verified entries, by size; empty where they do not give the signed root themselves
 * @param pinned of the pin that what is examined follows: seals before it were examined then
 */
export async function examineSeals(
  files: LedgerFiles,
  checkpoint: Checkpoint,
  trust: Trust,
  rootAt: ReadonlyMap<number, Hash>,
  pinned = 0,
): Promise<{ seals: SignedCheckpoint[]; findings: Finding[] }> {
  const { sizes: all, strange } = await files.sealSizes([pinned, checkpoint.size])
  const sizes = all.filter(size => size >= pinned)
  const seals: SignedCheckpoint[] = []
  const findings: Finding[] = []
  const names = [...strange.map(name => ({ name, size: undefined })), ...sizes.map(size => ({ name: size, size }))]
  for (const { name, size } of names) {
    if (findings.length === mostInvalid) {
      const what = `${mostInvalid} files among the seals are none: the rest, of ${names.length}, was not looked at`
      findings.push({ code: 'SEAL_INVALID', what, file: 'checkpoint.d' })
      break
    }
    const file = `checkpoint.d/${name}`
    if (size === undefined) {
      findings.push({ code: 'SEAL_INVALID', what: 'a file among the seals that is none', file })
      continue
    }
    try {
      const seal = await verifiedSeal(files, size, trust)
      const finding = disagreement(seal, checkpoint, rootAt.get(size))
      if (finding === undefined) seals.push(seal)
      else findings.push({ ...finding, file })
    } catch (error) {
      if (!isOurs(error) || isUnreachable(error)) throw error
      findings.push({ code: 'SEAL_INVALID', what: error.message, file })
    }
  }
  return { seals, findings }
}

/** What costs least first: an OpenPGP signature takes a thousand times what a name does. @throws LedgerError */
async function verifiedSeal(files: LedgerFiles, size: number, trust: Trust): Promise<SignedCheckpoint> {
  const seal = await files.seal(size)
  if (seal.size !== size) throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a seal under the name of another size')
  requireNoteSignature(seal, trust)
  await requireSealSignature(seal, trust)
  return seal
}

function disagreement(seal: Checkpoint, checkpoint: Checkpoint, root: Hash | undefined): Finding | undefined {
  const { size } = seal
  if (size > checkpoint.size) {
    const what = `the ledger has ${checkpoint.size} entries, and was sealed with ${size}`
    return { code: 'ROLLBACK', what, expected: String(size), actual: String(checkpoint.size) }
  }
  if (root === undefined || sameHash(root, seal.root)) return undefined
  const what = `the first ${size} entries are not those that were sealed`
  return { code: 'FORK', what, expected: base64(seal.root), actual: base64(root) }
}
