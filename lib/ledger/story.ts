/**
 * What a writer has said, as far as whoever takes up the ledger must know: its counter, whether it is at work, and its exchanges in
 * flight. Folded forwards while a ledger is open; when it is opened, known from a snapshot, or else found by reading backwards.
 */
import type { Entry } from '../format/entry.ts'
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

class Found implements Story {
  readonly seq: number
  alive = true
  readonly open = new Set<string>()
  resolved = false
  /** As its last heartbeat counted them; undefined until one is met. */
  #counted: number | undefined
  readonly #endedBefore = new Set<string>()
  #met = 0

  constructor(seq: number) {
    this.seq = seq
  }

  /** Reading backwards. @param ended exchanges whose outcome stands later */
  see(entry: Entry, ended: ReadonlySet<string>): void {
    if (this.resolved) return
    if (entry.kind === 'stopped' || entry.kind === 'recovered') {
      this.alive = false
      this.resolved = true
    } else if (entry.kind === 'started') this.resolved = true
    else if (entry.kind === 'heartbeat') this.#counted ??= entry.open
    else if (entry.kind === 'outcome' && this.#counted !== undefined) this.#endedBefore.add(entry.exchange)
    else if (entry.kind === 'decision' && entry.verdict === 'permit') {
      if (!ended.has(entry.exchange)) this.open.add(entry.exchange)
      if (this.#counted !== undefined && !this.#endedBefore.has(entry.exchange)) this.#met += 1
    }
    // As many as were in flight at the heartbeat have been met: what lies before them is over.
    if (this.#counted === this.#met) this.resolved = true
  }
}

/**
 * @param backwards entries from the last one on: read no further than the last opening, the last entry of `writer`, and what was in
 *   flight of whoever was at work
 */
export async function storiesOf(
  backwards: AsyncIterable<Entry>,
  writer: string,
): Promise<{ readonly stories: ReadonlyMap<string, Story>; readonly last: Entry | undefined }> {
  const found = new Map<string, Found>()
  const ended = new Set<string>()
  let last: Entry | undefined
  let unresolved = 0
  let opening = false
  let everyone = false
  for await (const entry of backwards) {
    last ??= entry
    everyone ||= Date.parse(entry.time) < Date.parse(last.time) - discoveryMs
    let story = found.get(entry.writer)
    if (story === undefined) {
      // Who has said nothing for so long was not at work.
      story = new Found(entry.seq)
      if (everyone) Object.assign(story, { alive: false, resolved: true })
      found.set(entry.writer, story)
      if (!story.resolved) unresolved += 1
    }
    const before = story.resolved
    story.see(entry, ended)
    if (!before && story.resolved) unresolved -= 1
    if (entry.kind === 'outcome') ended.add(entry.exchange)
    opening ||= entry.kind === 'started'
    if (opening && everyone && unresolved === 0 && found.has(writer)) break
  }
  // Read backwards, the latest came first.
  const story = ({ seq, alive, open }: Story): Story => ({ seq, alive, open: new Set([...open].reverse()) })
  return { stories: new Map([...found].map(([name, of]) => [name, story(of)])), last }
}
