/**
 * The desk where rights for a while are asked for and decided: one verb for grants (`g-...`) and approvals (`a-...`). Every request
 * and every decision is an entry, and so is every one that is refused.
 */
import type { Approvalbook } from './approvals/approvalbook.ts'
import type { Clock } from './clock.ts'
import type { Obligations } from './control.ts'
import { formatDuration } from './duration.ts'
import { appendDenial, askedOfUs, isMalformed, wordOf } from './entries.ts'
import { Refusal } from './errors.ts'
import { Exchange } from './exchange.ts'
import type { Json } from './format/canonical.ts'
import { type Access, timestamp, uuidv7 } from './format/entry.ts'
import { type Grant, isWaiting } from './grants/grant.ts'
import type { Grantbook } from './grants/grantbook.ts'
import type { Subject } from './identity/subject.ts'
import type { Ledger } from './ledger/ledger.ts'
import { nearest } from './options.ts'
import type { Policy } from './policy/policy.ts'
import type { Actors, Principals } from './principals.ts'
import { newId, Requests } from './requests.ts'
import { explained, type Item, objection, remedy, wouldPermit } from './separation.ts'

export interface GrantRequest {
  /** A resource or a glob of resources: `crm/public.customers`. */
  readonly resource: string
  readonly actions: readonly string[]
  readonly seconds: number
  readonly reason?: string
}

export interface Pending {
  readonly id: string
  readonly kind: 'grant' | 'approval'
  readonly subject: string
  readonly principal?: string
  readonly owner?: string
  readonly accesses: readonly Access[]
  readonly roles: readonly string[]
  /** Disclosed to those who may decide: the exact action, or the reason for the grant. */
  readonly action?: Json
  readonly reason?: string
  readonly seconds?: number
  /** RFC 3339; for approvals. */
  readonly until?: string
}

interface Parts {
  readonly ledger: Ledger
  readonly grants: Grantbook
  readonly approvals: Approvalbook
  readonly principals: Principals
  readonly policy: Policy
  readonly clock: Clock
}

type Verb = 'approve' | 'deny' | 'revoke'

export class Desk {
  readonly #parts: Parts
  readonly #requests: Requests

  constructor(parts: Parts) {
    this.#parts = parts
    this.#requests = new Requests(parts.grants)
  }

  /**
   * Asks for a grant. The right must exist already: a grant makes it live for a while. Undecided for a day, it lapses.
   * @returns its id. @throws Refusal ERR_ACCESS_DENIED, ERR_OBLIGATION_UNMET (too long, no reason, too many); recorded by then
   */
  async request(subject: Subject, request: GrantRequest): Promise<string> {
    const { ledger, principals } = this.#parts
    const actors = await principals.actors(subject)
    try {
      const terms = this.#terms(subject, request)
      const grant = newId('g')
      const draft = {
        ...{ kind: 'grant-requested' as const, grant, ...actors },
        resource: request.resource,
        actions: [...request.actions].sort(),
        seconds: request.seconds,
        longest: Math.floor(terms.longestMs / 1000),
        roles: terms.roles,
        controls: terms.controls,
        disclose: { reason: request.reason },
        slot: `principal:${actors.subject}`,
      }
      await this.#requests.make(actors.subject, grant, () => ledger.append([draft]))
      return grant
    } catch (error) {
      // What cannot be written as an entry is refused as well, and the refusal can.
      if (error instanceof Refusal || isMalformed(error)) await this.#refusedRequest(subject, actors, request, error)
      throw error
    }
  }

  /** @returns what a grant as asked for must hold to. @throws Refusal where it may not be asked for */
  #terms(subject: Subject, request: GrantRequest): NonNullable<Obligations['grant']> {
    const { policy } = this.#parts
    const accesses = request.actions.map(action => ({ action, resource: request.resource }))
    if (accesses.length === 0 || !policy.decide(subject, accesses).permit) {
      const what = `no right to ${request.actions.join(', ')} on ${request.resource}`
      throw new Refusal('ERR_ACCESS_DENIED', `${what}${this.#known(subject, request)}`)
    }
    const terms = policy.grantTerms(accesses)
    if (terms === undefined) {
      const what = `no control asks for a grant to ${request.actions.join(', ')} on ${request.resource}: it needs none`
      throw new Refusal('ERR_OBLIGATION_UNMET', `${what}${this.#known(subject, request)}`)
    }
    const longest = Math.floor(terms.longestMs / 1000)
    if (!Number.isSafeInteger(request.seconds) || request.seconds <= 0 || request.seconds > longest) {
      throw new Refusal('ERR_OBLIGATION_UNMET', `a grant here lasts at most ${formatDuration(longest * 1000)}`, {
        longest,
      })
    }
    if (terms.reason && !request.reason?.trim()) {
      throw new Refusal(
        'ERR_OBLIGATION_UNMET',
        'a reason is required: say why, for those who approve and those who read',
      )
    }
    return terms
  }

  /** A slip in an action is seen by what could be asked for there, where controls name that. */
  #known(subject: Subject, { actions, resource }: GrantRequest): string {
    const known = this.#parts.policy.grantActions(subject, resource)
    const strange = actions.find(action => !known.includes(action))
    if (known.length === 0 || strange === undefined) return ''
    const meant = nearest(strange, known)
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`
    return `; grants there are for ${known.join(', ')}${hint}`
  }

  /** As any operation that is denied: a decision, of the protocol `desk`. */
  async #refusedRequest(subject: Subject, actors: Actors, request: GrantRequest, error: unknown): Promise<void> {
    const { ledger, policy, clock } = this.#parts
    const { resource, actions, seconds, reason } = request
    const operation = askedOfUs({
      protocol: 'desk',
      target: wordOf(resource.split('/', 1)[0]!),
      action: { request: { resource, actions, seconds, ...(reason === undefined ? {} : { reason }) } },
      accesses: [{ action: 'request', resource }],
    })
    const exchange = new Exchange({ id: uuidv7(clock.now()), operation, subject })
    exchange.learn('subject', subject)
    exchange.learn('actors', actors)
    exchange.learn('policy', policy.digest)
    await appendDenial(ledger, exchange, error)
  }

  /** @throws Refusal; the attempt is recorded either way. */
  async approve(approver: Subject, id: string): Promise<void> {
    await this.#decide(approver, id, 'approve')
  }

  async deny(approver: Subject, id: string): Promise<void> {
    await this.#decide(approver, id, 'deny')
  }

  async #decide(approver: Subject, id: string, verdict: 'approve' | 'deny'): Promise<void> {
    const { ledger, principals, clock } = this.#parts
    const actors = await principals.actors(approver)
    const item = this.#open(id)
    if (item === undefined) throw await this.#refused(actors, verdict, id, 'nothing-to-decide')
    const why = objection(this.#parts.policy, approver, actors, item)
    if (why !== undefined) throw await this.#refused(actors, verdict, id, why, remedy(why, item))
    const decided = { approver: actors.subject, verdict }
    const grant = this.#parts.grants.get(id)
    if (grant === undefined) {
      await ledger.append([{ kind: 'approval-decided', approval: id, ...decided }])
    } else {
      const from = clock.now()
      const window = { from: timestamp(from), until: timestamp(from + grant.seconds * 1000) }
      await ledger.append([{ kind: 'grant-decided', grant: id, ...decided, ...(verdict === 'approve' ? window : {}) }])
    }
  }

  /** By whoever holds the grant, its principal or owner, or anybody with the right `revoke` on its resource. */
  async revoke(by: Subject, id: string, reason?: string): Promise<void> {
    const { ledger, principals, grants } = this.#parts
    const actors = await principals.actors(by)
    const grant = grants.get(id)
    if (grant === undefined || grant.status === 'denied' || grant.status === 'revoked') {
      throw await this.#refused(actors, 'revoke', id, 'nothing-to-revoke')
    }
    const own = [grant.subject, grant.principal, grant.owner].includes(actors.subject)
    const may = this.#parts.policy.decide(by, [{ action: 'revoke', resource: grant.resource }]).permit
    if (!own && !may)
      throw await this.#refused(actors, 'revoke', id, 'no-right', `: ${wouldPermit('revoke', grant.resource)}`)
    await ledger.append([
      {
        kind: 'grant-revoked',
        grant: id,
        by: actors.subject,
        disclose: { reason },
        slot: `principal:${actors.subject}`,
      },
    ])
  }

  /** What waits for a decision that this person may take; each with what they need to judge it. */
  async pending(approver: Subject): Promise<readonly Pending[]> {
    const { grants, approvals, principals, ledger, policy } = this.#parts
    const actors = await principals.actors(approver)
    const ids = [...grants.all(), ...approvals.all()].map(item => item.id)
    const found: Pending[] = []
    for (const id of ids) {
      const item = this.#open(id)
      if (item === undefined || objection(policy, approver, actors, item) !== undefined) continue
      const name = (pseudonym: string | undefined) => pseudonym && (principals.nameOf(pseudonym) ?? pseudonym)
      const approval = approvals.get(id)
      const grant = grants.get(id)
      const opened = await ledger.disclosures((approval ?? grant)!.index)
      found.push({
        id,
        kind: approval === undefined ? 'grant' : 'approval',
        subject: name(item.subject)!,
        ...(item.principal === undefined ? {} : { principal: name(item.principal)! }),
        ...(item.owner === undefined ? {} : { owner: name(item.owner)! }),
        accesses: item.accesses,
        roles: item.roles,
        ...(opened.action === undefined ? {} : { action: opened.action }),
        ...(typeof opened.reason === 'string' ? { reason: opened.reason } : {}),
        ...(grant === undefined ? {} : { seconds: grant.seconds }),
        ...(approval === undefined ? {} : { until: timestamp(approval.until) }),
      })
    }
    return found
  }

  /** The item behind an id while it can still be decided. */
  #open(id: string): Item | undefined {
    const { grants, approvals, clock } = this.#parts
    const approval = approvals.get(id)
    if (approval !== undefined) {
      return approval.status === 'pending' && clock.now() < approval.until ? { ...approval, globs: false } : undefined
    }
    const grant = grants.get(id)
    if (grant === undefined || !isWaiting(grant, clock.now())) return undefined
    return { ...grant, accesses: accessesOf(grant), approvers: [], globs: true }
  }

  /** @param more what would help, for who is refused */
  async #refused(actors: Actors, verb: Verb, of: string, why: string, more = ''): Promise<Refusal> {
    const code = 'ERR_ACCESS_DENIED'
    const known = /^[ag]-[0-9a-z]{8,26}$/.test(of) ? of : 'unknown'
    await this.#parts.ledger.append([{ kind: 'attempt-refused', verb, of: known, subject: actors.subject, code, why }])
    return new Refusal(code, `${explained[why] ?? 'not permitted'}${more}`, { of: known, why })
  }
}

const accessesOf = (grant: Grant): Access[] => grant.actions.map(action => ({ action, resource: grant.resource }))
