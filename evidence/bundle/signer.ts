/** Which OpenPGP key signs a bundle: the pinned one, or one that it leads to, or that leads to it, by the rotations that the bundle holds. */
import { isOurs, LedgerError } from '../../lib/errors.ts'
import { followKeys, KeyError } from '../key-chain.ts'
import { isKeyEntry } from '../key-entries.ts'
import { type SealKey, type Trust, trustIn } from '../trust.ts'
import type { BundleExamination } from './bundle-examination.ts'
import { certificateCopy, scopeIn } from './manifest.ts'
import { type Material, paths } from './material.ts'
import { readMaterial } from './read-material.ts'

/** @throws LedgerError ERR_CHECKPOINT_SIGNATURE where the pinned key does not speak for the ledger of this bundle */
export async function trustOf(x: BundleExamination, { state, envelopes, openingSize, keys }: Material): Promise<Trust> {
  const opened = (openingSize === 0 ? envelopes : state).find(({ index }) => index === 0)?.entry
  if (opened?.kind !== 'opened') throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', 'entry 0 is not in the bundle')
  const all = [...state, ...envelopes, ...(keys?.later ?? [])]
  const entries = all.flatMap(({ index, entry }) => (isKeyEntry(entry) ? [{ index, entry }] : []))
  const { fingerprint } = x
  const certificate = async (of: string) => {
    const given = of === fingerprint ? x.options.certificate : undefined
    return given ?? keys?.certificates[of] ?? x.files.text(certificateCopy)
  }
  try {
    return trustIn(await followKeys({ opened, entries, fingerprint, certificate, existedBy: () => undefined }))
  } catch (error) {
    if (!(error instanceof KeyError) || error.finding.code !== 'KEY_SUBSTITUTED') throw error
    const { actual } = error.finding
    const by =
      actual === undefined
        ? ''
        : `: ${actual}. A bundle from before a rotation is verified with the fingerprint of then`
    throw new LedgerError('ERR_CHECKPOINT_SIGNATURE', `${error.message}${by}`, {}, error)
  }
}

/** Of a bundle without rotations it is the pinned key, whatever else is wrong; of another, what the chain of keys ends with. */
export async function signerOf(x: BundleExamination): Promise<SealKey> {
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
    if (!isOurs(error)) throw error
    return pinned
  }
}
