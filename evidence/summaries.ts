/**
 * What the entries of one bundle say in short, in columns: as objects they would take longer to hand over to another thread than to make.
 */
import {
  countAt,
  type EntrySummary,
  type Kind,
  kindNames,
  locate,
  newPlaces,
  parseEntry,
  place,
  uuidsAt,
  wordAt,
} from '../lib/format/entry.ts'

/** Plain data. One of each for every well-formed entry, in order. */
export interface Summaries {
  /** Places in the bundle. */
  readonly places: Uint8Array
  readonly kinds: Uint8Array
  readonly seqs: Float64Array
  /** NaN where there is none. */
  readonly intervals: Float64Array
  /** Id, time, and exchange, blank where there is none: 36, 24 and 36 characters. */
  readonly texts: string
  /** Numbers among the words. */
  readonly writers: Uint16Array
  readonly writerNames: readonly string[]
  /** From 1 on; 0 where there is none. */
  readonly verdicts: Uint16Array
  readonly verdictWords: readonly string[]
  /** As verdicts. */
  readonly results: Uint16Array
  readonly resultWords: readonly string[]
  /** Of those that tell of several exchanges, by their number among the entries here. */
  readonly exchanges: ReadonlyMap<number, readonly string[]>
}

const numberOf = new Map(kindNames.map((kind, i) => [kind, i]))
const [idAt, timeAt, exchangeAt, width] = [0, 36, 60, 96]
const space = 0x20
const found = newPlaces()

/** Sums entries up as strictly as they are parsed. */
export class Summing {
  readonly #places: Uint8Array
  readonly #kinds: Uint8Array
  readonly #seqs: Float64Array
  readonly #intervals: Float64Array
  readonly #texts: Buffer
  readonly #writers: Uint16Array
  readonly #writerNames = new Words()
  readonly #verdicts: Uint16Array
  readonly #verdictWords = new Words()
  readonly #results: Uint16Array
  readonly #resultWords = new Words()
  readonly #exchanges = new Map<number, readonly string[]>()
  #count = 0

  /** @param most entries, a bundle's at the most */
  constructor(most: number) {
    this.#places = new Uint8Array(most)
    this.#kinds = new Uint8Array(most)
    this.#seqs = new Float64Array(most)
    this.#intervals = new Float64Array(most).fill(Number.NaN)
    this.#texts = Buffer.alloc(most * width, space)
    this.#writers = new Uint16Array(most)
    this.#verdicts = new Uint16Array(most)
    this.#results = new Uint16Array(most)
  }

  /** @param at the entry's place in the bundle. @throws LedgerError ERR_ENTRY_MALFORMED, and nothing is added */
  add(at: number, bundle: Buffer, from: number, end: number): Kind {
    const kind = locate(bundle, from, end, found)
    if (kind === undefined) return this.#addParsed(at, parseEntry(bundle.subarray(from, end)))
    const i = this.#begin(at, kind)
    const text = i * width
    copy(bundle, found[place.id]! + 1, this.#texts, text + idAt, 36)
    copy(bundle, found[place.time]! + 1, this.#texts, text + timeAt, 24)
    const [exchange, interval, verdict] = [found[place.exchange]!, found[place.interval]!, found[place.verdict]!]
    if (exchange >= 0) copy(bundle, exchange + 1, this.#texts, text + exchangeAt, 36)
    if (interval >= 0) this.#intervals[i] = countAt(bundle, interval)
    if (verdict >= 0) this.#verdicts[i] = this.#verdictWords.at(bundle, verdict) + 1
    const [result, exchanges] = [found[place.result]!, found[place.exchanges]!]
    if (result >= 0) this.#results[i] = this.#resultWords.at(bundle, result) + 1
    if (exchanges >= 0) this.#exchanges.set(i, uuidsAt(bundle, exchanges))
    this.#seqs[i] = countAt(bundle, found[place.seq]!)
    this.#writers[i] = this.#writerNames.at(bundle, found[place.writer]!)
    return kind
  }

  #addParsed(at: number, summary: EntrySummary): Kind {
    const { kind, id, time, exchange, interval, verdict, seq, writer, result, exchanges } = summary
    const i = this.#begin(at, kind)
    this.#texts.write(`${id}${time}${exchange ?? ''}`, i * width, 'latin1')
    if (interval !== undefined) this.#intervals[i] = interval
    if (verdict !== undefined) this.#verdicts[i] = this.#verdictWords.add(verdict) + 1
    if (result !== undefined) this.#results[i] = this.#resultWords.add(result) + 1
    if (exchanges !== undefined) this.#exchanges.set(i, exchanges)
    this.#seqs[i] = seq
    this.#writers[i] = this.#writerNames.add(writer)
    return kind
  }

  #begin(at: number, kind: Kind): number {
    const i = this.#count
    this.#places[i] = at
    this.#kinds[i] = numberOf.get(kind)!
    this.#count += 1
    return i
  }

  get summaries(): Summaries {
    const count = this.#count
    return {
      places: this.#places.slice(0, count),
      kinds: this.#kinds.slice(0, count),
      seqs: this.#seqs.slice(0, count),
      intervals: this.#intervals.slice(0, count),
      texts: this.#texts.toString('latin1', 0, count * width),
      writers: this.#writers.slice(0, count),
      writerNames: this.#writerNames.words,
      verdicts: this.#verdicts.slice(0, count),
      verdictWords: this.#verdictWords.words,
      results: this.#results.slice(0, count),
      resultWords: this.#resultWords.words,
      exchanges: this.#exchanges,
    }
  }
}

/** Shorter than what a call into native code takes. */
function copy(from: Buffer, at: number, to: Buffer, into: number, length: number): void {
  for (let i = 0; i < length; i += 1) to[into + i] = from[at + i]!
}

/** Words in the order in which they came, where one is mostly the same as the one before. */
class Words {
  readonly words: string[] = []
  /** The last one, as it is written. */
  #last: Buffer = Buffer.alloc(0)

  /** @param at of the opening quote. @returns its number */
  at(bytes: Buffer, at: number): number {
    const last = this.#last
    let i = 0
    while (i < last.length && bytes[at + i] === last[i]) i += 1
    if (i < last.length || i === 0) {
      const number = this.add(wordAt(bytes, at))
      this.#last = Buffer.from(JSON.stringify(this.words[number]), 'latin1')
      return number
    }
    return this.words.length - 1
  }

  add(word: string): number {
    this.#last = Buffer.alloc(0)
    return this.words.push(word) - 1
  }
}

/** What was summed up, in order. @param first index of the bundle's first entry */
export function* summariesIn(
  summaries: Summaries,
  first: number,
): Generator<{ index: number; place: number; summary: EntrySummary }> {
  const { places, kinds, seqs, intervals, texts, writers, writerNames, exchanges } = summaries
  const { verdicts, verdictWords, results, resultWords } = summaries
  for (let i = 0; i < places.length; i += 1) {
    const text = i * width
    const interval = intervals[i]!
    const [verdict, result] = [verdicts[i]!, results[i]!]
    const summary = {
      kind: kindNames[kinds[i]!]!,
      id: texts.slice(text + idAt, text + timeAt),
      time: texts.slice(text + timeAt, text + exchangeAt),
      writer: writerNames[writers[i]!]!,
      seq: seqs[i]!,
      exchange:
        texts.charCodeAt(text + exchangeAt) === space ? undefined : texts.slice(text + exchangeAt, text + width),
      interval: Number.isNaN(interval) ? undefined : interval,
      verdict: verdict === 0 ? undefined : verdictWords[verdict - 1],
      result: result === 0 ? undefined : resultWords[result - 1],
      exchanges: exchanges.get(i),
    }
    yield { index: first + places[i]!, place: places[i]!, summary }
  }
}
