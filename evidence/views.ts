/**
 * Verified entries as the rows of the documented views. Pure: the same entries, disclosures and period give the same rows, whether
 * they come from a ledger or from a bundle.
 */
import type { Json } from '../lib/format/canonical.ts'
import type { Entry } from '../lib/format/entry.ts'
import { Continuity, type Gap } from './continuity.ts'
import { erasuresIn } from './erasures.ts'
import { Facts } from './facts.ts'
import type { Row, ViewName } from './view-columns.ts'
import { rowsOf } from './view-rows.ts'

export interface Period {
  /** RFC 3339, UTC, to the millisecond; included. */
  readonly from: string
  /** Excluded. */
  readonly to: string
}

/** An entry with what is disclosed of it to the reader of the views. */
export interface Disclosed {
  readonly index: number
  readonly entry: Entry
  readonly values: Readonly<Record<string, Json>>
}

export interface ViewInput {
  /** Entries from before the opening checkpoint that still matter, in order. */
  readonly before: readonly Disclosed[]
  /** Every entry between the two checkpoints, in order. */
  readonly entries: readonly Disclosed[]
  readonly period: Period
  readonly checkpoints: readonly Row[]
  readonly requirements: readonly Row[]
}

export type Views = Readonly<Record<ViewName, readonly Row[]>>

export function deriveViews(input: ViewInput): Views {
  const facts = new Facts()
  const continuity = new Continuity({ whole: input.before.length === 0 })
  for (const one of input.before) facts.add(one, false)
  resume(continuity, input.before)
  for (const one of input.entries) {
    facts.add(one, true)
    continuity.add(one.index, one.entry)
  }
  return {
    ...rowsOf(facts, erasuresIn([...input.before, ...input.entries]), input.period),
    gaps: continuity.gaps.map(gap => gapRow(gap, input.period)),
    checkpoints: input.checkpoints,
    requirements: input.requirements,
  }
}

/** The state holds the last entry of each writer, and its last heartbeat. */
function resume(continuity: Continuity, before: readonly Disclosed[]): void {
  const last = new Map<string, { entry: Entry; heartbeat: Entry | undefined }>()
  for (const { entry } of before) {
    const beats = entry.kind === 'started' || entry.kind === 'heartbeat'
    last.set(entry.writer, { entry, heartbeat: beats ? entry : last.get(entry.writer)?.heartbeat })
  }
  for (const { entry, heartbeat } of last.values()) continuity.resume(entry, heartbeat)
}

const gapRow = ({ kind, writer, from, to, index, detail }: Gap, period: Period): Row => ({
  kind,
  writer,
  starts_at: from,
  ends_at: to,
  index,
  in_period: from < period.to && to >= period.from,
  detail,
})
