/** What writers of a ledger say, each with what is believed of it: made from what is there already, so that it makes sense together. */
import type { Draft } from '../../../lib/ledger/ledger.ts'
import { decision, exchangeId, settled } from '../../support/directory-ledger.ts'
import { type Belief, type Believed, believe } from './belief.ts'

export const officer = 'officer'.padEnd(22, '-')
export const counsel = 'counsel'.padEnd(22, '-')
export const keeper = 'keeper'.padEnd(22, '-')

/** Something to be said; `of` picks what it is about. */
export interface Saying {
  readonly what: Sayable
  readonly of: number
}

export interface Said {
  readonly drafts: readonly Draft[]
  readonly believed: readonly Believed[]
}

/** What is made in one go, from what was there before: nothing is ended twice. */
export class Drafts {
  readonly #belief: Belief
  readonly #now: number
  readonly #claimed = new Set<string>()

  /** @param now Unix milliseconds */
  constructor(belief: Belief, now: number) {
    this.#belief = belief
    this.#now = now
  }

  say(writer: string, sayings: readonly Saying[]): Said {
    const all = sayings.flatMap(({ what, of }) => makers[what](this, of, writer))
    return {
      drafts: all.map(([draft]) => draft),
      believed: all.map(([draft, scope]) => believe(writer, draft, { scope })),
    }
  }

  get belief(): Belief {
    return this.#belief
  }

  at(milliseconds: number): string {
    return new Date(this.#now + milliseconds).toISOString()
  }

  /** One of these that nothing else made here is about. */
  take<T>(list: readonly T[], of: number, id: (one: T) => string): T | undefined {
    const free = list.filter(one => !this.#claimed.has(id(one)))
    const one = free[of % free.length]
    if (one !== undefined) this.#claimed.add(id(one))
    return one
  }

  /** Anybody but those who erase. */
  someone(of: number): string | undefined {
    const people = this.#belief.of('principal').map(({ subject }) => subject)
    const customers = [...new Set(people)].filter(one => one.startsWith('customer'))
    return customers[of % customers.length]
  }
}

type Made = readonly (readonly [Draft, string | undefined])[]
type Maker = (drafts: Drafts, of: number, writer: string) => Made

let made = 0
const fresh = (prefix: string): string => {
  made += 1
  return `${prefix}${String(made).padStart(10, '0')}`
}

export const newPrincipal = (subject: string): Draft => ({
  ...{ kind: 'principal', subject, type: 'person' },
  ...{ disclose: { name: `${subject}@crm.example` }, slot: `principal:${subject}` },
})

const scopeOf = ({ session, subject }: { session?: string | undefined; subject?: string | undefined }) =>
  session !== undefined ? `session:${session}` : subject === undefined ? undefined : `principal:${subject}`

/** A decision by somebody, in a session of theirs or on its own. */
export function decided(drafts: Drafts, of: number, more: Partial<Draft> = {}, exchange = exchangeId()): Made {
  const sessions = drafts.belief.of('session-opened')
  const within = of % 2 === 0 ? sessions[(of >> 1) % sessions.length] : undefined
  const subject = within?.subject ?? drafts.someone(of >> 1)
  const scope = scopeOf({ session: within?.session, subject })
  const actors = { ...(within && { session: within.session }), ...(subject !== undefined && { subject }) }
  const disclose = { action: `select ${of}`, actionSalt: 'salt' }
  const draft = { ...decision(exchange), ...actors, ...more, disclose, ...(scope && { slot: scope }) } as Draft
  return [[draft, scope]]
}

export const scopeOfExchange = (belief: Belief, exchange: string): string | undefined => {
  const found = belief.of('decision').find(one => one.exchange === exchange)
  return found === undefined ? undefined : scopeOf(found)
}

const digest = 'D'.repeat(43)

// Table: what can be said. Where there is nothing that it could be about, nothing is.
const makers = {
  settled: () => [[{ ...settled(), disclose: { why: 'it ended' } }, undefined]],
  many: (_, of) => Array.from({ length: of % 150 }, () => [settled(), undefined] as const),
  principal: () => {
    const subject = fresh('customer').padEnd(22, '-')
    return [[newPrincipal(subject), `principal:${subject}`]]
  },
  renamed: (drafts, of) => {
    const subject = drafts.someone(of)
    return subject === undefined ? [] : [[newPrincipal(subject), `principal:${subject}`]]
  },
  session: (drafts, of) => {
    const [subject, session] = [drafts.someone(of), exchangeId()]
    if (subject === undefined) return []
    const opened = { protocol: 'ssh', target: 'fleet', method: 'key', tls: false } as const
    const disclose = { address: '192.0.2.1' }
    return [
      [
        { kind: 'session-opened', session, subject, ...opened, disclose, slot: `session:${session}` },
        `session:${session}`,
      ],
    ]
  },
  permitted: (drafts, of) => decided(drafts, of),
  denied: (drafts, of) => decided(drafts, of, { verdict: 'deny', code: 'ERR_ACCESS_DENIED' } as Partial<Draft>),
  ended: (drafts, of, writer) => {
    const exchange = drafts.take(drafts.belief.open(writer), of, id => id)
    if (exchange === undefined) return []
    const scope = scopeOfExchange(drafts.belief, exchange)
    const clear = { kind: 'outcome', exchange, result: 'completed', items: 1, bytes: 9, offered: digest } as const
    return [[{ ...clear, disclose: { offeredSalt: 'salt' }, ...(scope && { slot: scope }) }, scope]]
  },
  event: (drafts, of) => {
    const subject = drafts.someone(of)
    if (subject === undefined) return []
    const clear = { kind: 'event', source: 'crm', event: 'login', level: 'info', subject } as const
    return [[{ ...clear, disclose: { message: 'came' }, slot: `principal:${subject}` }, `principal:${subject}`]]
  },
  policy: () => [[{ kind: 'policy', digest, model: digest, rules: digest, controls: digest }, undefined]],
  grant: (drafts, of) => {
    const subject = drafts.someone(of)
    if (subject === undefined) return []
    const asked = { resource: 'crm/**', actions: ['*'], seconds: 60, longest: 600, roles: [], controls: [] }
    const clear = { kind: 'grant-requested', grant: fresh('g-'), subject, ...asked } as const
    return [[{ ...clear, disclose: { reason: 'repair' }, slot: `principal:${subject}` }, `principal:${subject}`]]
  },
  granted: (drafts, of) => {
    const decided = drafts.belief.of('grant-decided').map(({ grant }) => grant)
    const waiting = drafts.belief.of('grant-requested').filter(({ grant }) => !decided.includes(grant))
    const grant = drafts.take(waiting, of, one => one.grant)?.grant
    if (grant === undefined) return []
    const times = of % 3 === 0 ? {} : { from: drafts.at(0), until: drafts.at(60_000) }
    const verdict = of % 3 === 0 ? 'deny' : 'approve'
    return [[{ kind: 'grant-decided', grant, approver: officer, verdict, ...times }, undefined]]
  },
  revoked: (drafts, of) => {
    const over = drafts.belief.of('grant-revoked').map(({ grant }) => grant)
    const live = drafts.belief.of('grant-decided').filter(one => one.verdict === 'approve' && !over.includes(one.grant))
    const grant = drafts.take(live, of, one => `revoked ${one.grant}`)?.grant
    if (grant === undefined) return []
    const clear = { kind: 'grant-revoked', grant, by: officer } as const
    return [[{ ...clear, disclose: { reason: 'over' }, slot: `principal:${officer}` }, `principal:${officer}`]]
  },
  approval: (drafts, of) => {
    const [exchange, approval] = [exchangeId(), fresh('a-')]
    const using = decided(drafts, of, { approval } as Partial<Draft>, exchange)
    const [draft, scope] = using[0] as readonly [Draft & { kind: 'decision' }, string | undefined]
    const { subject, action, accesses, controls } = draft
    if (subject === undefined || scope === undefined) return []
    const asked = { approval, exchange, subject, action, accesses, controls }
    const terms = { people: 1, roles: [], until: drafts.at(60_000) }
    const disclose = { action: 'drop', actionSalt: 'salt' }
    return [
      [{ kind: 'approval-requested', ...asked, ...terms, disclose, slot: scope }, scope],
      [{ kind: 'approval-decided', approval, approver: officer, verdict: 'approve' }, undefined],
      ...using,
    ]
  },
  hold: (drafts, of) => {
    const sessions = drafts.belief.of('session-opened').map(({ session }) => ['session', session] as const)
    const people = drafts.belief.of('principal').map(({ subject }) => ['principal', subject] as const)
    const all = [...sessions, ...people]
    const [scope, held] = of % 5 === 0 ? (['ledger', undefined] as const) : all[of % all.length]!
    const clear = { kind: 'hold-placed', hold: fresh('h-'), scope, of: held, by: keeper } as const
    return [[{ ...clear, disclose: { reason: 'a claim' } }, undefined]]
  },
  released: (drafts, of) => {
    const hold = drafts.take(drafts.belief.standing(), of, id => id)
    return hold === undefined
      ? []
      : [[{ kind: 'hold-released', hold, by: keeper, disclose: { reason: 'settled' } }, undefined]]
  },
} as const satisfies Record<string, Maker>

/** How often each is drawn. */
const weights = {
  ...{
    settled: 1,
    many: 2,
    principal: 1,
    renamed: 1,
    session: 2,
    permitted: 4,
    denied: 1,
    ended: 2,
    event: 2,
    policy: 1,
  },
  ...{ grant: 2, granted: 2, revoked: 1, approval: 2, hold: 1, released: 2 },
} as const satisfies Record<keyof typeof makers, number>

export type Sayable = keyof typeof makers
export const sayable: readonly { readonly what: Sayable; readonly weight: number }[] = Object.entries(weights).map(
  ([what, weight]) => ({ what: what as Sayable, weight }),
)
