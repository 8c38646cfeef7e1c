/** The step over what others vouch for: each file held against the tree of the bundle, and counted by keys from outside. */
import { isOurs } from '../../../lib/errors.ts'
import { anchorFile, anchorFolder } from '../../../lib/format/anchor.ts'
import { parseCheckpoint } from '../../../lib/format/checkpoint.ts'
import { type Hash, treeRoot, verifyConsistency } from '../../../lib/format/merkle.ts'
import { counted } from '../../../lib/format/words.ts'
import { type AnchorFiles, examineAnchors } from '../../anchor-files.ts'
import { readTags } from '../../git-tags.ts'
import { sayOthers, shortly } from '../../steps/anchored.ts'
import { need, skip } from '../../steps/step.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import { mostAnchor } from '../bundle-files.ts'
import { type Material, paths } from '../material.ts'
import { rangeReader } from '../range.ts'

export async function checkAnchors(x: BundleExamination): Promise<string> {
  const [material, trust] = need(x.material, x.trust)
  const { anchors, envelopes, openingSize } = material
  const closing = parseCheckpoint(Buffer.from(material.closing))
  const sizes = new Set(anchors.later.map(({ size }) => size))
  const covers = (size: number) => (size >= openingSize && size <= closing.size) || sizes.has(size)
  const files = anchors.files.filter(({ size }) => covers(size))
  for (const { path, size } of anchors.files) {
    if (covers(size)) continue
    const what = `an anchor for ${size} entries, of which nothing in this bundle gives the root`
    x.fail({ code: 'ANCHOR_INVALID', what, file: path })
  }
  const recorded = envelopes.flatMap(({ index, entry }) => {
    if (entry.kind !== 'anchored' || entry.anchor === 'git' || !covers(entry.size)) return []
    return [{ index, size: entry.size, file: anchorFile(entry.anchor, entry.size, entry.file) }]
  })
  const { anchorKeys: keys } = x
  const tags = keys.git === undefined ? [] : await readTags(keys.git, closing.origin)
  const examined = await examineAnchors({
    files: sourceOf(x, files),
    checkpoint: { ...closing, size: Math.max(closing.size, ...sizes) },
    ...{ trust, keys, recorded, isPart: false, of: 'what this bundle covers', isPast: true },
    tags: tags.filter(({ size }) => covers(size)),
    rootOf: rootsOf(x, material),
  })
  x.anchors = examined.anchors
  x.findings.addAll(examined.findings)
  const { last } = x.anchors
  if (last !== undefined) {
    const all = last.size >= closing.size ? `all ${closing.size}` : `${last.size} of ${closing.size}`
    return `${last.anchor} ${shortly(last.by)} vouches for ${all} entries since ${last.time}${sayOthers(x.anchors, last)}`
  }
  if (anchors.files.length === 0) skip('nobody vouches for this: it carries no anchors', false)
  const needs = 'who vouches was not examined: that needs --witness, --tsa or --git'
  return `${counted(files.length, 'file')}, each what its name and the log commit to; ${needs}`
}

/** As a ledger's directory has them. */
function sourceOf(x: BundleExamination, files: Material['anchors']['files']): AnchorFiles {
  const paths = new Set(files.map(({ path }) => path))
  const sizes = [...new Set(files.map(({ size }) => size))].sort((a, b) => a - b)
  const names = new Map(sizes.map(size => [size, [] as string[]]))
  for (const { path, size } of files) names.get(size)!.push(path.slice(`${anchorFolder}/${size}/`.length))
  return {
    directory: x.options.directory,
    anchorSizes: async () => ({ sizes, strange: [] }),
    anchorNames: async size => names.get(size) ?? [],
    anchor: file => x.files.read(file, mostAnchor),
    hasAnchor: async file => paths.has(file),
  }
}

/** Within the bundle from its envelopes; beyond it, the root that a proof leads to from the closing one. */
function rootsOf(x: BundleExamination, material: Material): (size: number) => Promise<Hash | undefined> {
  const { anchors, openingSize, frontier, envelopes } = material
  const closing = parseCheckpoint(Buffer.from(material.closing))
  const read = rangeReader(openingSize, frontier, envelopes)
  return async size => {
    const later = anchors.later.find(one => one.size === size)
    try {
      if (later === undefined) return await treeRoot(size, read)
      verifyConsistency(closing.size, closing.root, size, later.root, later.hashes)
      return later.root
    } catch (error) {
      if (!isOurs(error)) throw error
      // The step over the log says what is wrong with envelopes.
      if (later !== undefined) x.fail({ code: 'ANCHOR_INVALID', what: error.message, file: paths.later })
      return undefined
    }
  }
}
