/**
 * Which entries of a ledger what is known of it still rests on: who everybody is, the policy in force, legal holds, who was erased, keys,
 * grants and approvals that are not long over, and what became of the ledgers of its series. Folded from them alone, the state is what it
 * would be folded from all. Pure, so that whoever verifies can do it again.
 * What is kept is part of the format: where it changes, so does the title of a snapshot.
 */
import type { Entry, EntryOf, EntrySummary } from './entry.ts'
import { Standing } from './standing.ts'

/** Milliseconds for which a request for a grant waits for a decision. */
export const patienceMs = 86_400_000
/** Milliseconds for which a grant or an approval is still known after it is over, so that a refusal can name it. */
export const rememberedMs = 86_400_000

export interface LivingEntry {
  readonly index: number
  readonly entry: Entry
}

/** A grant or an approval, from its request on. */
interface Matter {
  readonly entries: LivingEntry[]
  /** Unix milliseconds from which on it is forgotten, by the latest time of any entry. */
  forgotten: number
}

export class Living {
  #size = 0
  /** Unix milliseconds. Clocks step back; what is forgotten stays so. */
  #latest = Number.NEGATIVE_INFINITY
  #opened: LivingEntry | undefined
  #policy: LivingEntry | undefined
  /** By pseudonym: the latest says it all. */
  readonly #principals = new Map<string, LivingEntry>()
  /** Pseudonyms that were erased: nobody is given one again. */
  readonly #erased = new Set<string>()
  /** About legal holds, who was erased, keys and the series: they are few, and each is remembered for good. */
  readonly #lasting: LivingEntry[] = []
  readonly #matters = new Map<string, Matter>()
  #tidyAt = 1024
  #standing = new Standing()

  /** Entries seen, or stood for. */
  get size(): number {
    return this.#size
  }

  /** Takes up where a snapshot ends. @param latest of all the entries that it stands for. @param entries as `entries()` gave them */
  static resume(size: number, latest: number, standing: Standing, entries: Iterable<LivingEntry>): Living {
    const living = new Living()
    for (const one of entries) living.#see(one)
    living.#size = size
    living.#latest = latest
    living.#standing = standing
    return living
  }

  /** What was said last of who a pseudonym is; undefined where nothing was, or it was erased. */
  principal(pseudonym: string): LivingEntry | undefined {
    return this.#principals.get(pseudonym)
  }

  /** Whether what is of a pseudonym was erased, though it may have been named again since. */
  wasErased(pseudonym: string): boolean {
    return this.#erased.has(pseudonym)
  }

  /**
   * Whether a grant or an approval was asked for under that id. Whether it has been tidied away
   * by now or not, what is long over is forgotten.
   */
  isKnown(matter: string): boolean {
    const known = this.#matters.get(matter)
    return known !== undefined && known.forgotten > this.#latest
  }

  /** That the series goes on in another ledger. */
  get concluded(): EntryOf<'concluded'> | undefined {
    for (const { entry } of this.#lasting) if (entry.kind === 'concluded') return entry
    return undefined
  }

  /** Of everybody who has ever appended. */
  get writers(): Standing {
    return this.#standing
  }

  /** Unix milliseconds of the latest entry. */
  get latest(): number {
    return this.#latest
  }

  /** The next entry. */
  add(one: LivingEntry): void {
    this.pass(one.index, one.entry)
    this.#see(one)
    if (this.#matters.size >= this.#tidyAt) this.#tidy()
  }

  /** The next entry, where no more rests on it than where its writer stands. */
  pass(index: number, entry: Omit<EntrySummary, 'id'>): void {
    this.#latest = Math.max(this.#latest, Date.parse(entry.time))
    this.#size = index + 1
    this.#standing.add(entry)
  }

  /** In index order. */
  entries(): readonly LivingEntry[] {
    this.#tidy()
    const single = [this.#opened, this.#policy].filter(one => one !== undefined)
    const matters = [...this.#matters.values()].flatMap(({ entries }) => entries)
    return [...single, ...this.#principals.values(), ...this.#lasting, ...matters].sort((a, b) => a.index - b.index)
  }

  #see(one: LivingEntry): void {
    const { entry } = one
    switch (entry.kind) {
      case 'opened':
        this.#opened = one
        return
      case 'policy':
        this.#policy = one
        return
      case 'principal':
        this.#principals.set(entry.subject, one)
        return
      case 'erasure':
        if (entry.scope !== 'principal') return
        // Nobody can be told by that name any more.
        this.#principals.delete(entry.of)
        this.#erased.add(entry.of)
        this.#lasting.push(one)
        return
      case 'hold-placed':
      case 'hold-released':
      case 'key-rotated':
      case 'key-revoked':
      case 'concluded':
      case 'continued':
      case 'disposed':
        this.#lasting.push(one)
        return
      case 'grant-requested':
        this.#begin(entry.grant, one, Date.parse(entry.time) + patienceMs + entry.seconds * 1000)
        return
      case 'approval-requested':
        this.#begin(entry.approval, one, Date.parse(entry.until))
        return
      case 'grant-decided':
        this.#go(entry.grant, one, entry.until)
        return
      case 'grant-revoked':
        this.#go(entry.grant, one)
        return
      case 'approval-decided':
        this.#go(entry.approval, one)
        return
      case 'decision':
        // An approval is used once.
        if (entry.approval !== undefined && entry.verdict === 'permit') this.#go(entry.approval, one)
    }
  }

  #begin(id: string, one: LivingEntry, over: number): void {
    // The first under an id stands, as long as it is remembered.
    if (this.isKnown(id)) return
    this.#matters.set(id, { entries: [one], forgotten: over + rememberedMs })
  }

  /** @param until RFC 3339: from now on this is when it is over */
  #go(id: string, one: LivingEntry, until?: string): void {
    if (!this.isKnown(id)) return
    const matter = this.#matters.get(id)!
    matter.entries.push(one)
    if (until !== undefined) matter.forgotten = Date.parse(until) + rememberedMs
  }

  #tidy(): void {
    for (const [id, { forgotten }] of this.#matters) if (forgotten <= this.#latest) this.#matters.delete(id)
    this.#tidyAt = Math.max(1024, this.#matters.size * 2)
  }
}
