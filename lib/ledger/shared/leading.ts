/** A link of the process that leads: the open ledger itself, told of in the same way as whoever is connected. */
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { Stored } from '../ledger.ts'
import type { Leader } from './leader.ts'
import type { Link, LinkEvents } from './link.ts'

/**
 * @param next index of the first entry that this process has not been told of
 * @returns once it has been told of all that there are
 */
export async function leading(
  ledger: DirectoryLedger,
  leader: Leader,
  writer: string,
  next: number,
  events: LinkEvents,
): Promise<Link> {
  // What becomes durable while the past is still being told waits for its turn.
  let live = false
  const later: Stored[] = []
  const unfollow = ledger.follow(stored => {
    if (live) events.onEntries([stored])
    else later.push(stored)
  })
  const past = ledger.size
  for await (const stored of ledger.entries(next)) if (stored.index < past) events.onEntries([stored])
  for (const stored of later) if (stored.index >= past) events.onEntries([stored])
  live = true
  ledger.onFault(fault => {
    unfollow()
    events.onLost(fault)
  })
  let closed: Promise<void> | undefined
  return {
    append: ({ ids, drafts }) => {
      ledger.appendAs(writer, drafts, { ids }).catch(error => events.onDeclined(ids[0]!, error))
    },
    entries: from => ledger.entries(from),
    state: () => ledger.state(),
    disclosures: index => ledger.disclosures(index),
    attach: parts => ledger.attach(parts),
    attachment: id => ledger.attachment(id),
    publish: () => ledger.publish(),
    seal: () => ledger.seal(),
    erase: erasure => ledger.erase(erasure),
    covered: (size, level) => ledger.covered(size, level),
    close: () => {
      closed ??= (async () => {
        leader.mute()
        try {
          await ledger.close()
        } finally {
          leader.close()
        }
      })()
      return closed
    },
    abandon: () => {
      closed ??= (async () => {
        leader.close()
        await ledger.abandon()
      })()
      return closed
    },
  }
}
