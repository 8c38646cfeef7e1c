/** A real guard over a memory ledger, with a small policy, for tests of whatever stands around it. */

import { control, dba, owner, person, requester, rules, secondDba } from '../../conformance/people.ts'
import type { Control } from '../../lib/control.ts'
import { Refusal } from '../../lib/errors.ts'
import type { Entry, EntryOf, Kind } from '../../lib/format/entry.ts'
import { buildGuard, type Guard, type GuardParts } from '../../lib/guard.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import type { Ledger } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import type { Operation } from '../../lib/operation.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import type { Frame, Reply } from '../../lib/reply.ts'

export { dba, owner, person, requester, rules, secondDba }

export const agent: Subject = {
  ...person('agent:crm-assistant'),
  type: 'agent',
  owner: owner.id,
  principal: requester.id,
}

export const grantControl = control({
  id: 'AC-03',
  covers: { resource: 'crm/**', actions: ['update'] },
  require: { grant: { longestMs: 60_000, reason: true } },
})

export const approvalControl = control({
  id: 'AC-07',
  covers: { resource: 'crm/**', actions: ['drop'] },
  require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs: 5_000 } },
})

export const maskControl = control({
  id: 'CF-01',
  covers: { resource: 'crm/**' },
  mask: { ssn: 'last4', email: 'redact' },
})

export interface Fixture {
  readonly guard: Guard
  readonly ledger: Ledger
  entries(): Promise<Entry[]>
  of<K extends Kind>(kind: K): Promise<EntryOf<K>[]>
}

export async function fixture(
  controls: readonly Control[] = [grantControl, approvalControl],
  parts: Partial<GuardParts> = {},
): Promise<Fixture> {
  const ledger = parts.ledger ?? (await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' }))
  const policy = parts.policy ?? (await casbinPolicy({ rules, controls }))
  const made = await buildGuard({
    name: 'crm',
    identify: async ({ secret }) => {
      const known = [requester, owner, dba, agent].find(subject => subject.id === secret)
      if (known === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
      return known
    },
    ...parts,
    ledger,
    policy,
  })
  const entries = async () => {
    const found: Entry[] = []
    for await (const { entry } of ledger.entries()) found.push(entry)
    return found
  }
  return {
    guard: made,
    ledger,
    entries,
    of: async kind => (await entries()).filter(entry => entry.kind === kind) as never,
  }
}

export function operation(part: Partial<Operation> = {}): Operation {
  const accesses = part.accesses ?? [{ action: 'select', resource: 'crm/public.customers' }]
  return {
    protocol: 'test',
    target: 'crm',
    accesses,
    reaches: [],
    opaque: false,
    risk: 'low',
    read: accesses.every(access => access.action === 'select'),
    action: { accesses: accesses.map(access => `${access.action} ${access.resource}`) },
    holdable: true,
    ...part,
  }
}

/** A reply of JSON, in one piece. */
export async function* json(text: string): Reply & AsyncGenerator<Frame> {
  yield { type: 'head', form: { kind: 'json' } }
  yield { type: 'data', channel: 'body', bytes: Buffer.from(text), items: 1 }
  yield { type: 'end', result: 'completed', settled: 'nothing' }
}

export interface Asked {
  readonly frames: Frame[]
  readonly text: string
}

/** Runs one operation through the guard. @throws what the guard threw */
export async function ask(
  { guard: gate }: Fixture,
  subject: Subject,
  of: Partial<Operation> = {},
  reply: (signal: AbortSignal) => Reply = () => json('{"ok":true}'),
): Promise<Asked> {
  const frames: Frame[] = []
  const exchange = gate.exchange({ operation: operation(of), subject, address: '127.0.0.1' })
  await gate.handle(
    exchange,
    taken => reply(taken.signal),
    frame => void frames.push(frame),
  )
  const text = frames.map(frame => (frame.type === 'data' ? Buffer.from(frame.bytes).toString() : '')).join('')
  return { frames, text }
}
