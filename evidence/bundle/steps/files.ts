/** The steps over the files as such: each is the one that was listed, none is missing, none is more, and the list is signed. */
import { isOurs } from '../../../lib/errors.ts'
import { verifyDetached } from '../../../lib/openpgp.ts'
import { openDirectory } from '../../read.ts'
import { skip } from '../../steps/step.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import { manifestFile, parseManifest, parseSums, sha256, signatureFile, sumsFile } from '../manifest.ts'

const mostFile = 1024 * 1024 * 1024
const unsummed: ReadonlySet<string> = new Set([sumsFile, signatureFile])

export async function checkFiles(x: BundleExamination): Promise<string> {
  const reader = await openDirectory(x.options.directory)
  const { files: there, others } = await reader.walk()
  for (const path of others) x.fail({ code: 'FILE_EXTRA', what: `${path} is no regular file`, file: path })
  for (const path of there) x.files.set(path, await reader.read(path, mostFile))
  const sums = parseSums(x.text(sumsFile))
  for (const path of there) {
    if (!sums.has(path) && !unsummed.has(path))
      x.fail({ code: 'FILE_EXTRA', what: `${path} is not in SHA256SUMS`, file: path })
  }
  for (const [path, digest] of sums) {
    const bytes = x.files.get(path)
    if (bytes === undefined) x.fail({ code: 'FILE_MISSING', what: `${path} is missing`, file: path })
    else if (sha256(bytes) !== digest) x.fail({ code: 'FILE_CHANGED', what: `${path} was changed`, file: path })
  }
  return `${sums.size} files, none changed, none missing, none more`
}

export async function checkManifest(x: BundleExamination): Promise<string> {
  x.manifest = parseManifest(x.text(manifestFile))
  const listed = new Map(x.manifest.files.map(file => [file.path, file]))
  for (const [path, bytes] of x.files) {
    if (path === manifestFile || unsummed.has(path)) continue
    const file = listed.get(path)
    const agrees = file !== undefined && file.bytes === bytes.length && file.sha256 === sha256(bytes)
    if (!agrees) x.fail({ code: 'MANIFEST', what: `MANIFEST.json disagrees about ${path}`, file: path })
  }
  for (const path of listed.keys()) {
    if (!x.files.has(path))
      x.fail({ code: 'FILE_MISSING', what: `${path} is in MANIFEST.json, and missing`, file: path })
  }
  return `${listed.size} files`
}

export async function checkSignature(x: BundleExamination): Promise<string> {
  if (!x.files.has(signatureFile))
    return x.fail({ code: 'SIGNATURE', what: `${signatureFile} is missing`, file: signatureFile })
  const data = x.files.get(sumsFile)
  if (data === undefined) skip('there is nothing signed')
  const [signature, certificate] = [x.text(signatureFile), x.certificate()]
  try {
    await verifyDetached({ data, signature, certificate, fingerprint: x.fingerprint })
  } catch (error) {
    if (!isOurs(error)) throw error
    return x.fail({ code: 'SIGNATURE', what: error.message, file: signatureFile })
  }
  return `SHA256SUMS is signed by ${x.fingerprint}`
}
