/**
 * Folds verified entries, in order, into facts: each operation with its outcome, each grant, approval and session with what became of it.
 */
import type { Entry, EntryOf } from '../lib/format/entry.ts'
import type { Disclosed } from './views.ts'

/** An entry of one kind, with its place and what is disclosed of it. */
export type Found<K extends Entry['kind']> = Omit<Disclosed, 'entry'> & { readonly entry: EntryOf<K> }

export interface OperationFacts {
  readonly found: Found<'decision'>
  /** Whether it lies between the two checkpoints. */
  readonly here: boolean
  /** Of the writer, as it last said when it started. */
  readonly placement: string | null
}

export interface GrantFacts {
  readonly request: Found<'grant-requested'>
  decided?: Found<'grant-decided'>
  revoked?: Found<'grant-revoked'>
}

export interface ApprovalFacts {
  readonly request: Found<'approval-requested'>
  readonly decided: Found<'approval-decided'>[]
  readonly uses: Found<'decision'>[]
}

export interface SessionFacts {
  readonly opened: Found<'session-opened'>
  closed?: Found<'session-closed'>
}

export type RecordingFacts = (Found<'attachment'> | Found<'attachment-cut'>) & {
  readonly here: boolean
  /** Of one that was cut: the entry that says that there was a crash. */
  readonly recovered: number | undefined
}

export interface HoldFacts {
  readonly placed: Found<'hold-placed'>
  released?: Found<'hold-released'>
}

export type LifeSign = Found<'heartbeat'> | Found<'started'> | Found<'stopped'> | Found<'recovered'>

export class Facts {
  /** Each decision is one, also where an exchange was decided twice. */
  readonly operations: OperationFacts[] = []
  /** By exchange: the first, as of all that is said twice but a principal, whose owner may change. */
  readonly outcomes = new Map<string, Found<'outcome'>>()
  readonly settled = new Map<string, string>()
  /** By id. */
  readonly grants = new Map<string, GrantFacts>()
  readonly approvals = new Map<string, ApprovalFacts>()
  readonly sessions = new Map<string, SessionFacts>()
  /** By pseudonym. */
  readonly principals = new Map<string, Found<'principal'>>()
  /** Each time that one was said. */
  readonly registrations: Found<'principal'>[] = []
  readonly policies: Found<'policy'>[] = []
  readonly attempts: ((Found<'attempt-refused'> | Found<'custody-refused'>) & { readonly here: boolean })[] = []
  readonly erasures: (Found<'erasure'> & { readonly here: boolean })[] = []
  /** Of earlier ledgers of the series. */
  readonly disposals: (Found<'disposed'> & { readonly here: boolean })[] = []
  /** By id. */
  readonly holds = new Map<string, HoldFacts>()
  readonly attachments: RecordingFacts[] = []
  /** Only of what lies between the two checkpoints. */
  readonly lifeSigns: LifeSign[] = []
  /** Time of the newest entry; empty where there is none. */
  latest = ''
  /** Behind what a rollover says again. */
  #saidAgain = 0
  /** What an opening finds cut stands between this and its start. */
  #recovered: number | undefined
  /** By writer. */
  readonly #placements = new Map<string, string>()

  /** Whether a rollover says it again: it was said before that, in an earlier ledger of the series. */
  isSaidAgain({ index }: Pick<Disclosed, 'index'>): boolean {
    return index < this.#saidAgain
  }

  /** @param here whether it lies between the two checkpoints */
  add(found: Disclosed, here: boolean): void {
    const { entry } = found
    if (entry.time > this.latest) this.latest = entry.time
    const as = <K extends Entry['kind']>() => found as unknown as Found<K>
    switch (entry.kind) {
      case 'decision': {
        const placement = this.#placements.get(entry.writer) ?? null
        this.operations.push({ found: as<'decision'>(), here, placement })
        if (entry.approval !== undefined && entry.verdict === 'permit') {
          this.approvals.get(entry.approval)?.uses.push(as<'decision'>())
        }
        return
      }
      case 'outcome':
        keepFirst(this.outcomes, entry.exchange, as<'outcome'>())
        return
      case 'settled':
        for (const exchange of entry.exchanges) keepFirst(this.settled, exchange, entry.result)
        return
      case 'grant-requested':
        keepFirst(this.grants, entry.grant, { request: as<'grant-requested'>() })
        return
      case 'grant-decided': {
        const grant = this.grants.get(entry.grant)
        // The first decision counts: a second one cannot undo a denial.
        if (grant !== undefined && grant.decided === undefined) grant.decided = as<'grant-decided'>()
        return
      }
      case 'grant-revoked': {
        const grant = this.grants.get(entry.grant)
        if (grant !== undefined && grant.revoked === undefined) grant.revoked = as<'grant-revoked'>()
        return
      }
      case 'approval-requested':
        keepFirst(this.approvals, entry.approval, { request: as<'approval-requested'>(), decided: [], uses: [] })
        return
      case 'approval-decided':
        this.approvals.get(entry.approval)?.decided.push(as<'approval-decided'>())
        return
      case 'session-opened':
        keepFirst(this.sessions, entry.session, { opened: as<'session-opened'>() })
        return
      case 'session-closed': {
        const session = this.sessions.get(entry.session)
        if (session !== undefined) session.closed = as<'session-closed'>()
        return
      }
      case 'principal':
        this.principals.set(entry.subject, as<'principal'>())
        this.registrations.push(as<'principal'>())
        return
      case 'policy':
        this.policies.push(as<'policy'>())
        return
      case 'attempt-refused':
        this.attempts.push({ ...as<'attempt-refused'>(), here })
        return
      case 'custody-refused':
        this.attempts.push({ ...as<'custody-refused'>(), here })
        return
      case 'erasure':
        this.erasures.push({ ...as<'erasure'>(), here })
        return
      case 'continued':
        this.#saidAgain = found.index + 1 + entry.carried
        return
      case 'disposed':
        this.disposals.push({ ...as<'disposed'>(), here })
        return
      case 'hold-placed':
        keepFirst(this.holds, entry.hold, { placed: as<'hold-placed'>() })
        return
      case 'hold-released': {
        const hold = this.holds.get(entry.hold)
        if (hold !== undefined && hold.released === undefined) hold.released = as<'hold-released'>()
        return
      }
      case 'attachment':
        this.attachments.push({ ...as<'attachment'>(), here, recovered: undefined })
        return
      case 'attachment-cut':
        this.attachments.push({ ...as<'attachment-cut'>(), here, recovered: this.#recovered })
        return
      case 'started':
        this.#placements.set(entry.writer, entry.placement)
        this.#recovered = undefined
        break
      case 'recovered':
        this.#recovered = found.index
        break
      case 'heartbeat':
      case 'stopped':
        break
      default:
        return
    }
    if (here) this.lifeSigns.push(found as LifeSign)
  }
}

/** The entry that erased what was disclosed of a principal up to there; undefined where none did since it was last said. */
export const erasedBy = ({ principals, erasures }: Facts, pseudonym: string): number | undefined =>
  erasures.find(
    ({ index, entry }) =>
      entry.scope === 'principal' && entry.of === pseudonym && index > (principals.get(pseudonym)?.index ?? index),
  )?.index

function keepFirst<V>(map: Map<string, V>, key: string, value: V): void {
  if (!map.has(key)) map.set(key, value)
}
