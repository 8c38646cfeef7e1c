/** A ledger whose disk has no room left: what begins is refused before harm is done, and what is in flight may end. */
import { statfsSync } from 'node:fs'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DiskLimits } from '../../lib/ledger/disk.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { decision, exchangeId, ledgerOptions, outcome, settled } from '../support/directory-ledger.ts'

const more = { bytes: Number.MAX_SAFE_INTEGER }
const session: Draft = {
  ...{ kind: 'session-opened', session: '0190b0a0-0000-7000-8000-000000000001', subject: 'A'.repeat(22) },
  ...{ protocol: 'postgres', target: 'crm', method: 'key', tls: false },
}

/** A ledger that had room when it was opened, and whose limits are passed from then on. */
async function nearlyFull(limits: DiskLimits) {
  const told: string[] = []
  const changing: { warn?: DiskLimits['warn']; refuse?: DiskLimits['refuse']; everyMs: number } = { everyMs: 5 }
  const ledger = await openDirectoryLedger({ ...ledgerOptions(), disk: changing, onDisk: what => told.push(what) })
  onTestFinished(() => ledger.close())
  const exchange = exchangeId()
  await ledger.append([decision(exchange)])
  Object.assign(changing, limits)
  await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 20_000 })
  return { ledger, told, exchange, changing }
}

describe('the disk of a ledger', () => {
  it('refuses what begins and takes what ends, once there is less room than it needs', async () => {
    const { ledger, told, exchange } = await nearlyFull({ refuse: more })
    expect(told[0]).toContain('nearly full')
    const before = ledger.size
    for (const drafts of [[decision()], [session], [decision(), outcome(exchange)]]) {
      await expect(ledger.append(drafts)).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    }
    await expect(ledger.attach({ slot: 'session:1' })).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(ledger.size).toBe(before)
    await ledger.append([outcome(exchange)])
    await ledger.append([settled(exchange)])
    await ledger.append([decision(exchangeId(), 'deny')])
    expect(ledger.size).toBe(before + 3)
  })

  it('accepts again once there is room', async () => {
    const { ledger, told, changing } = await nearlyFull({ refuse: more })
    changing.refuse = undefined
    await vi.waitFor(() => expect(told).toHaveLength(2), { timeout: 20_000 })
    await ledger.append([decision()])
  })

  it('tells of little room and goes on', async () => {
    const { ledger, told } = await nearlyFull({ warn: { part: 1.1 }, refuse: { bytes: 1 } })
    expect(told[0]).toContain('little room')
    await ledger.append([decision()])
  })

  it('is measured as what an ordinary user may use', async () => {
    const { bavail, bsize, blocks } = statfsSync(ledgerOptions().directory)
    expect(bavail * bsize).toBeLessThan(blocks * bsize)
  })

  it('opens no ledger where there is no room for one', async () => {
    const opening = openDirectoryLedger({ ...ledgerOptions(), disk: { refuse: more } })
    await expect(opening).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
  })
})
