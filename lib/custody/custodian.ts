/** Who may have something erased, disposed of, or held back from that: two people, by right, under no hold. Every refusal is an entry. */
import type { Approvalbook } from '../approvals/approvalbook.ts'
import type { Clock } from '../clock.ts'
import { isOurs, Misuse, Refusal } from '../errors.ts'
import { Comings, Concerned, coveredBy, holdOn, Moments } from '../format/concerned.ts'
import { timestamp } from '../format/entry.ts'
import { scopeName } from '../format/scope.ts'
import { isWaiting, lapsesAt } from '../grants/grant.ts'
import type { Grantbook } from '../grants/grantbook.ts'
import type { Subject } from '../identity/subject.ts'
import { type Earlier, type Known, noneThere } from '../ledger/earlier.ts'
import type { DraftOf, Ledger, Stored } from '../ledger/ledger.ts'
import type { Policy } from '../policy/policy.ts'
import type { Actors, Principals } from '../principals.ts'
import { newId } from '../requests.ts'
import { explained, objection, remedy, wouldPermit } from '../separation.ts'
import type { Hold, Holds } from './holds.ts'

/** What rights about the vault are given on. */
export const vaultResource = 'ledger/vault'

/** Of a person, agent or service by name; or of a session by id. */
export type Target =
  | { readonly scope: 'principal'; readonly name: string }
  | { readonly scope: 'session'; readonly id: string }

export interface EraseRequest {
  readonly target: Target
  /** A word for why, in clear: `art-17`. */
  readonly ground: string
  /** In full, disclosed to who has the vault's key. */
  readonly basis: string
}

export interface Erased {
  /** Of the first `erasure` entry. */
  readonly index: number
  /** The ledger in which it stands, of a series. */
  readonly origin: string
  /** In all ledgers of the series. */
  readonly slots: number
}

export interface DisposeRequest {
  /** As EraseRequest. */
  readonly ground: string
  readonly basis: string
  /** Milliseconds for which a ledger is kept after it was concluded. */
  readonly retentionMs: number
}

export interface Disposed {
  /** Of the ledger that was disposed of. */
  readonly origin: string
  readonly size: number
  /** Of the entry that says so, in the newest ledger. */
  readonly index: number
}

interface Parts {
  readonly ledger: Ledger
  /** Of the series that it belongs to; where there is none, or it is out of reach, nothing of them is erased. */
  readonly earlier?: Earlier
  readonly grants: Grantbook
  readonly approvals: Approvalbook
  readonly holds: Holds
  readonly principals: Principals
  readonly policy: Policy
  readonly clock: Clock
}

interface Scope {
  readonly scope: 'principal' | 'session'
  readonly of: string
  /** Pseudonyms of whom it is about, on whose behalf they acted, and who is accountable for them. */
  readonly concerned: ReadonlySet<string>
  readonly comings: Comings
}

interface Why {
  readonly why: string
  readonly hold?: string
  /** What would help, for who is refused. */
  readonly more?: string
}

const words: Readonly<Record<string, string>> = {
  ...explained,
  concerned:
    'this is about you, was done by you or for you, or by what you are accountable for: two other people must do it',
  'under-hold': 'a legal hold covers this: it must be released first',
  'may-have-returned':
    'somebody whom this concerns, or who released a hold on it, was erased before one of you was known here: two who were known by then must do it',
  'released-the-hold': 'you have released a hold on this: another person must ask for it',
  'concerns-others': 'it came to concern somebody else just now: ask again',
  undecided: 'something that they asked for or approved is not decided yet',
  'too-early': 'it has not been kept for as long as ledgers are kept (ledger.retention)',
  'no-such-hold': 'no hold under that id stands',
}

export class Custodian {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * @param by who asks for it. @param approver another person
   * @throws Refusal ERR_ACCESS_DENIED, ERR_OBLIGATION_UNMET (a hold, no basis, nothing undecided may be left); recorded by then
   * @throws LedgerError ERR_LEDGER_MISSING where nothing of it is there to erase
   * @throws Misuse ERR_OPTION_INVALID where no such principal or session is known, or the ledger cannot erase
   */
  async erase(by: Subject, approver: Subject, { target, ground, basis }: EraseRequest): Promise<Erased> {
    const { ledger, principals } = this.#parts
    if (ledger.erase === undefined)
      throw new Misuse('ERR_OPTION_INVALID', 'this ledger cannot erase: that is done on the host where it is')
    const { scope, of, concerned, comings } = await this.#scope(target)
    const [asks, approves] = [await principals.actors(by), await principals.actors(approver)]
    const why = this.#objection(by, asks, approver, approves, { scope, of, concerned, comings })
    if (why !== undefined) throw await this.#refused('erase', of, asks, [approves.subject], why)
    requireText(basis, 'a basis')
    const people = { by: asks.subject, approvers: [approves.subject] }
    const judgedAt = ledger.size
    const erasure = { scope, of, ground, basis, ...people }
    // The newest last: it is the one that knows them by name, should this be cut off.
    const both = [known(by, asks), known(approver, approves)]
    const isHeld = () => this.#isHeldSince(judgedAt, coveredBy(scopeName({ scope, of }), concerned))
    const before = (await this.#parts.earlier?.erase(erasure, both, isHeld)) ?? []
    const eraseOwn = async () => {
      // The ledger looks itself, up to the last moment, for what came in between; but knows only whom its own entries say it concerns.
      if (await isHeld()) throw new Refusal('ERR_OBLIGATION_UNMET', 'a legal hold was placed on this meanwhile')
      return ledger.erase!({ ...erasure, judgedAt })
    }
    const own = await eraseOwn().catch(async error => {
      if (before.length > 0 && isOurs(error) && error.code === 'ERR_LEDGER_MISSING') return noneThere(error)
      // Of several processes, one may have been asked for a hold meanwhile.
      if (!(error instanceof Refusal)) throw error
      const why = error.code === 'ERR_OBLIGATION_UNMET' ? 'under-hold' : 'concerns-others'
      const refused = await this.#refused('erase', of, asks, [approves.subject], { why })
      if (before.length === 0) throw refused
      const erased = before.map(({ origin }) => origin)
      const what = `${refused.message}; it was placed when this was erased from ${erased.join(', ')} already`
      throw new Refusal(refused.code, what, { ...refused.data, erased })
    })
    const all = [...(own.length === 0 ? [] : [{ origin: ledger.origin, stored: own }]), ...before]
    const slots = all.flatMap(({ stored }) => stored).reduce((sum, one) => sum + slotsOf(one), 0)
    return { index: all[0]!.stored[0]!.index, origin: all[0]!.origin, slots }
  }

  /**
   * Disposes of the oldest ledger of the series, but for its last checkpoint. Nobody else may have the newest open meanwhile.
   * @throws Refusal ERR_ACCESS_DENIED, ERR_OBLIGATION_UNMET (a hold on anything in it, kept for too short a time, no basis)
   * @throws Misuse ERR_OPTION_INVALID where there is none
   */
  async dispose(by: Subject, approver: Subject, { ground, basis, retentionMs }: DisposeRequest): Promise<Disposed> {
    const { ledger, earlier, principals, clock } = this.#parts
    const former = await earlier?.oldest()
    if (earlier === undefined || former === undefined)
      throw new Misuse('ERR_OPTION_INVALID', 'the series has no ledger but the one that is appended to')
    const { origin: of, checkpoint, concluded, number } = former
    const [asks, approves] = [await principals.actors(by), await principals.actors(approver)]
    const judgedAt = ledger.size
    const why =
      this.#unauthorised('dispose', by, asks, approver, approves) ??
      (await this.#heldIn(earlier, number, asks, approves)) ??
      (clock.now() - concluded < retentionMs
        ? { why: 'too-early', more: `: it may be disposed of from ${timestamp(concluded + retentionMs)} on` }
        : undefined) ??
      (await this.#anyHoldSince(judgedAt))
    if (why !== undefined) throw await this.#refused('dispose', of, asks, [approves.subject], why)
    requireText(basis, 'a basis')
    const { size } = checkpoint
    const draft: DraftOf<'disposed'> = {
      ...{ kind: 'disposed', of, size, root: Buffer.from(checkpoint.root).toString('base64url'), ground },
      ...{ by: asks.subject, approvers: [approves.subject], disclose: { basis } },
    }
    const [stored] = await ledger.append([draft])
    // Nothing is gone before something signed says so.
    await ledger.seal()
    await earlier.remove(draft)
    return { origin: of, size, index: stored!.index }
  }

  /** @returns the hold's id. @throws Refusal ERR_ACCESS_DENIED, ERR_OBLIGATION_UNMET (no reason) @throws Misuse as erase */
  async place(by: Subject, target: Target | { readonly scope: 'ledger' }, reason: string): Promise<string> {
    const { ledger, principals } = this.#parts
    const on = target.scope === 'ledger' ? { scope: target.scope } : await this.#scope(target)
    const of = 'of' in on ? on.of : undefined
    const actors = await principals.actors(by)
    const why = this.#unentitled(by, 'hold')
    if (why !== undefined) throw await this.#refused('place', of ?? 'ledger', actors, [], why)
    requireText(reason, 'a reason')
    const hold = newId('h')
    const draft: DraftOf<'hold-placed'> = { kind: 'hold-placed', hold, scope: on.scope, of, by: actors.subject }
    await ledger.append([{ ...draft, disclose: { reason } }])
    return hold
  }

  /** @throws Refusal ERR_ACCESS_DENIED, ERR_OBLIGATION_UNMET (no such hold, no reason) */
  async release(by: Subject, hold: string, reason: string): Promise<void> {
    const { ledger, principals, holds } = this.#parts
    const actors = await principals.actors(by)
    const found = holds.get(hold)
    const stands = found !== undefined && found.releasedBy === undefined
    const why = this.#unentitled(by, 'release') ?? (stands ? undefined : { why: 'no-such-hold' })
    if (why !== undefined) throw await this.#refused('release', found?.id ?? 'unknown', actors, [], why)
    requireText(reason, 'a reason')
    await ledger.append([{ kind: 'hold-released', hold, by: actors.subject, disclose: { reason } }])
  }

  /** By holds on all, or on anything in that ledger. */
  async #heldIn(earlier: Earlier, number: number, asks: Actors, approves: Actors): Promise<Why | undefined> {
    const covering: Hold[] = []
    for (const hold of this.#parts.holds.all()) {
      if (hold.on === 'ledger' || (await earlier.speaksOf(number, new Set([hold.on])))) covering.push(hold)
    }
    const { comings } = await this.#known({ scope: 'principal', of: asks.subject })
    return barredBy(covering, asks, approves, { comings })
  }

  #unentitled(by: Subject, action: 'erase' | 'hold' | 'release' | 'dispose'): Why | undefined {
    if (by.type !== 'person') return { why: 'not-a-person' }
    const may = this.#parts.policy.decide(by, [{ action, resource: vaultResource }]).permit
    return may ? undefined : { why: 'no-right', more: `, for who asks: ${wouldPermit(action, vaultResource)}` }
  }

  /** Of anything: what is in the ledger that is to be disposed of was read by then. */
  async #anyHoldSince(size: number): Promise<Why | undefined> {
    for await (const { entry } of this.#parts.ledger.entries(size)) {
      if (entry.kind === 'hold-placed') return { why: 'under-hold', hold: entry.hold }
    }
    return undefined
  }

  async #isHeldSince(size: number, covered: ReturnType<typeof coveredBy>): Promise<boolean> {
    for await (const { entry } of this.#parts.ledger.entries(size)) {
      if (entry.kind === 'hold-placed' && covered.has(holdOn(entry))) return true
    }
    return false
  }

  #unauthorised(
    action: 'erase' | 'dispose',
    by: Subject,
    asks: Actors,
    approver: Subject,
    approves: Actors,
  ): Why | undefined {
    const unentitled = this.#unentitled(by, action)
    if (unentitled !== undefined) return unentitled
    const item = {
      ...{ id: '', subject: asks.subject, principal: asks.principal, owner: asks.owner },
      ...{ accesses: [{ action, resource: vaultResource }], roles: [], approvers: [], globs: false },
    }
    const why = objection(this.#parts.policy, approver, approves, item)
    return why === undefined ? undefined : { why, more: remedy(why, item).replace(/^: /, ', for who approves: ') }
  }

  #objection(by: Subject, asks: Actors, approver: Subject, approves: Actors, scope: Scope): Why | undefined {
    const { holds } = this.#parts
    const unauthorised = this.#unauthorised('erase', by, asks, approver, approves)
    if (unauthorised !== undefined) return unauthorised
    if ([asks.subject, approves.subject].some(one => scope.concerned.has(one))) return { why: 'concerned' }
    const barred = barredBy(holds.on(scopeName(scope), scope.concerned), asks, approves, scope)
    if (barred !== undefined) return barred
    // Whoever comes back does so under another pseudonym, and could then decide what they asked for themselves.
    const waiting = scope.scope === 'principal' ? this.#undecided(scope.of) : undefined
    if (waiting === undefined) return undefined
    const { id, lapses } = waiting
    const how = `have it decided (with the gateway running: counterfoil deny ${id}), or wait until it lapses at ${timestamp(lapses)}`
    return { why: 'undecided', more: `: ${id}; ${how}` }
  }

  #undecided(pseudonym: string): { readonly id: string; readonly lapses: number } | undefined {
    const { grants, approvals, clock } = this.#parts
    const now = clock.now()
    return [
      ...grants.all().flatMap(one => (isWaiting(one, now) ? [{ ...one, lapses: lapsesAt(one) }] : [])),
      ...approvals
        .all()
        .flatMap(one => (one.status === 'pending' && now < one.until ? [{ ...one, lapses: one.until }] : [])),
    ].find(item => {
      const approvers = 'approvers' in item ? item.approvers : []
      return [item.subject, item.principal, item.owner, ...approvers].includes(pseudonym)
    })
  }

  async #scope(target: Target): Promise<Scope> {
    const { principals } = this.#parts
    if (target.scope === 'principal') {
      const of = await principals.pseudonymOf(target.name)
      if (of === undefined) throw unknown('nobody of that name is known to this ledger: erased already, or never seen')
      return this.#known({ scope: target.scope, of })
    }
    const found = await this.#known({ scope: target.scope, of: target.id })
    if (found.concerned.size === 0) throw unknown('no session of that id is in this ledger')
    return found
  }

  /** By all ledgers of the series that are still there. @returns none who are concerned, of a session in which nobody did anything */
  async #known(scope: Pick<Scope, 'scope' | 'of'>): Promise<Scope> {
    const concerned = new Concerned(scope, { decisions: true })
    const comings = new Comings()
    const moments = new Moments()
    const learn = ({ index, entry }: Stored) => {
      concerned.learn(entry)
      comings.learn(moments.of(index, entry), entry)
    }
    for await (const stored of this.#parts.earlier?.entries() ?? []) learn(stored)
    for await (const stored of this.#parts.ledger.entries()) learn(stored)
    return { ...scope, concerned: concerned.people, comings }
  }

  async #refused(
    verb: 'erase' | 'place' | 'release' | 'dispose',
    of: string,
    { subject: by }: Actors,
    approvers: readonly string[],
    { why, hold, more = '' }: Why,
  ): Promise<Refusal> {
    const unmet = ['under-hold', 'undecided', 'no-such-hold', 'too-early'].includes(why)
    const code = unmet ? 'ERR_OBLIGATION_UNMET' : 'ERR_ACCESS_DENIED'
    await this.#parts.ledger.append([{ kind: 'custody-refused', verb, of, by, approvers, code, why, hold }])
    const which = hold === undefined ? '' : `: ${hold}`
    return new Refusal(code, `${words[why] ?? 'not permitted'}${which}${more}`, { of, why, ...(hold && { hold }) })
  }
}

/**
 * By the holds that cover what is to be done: one that stands, or that who asks has released; or one of them may be
 * somebody whom it concerns, or who released one, and who was erased since.
 */
function barredBy(
  covering: readonly Hold[],
  { subject: asks }: Actors,
  { subject: approves }: Actors,
  { comings, concerned = new Set() }: Pick<Scope, 'comings'> & Partial<Pick<Scope, 'concerned'>>,
): Why | undefined {
  const standing = covering.find(({ releasedBy }) => releasedBy === undefined)
  if (standing !== undefined) return { why: 'under-hold', hold: standing.id }
  const released = covering.find(({ releasedBy }) => releasedBy === asks)
  if (released !== undefined) return { why: 'released-the-hold', hold: released.id }
  const releasers = covering.flatMap(({ releasedBy }) => releasedBy ?? [])
  const mayBe = comings.mayHaveReturned([asks, approves], [...concerned, ...releasers])
  return mayBe ? { why: 'may-have-returned' } : undefined
}

const known = ({ id: name, type }: Subject, { subject, owner }: Actors): Known => ({ subject, type, owner, name })

const slotsOf = ({ entry }: Stored): number => (entry.kind === 'erasure' ? entry.slots.length : 0)

const unknown = (what: string) => new Misuse('ERR_OPTION_INVALID', what)

function requireText(text: string, what: string): void {
  if (text.trim() === '' || text.length > 2000 || !text.isWellFormed()) {
    throw new Refusal('ERR_OBLIGATION_UNMET', `${what} is required, of at most 2000 characters`)
  }
}
