/**
 * The ids that processes of other hosts give: to their entries, by which they know them again, and to sessions that
 * they open. Each is given once, and is of about now: a verifier remembers the newest ids alone, and goes by their
 * time. What stands in the ledger twice can never be taken back.
 */
import type { Clock } from '../../clock.ts'
import { Fault } from '../../errors.ts'
import type { Entry } from '../../format/entry.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import { denied } from './access.ts'
import type { LeaderParts } from './leader.ts'
import { sparingly } from './sparingly.ts'

/** Milliseconds by which another host's clock may be ahead of this one's. */
const aheadMs = 60_000
/**
 * Milliseconds after which an id is too old: by as much may its clock be behind, and an append may have waited for a leader meanwhile.
 */
const behindMs = 5 * aheadMs
/** An id that is of about now stands among the entries of so many milliseconds, if it does. */
const windowMs = aheadMs + behindMs
/** Of these, the newest are remembered at the least. */
const remembered = 262_144
const page = 4096

export class Ids {
  readonly #ledger: DirectoryLedger
  readonly #clock: Clock
  readonly #before: number
  #newer = new Set<string>()
  #older = new Set<string>()
  /** Unix milliseconds. */
  #since: number
  #known: Promise<void> | undefined
  readonly #tell: LeaderParts['onEvent']
  /** Writers whose clock the operator was told to be off, and is still. */
  readonly #off = new Set<string>()

  constructor(ledger: DirectoryLedger, clock: Clock, onEvent: LeaderParts['onEvent']) {
    this.#tell = sparingly(onEvent)
    this.#ledger = ledger
    this.#clock = clock
    this.#before = ledger.size
    this.#since = clock.now()
    ledger.follow(({ entry }) => {
      for (const id of givenBy(entry)) this.#add(id)
    })
  }

  /**
   * @returns what takes them back, where the entries do not come to stand: they are sent again then
   * @throws Refusal ERR_ACCESS_DENIED, Fault ERR_LEDGER_UNAVAILABLE
   */
  async take(writer: string, ids: readonly string[]): Promise<() => void> {
    this.#known ??= this.#learn().catch(error => {
      this.#known = undefined
      throw error
    })
    await this.#known
    const now = this.#clock.now()
    for (const id of ids) {
      this.requireNotAhead(writer, id)
      if (timeOf(id) < now - behindMs) throw this.#refused(writer, now - timeOf(id), 'behind')
    }
    this.#off.delete(writer)
    const isAnew = (id: string) => this.#newer.has(id) || this.#older.has(id)
    if (new Set(ids).size < ids.length || ids.some(isAnew)) throw denied('give an entry or a session the id of another')
    for (const id of ids) this.#add(id)
    return () => {
      // Whichever it is in by now.
      for (const known of [this.#newer, this.#older]) for (const id of ids) known.delete(id)
    }
  }

  /** Of an entry or an exchange: one may have been begun long ago. @throws Fault ERR_LEDGER_UNAVAILABLE */
  requireNotAhead(writer: string, id: string): void {
    const ms = timeOf(id) - this.#clock.now()
    if (ms > aheadMs) throw this.#refused(writer, ms, 'ahead of')
  }

  /** Told once, until its clock is right. */
  #refused(writer: string, ms: number, way: 'ahead of' | 'behind'): Fault {
    const off = `${Math.round(ms / 1000)} seconds ${way}`
    if (!this.#off.has(writer)) {
      const why = `its clock is ${off} this one, or it has waited for so long: set both clocks`
      this.#tell('what a writer of another host appends is refused', { writer, why })
    }
    this.#off.add(writer)
    return new Fault(
      'ERR_LEDGER_UNAVAILABLE',
      `the clock of this host is ${off} the one where the ledger is, or this has waited for so long: set both clocks`,
    )
  }

  #add(id: string): void {
    const now = this.#clock.now()
    if (this.#newer.size >= remembered || now - this.#since > windowMs) {
      this.#older = this.#newer
      this.#newer = new Set()
      this.#since = now
    }
    this.#newer.add(id)
  }

  /** Of what stood before this was there: as far back as an id of about now can stand. */
  async #learn(): Promise<void> {
    const from = this.#clock.now() - windowMs
    const found = new Set<string>()
    for (let end = this.#before; end > 0 && found.size < remembered; end -= page) {
      let first = Number.POSITIVE_INFINITY
      for await (const { index, entry } of this.#ledger.entries(Math.max(0, end - page))) {
        if (index >= end) break
        first = Math.min(first, Date.parse(entry.time))
        for (const id of givenBy(entry)) found.add(id)
      }
      if (first < from) break
    }
    this.#older = new Set([...found, ...this.#older])
  }
}

const givenBy = (entry: Entry): readonly string[] =>
  entry.kind === 'session-opened' ? [entry.id, entry.session] : [entry.id]

/** RFC 9562, 5.7. @returns Unix milliseconds; NaN where it is none */
const timeOf = (id: string): number => Number(`0x${id.slice(0, 8)}${id.slice(9, 13)}`)
