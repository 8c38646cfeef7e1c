/** What was asked for first under an id is what waits, and what is decided: who asks again under it changes nothing. */
import { describe, expect, it } from 'vitest'
import { Approvalbook } from '../../lib/approvals/approvalbook.ts'
import { timestamp } from '../../lib/format/entry.ts'
import { Grantbook } from '../../lib/grants/grantbook.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'

const [asker, other, approver] = ['asker', 'other', 'approver'].map(name => name.padEnd(22, '-')) as [
  string,
  string,
  string,
]
const day = 86_400_000

async function books() {
  let now = Date.UTC(2026, 0, 1)
  const clock = { now: () => now }
  const ledger = await openMemoryLedger({ origin: 'crm.example', writer: 'test', clock })
  const [grants, approvals] = [new Grantbook(clock), new Approvalbook(ledger, clock)]
  ledger.follow(stored => grants.fold(stored))
  ledger.follow(stored => approvals.fold(stored))
  const later = (ms: number) => {
    now += ms
  }
  return { ledger, grants, approvals, clock, later }
}

const grant = (subject: string, more: Partial<Draft> = {}): Draft =>
  ({
    ...{ kind: 'grant-requested', grant: 'g-00000001', subject, resource: 'crm/public.customers', actions: ['update'] },
    ...{ seconds: 1, longest: 60, roles: [], controls: [], ...more },
  }) as Draft

describe('asked for again under an id', () => {
  it('a grant is what it was first, whoever asks, and whose it was', async () => {
    const { ledger, grants, clock, later } = await books()
    const all = { resource: 'crm/**', actions: ['update', 'drop'], seconds: 60 } as Partial<Draft>
    await ledger.append([grant(asker), grant(asker, all), grant(other, all)])
    const [from, until] = [timestamp(clock.now()), timestamp(clock.now() + 1000)]
    const decided = { kind: 'grant-decided', grant: 'g-00000001', approver, verdict: 'approve', from, until } as const
    await ledger.append([decided])
    expect(grants.find({ subject: asker }, [{ action: 'update', resource: 'crm/public.customers' }])).toBeDefined()
    for (const subject of [asker, other]) {
      expect(grants.find({ subject }, [{ action: 'drop', resource: 'crm/public.customers' }])).toBeUndefined()
    }
    // Once what is over is forgotten, nothing of it is left under any name.
    later(4 * day)
    const many = Array.from({ length: 1100 }, (_, i) =>
      grant(other, { grant: `g-1${`${i}`.padStart(8, '0')}` } as never),
    )
    await ledger.append(many)
    expect(grants.get('g-00000001')).toBeUndefined()
    for (const subject of [asker, other]) expect(grants.find({ subject }, [])).toBeUndefined()
  })

  it('an approval is for the action that it was first asked for', async () => {
    const { ledger, approvals, clock } = await books()
    const asked = (exchange: string, more: Partial<Draft>) =>
      ({
        ...{ kind: 'approval-requested', approval: 'a-00000001', exchange, subject: asker, accesses: [], controls: [] },
        ...{ action: 'A'.repeat(43), people: 2, roles: [], until: timestamp(clock.now() + day), ...more },
      }) as Draft
    const [one, two] = [1, 2].map(n => `0190b0a0-0000-7000-8000-00000000000${n}`) as [string, string]
    await ledger.append([asked(one, {}), asked(two, { action: 'B'.repeat(43), people: 1 } as Partial<Draft>)])
    await ledger.append([{ kind: 'approval-decided', approval: 'a-00000001', approver, verdict: 'approve' }])
    expect(approvals.get('a-00000001')).toMatchObject({ action: 'A'.repeat(43), people: 2, status: 'pending' })
  })
})
