/** The steps over what follows from the log: each disclosure from its entry, the mapping from the policies, every other file from all of it. */
import { isOurs } from '../../../lib/errors.ts'
import { canonical, type Json } from '../../../lib/format/canonical.ts'
import type { EntryOf } from '../../../lib/format/entry.ts'
import { need } from '../../steps/step.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import { derive } from '../derive.ts'
import { certificateCopy, manifestFile, sha256, signatureFile, sumsFile } from '../manifest.ts'
import { disclose, paths, primaryPaths } from '../material.ts'

export async function checkDisclosures(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  try {
    disclose(material)
  } catch (error) {
    if (!isOurs(error)) throw error
    const { index } = error.data
    const place = typeof index === 'number' ? { index } : {}
    return x.fail({ code: 'DISCLOSURE', what: error.message, file: paths.disclosures, ...place })
  }
  return `${material.disclosures.length}, each committed to by its entry`
}

export async function checkMapping(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  const { before, entries } = disclose(material)
  const policies = [...before, ...entries].flatMap(({ entry, values, index }) =>
    entry.kind === 'policy' ? [{ entry, text: values.controls, index }] : [],
  )
  const { versions, unreadable } = material.mapping
  const named = new Set([...versions.map(({ policy }) => policy), ...unreadable])
  for (const { entry, text, index } of policies) {
    if (!named.delete(entry.digest) && !policies.some(p => p.index < index && p.entry.digest === entry.digest)) {
      const what = `the policy of entry ${index} is not in the mapping`
      x.fail({ code: 'MAPPING', what, index, file: paths.mapping })
    }
    if (typeof text === 'string') checkText(x, entry, text, index)
  }
  for (const policy of named)
    x.fail({ code: 'MAPPING', what: `the mapping names a policy of no entry: ${policy}`, file: paths.mapping })
  return x.options.readControls === undefined
    ? 'every policy is in it; the texts were not read again'
    : 'read again from the texts that the ledger disclosed'
}

/** The disclosed text of a policy's controls is the one that the entry names, and says what the mapping says. */
function checkText(x: BundleExamination, entry: EntryOf<'policy'>, text: string, index: number): void {
  if (Buffer.from(sha256(text), 'hex').toString('base64url') !== entry.controls) {
    const what = `the text of the controls of entry ${index} is another one`
    x.fail({ code: 'MAPPING', what, index, file: paths.disclosures })
  }
  const version = x.material?.mapping.versions.find(({ policy }) => policy === entry.digest)
  const again = x.options.readControls?.(text)
  if (again === undefined || version === undefined) return
  if (canonical(again as unknown as Json) !== canonical(version.controls as unknown as Json)) {
    const what = `the mapping says other controls than entry ${index} discloses`
    x.fail({ code: 'MAPPING', what, index, file: paths.mapping })
  }
}

const own: ReadonlySet<string> = new Set([manifestFile, sumsFile, signatureFile, certificateCopy])

export async function deriveAgain(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  const derived = await derive(material)
  x.results = derived.runs.map(run => run.result)
  x.reconciliations = derived.reconciliations
  for (const [path, content] of derived.files) {
    const bytes = x.files.get(path)
    if (bytes === undefined)
      x.fail({ code: 'FILE_MISSING', what: `${path} follows from the envelopes, and is missing`, file: path })
    else if (!bytes.equals(Buffer.from(content))) {
      x.fail({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
    }
  }
  for (const path of x.files.keys()) {
    if (derived.files.has(path) || primaryPaths.has(path) || own.has(path)) continue
    x.fail({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
  }
  return `${derived.files.size} files derived again, to the same bytes`
}
