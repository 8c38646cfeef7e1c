/**
 * Completeness, as far as a ledger can tell it of itself: each writer's counter has no gap, its heartbeats no silence, its
 * clock does not run backwards. What a compromised writer never appended shows only in the target's own log: see reconcile.ts.
 */
import type { EntrySummary } from '../lib/format/entry.ts'
import { counted } from '../lib/format/words.ts'
import type { Finding } from './finding.ts'
import { Findings } from './findings.ts'

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

/** Where a writer was left. */
export interface Writer {
  readonly seq: number
  readonly time: string
  /** The same, in Unix milliseconds. */
  readonly at: number
  /** Seconds until the next heartbeat is due, as they were said; undefined where none was promised. */
  readonly interval: number | undefined
  readonly stopped: boolean
  /** It was said to have crashed (`recovered`), in its own name by whoever took the ledger up, and has not started since. */
  readonly crashed?: boolean | undefined
}

/** Writers beyond these, and gaps, are counted and not followed: whoever made up the ledger could go on for ever. */
const mostWriters = 65_536

/** A silence is a gap when it is longer than this many heartbeat intervals. */
export const silentIntervals = 2
/** How far a clock may step back between two entries, and run ahead of the verifier's. */
export const allowedSkewMs = 5_000

export class Continuity {
  readonly findings = new Findings<Finding>()
  readonly gaps: Gap[] = []
  readonly #writers = new Map<string, { -readonly [K in keyof Writer]: Writer[K] }>()
  #latest = ''
  #latestAt = Number.NEGATIVE_INFINITY
  readonly #now: number | undefined
  readonly #whole: boolean
  readonly #mostGaps: number
  readonly #minutes = new Minutes()
  #crashes = 0

  /**
   * @param now Unix milliseconds: entries later than this are out of order. @param whole from entry 0 on: counters start at 1
   * @param mostGaps how many are kept; the findings count the others
   */
  constructor({
    now,
    whole = true,
    mostGaps = Number.POSITIVE_INFINITY,
  }: {
    now?: number | undefined
    whole?: boolean
    mostGaps?: number
  }) {
    this.#now = now
    this.#whole = whole
    this.#mostGaps = mostGaps
  }

  /** Takes up a writer's counter and clock where an earlier ledger or period left them. */
  resume(last: EntrySummary, heartbeat: EntrySummary | undefined): void {
    const interval = promisedBy(heartbeat)
    const at = Date.parse(last.time)
    const crashed = last.kind === 'recovered'
    this.resumeWriter(last.writer, { ...last, at, interval, crashed, stopped: last.kind === 'stopped' })
  }

  /** The same, as an earlier verification kept it. */
  resumeWriter(name: string, { seq, time, at, interval, stopped, crashed = false }: Writer): void {
    this.#writers.set(name, { seq, time, at, interval, stopped, crashed })
    this.#advance(time, at)
  }

  /** For the next verification. */
  get writers(): ReadonlyMap<string, Writer> {
    return this.#writers
  }

  add(index: number, entry: EntrySummary): void {
    const at = this.#minutes.at(entry.time)
    this.#checkTime(index, entry, at)
    const writer = this.#writers.get(entry.writer)
    if (writer !== undefined) {
      this.#checkSequence(index, entry, writer)
      this.#checkSilence(index, entry, writer, at)
    } else if (this.#whole && entry.seq !== 1) {
      this.#sequence(index, entry, 0, this.#latest === '' ? entry.time : this.#latest)
    }
    const promises = entry.kind === 'started' || entry.kind === 'heartbeat'
    if (writer === undefined && this.#writers.size === mostWriters) {
      const what = `entry ${index} is of one writer more than the ${mostWriters} whose counters are followed`
      this.findings.add({ code: 'SEQUENCE_GAP', what, index })
    } else {
      const last = writer ?? { seq: 0, time: '', at: 0, interval: undefined, stopped: false }
      if (writer === undefined) this.#writers.set(entry.writer, last)
      last.seq = Math.max(entry.seq, last.seq)
      last.time = entry.time
      last.at = at
      if (promises) last.interval = promisedBy(entry)
      last.stopped = entry.kind === 'stopped'
      last.crashed = entry.kind === 'recovered' || (last.crashed === true && isGivenUp(entry))
    }
    this.#advance(entry.time, at)
  }

  #advance(time: string, at: number): void {
    if (!(at > this.#latestAt)) return
    this.#latest = time
    this.#latestAt = at
  }

  /** How often a writer that had crashed and was given up stayed away for longer than it may be silent: no finding, and told. */
  get crashes(): number {
    return this.#crashes
  }

  /** The time of the newest entry; empty where there is none. */
  get latest(): string {
    return this.#latest
  }

  #gap(gap: Gap): void {
    if (this.gaps.length < this.#mostGaps) this.gaps.push(gap)
  }

  #checkTime(index: number, { time }: EntrySummary, at: number): void {
    if (Number.isNaN(at)) {
      this.findings.add({ code: 'TIME_ORDER', what: `entry ${index} is of a day that never was`, index, actual: time })
    } else if (at < this.#latestAt - allowedSkewMs) {
      const what = `entry ${index} is earlier than one before it by more than the allowed skew`
      this.findings.add({ code: 'TIME_ORDER', what, index, expected: this.#latest, actual: time })
    } else if (this.#now !== undefined && at > this.#now + allowedSkewMs) {
      const expected = new Date(this.#now).toISOString()
      this.findings.add({ code: 'TIME_ORDER', what: `entry ${index} is in the future`, index, expected, actual: time })
    }
  }

  #checkSequence(index: number, entry: EntrySummary, writer: Writer): void {
    if (entry.seq === writer.seq + 1) return
    if (entry.seq > writer.seq) {
      this.#sequence(index, entry, writer.seq, writer.time)
      return
    }
    const what = `the counter of writer ${entry.writer} went back at entry ${index}`
    const [expected, actual] = [String(writer.seq + 1), String(entry.seq)]
    this.findings.add({ code: 'SEQUENCE_REPEATED', what, index, expected, actual })
  }

  #sequence(index: number, entry: EntrySummary, before: number, from: string): void {
    const missing = entry.seq - before - 1
    const what = `${counted(missing, 'entry')} of writer ${entry.writer} ${missing === 1 ? 'is' : 'are'} missing before entry ${index}`
    this.findings.add({ code: 'SEQUENCE_GAP', what, index, expected: String(before + 1), actual: String(entry.seq) })
    this.#gap({ kind: 'sequence', writer: entry.writer, from, to: entry.time, index, detail: what })
  }

  #checkSilence(index: number, entry: EntrySummary, writer: Writer, at: number): void {
    const span = { writer: entry.writer, from: writer.time, to: entry.time, index }
    const silent = at - writer.at
    if (writer.stopped) {
      this.#gap({ ...span, kind: 'stopped', detail: 'stopped in order: nothing could pass' })
      return
    }
    const restarted = entry.kind === 'started' || entry.kind === 'recovered'
    const long = writer.interval !== undefined && silent > silentIntervals * writer.interval * 1000
    if (!long) return
    const seconds = Math.round(silent / 1000)
    if (writer.crashed === true && restarted) {
      const detail = `writer ${entry.writer} had crashed, was given up, and started again after ${seconds} s`
      this.#crashes += 1
      this.#gap({ ...span, kind: 'crash', detail })
      return
    }
    const due = writer.interval!
    const what = `writer ${entry.writer} was silent for ${seconds} s before entry ${index}, with a sign of life due every ${due} s`
    this.findings.add({ code: 'SILENCE', what, index, expected: `${due} s`, actual: `${seconds} s` })
    this.#gap({ ...span, kind: restarted ? 'crash' : 'silence', detail: what })
  }
}

/** What is said behind `recovered` in the name of a writer that is gone: how what it had in flight ended. */
const isGivenUp = ({ kind, result }: EntrySummary): boolean =>
  kind === 'attachment-cut' || (kind === 'outcome' && result === 'unknown')

/** Seconds; undefined where no heartbeat is due. */
function promisedBy(entry: EntrySummary | undefined): number | undefined {
  const seconds = entry?.kind === 'started' || entry?.kind === 'heartbeat' ? entry.interval : undefined
  return seconds === 0 ? undefined : seconds
}

/** Instants of a format's times, each minute parsed once: most entries are of the minute of the one before. */
class Minutes {
  #minute = ''
  #begins = Number.NaN

  /** @param time RFC 3339, UTC, milliseconds. @returns Unix milliseconds; NaN for a day that never was */
  at(time: string): number {
    const minute = time.slice(0, 17)
    if (minute !== this.#minute) {
      const begins = Date.parse(`${minute}00.000Z`)
      // Engines read the 31st of September as the 1st of October.
      const real = !Number.isNaN(begins) && new Date(begins).toISOString().startsWith(minute)
      this.#minute = minute
      this.#begins = real ? begins : Number.NaN
    }
    return this.#begins + Math.round(Number(time.slice(17, 23)) * 1000)
  }
}
