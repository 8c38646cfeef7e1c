/**
 * Completeness, as far as a ledger can tell it of itself: each writer's counter has no gap, its heartbeats no silence, its
 * clock does not run backwards. What a compromised writer never appended shows only in the target's own log: see reconcile.ts.
 */
import type { Entry } from '../lib/format/entry.ts'
import type { Finding } from './finding.ts'

/** An interval of which the ledger cannot say what happened (or, for `stopped`, in which nothing could pass). */
export interface Gap {
  readonly kind: 'silence' | 'sequence' | 'crash' | 'stopped'
  readonly writer: string
  /** RFC 3339: the last sign of life before it, and the first after. */
  readonly from: string
  readonly to: string
  /** Index of the entry that ends it. */
  readonly index: number
  readonly detail: string
}

interface Writer {
  seq: number
  time: string
  /** The same, in Unix milliseconds. */
  at: number
  /** Milliseconds until the next heartbeat is due; undefined where none was promised. */
  interval: number | undefined
  stopped: boolean
}

/** A silence is a gap when it is longer than this many heartbeat intervals. */
export const silentIntervals = 2
/** How far a clock may step back between two entries, and run ahead of the verifier's. */
export const allowedSkewMs = 5_000

export class Continuity {
  readonly findings: Finding[] = []
  readonly gaps: Gap[] = []
  readonly #writers = new Map<string, Writer>()
  #latest = ''
  #latestAt = Number.NEGATIVE_INFINITY
  readonly #now: number | undefined
  readonly #whole: boolean

  /** @param now Unix milliseconds: entries later than this are out of order. @param whole from entry 0 on: counters start at 1 */
  constructor({ now, whole = true }: { now?: number | undefined; whole?: boolean }) {
    this.#now = now
    this.#whole = whole
  }

  /** Takes up a writer's counter and clock where an earlier ledger or period left them. */
  resume(last: Entry, heartbeat: Entry | undefined): void {
    const promised = heartbeat?.kind === 'started' || heartbeat?.kind === 'heartbeat' ? heartbeat.interval * 1000 : 0
    const interval = promised === 0 ? undefined : promised
    const at = Date.parse(last.time)
    this.#writers.set(last.writer, { seq: last.seq, time: last.time, at, interval, stopped: last.kind === 'stopped' })
    this.#advance(last.time, at)
  }

  add(index: number, entry: Entry): void {
    const at = Date.parse(entry.time)
    this.#checkTime(index, entry, at)
    const writer = this.#writers.get(entry.writer)
    if (writer !== undefined) {
      this.#checkSequence(index, entry, writer)
      this.#checkSilence(index, entry, writer, at)
    } else if (this.#whole && entry.seq !== 1) {
      this.#sequence(index, entry, 0, this.#latest === '' ? entry.time : this.#latest)
    }
    const promised = entry.kind === 'started' || entry.kind === 'heartbeat' ? entry.interval * 1000 : writer?.interval
    this.#writers.set(entry.writer, {
      seq: Math.max(entry.seq, writer?.seq ?? 0),
      time: entry.time,
      at,
      interval: promised === 0 ? undefined : promised,
      stopped: entry.kind === 'stopped',
    })
    this.#advance(entry.time, at)
  }

  #advance(time: string, at: number): void {
    if (!(at > this.#latestAt)) return
    this.#latest = time
    this.#latestAt = at
  }

  /** The time of the newest entry; empty where there is none. */
  get latest(): string {
    return this.#latest
  }

  #checkTime(index: number, { time }: Entry, at: number): void {
    // Engines read the 31st of September as the 1st of October.
    if (Number.isNaN(at) || new Date(at).toISOString() !== time) {
      this.findings.push({ code: 'TIME_ORDER', what: `entry ${index} is of a day that never was`, index, actual: time })
    } else if (at < this.#latestAt - allowedSkewMs) {
      const what = `entry ${index} is earlier than one before it by more than the allowed skew`
      this.findings.push({ code: 'TIME_ORDER', what, index, expected: this.#latest, actual: time })
    } else if (this.#now !== undefined && at > this.#now + allowedSkewMs) {
      const expected = new Date(this.#now).toISOString()
      this.findings.push({ code: 'TIME_ORDER', what: `entry ${index} is in the future`, index, expected, actual: time })
    }
  }

  #checkSequence(index: number, entry: Entry, writer: Writer): void {
    if (entry.seq === writer.seq + 1) return
    if (entry.seq > writer.seq) {
      this.#sequence(index, entry, writer.seq, writer.time)
      return
    }
    const what = `the counter of writer ${entry.writer} went back at entry ${index}`
    const [expected, actual] = [String(writer.seq + 1), String(entry.seq)]
    this.findings.push({ code: 'SEQUENCE_REPEATED', what, index, expected, actual })
  }

  #sequence(index: number, entry: Entry, before: number, from: string): void {
    const missing = entry.seq - before - 1
    const what = `${missing} entries of writer ${entry.writer} are missing before entry ${index}`
    this.findings.push({ code: 'SEQUENCE_GAP', what, index, expected: String(before + 1), actual: String(entry.seq) })
    this.gaps.push({ kind: 'sequence', writer: entry.writer, from, to: entry.time, index, detail: what })
  }

  #checkSilence(index: number, entry: Entry, writer: Writer, at: number): void {
    const span = { writer: entry.writer, from: writer.time, to: entry.time, index }
    const silent = at - writer.at
    if (writer.stopped) {
      this.gaps.push({ ...span, kind: 'stopped', detail: 'stopped in order: nothing could pass' })
      return
    }
    const restarted = entry.kind === 'started' || entry.kind === 'recovered'
    const long = writer.interval !== undefined && silent > silentIntervals * writer.interval
    if (!long) return
    const seconds = Math.round(silent / 1000)
    const due = Math.round(writer.interval! / 1000)
    const what = `writer ${entry.writer} was silent for ${seconds} s before entry ${index}, with a sign of life due every ${due} s`
    this.findings.push({ code: 'SILENCE', what, index, expected: `${due} s`, actual: `${seconds} s` })
    this.gaps.push({ ...span, kind: restarted ? 'crash' : 'silence', detail: what })
  }
}
