/**
 * What must be in a ledger, told by what was done to it alone: a plain list of entries, from which all else follows. It
 * shares no code with the ledger: what is disclosed, what was erased, which holds stand, what is in flight and what the
 * state rests on is found by looking through the list.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Json } from '../../../lib/format/canonical.ts'
import type { Entry } from '../../../lib/format/entry.ts'
import type { Stored } from '../../../lib/ledger/ledger.ts'

export interface Believed {
  readonly kind: Entry['kind']
  readonly writer: string
  /** Members in clear that are known beforehand. */
  readonly clear: Readonly<Record<string, unknown>>
  readonly discloses: Readonly<Record<string, Json | undefined>>
  /** `principal:PSEUDONYM` or `session:ID`, whose erasure erases this. */
  readonly scope?: string | undefined
  /** Of an attachment: what was recorded. */
  readonly recording?: Buffer | undefined
}

export interface Known extends Believed {
  readonly entry: Entry
  erased: boolean
}

/** As much of an entry as is known before it is one: a draft, or less. */
export interface Sketch {
  readonly kind: Entry['kind']
  readonly disclose?: Believed['discloses']
  readonly slot?: string
  readonly [member: string]: unknown
}

export const believe = (
  writer: string,
  { kind, disclose = {}, slot: _, ...clear }: Sketch,
  more: Pick<Believed, 'scope' | 'recording'> = {},
): Believed => ({ kind, writer, clear, discloses: disclose, ...more })

const day = 86_400_000
/** Who shares a ledger says so often that it lives that after this it is gone. */
const goneAfter = 180_000

export class Belief {
  readonly entries: Known[] = []

  get size(): number {
    return this.entries.length
  }

  /** @throws where an entry is another than was believed */
  add(believed: Believed, { entry, index }: Stored): void {
    if (index !== this.size) throw new Error(`entry ${index} is where ${this.size} comes next`)
    const wrong = difference(believed, entry)
    if (wrong !== undefined) throw new Error(`entry ${index} is another than was believed: ${wrong}`)
    this.entries.push({ ...believed, entry, erased: false })
    if (entry.kind !== 'erasure') return
    for (const one of this.entries) one.erased ||= one.scope === `${entry.scope}:${entry.of}`
  }

  of<K extends Entry['kind']>(kind: K): Extract<Entry, { kind: K }>[] {
    return this.entries.flatMap(({ entry }) => (entry.kind === kind ? [entry as Extract<Entry, { kind: K }>] : []))
  }

  /** In flight: permitted, and not ended. @param writer of anybody, where left out */
  open(writer?: string): string[] {
    const ended = new Set(this.of('outcome').map(({ exchange }) => exchange))
    return this.of('decision')
      .filter(one => one.verdict === 'permit' && !ended.has(one.exchange) && (writer ?? one.writer) === one.writer)
      .map(({ exchange }) => exchange)
  }

  /** Writers that have started and said nothing since of an end, and are not long silent. */
  atWork(): string[] {
    const latest = Date.parse(this.entries.at(-1)?.entry.time ?? '')
    return [...new Set(this.entries.map(({ writer }) => writer))].filter(writer => {
      const own = this.entries.filter(one => one.writer === writer)
      const last = own.findLast(({ kind }) => ['started', 'stopped', 'recovered'].includes(kind))
      return last?.kind === 'started' && Date.parse(own.at(-1)!.entry.time) >= latest - goneAfter
    })
  }

  /** Ids of the holds that stand. */
  standing(): string[] {
    const released = new Set(this.of('hold-released').map(({ hold }) => hold))
    return this.of('hold-placed').flatMap(({ hold }) => (released.has(hold) ? [] : [hold]))
  }

  /** Whether a hold was placed on any of these from that entry on. */
  heldSince(index: number, covering: readonly string[]): boolean {
    return this.entries
      .slice(index)
      .some(({ entry }) => entry.kind === 'hold-placed' && covering.includes(`${entry.scope}:${entry.of ?? ''}`))
  }

  /** Whether something of it opens. */
  isThere(scope: string): boolean {
    return this.entries.some(
      one =>
        one.scope === scope &&
        !one.erased &&
        (Object.keys(one.discloses).length > 0 ||
          (one.entry.kind === 'attachment-cut' && one.entry.under !== undefined)),
    )
  }

  /** Indexes of the entries that what is known now rests on. */
  state(): number[] {
    const last = (of: (entry: Entry) => unknown) =>
      new Map(this.entries.flatMap(({ entry }, i) => (of(entry) === undefined ? [] : [[of(entry), i]])))
    const singles = [
      ...last(({ kind }) => (kind === 'opened' || kind === 'policy' ? kind : undefined)).values(),
      ...last(named).values(),
    ].filter(i => this.entries[i]!.kind !== 'erasure')
    const lasting = ['hold-placed', 'hold-released', 'key-rotated', 'key-revoked']
    return this.entries
      .flatMap(({ kind, entry }, i) => {
        const stays = lasting.includes(kind) || (kind === 'erasure' && named(entry) !== undefined)
        return singles.includes(i) || stays || this.#isLive(i) ? [i] : []
      })
      .sort((a, b) => a - b)
  }

  /** Whether an entry is of a grant or an approval that is not forgotten, and was not when it came. */
  #isLive(index: number): boolean {
    const { entry } = this.entries[index]!
    const id = matterOf(entry)
    if (id === undefined) return false
    const begin = this.entries.findIndex(one => matterOf(one.entry) === id)
    let over = 0
    let live = false
    for (let i = begin, latest = this.#latest(begin - 1); i < this.size; i += 1) {
      const one = this.entries[i]!.entry
      latest = Math.max(latest, Date.parse(one.time))
      if (matterOf(one) !== id || (i > begin && over <= latest)) continue
      if (i === index) live = true
      if (one.kind === 'grant-requested') over = Date.parse(one.time) + day + one.seconds * 1000 + day
      if (one.kind === 'approval-requested') over = Date.parse(one.until) + day
      if (one.kind === 'grant-decided' && one.until !== undefined) over = Date.parse(one.until) + day
    }
    return live && over > this.#latest(this.size - 1)
  }

  #latest(index: number): number {
    return Math.max(...this.entries.slice(0, index + 1).map(({ entry }) => Date.parse(entry.time)))
  }
}

function matterOf(entry: Entry): string | undefined {
  if (entry.kind === 'decision') return entry.verdict === 'permit' ? entry.approval : undefined
  if ('grant' in entry && entry.kind.startsWith('grant-')) return entry.grant
  return 'approval' in entry && entry.kind.startsWith('approval-') ? entry.approval : undefined
}

/** @returns what is different; undefined where it is that entry */
export function difference({ kind, writer, clear, discloses }: Believed, entry: Entry): string | undefined {
  const members: Readonly<Record<string, unknown>> = { ...clear, kind, writer }
  const actual = entry as unknown as Readonly<Record<string, unknown>>
  for (const [name, value] of Object.entries(members)) {
    if (!isDeepStrictEqual(actual[name], value)) {
      return `${name} is ${JSON.stringify(actual[name])}, expected ${JSON.stringify(value)}`
    }
  }
  const disclosed = Object.values(discloses).filter(value => value !== undefined).length
  const actually = entry.sd?.length ?? 0
  return disclosed === actually ? undefined : `it discloses ${actually}, expected ${disclosed}`
}

/** Whom an entry names, or makes a name of nobody. */
function named(entry: Entry): string | undefined {
  if (entry.kind === 'principal') return entry.subject
  return entry.kind === 'erasure' && entry.scope === 'principal' ? entry.of : undefined
}
