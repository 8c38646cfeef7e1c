/** The seals that a ledger kept: each signed by the note key and the pinned OpenPGP key, over what the entries gave at its size. */
import { isOurs, LedgerError } from '../lib/errors.ts'
import type { Checkpoint, SignedCheckpoint } from '../lib/format/checkpoint.ts'
import { sealFile } from '../lib/format/layout.ts'
import { type Hash, sameHash } from '../lib/format/merkle.ts'
import { type Finding, isUnreachable, unlessUnreachable } from './finding.ts'
import type { LedgerFiles } from './ledger-files.ts'
import { type ExistedBy, type RevokedKey, sayRevoked, voids } from './revoked-keys.ts'
import { requireNoteSignature, requireSealSignature, type SealedBy, type Trust } from './trust.ts'
import { base64 } from './verification.ts'

/** After so many files among the seals that are none, no more are looked at: who put them there could go on for ever. */
const mostInvalid = 50

/**
 * @param rootAt the roots of the verified entries, by size; empty where they do not give the signed root themselves
 * @param pinned of the pin that what is examined follows: seals before it were examined then; 0 where there is none
 * @param laterSize how many entries there are by now, where these are at least so many, and verified too
 */
export async function examineSeals(
  files: LedgerFiles,
  checkpoint: Checkpoint,
  trust: Trust,
  rootAt: ReadonlyMap<number, Hash>,
  existedBy: ExistedBy,
  pinned: number,
  laterSize: (size: number) => Promise<number | undefined>,
): Promise<{ seals: SignedCheckpoint[]; worthless: RevokedKey[]; findings: Finding[] }> {
  const { sizes: all, strange } = await files.sealSizes([pinned, checkpoint.size])
  // A live ledger may have been sealed since its checkpoint was read here: up to what it has now, seals are not there yet.
  const newestName = all.at(-1) ?? 0
  const end = (newestName > checkpoint.size ? await laterSize(newestName) : undefined) ?? checkpoint.size
  const sizes = all.filter(size => size >= pinned && (size <= checkpoint.size || size > end))
  const seals: SignedCheckpoint[] = []
  const findings: Finding[] = []
  const voided: { seal: SignedCheckpoint; file: string; revocation: RevokedKey }[] = []
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
      const { seal, made } = await verifiedSeal(files, size, trust)
      const finding = disagreement(seal, checkpoint, rootAt.get(size))
      const revocation = voids(trust.revoked, { ...made, size }, existedBy)
      if (revocation !== undefined) voided.push({ seal, file, revocation })
      else if (finding === undefined) seals.push(seal)
      else findings.push({ ...finding, file })
    } catch (error) {
      if (!isOurs(error) || isUnreachable(error)) throw error
      findings.push({ code: error.data.revoked === true ? 'KEY_REVOKED' : 'SEAL_INVALID', what: error.message, file })
    }
  }
  const newest = seals.at(-1)?.size ?? -1
  const worthless: RevokedKey[] = []
  for (const { seal, file, revocation } of voided) {
    const root = rootAt.get(seal.size)
    // What a key in good standing has sealed with all that came before it needs this seal no more; what nothing else covers does.
    if (seal.size <= newest && root !== undefined && sameHash(root, seal.root)) worthless.push(revocation)
    else
      findings.push({
        code: 'KEY_REVOKED',
        what: `a seal by OpenPGP key ${revocation.key}, which is ${sayRevoked(revocation)}`,
        file,
      })
  }
  return { seals, worthless, findings }
}

/** @param known sizes at which the ledger was sealed, each with what else tells of that */
export async function missingSeals(
  files: LedgerFiles,
  known: ReadonlyMap<number, string>,
): Promise<readonly Finding[]> {
  const missing: Finding[] = []
  for (const [size, by] of known) {
    const file = sealFile(size)
    // What stands there and is no seal is named already.
    const isThere = await files.hasSeal(size).catch(error => unlessUnreachable(error) ?? true)
    if (!isThere) missing.push({ code: 'FILE_MISSING', what: `the seal ${file} is missing: ${by}`, file })
  }
  return missing
}

/** What costs least first: an OpenPGP signature takes a thousand times what a name does. @throws LedgerError */
async function verifiedSeal(
  files: LedgerFiles,
  size: number,
  trust: Trust,
): Promise<{ seal: SignedCheckpoint; made: SealedBy }> {
  const seal = await files.seal(size)
  if (seal.size !== size) throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'a seal under the name of another size')
  requireNoteSignature(seal, trust)
  return { seal, made: await requireSealSignature(seal, trust) }
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
