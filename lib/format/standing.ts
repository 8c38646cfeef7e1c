/**
 * Where each writer of a ledger stands: its counter, whether it is at work, and what it has in flight. Folded forwards
 * from summaries. Pure, so that whoever verifies can do it again. What is kept is part of the format, as in living.ts.
 */
import type { Json } from './canonical.ts'
import type { EntrySummary } from './entry.ts'
import { check, list, record } from './shape.ts'

export interface WriterStanding {
  /** The last sequence number. */
  readonly seq: number
  /** RFC 3339, of its last entry. */
  readonly time: string
  /** It has started, and neither stopped nor been given up. */
  readonly alive: boolean
  /** Ids of exchanges that it permitted, and that have no outcome, in the order of their decisions. */
  readonly open: ReadonlySet<string>
}

type Changing = { -readonly [K in Exclude<keyof WriterStanding, 'open'>]: WriterStanding[K] } & {
  readonly open: Set<string>
}

const shape = list(
  record({ writer: 'word', seq: 'count', time: 'time', alive: 'flag', open: list('uuid', Number.MAX_SAFE_INTEGER) }),
  Number.MAX_SAFE_INTEGER,
)

export class Standing {
  readonly #writers = new Map<string, Changing>()
  /** Who permitted what is in flight. */
  readonly #permitted = new Map<string, Changing>()

  /** @param value as `toJson` gave it. @throws LedgerError ERR_ENTRY_MALFORMED */
  static from(value: Json): Standing {
    check(shape, value)
    const standing = new Standing()
    for (const one of value as unknown as readonly (Omit<WriterStanding, 'open'> & {
      writer: string
      open: string[]
    })[]) {
      const { writer, open, ...rest } = one
      const of: Changing = { ...rest, open: new Set(open) }
      standing.#writers.set(writer, of)
      for (const exchange of open) standing.#permitted.set(exchange, of)
    }
    return standing
  }

  get writers(): ReadonlyMap<string, WriterStanding> {
    return this.#writers
  }

  /** The next entry. */
  add({ kind, writer, seq, time, exchange = '', verdict }: Omit<EntrySummary, 'id'>): void {
    let of = this.#writers.get(writer)
    if (of === undefined) {
      of = { seq, time, alive: false, open: new Set() }
      this.#writers.set(writer, of)
    }
    of.seq = seq
    of.time = time
    if (kind === 'decision' && verdict === 'permit') {
      of.open.add(exchange)
      this.#permitted.set(exchange, of)
    } else if (kind === 'outcome') {
      // Also where another closes it: who opened the ledger after its writer was gone.
      this.#permitted.get(exchange)?.open.delete(exchange)
      this.#permitted.delete(exchange)
    } else if (kind === 'started') of.alive = true
    else if (kind === 'stopped' || kind === 'recovered') of.alive = false
  }

  /** In the order of names, UTF-16. */
  toJson(): Json {
    return [...this.#writers]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([writer, { seq, time, alive, open }]) => ({ writer, seq, time, alive, open: [...open] }))
  }
}
