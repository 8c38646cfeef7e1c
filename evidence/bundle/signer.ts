/**
 * Which OpenPGP key signs a bundle: the pinned one, or one that it leads to, or that leads to it, by the rotations that the bundle holds.
 */
import { isOurs, LedgerError } from '../../lib/errors.ts'
import { readCertificate, verifyDetached } from '../../lib/openpgp.ts'
import { followKeys, KeyError } from '../key-chain.ts'
import { isKeyEntry } from '../key-entries.ts'
import { type SealKey, type Trust, trustIn } from '../trust.ts'
import type { BundleExamination } from './bundle-examination.ts'
import { certificateCopy, scopeIn } from './manifest.ts'
import { type Material, paths } from './material.ts'
import { readMaterial } from './read-material.ts'

/** Whether nobody but the owner can say that the key which speaks follows the pinned one: nothing was found to be changed. */
export const isUntold = (error: unknown): error is KeyError =>
  error instanceof KeyError && error.finding.code === 'KEY_COMPROMISED'

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE where the pinned key does not speak for the ledger of this bundle */
export async function trustOf(x: BundleExamination, { state, envelopes, openingSize, keys }: Material): Promise<Trust> {
  const opened = (openingSize === 0 ? envelopes : state).find(({ index }) => index === 0)?.entry
  if (opened?.kind !== 'opened') throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 is not in the bundle')
  const all = [...state, ...envelopes, ...(keys?.later ?? [])]
  const entries = all.flatMap(({ index, entry }) => (isKeyEntry(entry) ? [{ index, entry }] : []))
  const { fingerprint } = x
  const certificate = async (of: string) => {
    const given = of === fingerprint ? x.options.certificate : undefined
    // A rotation names a key by any word.
    const own = keys !== undefined && Object.hasOwn(keys.certificates, of) ? keys.certificates[of] : undefined
    return given ?? own ?? x.files.text(certificateCopy)
  }
  try {
    const isGiven = x.options.certificate !== undefined
    return trustIn(await followKeys({ opened, entries, fingerprint, certificate, isGiven, existedBy: () => undefined }))
  } catch (error) {
    if (!(error instanceof KeyError) || error.finding.code !== 'KEY_SUBSTITUTED') throw error
    const { expected, actual } = error.finding
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', error.message, { expected, actual }, error)
  }
}

/**
 * @returns the fingerprint of the key that signed SHA256SUMS, where it is the one whose certificate is in the bundle,
 * and not the pinned one: whatever that proves, it is told from a signature that is none
 */
export async function otherSigner(
  x: BundleExamination,
  data: Uint8Array,
  signature: string,
): Promise<string | undefined> {
  try {
    const certificate = x.files.text(certificateCopy)
    const { fingerprint } = await readCertificate(certificate)
    if (fingerprint === x.fingerprint) return undefined
    await verifyDetached({ data, signature, certificate, fingerprint, at: 'signed', revoked: 'judged elsewhere' })
    return fingerprint
  } catch (error) {
    if (!isOurs(error)) throw error
    return undefined
  }
}

/**
 * Of a bundle without rotations it is the pinned key, whatever else is wrong; of another, what the chain of keys ends with.
 * @throws KeyError where the chain cannot be told
 */
export async function signerOf(x: BundleExamination): Promise<Omit<SealKey, 'verifier'>> {
  const pinned = { fingerprint: x.fingerprint, certificate: x.certificate() }
  if (x.manifest === undefined || x.files.seen(paths.keys) === undefined) return pinned
  try {
    const scope = { ...scopeIn(x.manifest), demo: false }
    return (
      await trustOf(
        x,
        readMaterial(scope, path => x.files.content(path)),
      )
    ).seal
  } catch (error) {
    // The steps that read it for its own sake say what is wrong.
    if (!isOurs(error) || isUntold(error)) throw error
    return pinned
  }
}
