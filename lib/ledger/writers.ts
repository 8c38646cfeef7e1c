/** Everyone who appends through one open ledger: each with a counter of its own, and what it has in flight. */
import type { Entry } from '../format/entry.ts'
import type { Draft } from './ledger.ts'
import { type Prepared, Scribe, type ScribeParts } from './scribe.ts'
import type { Story } from './story.ts'

interface Writer {
  readonly scribe: Scribe
  alive: boolean
  readonly open: Set<string>
  /** Exchanges that it asked an approval for, and has not decided, since this opening. */
  readonly asked: Set<string>
  /** Those that it asked one for before, and may not have decided. */
  readonly askedBefore: Set<string>
}

const nothing: Story = { seq: 0, alive: false, open: new Set() }

export class Writers {
  readonly #parts: Omit<ScribeParts, 'writer' | 'seq'>
  readonly #writers = new Map<string, Writer>()

  /** @param living what is known of the ledger: who was at work may still decide what it asked an approval for */
  constructor(
    parts: Omit<ScribeParts, 'writer' | 'seq'>,
    stories: ReadonlyMap<string, Story>,
    living: Iterable<{ readonly entry: Entry }>,
  ) {
    this.#parts = parts
    for (const [name, story] of stories) this.add(name, story)
    for (const { entry } of living) {
      if (entry.kind !== 'approval-requested') continue
      const writer = this.#writers.get(entry.writer)
      if (writer?.alive === true) writer.askedBefore.add(entry.exchange)
    }
  }

  /** Of one that has appended before, or was added. */
  story(name: string): Story | undefined {
    const writer = this.#writers.get(name)
    return writer === undefined ? undefined : { seq: writer.scribe.seq, alive: writer.alive, open: writer.open }
  }

  names(): readonly string[] {
    return [...this.#writers.keys()]
  }

  add(name: string, { seq, alive, open }: Story = nothing): Writer {
    const writer = {
      scribe: new Scribe({ ...this.#parts, writer: name, seq }),
      alive,
      open: new Set(open),
      asked: new Set<string>(),
      askedBefore: new Set<string>(),
    }
    this.#writers.set(name, writer)
    return writer
  }

  /**
   * All of the drafts or none, in the order in which they will stand. A heartbeat is told here what is in flight.
   * @throws LedgerError ERR_ENTRY_MALFORMED
   */
  prepare(name: string, drafts: readonly Draft[], ids?: readonly string[]): Prepared[] {
    const writer = this.#writers.get(name) ?? this.add(name)
    const told = drafts.map(draft => (draft.kind === 'heartbeat' ? { ...draft, open: writer.open.size } : draft))
    const prepared = writer.scribe.prepare(told, ids)
    for (const { entry } of prepared) {
      if (entry.kind === 'decision') {
        writer.asked.delete(entry.exchange)
        writer.askedBefore.delete(entry.exchange)
        if (entry.verdict === 'permit') writer.open.add(entry.exchange)
      } else if (entry.kind === 'approval-requested') writer.asked.add(entry.exchange)
      else if (entry.kind === 'outcome') this.#ended(entry.exchange, writer)
      else if (entry.kind === 'started') writer.alive = true
      else if (entry.kind === 'stopped' || entry.kind === 'recovered') {
        writer.alive = false
        writer.asked.clear()
        writer.askedBefore.clear()
      }
    }
    return prepared
  }

  /** How many exchanges a writer began that are under way. */
  inFlight(name: string): number {
    const { open, asked } = this.#writers.get(name) ?? { open: new Set(), asked: new Set() }
    return open.size + asked.size
  }

  /** Whether an exchange is under way that another writer began. */
  isAnothers(name: string, exchange: string): boolean {
    return [...this.#writers].some(
      ([other, { open, asked, askedBefore }]) =>
        other !== name && (open.has(exchange) || asked.has(exchange) || askedBefore.has(exchange)),
    )
  }

  #ended(exchange: string, writer: Writer): void {
    if (writer.open.delete(exchange)) return
    // Closed by who opened the ledger after its writer was gone.
    for (const { open } of this.#writers.values()) if (open.delete(exchange)) return
  }
}
