/** The step about what others vouch for: kept in the ledger or in a repository outside, and counted only by keys from outside. */
import { examineAnchors } from '../anchors.ts'
import type { Examination } from '../examination.ts'
import { need, skip } from './step.ts'

export async function checkAnchors(x: Examination): Promise<string> {
  const [files, checkpoint, trust] = need(x.files, x.checkpoint, x.trust)
  const { rootAt, anchored: recorded, anchorKeys: keys, tags } = x
  const {
    anchors,
    findings,
    files: kept,
  } = await examineAnchors({ files, checkpoint, trust, rootAt, keys, recorded, tags })
  x.anchors = anchors
  x.findings.addAll(findings)
  const { last } = anchors
  if (findings.length > 0) return ''
  if (last !== undefined) {
    const age = ageOf(x.now - Date.parse(last.time))
    return `${last.anchor} ${shortly(last.by)} vouches for ${last.size} of ${checkpoint.size} entries since ${last.time}, ${age}`
  }
  if (kept === 0) skip('nobody vouches for this ledger: it has no anchors')
  return skip(`${kept} files are whole; who vouches was not examined: that needs --witness, --tsa or --git`)
}

const shortly = (by: string) => (/^[0-9a-f]{64}$/.test(by) ? `${by.slice(0, 16)}...` : by)

const units: readonly (readonly [ms: number, name: string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1000, 'second'],
]

/** In the largest unit of which there is one. */
function ageOf(ms: number): string {
  if (ms < 0) return 'ahead of the clock here'
  const [unit, name] = units.find(([length]) => ms >= length) ?? [1000, 'second']
  const count = Math.floor(ms / unit)
  return `${count} ${name}${count === 1 ? '' : 's'} ago`
}
