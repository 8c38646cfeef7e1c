/**
 * A leader that is lost in the midst of an erasure that another process has asked for. `COUNTERFOIL_KILLS=all` kills it
 * at each call that changes a file.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { verifyLedger } from '../../evidence/index.ts'
import type { Draft } from '../../lib/ledger/ledger.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { generateKey, readPrivateKey, type SigningKey } from '../../lib/openpgp.ts'
import { compiledScript } from '../support/compiled.ts'
import { allEntries, ledgerOptions } from '../support/directory-ledger.ts'
import { counsel, customer, erasure, officer, principal } from '../support/erasable-ledger.ts'

const script = compiledScript(new URL('children/lead.ts', import.meta.url))
const all = process.env.COUNTERFOIL_KILLS === 'all'
let seal: string
let key: SigningKey
beforeAll(async () => {
  seal = (await generateKey({ name: 'seal' })).privateKey
  key = await readPrivateKey(seal)
})

const login: Draft = {
  ...{ kind: 'event', source: 'crm', event: 'login', level: 'info', subject: customer },
  ...{ disclose: { message: 'came' }, slot: `principal:${customer}` },
}

/** @returns whether the leader was killed, at that call: the erasure made fewer of them else */
async function lostAt(call: number): Promise<boolean> {
  const options = ledgerOptions({ sealer: openpgpSealer(key), writer: 'peer', publishMs: 1e8 })
  const note = options.noteKey.export({ type: 'pkcs8', format: 'pem' })
  const settings = JSON.stringify({ directory: options.directory, note, seal })
  const leader = spawn(process.execPath, [script, settings], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void leader.kill('SIGKILL'))
  const exit = once(leader, 'exit')
  const said = createInterface({ input: leader.stdout })[Symbol.asyncIterator]()
  expect((await said.next()).value).toBe('ready')
  const peer = await openSharedLedger({ ...options, graceMs: 50, takeoverMs: 60_000 })
  const [, , , before] = await peer.append([principal(customer), principal(officer), principal(counsel), login])
  leader.stdin.write(`${call}\n`)
  expect((await said.next()).value).toBe('counting')

  const [erased] = await peer.erase!(erasure({ judgedAt: peer.size }))
  const [after] = await peer.append([login])
  expect(await peer.disclosures(before!.index), `call ${call}`).toEqual({})
  expect(await peer.disclosures(after!.index), `call ${call}`).toEqual({ message: 'came' })
  const erasures = (await allEntries(peer)).filter(({ entry }) => entry.kind === 'erasure')
  expect(
    erasures.map(({ index }) => index),
    `call ${call}`,
  ).toEqual([erased!.index])

  // Still there: it was not met so often.
  const isLost = leader.exitCode !== null || leader.signalCode !== null
  leader.kill('SIGKILL')
  await exit
  await peer.append([login])
  await peer.close()
  const { fingerprint } = key
  const found = await verifyLedger({ directory: options.directory, fingerprint, wrappingKey: options.wrappingKey })
  expect({ call, verdict: found.verdict, findings: found.findings }).toEqual({ call, verdict: 'OK', findings: [] })
  return isLost
}

describe('a leader that is lost in the midst of an erasure', () => {
  it(
    'leaves it to the next one, which does it once, says so to who asked, and loses nothing of what follows',
    async () => {
      // While it is noted; and behind its entry.
      const calls = all ? Array.from({ length: 60 }, (_, i) => i + 1) : [2, 20]
      let lost = 0
      for (const call of calls) {
        if (!(await lostAt(call))) break
        lost += 1
      }
      expect(lost).toBeGreaterThanOrEqual(all ? 30 : calls.length)
    },
    all ? 1_800_000 : 300_000,
  )
})
