/** The period in equal intervals: operations, refusals, grants that lived, gaps, changes of policy. Pure. */
import type { Period, Views } from '../views.ts'

export interface Interval {
  /** Unix milliseconds; the end is excluded. */
  readonly from: number
  readonly to: number
  permitted: number
  refused: number
  /** Grants that lived at any moment of it. */
  grants: number
  gaps: number
  /** Times in which the writer had stopped in order. */
  stops: number
  policies: number
}

export interface Timeline {
  readonly intervals: readonly Interval[]
  /** What an interval is called: `hour`. */
  readonly unit: string
  /** Unix milliseconds: of the first and last entry within the period; undefined where there is none. */
  readonly covered: { readonly from: number; readonly to: number } | undefined
}

const minute = 60_000
const hour = 60 * minute
const dayMs = 24 * hour
// biome-ignore format: a table
const units: readonly [ms: number, name: string][] = [
  [minute, 'minute'], [5 * minute, '5 minutes'], [15 * minute, '15 minutes'], [hour, 'hour'], [6 * hour, '6 hours'],
  [dayMs, 'day'], [7 * dayMs, 'week'], [28 * dayMs, '4 weeks'], [364 * dayMs, '52 weeks'], [3640 * dayMs, '520 weeks'],
]
const mostIntervals = 100

export function timelineOf(
  views: Views,
  period: Period,
  entries: { readonly first: string; readonly last: string },
): Timeline {
  const [from, to] = [Date.parse(period.from), Date.parse(period.to)]
  const [ms, unit] = units.find(([length]) => (to - from) / length <= mostIntervals) ?? units.at(-1)!
  const intervals = Array.from({ length: Math.ceil((to - from) / ms) }, (_, i): Interval => {
    const counts = { permitted: 0, refused: 0, grants: 0, gaps: 0, stops: 0, policies: 0 }
    return { from: from + i * ms, to: Math.min(to, from + (i + 1) * ms), ...counts }
  })
  const at = (time: unknown): Interval | undefined => intervals[Math.floor((Date.parse(String(time)) - from) / ms)]
  const spanning = (start: unknown, end: unknown): Interval[] => {
    const [a, b] = [Date.parse(String(start)), Date.parse(String(end))]
    return intervals.filter(one => a < one.to && (b > one.from || (a === b && a >= one.from)))
  }
  for (const row of views.operations) {
    const one = row.in_period ? at(row.time) : undefined
    if (one !== undefined) one[row.verdict === 'permit' ? 'permitted' : 'refused'] += 1
  }
  for (const row of views.policies) {
    // One that is dated on the 31st of September is in the period as text, and in none of its intervals.
    const one = row.in_period ? at(row.time) : undefined
    if (one !== undefined) one.policies += 1
  }
  for (const row of views.grants) {
    if (row.verdict !== 'approve' || row.starts_at === null || row.starts_at === undefined) continue
    // While it lives as the ledger ends, its window's end is not told by what happened.
    for (const one of spanning(row.starts_at, row.over_at ?? entries.last)) one.grants += 1
  }
  for (const row of views.gaps) {
    if (!row.in_period) continue
    for (const one of spanning(row.starts_at, row.ends_at)) one[row.kind === 'stopped' ? 'stops' : 'gaps'] += 1
  }
  const [first, last] = [Math.max(from, Date.parse(entries.first)), Math.min(to, Date.parse(entries.last))]
  return { intervals, unit, covered: first <= last ? { from: first, to: last } : undefined }
}

/** The busiest interval; undefined where nothing happened. */
export const busiest = ({ intervals }: Timeline): Interval | undefined =>
  intervals.reduce<Interval | undefined>((most, one) => {
    const count = one.permitted + one.refused
    return count > (most === undefined ? 0 : most.permitted + most.refused) ? one : most
  }, undefined)
