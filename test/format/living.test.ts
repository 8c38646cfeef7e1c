import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Approvals, foldApproval } from '../../lib/approvals/approval.ts'
import type { Clock } from '../../lib/clock.ts'
import { LedgerError } from '../../lib/errors.ts'
import type { Entry } from '../../lib/format/entry.ts'
import { Living, type LivingEntry, patienceMs, rememberedMs } from '../../lib/format/living.ts'
import { formatVerifierKey, parseVerifierKey, requireSignature, signNote } from '../../lib/format/note.ts'
import { encodeSnapshot, parseSnapshot, snapshotOf } from '../../lib/format/snapshot.ts'
import { foldGrant, type Grants, overAt } from '../../lib/grants/grant.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import { allEntries } from '../support/directory-ledger.ts'

const start = Date.UTC(2026, 0, 1)
const hour = 3_600_000
const pseudonyms = ['A', 'B', 'C'].map(letter => letter.repeat(22))
const digest = 'd'.repeat(43)
const at = (ms: number) => new Date(ms).toISOString()
const id = (prefix: string, n: number) => `${prefix}-${String(n).padStart(10, '0')}`

interface Event {
  readonly what: 'principal' | 'policy' | 'request' | 'grant' | 'deny' | 'revoke' | 'ask' | 'approve' | 'refuse' | 'use'
  readonly n: number
  /** Hours from the one before. A clock may step back. */
  readonly after: number
  readonly hours: number
}

const event: fc.Arbitrary<Event> = fc.record({
  what: fc.constantFrom('principal', 'policy', 'request', 'grant', 'deny', 'revoke', 'ask', 'approve', 'refuse', 'use'),
  n: fc.nat(3),
  after: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 20 }) }, fc.constant(-1)),
  hours: fc.integer({ min: 1, max: 48 }),
})

function draft({ what, n, hours }: Event, now: number, exchange: number): Draft {
  const [subject, other] = [pseudonyms[n % 3]!, pseudonyms[(n + 1) % 3]!]
  const [grant, approval] = [id('g', n), id('a', n)]
  const asked = { action: digest, accesses: [{ action: 'update', resource: 'crm/x' }], controls: ['AC-1'] }
  const ids = `0190b0a0-0000-7000-8000-${exchange.toString(16).padStart(12, '0')}`
  // biome-ignore format: a table
  const drafts: Record<Event['what'], Draft> = {
    principal: { kind: 'principal', subject, type: 'person' },
    policy:    { kind: 'policy', digest, model: digest, rules: digest, controls: digest },
    request:   { kind: 'grant-requested', grant, subject, resource: 'crm/**', actions: ['*'], seconds: hours * 3600, longest: 172_800, roles: [], controls: [] },
    grant:     { kind: 'grant-decided', grant, approver: other, verdict: 'approve', from: at(now), until: at(now + hours * hour) },
    deny:      { kind: 'grant-decided', grant, approver: other, verdict: 'deny' },
    revoke:    { kind: 'grant-revoked', grant, by: other },
    ask:       { kind: 'approval-requested', approval, exchange: ids, subject, ...asked, people: 1 + (n % 2), roles: [], until: at(now + hours * hour) },
    approve:   { kind: 'approval-decided', approval, approver: other, verdict: 'approve' },
    refuse:    { kind: 'approval-decided', approval, approver: other, verdict: 'deny' },
    use:       { kind: 'decision', exchange: ids, subject, protocol: 'postgres', target: 'crm', ...asked, risk: 'high', read: false, verdict: 'permit', approval, durability: 'durable' },
  }
  return drafts[what]
}

async function entriesOf(events: readonly Event[]): Promise<LivingEntry[]> {
  let now = start
  const clock: Clock = { now: () => now }
  const ledger = await openMemoryLedger({ origin: 'crm.example', writer: 'test', clock })
  const requested = new Map<number, number>()
  const asked = new Map<string, number>()
  let latest = now
  for (const [i, one] of events.entries()) {
    now += one.after * hour
    latest = Math.max(latest, now)
    if (one.what === 'request' || one.what === 'ask') {
      const first = asked.get(`${one.what} ${one.n}`)
      // Under an id that is known it may be asked again, by who would change what others decide; of one that is forgotten nobody knows.
      if (first !== undefined && latest >= first + rememberedMs) continue
      asked.set(`${one.what} ${one.n}`, first ?? now)
    }
    if (one.what === 'request' && !requested.has(one.n)) requested.set(one.n, now)
    // No guard grants what was requested too long ago.
    if (one.what === 'grant' && now >= (requested.get(one.n) ?? now) + patienceMs) continue
    await ledger.append([draft(one, now, i)])
  }
  return allEntries(ledger)
}

/** What is known of it from `latest` on: nothing of what was long over by then. */
function known(entries: readonly LivingEntry[], latest: number) {
  const [grants, approvals]: [Grants, Approvals] = [new Map(), new Map()]
  const principals = new Map<string, number>()
  let policy: number | undefined
  for (const { index, entry } of entries) {
    foldGrant(grants, entry, index)
    foldApproval(approvals, entry, index)
    if (entry.kind === 'principal') principals.set(entry.subject, index)
    if (entry.kind === 'policy') policy = index
  }
  for (const grant of grants.values()) if (overAt(grant) + rememberedMs <= latest) grants.delete(grant.id)
  for (const { id, until } of approvals.values()) if (until + rememberedMs <= latest) approvals.delete(id)
  return { grants, approvals, principals, policy }
}

const latestOf = (entries: readonly LivingEntry[]) => Math.max(...entries.map(({ entry }) => Date.parse(entry.time)))

function folded(entries: readonly LivingEntry[], living = new Living()): Living {
  for (const one of entries) living.add(one)
  return living
}

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const root = new Uint8Array(32)

function snapshot(living: Living): Buffer {
  const { text, body } = snapshotOf({ origin: 'crm.example', size: living.size, root }, living)
  return encodeSnapshot(text, signNote(text, 'crm.example', privateKey, publicKey), body)
}

describe('what is known of a ledger', () => {
  it('is, folded from the entries that it still rests on, what it is from all of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async events => {
        const entries = await entriesOf(events)
        const living = folded(entries)
        expect(known(living.entries(), living.latest)).toEqual(known(entries, latestOf(entries)))
      }),
      { numRuns: 200 },
    )
  })

  it('is the same when it is taken up from a snapshot, wherever that was made', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), fc.nat(), async (events, cut) => {
        const entries = await entriesOf(events)
        const at = 1 + (cut % entries.length)
        const resumed = parseSnapshot(snapshot(folded(entries.slice(0, at)))).living
        const [again, once] = [folded(entries.slice(at), resumed), folded(entries)]
        expect(again.entries()).toEqual(once.entries())
        expect(snapshot(again)).toEqual(snapshot(once))
      }),
      { numRuns: 200 },
    )
  })

  it('does not grow with what is over', async () => {
    const events = Array.from({ length: 3000 }, (_, i): Event => ({ what: 'request', n: i, after: 1, hours: 1 }))
    const kinds = folded(await entriesOf(events))
      .entries()
      .map(({ entry }): Entry['kind'] => entry.kind)
    // What was asked for within the last 49 hours, and is remembered.
    expect(kinds.length).toBeLessThan(60)
  })
})

describe('a snapshot', () => {
  it('of which any byte was altered, or that was cut anywhere, is none', async () => {
    const whole = snapshot(folded(await entriesOf([{ what: 'request', n: 1, after: 1, hours: 1 }])))
    const verifier = parseVerifierKey(formatVerifierKey('crm.example', publicKey))
    const read = (bytes: Buffer) => requireSignature(parseSnapshot(bytes).note, verifier)
    expect(() => read(whole)).not.toThrow()
    for (let at = 0; at < whole.length; at += 1) {
      const altered = Buffer.from(whole)
      altered[at]! ^= 1
      expect(() => read(altered), `byte ${at}`).toThrow(LedgerError)
      expect(() => read(whole.subarray(0, at)), `cut at ${at}`).toThrow(LedgerError)
    }
  })
})
