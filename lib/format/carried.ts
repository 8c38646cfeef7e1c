/**
 * What a ledger carries over to the one that follows it in its series: who everybody is, legal holds, grants that are
 * asked for or in force, and which ledgers were disposed of. These are said again there, with other ids and times and
 * by whoever begins it, all else alike: the digests of what they disclose too. What waits for an approval asks again.
 * Pure, so that whoever verifies both can derive it from the first and find it in the second.
 */
import { createHash } from 'node:crypto'
import { canonical, type Json } from './canonical.ts'
import type { Entry, EntryOf } from './entry.ts'
import { type Living, type LivingEntry, patienceMs } from './living.ts'

const carriedKinds = [
  ...(['principal', 'hold-placed', 'hold-released', 'disposed'] as const),
  ...(['grant-requested', 'grant-decided'] as const),
] as const
type CarriedKind = (typeof carriedKinds)[number]
type Carried = Extract<Entry, { readonly kind: CarriedKind }>
export type CarriedEntry = LivingEntry & { readonly entry: Carried }

/** In index order. What is over is left out, by the time of the last entry. */
export function carriedOf(living: Living): readonly CarriedEntry[] {
  const entries = living.entries()
  const over = new Set<string>()
  const known = new Set<string>()
  const asked = new Map<string, string[]>()
  const gone = new Set<string>()
  for (const { entry } of entries) {
    if (entry.kind === 'principal') known.add(entry.subject)
    if (entry.kind === 'grant-requested' && Date.parse(entry.time) + patienceMs <= living.latest) over.add(entry.grant)
    if (entry.kind === 'grant-decided' && isInForce(entry, living.latest)) over.delete(entry.grant)
    else if (entry.kind === 'grant-decided' || entry.kind === 'grant-revoked') over.add(entry.grant)
    // Nobody can use what was granted to somebody who was erased: whoever comes back is
    // another, and so is who is given that pseudonym again.
    if (entry.kind === 'grant-requested') {
      const own = asked.get(entry.subject) ?? []
      asked.set(entry.subject, own)
      own.push(entry.grant)
    }
    if (entry.kind === 'erasure') for (const grant of asked.get(entry.of) ?? []) gone.add(grant)
  }
  for (const { entry } of entries)
    if (entry.kind === 'grant-requested' && !known.has(entry.subject)) gone.add(entry.grant)
  const isOver = (entry: Entry) =>
    'grant' in entry && entry.grant !== undefined && (over.has(entry.grant) || gone.has(entry.grant))
  return entries.filter((one): one is CarriedEntry => isCarried(one.entry) && !isOver(one.entry))
}

const isInForce = ({ verdict, until }: EntryOf<'grant-decided'>, now: number) =>
  verdict === 'approve' && until !== undefined && Date.parse(until) > now

const kinds: ReadonlySet<string> = new Set(carriedKinds)
export const isCarried = (entry: Pick<Entry, 'kind'>): boolean => kinds.has(entry.kind)

/** Of what entries say, one after another: not of when, by whom and under which id it is said. */
export class CarriedDigest {
  readonly #hash = createHash('sha256')
  #count = 0

  get count(): number {
    return this.#count
  }

  add(entry: Entry): void {
    const { v: _v, id: _id, time: _time, writer: _writer, seq: _seq, ...said } = entry
    this.#hash.update(`${canonical(said as unknown as Json)}\n`)
    this.#count += 1
  }

  /** Base64url. */
  digest(): string {
    return this.#hash.copy().digest('base64url')
  }
}
