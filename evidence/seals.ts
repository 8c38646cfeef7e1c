/** The seals that a ledger kept: each signed by the note key and the pinned OpenPGP key, over what the entries gave at its size. */
import { isOurs } from '../lib/errors.ts'
import type { Checkpoint, SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { sealFile } from '../lib/format/layout.ts'
import { type Hash, sameHash } from '../lib/format/merkle.ts'
import type { Finding } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { requireNoteSignature, requireSealSignature, type Trust } from './trust.ts'
import { base64 } from './verification.ts'

/** @param rootAt the roots of the verified entries, by size; empty where they do not give the signed root themselves */
export async function examineSeals(
  files: LedgerFiles,
  checkpoint: Checkpoint,
  trust: Trust,
  rootAt: ReadonlyMap<number, Hash>,
): Promise<{ seals: SignedCheckpoint[]; findings: Finding[] }> {
  const { sizes, strange } = await files.sealSizes()
  const seals: SignedCheckpoint[] = []
  const findings = strange.map(
    (name): Finding => ({
      code: 'SEAL_INVALID',
      what: 'a file among the seals that is none',
      file: `checkpoint.d/${name}`,
    }),
  )
  for (const size of sizes) {
    const file = sealFile(size)
    try {
      const seal = await files.seal(size)
      requireNoteSignature(seal, trust)
      await requireSealSignature(seal, trust)
      const finding = disagreement(seal, size, checkpoint, rootAt.get(size))
      if (finding === undefined) seals.push(seal)
      else findings.push({ ...finding, file })
    } catch (error) {
      if (!isOurs(error)) throw error
      findings.push({ code: 'SEAL_INVALID', what: error.message, file })
    }
  }
  return { seals, findings }
}

function disagreement(
  seal: Checkpoint,
  size: number,
  checkpoint: Checkpoint,
  root: Hash | undefined,
): Finding | undefined {
  if (seal.size !== size) return { code: 'SEAL_INVALID', what: 'a seal under the name of another size' }
  if (size > checkpoint.size) {
    const what = `the ledger has ${checkpoint.size} entries, and was sealed with ${size}`
    return { code: 'ROLLBACK', what, expected: String(size), actual: String(checkpoint.size) }
  }
  if (root === undefined || sameHash(root, seal.root)) return undefined
  const what = `the first ${size} entries are not those that were sealed`
  return { code: 'FORK', what, expected: base64(seal.root), actual: base64(root) }
}
