/**
 * The steps over what follows from the log: each disclosure from its entry, the mapping from
 * the policies, every other file from all of it.
 */
import type { Control } from '../../../lib/control.ts'
import { isOurs } from '../../../lib/errors.ts'
import { canonical, type Json } from '../../../lib/format/canonical.ts'
import type { EntryOf } from '../../../lib/format/entry.ts'
import { erasuresIn } from '../../erasures.ts'
import { included } from '../../recorded.ts'
import { need, skip } from '../../steps/step.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import type { BundleFinding } from '../bundle-verification.ts'
import { type Derived, derive, manifestOf } from '../derive.ts'
import {
  byPath,
  certificateCopy,
  formatManifest,
  listFiles,
  manifestFile,
  sha256,
  signatureFile,
  sumsFile,
} from '../manifest.ts'
import { disclose, disclosuresByEntry, type Material, paths, primaryPaths } from '../material.ts'
import { requireCommitted } from '../recordings.ts'
import { isWhole, Theirs } from '../withheld.ts'

export async function checkDisclosures(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  try {
    x.disclosed = disclose(material)
  } catch (error) {
    if (!isOurs(error)) throw error
    const { index } = error.data
    const place = typeof index === 'number' ? { index } : {}
    return x.fail({ code: 'DISCLOSURE', what: error.message, file: paths.disclosures, ...place })
  }
  return `${material.disclosures.length}, each committed to by its entry; ${notHere(x, material)}`
}

/**
 * What is not in the bundle was erased by an entry that is, or withheld: from everybody, of its kind, or of the
 * principals whom the manifest says. What is neither is missing. Whether something is missing from the vault, the
 * ledger's own verification says.
 */
function notHere(x: BundleExamination, material: Material): string {
  const { identities, actions, withheld } = material.scope
  const entries = [...material.state, ...material.envelopes]
  const theirs = new Theirs(withheld.principals, entries)
  const naming = new Set(withheld.entries)
  const later = new Set(withheld.erasedLater)
  const erasures = erasuresIn(entries)
  const here = disclosuresByEntry(material)
  const counts = { withheld: 0, theirs: 0, erased: 0, later: 0 }
  const by = new Set<number>()
  for (const { index, entry } of entries) {
    const gone = (entry.sd?.length ?? 0) - (here.get(index)?.length ?? 0)
    if (gone === 0) continue
    const erasure = erasures.alibis.byScope(index, entry)
    const isTheirs = theirs.has(entry) || naming.has(index)
    if (erasure !== undefined) {
      counts.erased += gone
      by.add(erasure)
    } else if (isTheirs) counts.theirs += gone
    else if (later.has(index)) counts.later += gone
    else if (isWhole(entry, { identities, actions, recordings: false }) && !erasures.alibis.mayBeErased(index, entry)) {
      const what = `${gone} of what entry ${index} discloses is missing: it was not erased, and the bundle does not say that it is withheld`
      x.fail({ code: 'DISCLOSURE', what, index, file: paths.disclosures })
    } else counts.withheld += gone
  }
  const { length } = withheld.principals
  const whose = `${counts.theirs} withheld of the ${length === 1 ? 'principal' : `${length} principals`} whom MANIFEST.json names`
  return [
    `${counts.withheld} withheld`,
    ...(length === 0 ? [] : [whose]),
    ...(counts.erased === 0 ? [] : [`${counts.erased} erased (by ${[...by].map(index => `#${index}`).join(', ')})`]),
    ...(counts.later === 0 ? [] : [`${counts.later} erased after what is here, as MANIFEST.json says`]),
  ].join(', ')
}

export async function checkMapping(x: BundleExamination): Promise<string> {
  const [material, { before, entries }] = need(x.material, x.disclosed)
  requireOnce(x, material)
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
  const told = new Set(policies.flatMap(({ entry, text }) => (typeof text === 'string' ? [entry.digest] : [])))
  const untold = versions.filter(({ policy }) => !told.has(policy)).length
  if (untold > 0 && x.options.readControls !== undefined)
    skip(
      `of ${untold} policies whose controls are in the mapping the text is withheld: they rest on the word of who made the bundle`,
    )
  const texts = policies.filter(({ text }) => typeof text === 'string').length
  return x.options.readControls === undefined
    ? 'every policy is in it; the texts were not read again'
    : `read again from the texts that the ledger disclosed: those of ${texts} of ${policies.length} policies`
}

/** Of one that is there twice the other would be the one that is tested by. */
function requireOnce(x: BundleExamination, { mapping: { versions, unreadable } }: Material): void {
  const seen = new Set<string>()
  for (const policy of [...versions.map(version => version.policy), ...unreadable]) {
    if (seen.has(policy))
      x.fail({ code: 'MAPPING', what: `the mapping has a policy twice: ${policy}`, file: paths.mapping })
    seen.add(policy)
  }
}

/** The disclosed text of a policy's controls is the one that the entry names, and says what the mapping says. */
function checkText(x: BundleExamination, entry: EntryOf<'policy'>, text: string, index: number): void {
  if (Buffer.from(sha256(text), 'hex').toString('base64url') !== entry.controls) {
    const what = `the text of the controls of entry ${index} is another one`
    x.fail({ code: 'MAPPING', what, index, file: paths.disclosures })
  }
  const again = readAgain(x, text)
  if (again === undefined) return
  const said = x.material?.mapping.versions.find(({ policy }) => policy === entry.digest)?.controls ?? 'unreadable'
  if (canonical(again as unknown as Json) === canonical(said as unknown as Json)) return
  const what = `the mapping says other controls than entry ${index} discloses`
  x.fail({ code: 'MAPPING', what, index, file: paths.mapping })
}

/** A text that the configuration of this version does not take says nothing that the mapping could follow from. */
function readAgain({ options }: BundleExamination, text: string): readonly Control[] | 'unreadable' | undefined {
  try {
    return options.readControls?.(text)
  } catch (error) {
    if (!isOurs(error)) throw error
    return 'unreadable'
  }
}

/** Each recording that is in the bundle, held against the entry that commits to its bytes. */
export async function checkRecordings(x: BundleExamination): Promise<string> {
  const [{ entries }] = need(x.disclosed)
  const recordings = included(entries)
  for (const recording of recordings) {
    const { file, index } = recording
    try {
      if (x.files.seen(file) === undefined)
        x.fail({ code: 'FILE_MISSING', what: `${file} is disclosed, and missing`, file, index })
      else await requireCommitted(recording, x.files.pieces(file))
    } catch (error) {
      if (!isOurs(error)) throw error
      x.fail({ code: 'RECORDING', what: error.message, file, index })
    }
  }
  const kinds = entries.map(({ entry }) => entry.kind)
  const [all, cut] = (['attachment', 'attachment-cut'] as const).map(kind => kinds.filter(one => one === kind).length)
  const beside = cut === 0 ? '' : `; beside them the log tells of ${cut} that a crash cut`
  return `${recordings.length} of ${all} are here, each what its entry commits to${beside}`
}

const own: ReadonlySet<string> = new Set([manifestFile, sumsFile, signatureFile, certificateCopy])

export async function deriveAgain(x: BundleExamination): Promise<string> {
  const [material, disclosed, trust] = need(x.material, x.disclosed, x.trust)
  // Controls may hold queries: what the pinned key did not sign is not run.
  if (![...primaryPaths].every(path => x.isSigned(path)))
    skip('nothing is derived from what the pinned key did not sign')
  const derived = await derive(material, disclosed)
  x.results = derived.runs.map(run => run.result)
  x.reconciliations = derived.reconciliations
  const apart = new Set([
    ...included(disclosed.entries).map(({ file }) => file),
    ...material.anchors.files.map(({ path }) => path),
  ])
  const differing = differences(x, derived.files, apart)
  for (const finding of differing) x.fail(finding)
  if (differing.length === 0) checkListing(x, material, derived, apart, trust.seal.fingerprint)
  return `${derived.files.size} files derived again, to the same bytes`
}

/** @param apart recordings and anchors: what they are held against is told by steps of their own */
function differences(
  x: BundleExamination,
  derived: ReadonlyMap<string, string>,
  apart: ReadonlySet<string>,
): BundleFinding[] {
  const findings: BundleFinding[] = []
  for (const [path, content] of derived) {
    const seen = x.files.seen(path)
    if (seen === undefined)
      findings.push({ code: 'FILE_MISSING', what: `${path} follows from the envelopes, and is missing`, file: path })
    else if (seen.sha256 !== sha256(content))
      findings.push({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
  }
  for (const path of x.files.paths()) {
    if (derived.has(path) || primaryPaths.has(path) || own.has(path) || apart.has(path)) continue
    findings.push({ code: 'NOT_DERIVED', what: `${path} does not follow from the envelopes`, file: path })
  }
  return findings
}

/** What MANIFEST.json says of the ledger, and of each file's rows, follows from all of them. */
function checkListing(
  x: BundleExamination,
  material: Material,
  { files: derived, views }: Derived,
  apart: ReadonlySet<string>,
  signer: string,
): void {
  const files = new Map<string, string | Uint8Array>(derived)
  for (const path of [certificateCopy, ...primaryPaths]) {
    const content = x.files.content(path)
    if (content !== undefined) files.set(path, content)
  }
  const long = [...apart].flatMap(path => {
    const seen = x.files.seen(path)
    return seen === undefined ? [] : [{ path, bytes: seen.bytes, sha256: seen.sha256, rows: 0 }]
  })
  const expected = formatManifest(manifestOf(material, views, signer, byPath([...listFiles(files), ...long])))
  if (sha256(expected) === x.files.seen(manifestFile)?.sha256) return
  x.fail({ code: 'MANIFEST', what: 'MANIFEST.json does not follow from what it lists', file: manifestFile })
}
