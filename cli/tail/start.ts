/** Where `tail` begins: so many events before the end, or at a time. */
import { Follower, type LiveEntry } from '../../evidence/index.ts'
import { tileWidth } from '../../lib/format/layout.ts'

/** Entries before the first one shown that are read all the same: what is shown cites them. */
const context = 4 * tileWidth
/** How far back the last few events are sought. */
const furthest = 65_536

/** All there is from an entry on, until nothing comes any more. */
async function caughtUp(follower: Follower, from: number): Promise<LiveEntry[]> {
  follower.next = from
  const all: LiveEntry[] = []
  for (let some = await follower.poll(); some.length > 0; some = await follower.poll()) all.push(...some)
  return all
}

/**
 * Reads further and further back until enough is found, or there is no more.
 * @param found what of the entries is wanted. @returns the last `count` of it, and a follower that stands at the end
 */
export async function lastOf<T>(
  directory: string,
  count: number,
  wrapping: Uint8Array | undefined,
  found: (follower: Follower, entries: readonly LiveEntry[]) => Promise<readonly T[]>,
): Promise<{ readonly follower: Follower; readonly last: readonly T[] } | undefined> {
  for (let back = context + 2 * count; ; back *= 4) {
    const follower = await Follower.open(directory, wrapping)
    if (follower === undefined) return undefined
    const from = Math.max(0, follower.published - back)
    const all = await found(follower, await caughtUp(follower, from))
    if (all.length >= count || from === 0 || back > furthest)
      return { follower, last: count === 0 ? [] : all.slice(-count) }
  }
}

/** @returns the entry to begin reading with, so that nothing since the time is missed. @param since RFC 3339 */
export async function firstSince(follower: Follower, since: string): Promise<number> {
  let low = 0
  let high = Math.ceil(follower.published / tileWidth)
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [first] = await follower.bundle(middle * tileWidth)
    if (first?.entry !== undefined && first.entry.time >= since) high = middle
    else low = middle + 1
  }
  // It may lie within the bundle before the first that begins later.
  return Math.max(0, (low - 1) * tileWidth - context)
}
