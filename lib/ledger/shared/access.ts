/**
 * What whoever is connected to the leader may have done. A process of this host may write the ledger's files too, and is denied only what
 * the ledger says by itself. One of another host is a guard and no more: it appends what guards say, under the one name that its
 * certificate bears, and has opened for it what a decision needs, never what was recorded.
 */
import { Refusal } from '../../errors.ts'
import type { Entry, Kind } from '../../format/entry.ts'
import { patienceMs } from '../../format/living.ts'
import type { Question } from './messages.ts'
import type { Said } from './said.ts'

export interface Access {
  /** Whether it may speak under that name. */
  speaksAs(writer: string): boolean
  appends(kind: Kind): boolean
  asks(what: Question['what']): boolean
  /** Whether it may write the ledger's files too: what it says of itself is taken as it says it. */
  readonly trusted: boolean
  /** What it says of people is judged by this, together with what all others say who are not trusted. */
  readonly said?: Said
  /** Which disclosures of an entry it may have opened: those of the names, or `all`. @param now Unix milliseconds */
  opens(entry: Entry, now: number): readonly string[] | 'all'
}

/** What a process may not say for itself. */
const ofTheLedger: ReadonlySet<Kind> = new Set([
  ...(['opened', 'started', 'recovered', 'attachment-cut', 'erasure'] as const),
  ...(['concluded', 'continued', 'disposed'] as const),
])

/** Of this host. It may take any writer's name: it may write the ledger's files too. */
export const local: Access = {
  speaksAs: () => true,
  appends: kind => !ofTheLedger.has(kind),
  asks: () => true,
  trusted: true,
  opens: () => 'all',
}

/** What guards say. Keys, the vault, anchors and legal holds are the business of whoever has the directory. */
const ofGuards: ReadonlySet<Kind> = new Set([
  ...(['heartbeat', 'stopped', 'principal', 'policy', 'session-opened', 'session-closed'] as const),
  ...(['decision', 'outcome', 'settled', 'attachment', 'event', 'events-lost'] as const),
  ...(['grant-requested', 'grant-decided', 'grant-revoked'] as const),
  ...(['approval-requested', 'approval-decided', 'attempt-refused', 'custody-refused'] as const),
])

const ofOthers: ReadonlySet<Question['what']> = new Set([
  ...(['alive', 'entries', 'state', 'disclosures', 'attach', 'attached', 'publish', 'seal', 'covered'] as const),
])

/** By how much two hosts' clocks may differ. */
const skewMs = 60_000

/** Of another host. @param bears whether that is a name on its certificate */
export const remote = (bears: (writer: string) => boolean, said: Said): Access & { readonly said: Said } => ({
  speaksAs: bears,
  appends: kind => ofGuards.has(kind),
  asks: what => ofOthers.has(what),
  trusted: false,
  said,
  opens: (entry, now) => {
    switch (entry.kind) {
      // Without the names of all, one person would be two on two hosts, and could approve for themselves.
      case 'principal':
        return ['name']
      // For who decides, and to know the approved action again when it is executed.
      case 'approval-requested':
        return now < Date.parse(entry.until) + skewMs ? ['action', 'actionSalt'] : []
      case 'grant-requested':
        return now < Date.parse(entry.time) + patienceMs + skewMs ? ['reason'] : []
      default:
        return []
    }
  },
})

export const denied = (what: string): Refusal =>
  new Refusal('ERR_ACCESS_DENIED', `a process of another host may not ${what}: that is done where the ledger is`)
