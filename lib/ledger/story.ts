/**
 * What a writer has said, as far as whoever takes up the ledger must know: its counter,
 * whether it is at work, and its exchanges in flight.
 */
import type { Standing, WriterStanding } from '../format/standing.ts'

export interface Story {
  /** The last sequence number; 0 for a new writer. */
  readonly seq: number
  /** It has started, and neither stopped nor been given up. */
  readonly alive: boolean
  /** Ids of exchanges that it permitted, and that have no outcome. */
  readonly open: ReadonlySet<string>
}

/** Milliseconds. A writer that shares a ledger says that it lives at least this often. */
export const longestHeartbeatMs = 60_000
/** Who was at work when a ledger ended has said something within this time before. */
const discoveryMs = 3 * longestHeartbeatMs

/** As they are folded, of everybody. */
export function storiesIn({ writers }: Standing): ReadonlyMap<string, Story> {
  const latest = [...writers.values()].reduce((all, { time }) => Math.max(all, Date.parse(time)), 0)
  const atWork = ({ alive, time }: WriterStanding) => alive && Date.parse(time) >= latest - discoveryMs
  return new Map([...writers].map(([name, of]) => [name, { seq: of.seq, alive: atWork(of), open: of.open }]))
}
