/**
 * What entries must not say, however well they are signed: an id or a decision twice, an outcome of nothing, a second opening.
 * Ids are UUIDs by time, so only the newest are remembered. What may have been forgotten is doubtful, and looked up by reading again.
 */
import type { EntrySummary } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'

/** How many ids are remembered at the least, how many doubts are kept, and how often all is read again for those that were not. */
const bounds = { remembered: 65_536, doubtful: 65_536, rounds: 16 }

/** Milliseconds: an id that is of a time so long behind its entry is kept apart until that has come. */
const apartMs = 1_000
/** Milliseconds by which the clocks of two hosts may differ: what is further ahead is told. */
const aheadMs = 60_000
/** Writers that are named. */
const mostNamed = 5

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
  /** Of a time that is yet to come: taken as it is, one of them would make all that follow it look old. */
  readonly #apart = new Set<string>()

  readonly #most: number

  /** @param most how many are to be remembered. @param forgotten no id up to this one is known */
  constructor(most: number, forgotten: string) {
    this.#most = most
    this.#forgotten = forgotten
    this.#greatest = forgotten
  }

  has(id: string): boolean {
    // Most are: they come by time.
    if (id > this.#greatest) return this.#apart.has(id)
    return this.#apart.has(id) || this.#newer.has(id) || this.#older.has(id)
  }

  /** Whether it may have been added, and forgotten. */
  isOld(id: string): boolean {
    return id <= this.#forgotten
  }

  /** @param bound ids beyond it are of a time that is yet to come */
  add(id: string, bound: string): void {
    if (id > bound && this.#apart.size < this.#most) {
      this.#apart.add(id)
      return
    }
    this.#newer.add(id)
    if (id > this.#greatest) this.#greatest = id
    if (this.#newer.size < this.#most) return
    for (const one of this.#apart) {
      if (one > this.#greatest) continue
      this.#apart.delete(one)
      this.#newer.add(one)
    }
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

interface From {
  readonly greatest: string
  readonly open: readonly string[]
}

interface Asked {
  /** Of the entry for which it is asked. */
  readonly index: number
  readonly writer: string
}

export class Meaning {
  readonly findings = new Findings<Finding>()
  readonly #from: From
  readonly #most: typeof bounds
  readonly #ids: Recent
  readonly #decided: Recent
  /** Permitted, and without an outcome yet: however long ago. */
  readonly #open: Set<string>
  readonly #doubts = new Map<string, Asked>()
  /** How often all is read again by now, and doubts of those times. */
  readonly #round: number
  readonly #settled: number
  #seen = 0
  #doubtsUntold = 0
  /** Of whose entries these are. */
  readonly #untold = new Set<string>()
  #ahead = 0
  readonly #aheadOf = new Set<string>()
  readonly #names = new Map<string, string>()
  #time = ''
  /** Ids beyond these are ahead of the time of the entry. */
  #bounds = { apart: '', ahead: '' }

  /** @param from where an earlier verification left off: ids up to `greatest` were not kept, but for the exchanges that are open */
  constructor(from: From = { greatest: '', open: [] }, most = bounds, { round = 0, settled = 0 } = {}) {
    this.#from = from
    this.#most = most
    this.#ids = new Recent(most.remembered, from.greatest)
    this.#decided = new Recent(most.remembered, from.greatest)
    this.#open = new Set(from.open)
    this.#round = round
    this.#settled = settled
  }

  /** How many questions there are that only reading again can answer. */
  get doubtful(): number {
    return this.#doubts.size
  }

  /** For the next verification. */
  get state(): From {
    return { greatest: this.#ids.greatest, open: [...this.#open] }
  }

  /** Entries whose ids are of a time that their host's clock alone had reached. */
  get ahead(): { readonly count: number; readonly writers: readonly string[] } {
    return { count: this.#ahead, writers: [...this.#aheadOf] }
  }

  /**
   * @returns for the doubts that were not kept: to be given all entries again, by the time these are looked up;
   * undefined where there are none, or too many
   */
  next(): Meaning | undefined {
    if (this.#doubtsUntold === 0 || this.#round + 1 >= this.#most.rounds) return undefined
    const settled = this.#seen - this.#doubtsUntold
    return new Meaning(this.#from, this.#most, { round: this.#round + 1, settled })
  }

  /** In index order. */
  add(index: number, { kind, id, time, writer, exchange = '', verdict }: EntrySummary): void {
    this.#reach(time)
    if (id > this.#bounds.ahead) this.#isAhead(writer)
    if (this.#ids.has(id)) this.#tell(repeated(index, id, writer))
    else if (this.#ids.isOld(id)) this.#doubt('id', id, index, writer)
    this.#ids.add(id, this.#bounds.apart)
    if (kind === 'opened' && index > 0) {
      const what = `entry ${index} opens a ledger that is open`
      this.#tell({ code: 'ENTRY_MALFORMED', what, index })
    }
    if (kind === 'decision') this.#decide(index, exchange, verdict, writer)
    if (kind === 'outcome') this.#end(index, exchange, writer)
  }

  #reach(time: string): void {
    if (time === this.#time) return
    this.#time = time
    const now = Date.parse(time)
    this.#bounds = { apart: behind(now + apartMs), ahead: behind(now + aheadMs) }
  }

  #isAhead(writer: string): void {
    this.#ahead += 1
    if (this.#aheadOf.size < mostNamed) this.#aheadOf.add(writer)
  }

  #decide(index: number, exchange: string, verdict: string | undefined, writer: string): void {
    if (this.#decided.has(exchange) || this.#open.has(exchange)) this.#tell(decidedAgain(index, exchange, writer))
    else if (this.#decided.isOld(exchange)) this.#doubt('decision', exchange, index, writer)
    this.#decided.add(exchange, this.#bounds.apart)
    if (verdict !== 'permit') return
    this.#open.add(exchange)
    // What is dropped here is looked up by reading again, where an outcome asks for it.
    if (this.#open.size > this.#most.remembered) this.#open.delete(this.#open.values().next().value!)
  }

  #end(index: number, exchange: string, writer: string): void {
    if (this.#open.delete(exchange) || this.#decided.has(exchange)) return
    if (this.#decided.isOld(exchange)) this.#doubt('outcome', exchange, index, writer)
    else this.#tell(orphan(index, exchange))
  }

  #doubt(of: Doubt, id: string, index: number, writer: string): void {
    this.#seen += 1
    if (this.#seen <= this.#settled) return
    if (this.#doubts.size < this.#most.doubtful) {
      this.#doubts.set(`${of} ${id}`, { index, writer: this.#nameOf(writer) })
      return
    }
    this.#doubtsUntold += 1
    if (this.#untold.size < mostNamed) this.#untold.add(writer)
  }

  /** One text for each: they are few, and are kept with each doubt. */
  #nameOf(writer: string): string {
    const known = this.#names.get(writer)
    if (known !== undefined) return known
    this.#names.set(writer, writer)
    return writer
  }

  /** Every entry a second time, in index order. */
  lookAgain(index: number, { kind, id, exchange }: EntrySummary): void {
    this.#answer('id', id, index, ({ index, writer }) => repeated(index, id, writer))
    if (kind !== 'decision' || exchange === undefined) return
    this.#answer('decision', exchange, index, ({ index, writer }) => decidedAgain(index, exchange, writer))
    this.#answer('outcome', exchange, index)
  }

  #answer(of: Doubt, id: string, index: number, then?: (later: Asked) => Finding): void {
    const later = this.#doubts.get(`${of} ${id}`)
    if (later === undefined || index >= later.index) return
    this.#doubts.delete(`${of} ${id}`)
    if (then !== undefined) this.findings.add(then(later))
  }

  /**
   * What reading again did not find was not there: an id is no repetition, and an outcome has no decision.
   * @param isLast whether what was not kept is not looked up any more
   */
  settleDoubts(isLast = true): void {
    for (const [doubt, { index }] of this.#doubts) {
      const [of, id] = doubt.split(' ')
      if (of === 'outcome') this.findings.add(orphan(index, id!))
    }
    this.#doubts.clear()
    if (this.#doubtsUntold === 0 || !isLast) return
    const by = [...this.#untold].join(', ')
    const what = `${this.#doubtsUntold} entries have ids of a time long before them: whether these are repeated was not looked up; by ${by}`
    this.findings.add({ code: 'ENTRY_REPEATED', what })
  }

  /** Leaves them unanswered. @returns how many there are */
  leaveDoubts(): number {
    return this.#doubts.size + this.#doubtsUntold
  }

  /** What is seen while entries are added was told the first time. */
  #tell(finding: Finding): void {
    if (this.#round === 0) this.findings.add(finding)
  }
}

/** Ids beyond this one are of a time behind that one. @param ms Unix milliseconds */
function behind(ms: number): string {
  if (!Number.isFinite(ms)) return '~'
  const hex = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}~`
}

const repeated = (index: number, actual: string, writer: string): Finding => ({
  ...{ code: 'ENTRY_REPEATED', what: `entry ${index}, by ${writer}, has the id of an earlier one`, index, actual },
})

const decidedAgain = (index: number, actual: string, writer: string): Finding => ({
  ...{ code: 'ENTRY_REPEATED', what: `entry ${index}, by ${writer}, decides an exchange again`, index, actual },
})

const orphan = (index: number, actual: string): Finding => ({
  ...{ code: 'OUTCOME_ORPHAN', what: `entry ${index} is the outcome of nothing decided`, index, actual },
})
