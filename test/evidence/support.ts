/** A small CRM's ledger for tests of evidence: what was asked, decided, granted and approved, each made to fail where a test asks. */
import type { Control } from '../../lib/control.ts'
import { type Json, parseJson } from '../../lib/format/canonical.ts'
import { decodeDisclosure } from '../../lib/format/disclosure.ts'
import type { Clear } from '../../lib/format/entry.ts'
import { LedgerBuilder, pseudonym } from '../support/ledger-builder.ts'

export const controls: readonly Control[] = [
  {
    id: 'AC-03',
    title: 'Changes to the CRM need a live grant',
    criteria: ['CC6.1', 'CC6.3'],
    covers: { resource: 'crm/public.*', actions: ['insert', 'update', 'delete'] },
    require: { grant: { longestMs: 30 * 60_000, reason: true } },
    mode: 'enforce',
    tests: 'auto',
  },
  {
    id: 'AC-07',
    title: 'Destructive operations need another person first',
    owner: 'platform-security',
    criteria: ['CC6.1', 'CC8.1'],
    covers: { resource: 'crm/**', risk: 'high' },
    require: { approval: { people: 1, from: 'role:dba', withinMs: 15 * 60_000, waitMs: 30_000 } },
    mode: 'enforce',
    tests: 'auto',
  },
  {
    id: 'CF-01',
    title: 'Personal data is masked',
    criteria: ['C1.1'],
    covers: { resource: 'crm/public.customers' },
    mask: { ssn: 'last4', email: 'redact' },
    mode: 'enforce',
    tests: 'auto',
  },
]

export const requester = 'requester@crm.example'
export const dba = 'dba@crm.example'
export const owner = 'owner@crm.example'
export const agent = 'agent:crm-assistant'

/** Everybody who could approve holds the role: who may not is stopped by separation of duties. */
export const rules = `${[requester, dba, owner, agent].map(who => `g, ${who}, role:staff\n`).join('')}g, role:staff, role:dba\n`

type Decision = Partial<Clear<'decision'>> & { readonly statement?: string }
type Outcome = Partial<Clear<'outcome'>>

export class Story {
  readonly builder: LedgerBuilder
  policy = ''

  private constructor(builder: LedgerBuilder) {
    this.builder = builder
  }

  static async begin(
    options: ConstructorParameters<typeof LedgerBuilder>[0],
    declared: readonly Control[] = controls,
  ): Promise<Story> {
    const story = new Story(await new LedgerBuilder(options).open())
    for (const name of [requester, dba, owner]) story.builder.principal(name, 'person')
    story.builder.principal(agent, 'agent', owner)
    story.policy = story.builder.policy(JSON.stringify(declared), rules)
    return story
  }

  actors = { subject: pseudonym(agent), principal: pseudonym(requester), owner: pseudonym(owner) }

  grant(id: string, more: Partial<Clear<'grant-requested'>> = {}, decided: Partial<Clear<'grant-decided'>> = {}): void {
    const { builder } = this
    builder.add(
      'grant-requested',
      {
        grant: id,
        ...this.actors,
        resource: 'crm/public.*',
        actions: ['update'],
        seconds: 600,
        longest: 1800,
        roles: [],
        controls: ['AC-03'],
        ...more,
      },
      { reason: 'a correction that a customer asked for' },
    )
    const from = new Date(builder.now).toISOString()
    const until = new Date(builder.now + 600_000).toISOString()
    builder.add('grant-decided', { grant: id, approver: pseudonym(dba), verdict: 'approve', from, until, ...decided })
  }

  approval(id: string, statement: string, approver = dba, more: Partial<Clear<'approval-requested'>> = {}): void {
    const { builder } = this
    const { digest, salt } = builder.action({ statement })
    const until = new Date(builder.now + 900_000).toISOString()
    builder.add(
      'approval-requested',
      {
        approval: id,
        exchange: builder.uuid(),
        ...this.actors,
        action: digest,
        accesses: [{ action: 'drop', resource: 'crm/public.old' }],
        controls: ['AC-07'],
        people: 1,
        roles: ['role:dba'],
        until,
        ...more,
      },
      { action: { statement }, actionSalt: salt },
    )
    builder.add('approval-decided', { approval: id, approver: pseudonym(approver), verdict: 'approve' })
  }

  /** An operation, and its outcome where it was permitted. @param outcome null: it is under way. @returns its exchange */
  ran({ statement = 'select 1', ...decision }: Decision = {}, outcome: Outcome | null = {}): string {
    const { builder } = this
    const { digest, salt } = builder.action({ statement })
    const exchange = decision.exchange ?? builder.uuid()
    builder.add(
      'decision',
      {
        exchange,
        ...this.actors,
        protocol: 'postgres',
        target: 'crm',
        method: 'oidc',
        action: digest,
        accesses: [{ action: 'select', resource: 'crm/public.orders' }],
        controls: [],
        risk: 'low',
        read: false,
        verdict: 'permit',
        policy: this.policy,
        durability: 'durable',
        ...decision,
      },
      { action: { statement }, actionSalt: salt, address: '127.0.0.1' },
    )
    if (decision.verdict !== 'deny' && outcome !== null) {
      builder.add('outcome', { exchange, result: 'completed', items: 1, bytes: 10, settled: 'committed', ...outcome })
    }
    return exchange
  }

  update(grant: string | undefined, more: Decision = {}, outcome: Outcome | null = { items: 0 }): string {
    return this.ran(
      {
        statement: 'update customers set name = $1',
        accesses: [{ action: 'update', resource: 'crm/public.customers' }],
        controls: ['AC-03', 'CF-01'],
        ...(grant === undefined ? {} : { grant }),
        ...more,
      },
      outcome,
    )
  }

  drop(approval: string | undefined, more: Decision = {}): string {
    return this.ran(
      {
        statement: 'drop table old',
        accesses: [{ action: 'drop', resource: 'crm/public.old' }],
        controls: ['AC-07'],
        risk: 'high',
        ...(approval === undefined ? {} : { approval }),
        ...more,
      },
      { items: 0 },
    )
  }

  read(masked: readonly string[] = ['CF-01:email:redact', 'CF-01:ssn:last4'], more: Decision = {}): string {
    return this.ran(
      {
        statement: 'select * from customers',
        accesses: [{ action: 'select', resource: 'crm/public.customers' }],
        controls: ['CF-01'],
        read: true,
        ...more,
      },
      { settled: 'nothing', items: 3, ...(masked.length === 0 ? {} : { masked }) },
    )
  }

  /** Everything in order: a grant used, an approval used, a masked read, and a refusal. */
  inOrder(): this {
    this.grant('g-00000001')
    this.update('g-00000001')
    this.approval('a-00000001', 'drop table old')
    this.drop('a-00000001')
    this.read()
    this.update(undefined, { verdict: 'deny', code: 'ERR_GRANT_REQUIRED' })
    return this
  }
}

/** A builder's entries as views read them, everything disclosed. */
export function disclosed(builder: LedgerBuilder) {
  return builder.entries.map((bytes, index) => ({
    index,
    entry: parseJson(bytes.toString()) as never,
    values: Object.fromEntries(
      builder.disclosuresOf(index).map(text => {
        const { name, value } = decodeDisclosure(text)
        return [name, value as Json]
      }),
    ),
  }))
}
