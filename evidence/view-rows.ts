/** Facts as the rows of the documented views: one function for each view, with the names that are disclosed of who acted. */
import { canonical, type Json } from '../lib/format/canonical.ts'
import type { Access } from '../lib/format/entry.ts'
import { attachmentFile } from '../lib/format/layout.ts'
import { custodyRows } from './custody-rows.ts'
import type { Erasures } from './erasures.ts'
import type {
  ApprovalFacts,
  Facts,
  Found,
  GrantFacts,
  LifeSign,
  OperationFacts,
  RecordingFacts,
  SessionFacts,
} from './facts.ts'
import { membershipRows } from './memberships.ts'
import { globPattern } from './pattern.ts'
import { recordingFile, sealedTo } from './recorded.ts'
import type { Cell, Row } from './view-columns.ts'
import type { Period, Views } from './views.ts'

interface Actors {
  readonly subject?: string | undefined
  readonly principal?: string | undefined
  readonly owner?: string | undefined
}

export type FactRows = Omit<Views, 'gaps' | 'checkpoints' | 'requirements'>

export const rowsOf = (facts: Facts, erasures: Erasures, period: Period): FactRows =>
  new Rows(facts, erasures, period).all()

class Rows {
  readonly #facts: Facts
  readonly #erasures: Erasures
  readonly #period: Period

  constructor(facts: Facts, erasures: Erasures, period: Period) {
    this.#facts = facts
    this.#erasures = erasures
    this.#period = period
  }

  all(): FactRows {
    const { operations, grants, approvals, sessions, registrations, policies, attachments, lifeSigns } = this.#facts
    return {
      operations: operations.map(one => this.#operation(one)),
      grants: [...grants.values()].map(one => this.#grant(one)),
      approvals: [...approvals.values()].flatMap(one => this.#approval(one)),
      sessions: [...sessions.values()].map(one => this.#session(one)),
      principals: registrations.map(one => this.#principal(one)),
      policies: policies.map(one => this.#policy(one)),
      memberships: policies.flatMap(({ entry, values }) => membershipRows(entry.digest, values.rules)),
      recordings: attachments.map(one => this.#recording(one)),
      ...custodyRows(this.#facts, this.#period, shown),
      heartbeats: lifeSigns.map(one => this.#lifeSign(one)),
    }
  }

  #operation({ found: { index, entry, values }, here, placement }: OperationFacts): Row {
    const outcome = this.#facts.outcomes.get(entry.exchange)
    const done = outcome?.entry
    return {
      index,
      exchange: entry.exchange,
      session: entry.session ?? null,
      time: entry.time,
      asked_at: timeOf(entry.exchange),
      in_period: here && this.#within(entry.time),
      ...this.#actors(entry),
      protocol: entry.protocol,
      target: entry.target,
      method: entry.method ?? null,
      ...accesses(entry.accesses),
      action_digest: entry.action,
      action: shown(values.action),
      reason: shown(values.reason),
      address: shown(values.address),
      controls: entry.controls,
      observed: entry.observed ?? [],
      risk: entry.risk,
      read: entry.read,
      verdict: entry.verdict,
      code: entry.code ?? null,
      policy: entry.policy ?? null,
      grant_id: entry.grant ?? null,
      approval_id: entry.approval ?? null,
      durability: entry.durability,
      placement,
      outcome_index: outcome?.index ?? null,
      outcome_time: done?.time ?? null,
      result: done?.result ?? (entry.verdict === 'permit' ? 'open' : null),
      outcome_code: done?.code ?? null,
      items: done?.items ?? null,
      bytes: done?.bytes ?? null,
      offered: done?.offered ?? null,
      masked: done?.masked ?? [],
      settled: this.#facts.settled.get(entry.exchange) ?? done?.settled ?? null,
    }
  }

  #grant({ request, decided, revoked }: GrantFacts): Row {
    const { entry, index, values } = request
    const again = this.#facts.isSaidAgain(request)
    const decidedAgain = decided !== undefined && this.#facts.isSaidAgain(decided)
    const over = this.#overAt({ request, ...(decided && { decided }), ...(revoked && { revoked }) })
    return {
      grant_id: entry.grant,
      requested_index: index,
      requested_at: entry.time,
      said_again: again,
      in_period: !again && this.#within(entry.time),
      ...this.#actors(entry),
      resource: entry.resource,
      resource_pattern: globPattern(entry.resource),
      actions: entry.actions,
      seconds: entry.seconds,
      longest: entry.longest,
      roles: entry.roles,
      controls: entry.controls,
      reason: shown(values.reason),
      reason_given: (entry.sd?.length ?? 0) > 0,
      verdict: decided?.entry.verdict ?? null,
      ...this.#decider(decided),
      decided_in_period: decided !== undefined && !decidedAgain && this.#within(decided.entry.time),
      starts_at: decided?.entry.from ?? null,
      ends_at: decided?.entry.until ?? null,
      revoked_index: revoked?.index ?? null,
      revoked_at: revoked?.entry.time ?? null,
      revoked_by: revoked?.entry.by ?? null,
      over_at: over ?? null,
      over_in_period: over !== undefined && this.#within(over),
    }
  }

  /** A window's end that the newest entry has not reached may still be cut short. */
  #overAt({ decided, revoked }: GrantFacts): string | undefined {
    if (decided?.entry.verdict !== 'approve') return undefined
    const ends = [decided.entry.until, revoked?.entry.time].filter(time => time !== undefined).sort()
    return ends.find(time => time <= this.#facts.latest)
  }

  #approval({ request, decided, uses }: ApprovalFacts): Row[] {
    const { entry, index } = request
    const decisions = decided.length === 0 ? [undefined] : decided
    const users = uses.length === 0 ? [undefined] : uses
    return users.flatMap(use =>
      decisions.map(decision => ({
        approval_id: entry.approval,
        requested_index: index,
        requested_at: entry.time,
        requested_exchange: entry.exchange,
        in_period: this.#within(entry.time),
        ...this.#actors(entry),
        controls: entry.controls,
        people: entry.people,
        roles: entry.roles,
        action_digest: entry.action,
        until: entry.until,
        ...this.#decider(decision),
        verdict: decision?.entry.verdict ?? null,
        exchange: use?.entry.exchange ?? null,
        action_matches: use === undefined ? null : use.entry.action === entry.action,
        uses: uses.length,
      })),
    )
  }

  #decider(decided: Found<'grant-decided'> | Found<'approval-decided'> | undefined): Row {
    const approver = decided?.entry.approver
    return {
      decided_index: decided?.index ?? null,
      decided_at: decided?.entry.time ?? null,
      approver: approver ?? null,
      approver_name: this.#name(approver),
      approver_type: this.#type(approver),
    }
  }

  #session({ opened: { entry, index, values }, closed }: SessionFacts): Row {
    return {
      index,
      session: entry.session,
      opened_at: entry.time,
      closed_at: closed?.entry.time ?? null,
      close_reason: closed?.entry.reason ?? null,
      in_period: this.#within(entry.time),
      ...this.#actors(entry),
      protocol: entry.protocol,
      target: entry.target,
      method: entry.method,
      strength: entry.strength ?? null,
      credential: entry.credential ?? null,
      tls: entry.tls,
      address: shown(values.address),
      client: shown(values.client),
    }
  }

  #principal({ entry, index, values }: Found<'principal'>): Row {
    const { subject, type, owner, time } = entry
    return { subject, type, owner: owner ?? null, name: shown(values.name), issuer: shown(values.issuer), index, time }
  }

  #policy({ index, entry, values }: Found<'policy'>): Row {
    const { digest, model, rules, controls, by, time } = entry
    const rules_disclosed = typeof values.rules === 'string'
    const in_period = this.#within(time)
    return { index, time, in_period, digest, model, rules, controls, rules_disclosed, changed_by: by ?? null }
  }

  #recording({ index, entry, values, here, recovered }: RecordingFacts): Row {
    const { time, attachment, exchange, session, part, type, bytes, chunks } = entry
    const cut = entry.kind === 'attachment-cut'
    const erased = this.#erasures.alibis.byScope(index, entry)
    const kept = erased === undefined ? `ledger: ${attachmentFile(attachment)}` : `ERASED (by #${erased})`
    const location = !cut && values.contentSalt !== undefined ? recordingFile(entry) : kept
    const in_period = here && this.#within(time)
    const place = { index, time, in_period, attachment, exchange, session: session ?? null }
    const what = { part, type, bytes, chunks, content: cut ? null : entry.content, location }
    return { ...place, ...what, cut, cut_by: recovered ?? null, sealed_to: sealedTo(values) }
  }

  #lifeSign({ index, entry }: LifeSign): Row {
    const { v: _v, id: _id, sd: _sd, certificate: _certificate, ...clear } = { certificate: undefined, ...entry }
    return { ...clear, index, in_period: this.#within(entry.time) }
  }

  #actors({ subject, principal, owner }: Actors): Row {
    return {
      subject: subject ?? null,
      subject_name: this.#name(subject),
      subject_type: this.#type(subject),
      principal: principal ?? null,
      principal_name: this.#name(principal),
      owner: owner ?? null,
      owner_name: this.#name(owner),
    }
  }

  #name(pseudonym: string | undefined): string | null {
    return shown(pseudonym === undefined ? undefined : this.#facts.principals.get(pseudonym)?.values.name)
  }

  #type(pseudonym: string | undefined): string | null {
    return pseudonym === undefined ? null : (this.#facts.principals.get(pseudonym)?.entry.type ?? null)
  }

  #within = (time: string): boolean => time >= this.#period.from && time < this.#period.to
}

const accesses = (all: readonly Access[]): Record<'actions' | 'resources', Cell> => ({
  actions: all.map(access => access.action),
  resources: all.map(access => access.resource),
})

/** A disclosed value as text: strings as they are, anything else as canonical JSON. */
function shown(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null
  return typeof value === 'string' ? value : canonical(value)
}

/** RFC 9562, 5.7: the first 48 bits are Unix milliseconds. */
const timeOf = (uuid: string): string =>
  new Date(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16)).toISOString()
