/**
 * What entries must not say, however well they are signed: an id or a decision twice, an outcome of nothing, a second opening.
 * Ids are UUIDs by time, so only the newest are remembered. What may have been forgotten is doubtful, and looked up by reading again.
 */
import type { EntrySummary } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'

/** How many ids are remembered at the least, and how many doubts are kept. */
const bounds = { remembered: 65_536, doubtful: 65_536 }

/** Ids as they come: in order mostly, so that few need more than a place at the end. */
class Run {
  readonly #ascending: string[] = []
  readonly #late = new Set<string>()

  get size(): number {
    return this.#ascending.length + this.#late.size
  }

  get greatest(): string {
    return this.#ascending.at(-1) ?? ''
  }

  has(id: string): boolean {
    const ids = this.#ascending
    let [from, end] = [0, ids.length]
    while (from < end) {
      const middle = (from + end) >>> 1
      if (ids[middle]! < id) from = middle + 1
      else end = middle
    }
    return ids[from] === id || this.#late.has(id)
  }

  add(id: string): void {
    if (id > this.greatest) this.#ascending.push(id)
    else if (!this.has(id)) this.#late.add(id)
  }
}

/** The last ids that were added, at least so many of them as are to be remembered. */
class Recent {
  #newer = new Run()
  #older = new Run()
  /** The greatest id that was forgotten: text order is the order of time. */
  #forgotten: string
  #greatest: string

  readonly #most: number

  /** @param most how many are to be remembered. @param forgotten no id up to this one is known */
  constructor(most: number, forgotten: string) {
    this.#most = most
    this.#forgotten = forgotten
    this.#greatest = forgotten
  }

  has(id: string): boolean {
    // Most are: they come by time.
    if (id > this.#greatest) return false
    return this.#newer.has(id) || this.#older.has(id)
  }

  /** Whether it may have been added, and forgotten. */
  isOld(id: string): boolean {
    return id <= this.#forgotten
  }

  add(id: string): void {
    this.#newer.add(id)
    if (id > this.#greatest) this.#greatest = id
    if (this.#newer.size < this.#most) return
    const { greatest } = this.#older
    if (greatest > this.#forgotten) this.#forgotten = greatest
    this.#older = this.#newer
    this.#newer = new Run()
  }

  get greatest(): string {
    return this.#greatest
  }
}

type Doubt = 'id' | 'decision' | 'outcome'

export class Meaning {
  readonly findings = new Findings<Finding>()
  readonly #most: typeof bounds
  readonly #ids: Recent
  readonly #decided: Recent
  /** Permitted, and without an outcome yet: however long ago. */
  readonly #open: Set<string>
  /** What is asked of an id -> index of the entry for which it is asked. */
  readonly #doubts = new Map<string, number>()
  #doubtsUntold = 0

  /** @param from where an earlier verification left off: ids up to `greatest` were not kept, but for the exchanges that are open */
  constructor(
    from: { readonly greatest: string; readonly open: readonly string[] } = { greatest: '', open: [] },
    most = bounds,
  ) {
    this.#most = most
    this.#ids = new Recent(most.remembered, from.greatest)
    this.#decided = new Recent(most.remembered, from.greatest)
    this.#open = new Set(from.open)
  }

  /** How many questions there are that only reading again can answer. */
  get doubtful(): number {
    return this.#doubts.size
  }

  /** For the next verification. */
  get state(): { readonly greatest: string; readonly open: readonly string[] } {
    return { greatest: this.#ids.greatest, open: [...this.#open] }
  }

  /** In index order. */
  add(index: number, { kind, id, exchange = '', verdict }: EntrySummary): void {
    if (this.#ids.has(id)) this.#repeated(index, id)
    else if (this.#ids.isOld(id)) this.#doubt('id', id, index)
    this.#ids.add(id)
    if (kind === 'opened' && index > 0) {
      const what = `entry ${index} opens a ledger that is open`
      this.findings.add({ code: 'ENTRY_MALFORMED', what, index })
    }
    if (kind === 'decision') this.#decide(index, exchange, verdict)
    if (kind === 'outcome') this.#end(index, exchange)
  }

  #decide(index: number, exchange: string, verdict: string | undefined): void {
    if (this.#decided.has(exchange) || this.#open.has(exchange)) this.#decidedAgain(index, exchange)
    else if (this.#decided.isOld(exchange)) this.#doubt('decision', exchange, index)
    this.#decided.add(exchange)
    if (verdict !== 'permit') return
    this.#open.add(exchange)
    // What is dropped here is looked up by reading again, where an outcome asks for it.
    if (this.#open.size > this.#most.remembered) this.#open.delete(this.#open.values().next().value!)
  }

  #end(index: number, exchange: string): void {
    if (this.#open.delete(exchange) || this.#decided.has(exchange)) return
    if (this.#decided.isOld(exchange)) this.#doubt('outcome', exchange, index)
    else this.#orphan(index, exchange)
  }

  #doubt(of: Doubt, id: string, index: number): void {
    if (this.#doubts.size < this.#most.doubtful) this.#doubts.set(`${of} ${id}`, index)
    else this.#doubtsUntold += 1
  }

  /** Every entry a second time, in index order. */
  lookAgain(index: number, { kind, id, exchange }: EntrySummary): void {
    this.#answer('id', id, index, later => this.#repeated(later, id))
    if (kind !== 'decision' || exchange === undefined) return
    this.#answer('decision', exchange, index, later => this.#decidedAgain(later, exchange))
    this.#answer('outcome', exchange, index, () => {})
  }

  #answer(of: Doubt, id: string, index: number, then: (later: number) => void): void {
    const later = this.#doubts.get(`${of} ${id}`)
    if (later === undefined || index >= later) return
    this.#doubts.delete(`${of} ${id}`)
    then(later)
  }

  /** What reading again did not find was not there: an id is no repetition, and an outcome has no decision. */
  settleDoubts(): void {
    for (const [doubt, index] of this.#doubts) {
      const [of, id] = doubt.split(' ')
      if (of === 'outcome') this.#orphan(index, id!)
    }
    this.#doubts.clear()
    if (this.#doubtsUntold === 0) return
    const what = `${this.#doubtsUntold} entries have ids of a time long before them: whether these are repeated was not looked up`
    this.findings.add({ code: 'ENTRY_REPEATED', what })
  }

  /** Leaves them unanswered. @returns how many there are */
  leaveDoubts(): number {
    return this.#doubts.size + this.#doubtsUntold
  }

  #repeated(index: number, actual: string): void {
    this.findings.add({ code: 'ENTRY_REPEATED', what: `entry ${index} has the id of an earlier one`, index, actual })
  }

  #decidedAgain(index: number, actual: string): void {
    this.findings.add({ code: 'ENTRY_REPEATED', what: `entry ${index} decides an exchange again`, index, actual })
  }

  #orphan(index: number, actual: string): void {
    this.findings.add({
      code: 'OUTCOME_ORPHAN',
      what: `entry ${index} is the outcome of nothing decided`,
      index,
      actual,
    })
  }
}
