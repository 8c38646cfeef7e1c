/** The steps over the files as such: each is the one that was listed, none is missing, none is more, and the list is signed. */
import { isOurs } from '../../../lib/errors.ts'
import { verifyDetached } from '../../../lib/openpgp.ts'
import { skip } from '../../steps/step.ts'
import { requireArmor } from '../armor.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import { BundleFiles } from '../bundle-files.ts'
import {
  certificateCopy,
  formatSums,
  manifestFile,
  parseManifest,
  parseSums,
  sha256,
  signatureFile,
  sumsFile,
} from '../manifest.ts'
import { primaryPaths } from '../material.ts'
import { isSignerUntold, isUntold, otherSigner, signerOf } from '../signer.ts'

const unsummed = [sumsFile, signatureFile]

export async function checkFiles(x: BundleExamination): Promise<string> {
  // A slip in a path, most often: nothing was found to be changed.
  const missing = (what: string) => x.fail({ code: 'BUNDLE_MISSING', what })
  try {
    const files = await BundleFiles.open(x.options.directory)
    if (await files.isEmpty()) return missing(`${x.options.directory} is an empty folder`)
    x.files = files
  } catch (error) {
    if (!isOurs(error)) throw error
    return missing(error.message)
  }
  const unreadable = new Set<string>()
  const see = async (path: string) => {
    try {
      await x.files.see(path)
    } catch (error) {
      if (!isOurs(error)) throw error
      unreadable.add(path)
      x.fail({ code: 'FILE_UNREADABLE', what: error.message, file: path })
    }
  }
  // These in any case, so that later steps can tell what they can where the list of files is lost.
  for (const path of [sumsFile, signatureFile, manifestFile, certificateCopy, ...primaryPaths]) await see(path)
  x.sums = parseSums(x.files.text(sumsFile))
  const { sums } = x
  for (const [path, digest] of sums) {
    if (unreadable.has(path)) continue
    await see(path)
    const seen = x.files.seen(path)
    if (unreadable.has(path) || seen?.sha256 === digest) continue
    if (seen === undefined) x.fail({ code: 'FILE_MISSING', what: `${path} is missing`, file: path })
    else x.fail({ code: 'FILE_CHANGED', what: `${path} was changed`, file: path })
  }
  for await (const { path, what } of x.files.unlisted(new Set([...sums.keys(), ...unsummed]))) {
    x.fail({ code: 'FILE_EXTRA', what, file: path })
  }
  return `${sums.size + unsummed.length} files, ${sums.size} of them in SHA256SUMS: none changed, none missing, none more`
}

export async function checkManifest(x: BundleExamination): Promise<string> {
  x.manifest = parseManifest(x.files.text(manifestFile))
  const listed = new Map(x.manifest.files.map(file => [file.path, file]))
  for (const path of x.files.paths()) {
    if (path === manifestFile || unsummed.includes(path)) continue
    const [file, seen] = [listed.get(path), x.files.seen(path)]
    if (file !== undefined && file.bytes === seen?.bytes && file.sha256 === seen.sha256) continue
    x.fail({ code: 'MANIFEST', what: `MANIFEST.json disagrees about ${path}`, file: path })
  }
  for (const path of listed.keys()) {
    if (x.files.seen(path) !== undefined) continue
    x.fail({ code: 'FILE_MISSING', what: `${path} is in MANIFEST.json, and missing`, file: path })
  }
  return `${listed.size} files: all but itself, SHA256SUMS and SHA256SUMS.asc`
}

export async function checkSignature(x: BundleExamination): Promise<string> {
  if (x.files.seen(signatureFile) === undefined)
    return x.fail({ code: 'SIGNATURE', what: `${signatureFile} is missing`, file: signatureFile })
  const data = x.files.content(sumsFile)
  if (data === undefined) skip('there is nothing signed')
  const signature = x.files.text(signatureFile)
  const signer = await signerOf(x).catch(error => {
    if (!isUntold(error)) throw error
    return skip('whose signature would count could not be told')
  })
  try {
    requireArmor(signature)
    // A bundle is of the past, and its key may have expired since: what it signed before stays.
    await verifyDetached({ data, signature, ...signer, at: 'signed' })
  } catch (error) {
    if (!isOurs(error)) throw error
    const actual = await otherSigner(x, data, signature)
    if (actual === undefined) return x.fail({ code: 'SIGNATURE', what: error.message, file: alteredOf(x) })
    if (await isSignerUntold(x)) return skip('whose signature would count could not be told')
    const what = `${sumsFile} is signed by another key than the one given`
    return x.fail({ code: 'SIGNATURE', what, expected: x.fingerprint, actual, file: signatureFile })
  }
  x.signed = true
  return `SHA256SUMS is signed by ${signer.fingerprint}`
}

/** Which of the two was altered, where the one does not sign the other: SHA256SUMS follows from MANIFEST.json, line by line. */
function alteredOf({ files, manifest }: BundleExamination): string {
  const digest = files.seen(manifestFile)?.sha256
  if (manifest === undefined || digest === undefined) return signatureFile
  const expected = formatSums([...manifest.files, { path: manifestFile, sha256: digest }])
  return sha256(expected) === files.seen(sumsFile)?.sha256 ? signatureFile : sumsFile
}
