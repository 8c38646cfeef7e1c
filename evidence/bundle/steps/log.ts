/** The steps over the log: the material read, the key that speaks for it, and every envelope between two signed checkpoints. */

import { isOurs, LedgerError, Misuse } from '../../../lib/errors.ts'
import { parseCheckpoint, type SignedCheckpoint } from '../../../lib/format/checkpoint.ts'
import { leafHash, sameHash, treeRoot, verifyConsistency, verifyInclusion } from '../../../lib/format/merkle.ts'
import { counted } from '../../../lib/format/words.ts'
import { type Pin, readPin } from '../../pin.ts'
import { need, skip } from '../../steps/step.ts'
import { conclusionIn, mayFollowConclusion } from '../../succession.ts'
import { requireNoteSignature, sayTrust } from '../../trust.ts'
import { base64 } from '../../verification.ts'
import { type AnchorFile, anchorPath, bySize, describeAnchor } from '../anchors.ts'
import type { BundleExamination } from '../bundle-examination.ts'
import { mostAnchor } from '../bundle-files.ts'
import { stampsOf } from '../derive.ts'
import { manifestFile, scopeIn } from '../manifest.ts'
import { type Material, paths } from '../material.ts'
import { rangeReader } from '../range.ts'
import { readMaterial } from '../read-material.ts'
import { isUntold, trustOf } from '../signer.ts'

export async function takeMaterial(x: BundleExamination): Promise<string> {
  const [manifest] = need(x.manifest)
  const { stamps } = manifest
  const scope = { ...scopeIn(manifest), demo: stamps.includes('DEMO') }
  x.material = readMaterial(scope, path => x.files.content(path), await anchorsIn(x))
  if (stampsOf(x.material).join() !== stamps.join())
    x.fail({ code: 'MANIFEST', what: 'the stamps do not follow from period and as-of', file: manifestFile })
  if (x.files.seen(paths.mapping)?.sha256 !== manifest.mapping) {
    x.fail({ code: 'MAPPING', what: 'MANIFEST.json names another mapping', file: paths.mapping })
  }
  return counted(x.material.envelopes.length, 'envelope')
}

/** What others vouch for, as it lies there. What cannot be read is told by who counts files. */
async function anchorsIn({ files }: BundleExamination): Promise<AnchorFile[]> {
  const found: AnchorFile[] = []
  for (const path of files.paths()) {
    if (anchorPath(path) === undefined || files.seen(path)!.bytes > mostAnchor) continue
    found.push(describeAnchor(path, await files.read(path, mostAnchor)))
  }
  return found.sort(bySize)
}

export async function establishTrust(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  try {
    x.trust = await trustOf(x, material)
  } catch (error) {
    if (!isUntold(error)) throw error
    const { code, what, expected, actual } = error.finding
    return x.fail({
      code,
      what,
      ...(expected === undefined ? {} : { expected }),
      ...(actual === undefined ? {} : { actual }),
    })
  }
  return sayTrust(x.trust, x.fingerprint)
}

export async function checkCheckpoints(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  const { opening, closing } = checkpointsOf(material)
  const [trust, { ledger }] = need(x.trust, x.manifest)
  requireNoteSignature(closing, trust)
  if (opening !== undefined) requireNoteSignature(opening, trust)
  const told =
    ledger.closing.size === closing.size &&
    ledger.closing.root === base64(closing.root) &&
    ledger.opening.size === (opening?.size ?? 0)
  if (!told) x.fail({ code: 'CHECKPOINT', what: 'MANIFEST.json names other checkpoints', file: manifestFile })
  return `from ${opening?.size ?? 0} to ${counted(closing.size, 'entry')} of ${closing.origin}`
}

export async function checkLog(x: BundleExamination): Promise<string> {
  const [m] = need(x.material)
  const { opening, closing } = checkpointsOf(m)
  if ((opening?.size ?? 0) !== m.openingSize || closing.size - m.openingSize !== m.envelopes.length) {
    const what = `${m.envelopes.length} envelopes for entries ${m.openingSize} to ${closing.size - 1}`
    return x.fail({ code: 'LOG', what, file: paths.entries })
  }
  const read = rangeReader(m.openingSize, m.frontier, m.envelopes)
  if (opening !== undefined && !sameHash(await treeRoot(opening.size, read), opening.root)) {
    return x.fail({ code: 'LOG', what: 'the given nodes do not give the opening root', file: paths.frontier })
  }
  if (!sameHash(await treeRoot(closing.size, read), closing.root)) {
    const what = 'the envelopes do not lead from the opening root to the closing root'
    return x.fail({ code: 'LOG', what, file: paths.entries })
  }
  if (opening !== undefined) verifyConsistency(opening.size, opening.root, closing.size, closing.root, m.consistency)
  const more = behindConclusion(m)
  if (more !== undefined) return x.fail({ code: 'LOG', what: more, file: paths.entries })
  return `all ${m.envelopes.length} envelopes lead from the opening root to the closing root`
}

/** @returns what is wrong where something is recorded in a ledger that was concluded */
function behindConclusion({ state, envelopes }: Material): string | undefined {
  const concluded = conclusionIn([...state, ...envelopes])
  const more = envelopes.find(({ index, entry }) => index > (concluded ?? index) && !mayFollowConclusion(entry.kind))
  return more && `entry ${more.index} is of kind ${more.entry.kind}, and the ledger was concluded by entry ${concluded}`
}

export async function checkPin(x: BundleExamination): Promise<string> {
  const [m] = need(x.material)
  if (x.options.pin === undefined) skip('no checkpoint held elsewhere was given', false)
  let pin: Pin | undefined
  try {
    pin = await readPin(x.options.pin)
  } catch (error) {
    if (!isOurs(error)) throw error
    return x.fail({ code: 'PIN_UNREADABLE', what: error.message })
  }
  if (pin === undefined) throw new Misuse('ERR_OPTION_INVALID', `no pin at ${x.options.pin}: "verify" keeps one`)
  const { origin } = checkpointsOf(m).closing
  const held = pinnedOf(pin, origin)
  const alone = x.options.among !== true
  if (held === undefined) skip(`the pin is of ${pin.origin}, and not of ${origin}`, alone)
  const size = m.openingSize + m.envelopes.length
  if (held.size < m.openingSize || held.size > size) skip('the pinned size is not within this bundle', alone)
  const root = await treeRoot(held.size, rangeReader(m.openingSize, m.frontier, m.envelopes))
  if (sameHash(root, held.root)) return `agrees with what stood there at ${pin.time}`
  return x.fail({ code: 'PIN', what: `history was rewritten: another tree at the pinned ${held.size} entries` })
}

/** A pin is of the newest ledger of a series, and holds those before it too. */
function pinnedOf(pin: Pin, origin: string): Pick<Pin, 'size' | 'root'> | undefined {
  if (pin.origin === origin) return pin
  const earlier = pin.earlier?.find(one => one.origin === origin)
  return earlier && { size: earlier.size, root: Buffer.from(earlier.root, 'base64') }
}

export async function checkState(x: BundleExamination): Promise<string> {
  const [material] = need(x.material)
  const { state, openingSize } = material
  const { opening } = checkpointsOf(material)
  for (const { index, bytes, proof } of state) {
    try {
      if (opening === undefined) throw new LedgerError('ERR_PROOF_INVALID', 'there is nothing before the first entry')
      verifyInclusion(leafHash(bytes), index, openingSize, proof, opening.root)
    } catch (error) {
      if (!isOurs(error)) throw error
      x.fail({ code: 'STATE', what: error.message, index, file: paths.state })
    }
  }
  return `${counted(state.length, 'entry')} from before, each in the opening tree`
}

function checkpointsOf({ opening, closing }: Material): {
  opening: SignedCheckpoint | undefined
  closing: SignedCheckpoint
} {
  const parse = (note: string) => parseCheckpoint(Buffer.from(note))
  return { opening: opening === undefined ? undefined : parse(opening), closing: parse(closing) }
}
