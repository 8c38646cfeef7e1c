/**
 * Which OpenPGP key signs a bundle: the pinned one, or one that it leads to, or that leads to it, by the rotations that the bundle holds.
 */
import { isOurs, LedgerError } from '../../lib/errors.ts'
import { readCertificate, verifyDetached } from '../../lib/openpgp.ts'
import { rotationGone } from '../disposed.ts'
import { followKeys, KeyError } from '../key-chain.ts'
import { isKeyEntry } from '../key-entries.ts'
import { type SealKey, type Trust, trustIn } from '../trust.ts'
import type { BundleExamination } from './bundle-examination.ts'
import { certificateCopy, type Manifest, scopeIn } from './manifest.ts'
import { continuesOf, disposedOf, type Material, paths } from './material.ts'
import { readMaterial } from './read-material.ts'

type Untold = KeyError & { readonly finding: { readonly code: 'KEY_COMPROMISED' | 'KEY_UNPROVEN' } }

/** Whether nobody but the owner can say that the key which speaks follows the pinned one: nothing was found to be changed. */
export const isUntold = (error: unknown): error is Untold =>
  error instanceof KeyError && ['KEY_COMPROMISED', 'KEY_UNPROVEN'].includes(error.finding.code)

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE where the pinned key does not speak for the ledger of this bundle */
export async function trustOf(x: BundleExamination, material: Material): Promise<Trust> {
  const { state, envelopes, openingSize, keys } = material
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
    const before = continuesOf(material)?.of
    const isGone = x.options.keyGone ?? (before !== undefined && disposedOf(material).includes(before))
    if (isGone && expected !== undefined && actual !== undefined)
      throw new KeyError('KEY_UNPROVEN', rotationGone, { expected, actual })
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
  return (await ownTrust(x, x.manifest))?.seal ?? pinned
}

/** Whether that is so of a bundle that another key signed than the pinned one. */
export async function isSignerUntold(x: BundleExamination): Promise<boolean> {
  try {
    if (x.manifest !== undefined) await ownTrust(x, x.manifest)
    return false
  } catch (error) {
    if (!isUntold(error)) throw error
    return true
  }
}

/** @returns undefined where there is none: the steps that read it for its own sake say what is wrong. @throws KeyError where it cannot be told */
async function ownTrust(x: BundleExamination, manifest: Manifest): Promise<Trust | undefined> {
  try {
    const scope = { ...scopeIn(manifest), demo: false }
    const material = readMaterial(scope, path => x.files.content(path))
    return await trustOf(x, material)
  } catch (error) {
    if (!isOurs(error) || isUntold(error)) throw error
    return undefined
  }
}
