/** Entries as they are told: each with who acts, what it concerns, and the earlier entry that it belongs to, where that has been seen. */
import type { LiveEntry } from '../../evidence/index.ts'
import type { Access, Entry, EntryOf } from '../../lib/format/entry.ts'

export interface Actors {
  readonly subject: string
  readonly principal?: string | undefined
  readonly owner?: string | undefined
}

/** A decision, or the request for a grant or an approval: what later entries cite by its id. */
export interface Origin {
  readonly index: number
  readonly time: string
  readonly actors: Actors | undefined
  readonly accesses: readonly Access[]
  readonly protocol?: string
}

export interface Told {
  readonly live: LiveEntry
  readonly entry: Entry
  /** Who did what the entry says: an approver, not who asked. */
  readonly actors: Actors | undefined
  readonly accesses: readonly Access[]
  readonly of: readonly Origin[]
  /** From the decision to its outcome. */
  readonly milliseconds?: number
}

/** Decisions and requests that are remembered; an outcome that comes after as many others is told without its decision. */
const mostRemembered = 20_000

export class Memory {
  readonly #origins = new Map<string, Origin>()

  /** In order. */
  tell(live: LiveEntry & { readonly entry: Entry }): Told {
    const { index, entry } = live
    const own = (actors: Actors | undefined, accesses: readonly Access[] = []): Told => ({
      ...{ live, entry, actors, accesses, of: [] },
    })
    const after = (ids: readonly string[], actors?: Actors): Told => {
      const of = ids.flatMap(id => this.#origins.get(id) ?? [])
      return { live, entry, actors: actors ?? of[0]?.actors, accesses: of.flatMap(({ accesses }) => accesses), of }
    }
    const begin = (id: string, actors: Actors | undefined, accesses: readonly Access[], protocol?: string): Told => {
      this.#remember(id, { index, time: entry.time, actors, accesses, ...(protocol === undefined ? {} : { protocol }) })
      return own(actors, accesses)
    }
    switch (entry.kind) {
      case 'decision':
        return begin(entry.exchange, actorsOf(entry), entry.accesses, entry.protocol)
      case 'outcome': {
        const told = after([entry.exchange])
        const [from] = told.of
        return from === undefined ? told : { ...told, milliseconds: Date.parse(entry.time) - Date.parse(from.time) }
      }
      case 'attachment':
      case 'attachment-cut':
        return after([entry.exchange])
      case 'settled':
        return after(entry.exchanges)
      case 'grant-requested':
        return begin(
          entry.grant,
          actorsOf(entry),
          entry.actions.map(action => ({ action, resource: entry.resource })),
        )
      case 'approval-requested':
        return begin(entry.approval, actorsOf(entry), entry.accesses)
      case 'grant-decided':
        return after([entry.grant], { subject: entry.approver })
      case 'grant-revoked':
        return after([entry.grant], { subject: entry.by })
      case 'approval-decided':
        return after([entry.approval], { subject: entry.approver })
      case 'attempt-refused':
        return after([entry.of], { subject: entry.subject })
      case 'session-opened':
        return begin(entry.session, actorsOf(entry), [])
      case 'session-closed':
        return after([entry.session])
      case 'erasure':
      case 'disposed':
      case 'custody-refused':
      case 'hold-placed':
      case 'hold-released':
        return own({ subject: entry.by })
      case 'principal':
        return own({ subject: entry.subject, owner: entry.owner })
      case 'event':
        return own(entry.subject === undefined ? undefined : { subject: entry.subject })
      case 'policy':
        return own(entry.by === undefined ? undefined : { subject: entry.by })
      default:
        return own(undefined)
    }
  }

  #remember(id: string, origin: Origin): void {
    this.#origins.delete(id)
    this.#origins.set(id, origin)
    if (this.#origins.size > mostRemembered) this.#origins.delete(this.#origins.keys().next().value!)
  }
}

const actorsOf = ({
  subject,
  principal,
  owner,
}: Pick<EntryOf<'decision'>, 'subject' | 'principal' | 'owner'>): Actors | undefined =>
  subject === undefined ? undefined : { subject, principal, owner }
