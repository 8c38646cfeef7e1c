/**
 * Folds verified entries into the rows of the documented views. Pure: the same entries, disclosures and period give the same rows,
 * whether they come from a ledger or from a bundle.
 */
import { canonical, type Json } from '../lib/format/canonical.ts'
import type { Access, Entry, EntryOf } from '../lib/format/entry.ts'
import { Continuity, type Gap } from './continuity.ts'
import { globPattern } from './pattern.ts'
import type { Cell, Row, ViewName } from './view-columns.ts'

export interface Period {
  /** RFC 3339, UTC, to the millisecond; included. */
  readonly from: string
  /** Excluded. */
  readonly to: string
}

/** An entry with what is disclosed of it to the reader of the views. */
export interface Disclosed {
  readonly index: number
  readonly entry: Entry
  readonly values: Readonly<Record<string, Json>>
}

export interface ViewInput {
  /** Entries from before the opening checkpoint that still matter, in order. */
  readonly before: readonly Disclosed[]
  /** Every entry between the two checkpoints, in order. */
  readonly entries: readonly Disclosed[]
  readonly period: Period
  readonly checkpoints: readonly Row[]
  readonly requirements: readonly Row[]
}

export type Views = Readonly<Record<ViewName, readonly Row[]>>

interface Actors {
  readonly subject?: string | undefined
  readonly principal?: string | undefined
  readonly owner?: string | undefined
}

type Found<K extends Entry['kind']> = Omit<Disclosed, 'entry'> & { readonly entry: EntryOf<K> }

interface GrantFacts {
  readonly request: Found<'grant-requested'>
  decided?: Found<'grant-decided'>
  revoked?: Found<'grant-revoked'>
}

interface ApprovalFacts {
  readonly request: Found<'approval-requested'>
  readonly decided: Found<'approval-decided'>[]
  readonly uses: Found<'decision'>[]
}

export function deriveViews(input: ViewInput): Views {
  const fold = new Fold(input.period)
  const continuity = new Continuity({ whole: input.before.length === 0 })
  for (const one of input.before) fold.add(one, false)
  resume(continuity, input.before)
  for (const one of input.entries) {
    fold.add(one, true)
    continuity.add(one.index, one.entry)
  }
  const rows = fold.rows()
  return {
    ...rows,
    gaps: continuity.gaps.map(gapRow),
    checkpoints: input.checkpoints,
    requirements: input.requirements,
  }
}

/** The state holds the last entry of each writer, and its last heartbeat. */
function resume(continuity: Continuity, before: readonly Disclosed[]): void {
  const last = new Map<string, { entry: Entry; heartbeat: Entry | undefined }>()
  for (const { entry } of before) {
    const beats = entry.kind === 'started' || entry.kind === 'heartbeat'
    last.set(entry.writer, { entry, heartbeat: beats ? entry : last.get(entry.writer)?.heartbeat })
  }
  for (const { entry, heartbeat } of last.values()) continuity.resume(entry, heartbeat)
}

const gapRow = ({ kind, writer, from, to, index, detail }: Gap): Row => ({
  kind,
  writer,
  starts_at: from,
  ends_at: to,
  index,
  detail,
})

class Fold {
  readonly #period: Period
  readonly #decisions = new Map<
    string,
    { readonly found: Found<'decision'>; readonly here: boolean; placement: string | null }
  >()
  readonly #outcomes = new Map<string, Found<'outcome'>>()
  readonly #settled = new Map<string, string>()
  readonly #grants = new Map<string, GrantFacts>()
  readonly #approvals = new Map<string, ApprovalFacts>()
  readonly #sessions = new Map<string, { readonly opened: Found<'session-opened'>; closed?: Found<'session-closed'> }>()
  readonly #principals = new Map<string, Found<'principal'>>()
  readonly #policies: Row[] = []
  readonly #attempts: (Found<'attempt-refused'> & { readonly here: boolean })[] = []
  readonly #heartbeats: Row[] = []
  readonly #placements = new Map<string, string>()

  constructor(period: Period) {
    this.#period = period
  }

  /** @param here whether it lies between the two checkpoints */
  add(found: Disclosed, here: boolean): void {
    const { entry } = found
    const as = <K extends Entry['kind']>() => found as unknown as Found<K>
    switch (entry.kind) {
      case 'decision': {
        const placement = this.#placements.get(entry.writer) ?? null
        this.#decisions.set(entry.exchange, { found: as<'decision'>(), here, placement })
        if (entry.approval !== undefined && entry.verdict === 'permit') {
          this.#approvals.get(entry.approval)?.uses.push(as<'decision'>())
        }
        return
      }
      case 'outcome':
        this.#outcomes.set(entry.exchange, as<'outcome'>())
        return
      case 'settled':
        for (const exchange of entry.exchanges) this.#settled.set(exchange, entry.result)
        return
      case 'grant-requested':
        this.#grants.set(entry.grant, { request: as<'grant-requested'>() })
        return
      case 'grant-decided': {
        const grant = this.#grants.get(entry.grant)
        // The first decision counts: a second one cannot undo a denial.
        if (grant !== undefined && grant.decided === undefined) grant.decided = as<'grant-decided'>()
        return
      }
      case 'grant-revoked': {
        const grant = this.#grants.get(entry.grant)
        if (grant !== undefined && grant.revoked === undefined) grant.revoked = as<'grant-revoked'>()
        return
      }
      case 'approval-requested':
        this.#approvals.set(entry.approval, { request: as<'approval-requested'>(), decided: [], uses: [] })
        return
      case 'approval-decided':
        this.#approvals.get(entry.approval)?.decided.push(as<'approval-decided'>())
        return
      case 'session-opened':
        this.#sessions.set(entry.session, { opened: as<'session-opened'>() })
        return
      case 'session-closed': {
        const session = this.#sessions.get(entry.session)
        if (session !== undefined) session.closed = as<'session-closed'>()
        return
      }
      case 'principal':
        this.#principals.set(entry.subject, as<'principal'>())
        return
      case 'policy': {
        const { digest, model, rules, controls, by, time } = entry
        this.#policies.push({ index: found.index, time, digest, model, rules, controls, changed_by: by ?? null })
        return
      }
      case 'attempt-refused':
        this.#attempts.push({ ...as<'attempt-refused'>(), here })
        return
      case 'started':
        this.#placements.set(entry.writer, entry.placement)
    }
    if (
      here &&
      (entry.kind === 'heartbeat' || entry.kind === 'started' || entry.kind === 'stopped' || entry.kind === 'recovered')
    ) {
      const { v: _v, id: _id, sd: _sd, certificate: _certificate, ...clear } = { certificate: undefined, ...entry }
      this.#heartbeats.push({ ...clear, index: found.index })
    }
  }

  rows(): Omit<Views, 'gaps' | 'checkpoints' | 'requirements'> {
    return {
      operations: [...this.#decisions.values()].map(({ found, here, placement }) =>
        this.#operation(found, here, placement),
      ),
      grants: [...this.#grants.values()].map(facts => this.#grant(facts)),
      approvals: [...this.#approvals.values()].flatMap(facts => this.#approval(facts)),
      sessions: [...this.#sessions.values()].map(({ opened, closed }) => this.#session(opened, closed)),
      principals: [...this.#principals.values()].map(found => this.#principal(found)),
      policies: this.#policies,
      attempts: this.#attempts.map(found => this.#attempt(found)),
      heartbeats: this.#heartbeats,
    }
  }

  #operation({ index, entry, values }: Found<'decision'>, here: boolean, placement: string | null): Row {
    const outcome = this.#outcomes.get(entry.exchange)
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
      settled: this.#settled.get(entry.exchange) ?? done?.settled ?? null,
    }
  }

  #grant({ request, decided, revoked }: GrantFacts): Row {
    const { entry, index, values } = request
    return {
      grant_id: entry.grant,
      requested_index: index,
      requested_at: entry.time,
      in_period: this.#within(entry.time),
      ...this.#actors(entry),
      resource: entry.resource,
      resource_pattern: globPattern(entry.resource),
      actions: entry.actions,
      seconds: entry.seconds,
      longest: entry.longest,
      roles: entry.roles,
      controls: entry.controls,
      reason: shown(values.reason),
      verdict: decided?.entry.verdict ?? null,
      ...this.#decider(decided),
      starts_at: decided?.entry.from ?? null,
      ends_at: decided?.entry.until ?? null,
      revoked_index: revoked?.index ?? null,
      revoked_at: revoked?.entry.time ?? null,
      revoked_by: revoked?.entry.by ?? null,
    }
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

  #session({ entry, index, values }: Found<'session-opened'>, closed: Found<'session-closed'> | undefined): Row {
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

  #attempt({ index, entry, here }: Found<'attempt-refused'> & { here: boolean }): Row {
    const { time, verb, of, subject, code, why } = entry
    const in_period = here && this.#within(time)
    return { index, time, in_period, verb, of_id: of, subject, subject_name: this.#name(subject), code, why }
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
    return shown(pseudonym === undefined ? undefined : this.#principals.get(pseudonym)?.values.name)
  }

  #type(pseudonym: string | undefined): string | null {
    return pseudonym === undefined ? null : (this.#principals.get(pseudonym)?.entry.type ?? null)
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
export const timeOf = (uuid: string): string =>
  new Date(Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16)).toISOString()
