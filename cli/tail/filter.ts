/** What of a ledger is asked for: by who, where, and whether it was refused. */
import type { Opener } from '../../evidence/index.ts'
import { matches } from '../../lib/glob.ts'
import type { Told } from './told.ts'

export interface Filter {
  /** A name or a pseudonym: of who acts, on whose behalf, or who is accountable. */
  readonly subject?: string
  /** A glob of resources, as policies have them. */
  readonly resource?: string
  readonly denied: boolean
  /** What happens beside operations too: heartbeats, recordings, who a pseudonym is. */
  readonly all: boolean
}

const minor = new Set(['heartbeat', 'principal', 'attachment'])

/** @param opener where names can be opened */
export async function wanted(told: Told, filter: Filter, opener: Opener | undefined): Promise<boolean> {
  if (!filter.all && minor.has(told.entry.kind)) return false
  if (filter.denied && !isDenied(told)) return false
  const { resource, subject } = filter
  if (resource !== undefined && !told.accesses.some(access => matches(resource, access.resource))) return false
  if (subject === undefined) return true
  for (const one of concerned(told)) {
    if (one === subject || (await opener?.name(one)) === subject) return true
  }
  return false
}

/** Everybody whom an entry concerns, and who asked for what it decides. */
export const concerned = ({ actors, of }: Told): string[] => [
  ...new Set(
    [actors, ...of.map(origin => origin.actors)].flatMap(one =>
      [one?.subject, one?.principal, one?.owner].filter(id => id !== undefined),
    ),
  ),
]

function isDenied({ entry }: Told): boolean {
  if (entry.kind === 'attempt-refused') return true
  return 'verdict' in entry && entry.verdict === 'deny'
}
