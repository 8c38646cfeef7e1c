/** What is granted, held, erased and disposed of across the ledgers of a series: guards that are stopped and started, on a directory. */
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type VerifyOptions, verifySeries } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { Earlier } from '../../lib/ledger/earlier.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest, rollOver } from '../../lib/ledger/rollover.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { memberOf, newestIn } from '../../lib/ledger/series.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { ledgerOptions, temporaryDirectory } from '../support/directory-ledger.ts'
import {
  approvalControl,
  ask,
  dba,
  type Fixture,
  fixture,
  grantControl,
  person,
  requester,
  rules,
} from '../support/guard.ts'

const key = await readPrivateKey((await generateKey({ name: 'seal' })).privateKey)
const officer = person('officer@crm.example')
const counsel = person('counsel@crm.example')
const rights = ['erase', 'dispose', 'approve', 'hold', 'release'].map(
  action => `p, role:officer, ledger/vault, ${action}, allow`,
)
const people = [officer, counsel, requester].map(({ id }) => `g, ${id}, role:officer`)
const custody = `\n${[...rights, ...people].join('\n')}`
const controls = [grantControl, approvalControl]
const policy = () => casbinPolicy({ rules: rules + custody, controls })

const day = 86_400_000
const update = { accesses: [{ action: 'update', resource: 'crm/public.customers' }] }
const why = { ground: 'art-17', basis: 'asked in writing' }
const ofRequester = { target: { scope: 'principal', name: requester.id } as const, ...why }

/** Works as a process that starts, and stops again. */
async function started<T>(options: DirectoryOptions, work: (at: Fixture) => Promise<T>): Promise<T> {
  const ledger = await openNewest(options, {}, openDirectoryLedger)
  const earlier = new Earlier(options)
  await earlier.finish(ledger)
  const clock = options.clock === undefined ? {} : { clock: options.clock }
  const at = await fixture(controls, { ledger, earlier, policy: await policy(), ...clock })
  try {
    return await work(at)
  } finally {
    await at.guard.close()
  }
}

const series = () => ledgerOptions({ sealer: openpgpSealer(key) })
const roll = async (options: DirectoryOptions) => rollOver(options, await newestIn(options.directory))

async function verdicts({ directory, wrappingKey }: DirectoryOptions) {
  const verified = await verifySeries({
    directory,
    fingerprint: key.fingerprint,
    wrappingKey: Buffer.from(wrappingKey),
  })
  return verified.map(({ verification: { origin, verdict, findings } }) =>
    [origin, verdict, ...findings.map(({ code, what }) => `${code} ${what}`)].join(' '),
  )
}
const first = 'crm.example/counterfoil'

describe('a grant', () => {
  it('holds in the next ledger of the series, and is that of the same person', async () => {
    const options = series()
    const [before, grant] = await started(options, async at => {
      await expect(ask(at, requester, update)).rejects.toMatchObject({ code: 'ERR_GRANT_REQUIRED' })
      const id = await at.guard.desk.request(requester, {
        ...{ resource: 'crm/public.customers', actions: ['update'], seconds: 60, reason: 'repair' },
      })
      await at.guard.desk.approve(dba, String(id))
      return [await at.guard.principals.actors(requester), String(id)]
    })
    await roll(options)
    await started(options, async at => {
      await ask(at, requester, update)
      expect(await at.guard.principals.actors(requester)).toEqual(before)
      expect((await at.of('decision')).map(({ verdict, grant }) => [verdict, grant])).toEqual([['permit', grant]])
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
  })
})

describe('an erasure', () => {
  it('reaches every ledger of the series, and an entry of each says so', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    await started(options, async at => {
      await ask(at, requester)
      const { origin, slots } = await at.guard.custodian.erase(officer, counsel, ofRequester)
      expect([origin, slots]).toEqual([`${first}/2`, 3])
      await expect(at.guard.custodian.erase(officer, counsel, ofRequester)).rejects.toThrow('nobody of that name')
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
    await roll(options)
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`, `${first}/3 OK`])
    await started(options, async at => {
      for (const [i, entry] of (await at.entries()).entries()) {
        if (entry.kind === 'principal') expect(await at.ledger.disclosures(i)).not.toEqual({ name: requester.id })
      }
    })
  })

  it('touches no ledger of the series where it is held back before the first is come to', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    await started(options, async at => {
      // Judged by what stands now; placed before the first ledger is come to.
      const erased = at.guard.custodian.erase(officer, counsel, ofRequester)
      const placed = at.guard.custodian.place(counsel, { scope: 'ledger' }, 'a suit')
      await expect(erased).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold' } })
      await placed
    })
    for (const verdict of await verdicts(options)) expect(verdict).toMatch(/ OK$/)
  })

  it('of a session finds it in the ledger where it was opened', async () => {
    const options = series()
    const session = await started(options, async at => {
      const session = { protocol: 'test', target: 'crm', tls: true, subject: requester, address: '10.0.0.1' }
      return (await at.guard.openSession(session)).id
    })
    await roll(options)
    await started(options, async at => {
      const target = { scope: 'session', id: session } as const
      const { origin } = await at.guard.custodian.erase(officer, counsel, { target, ...why })
      expect(origin).toBe(first)
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
  })
})

describe('a ledger that is disposed of', () => {
  let now = Date.now()
  const later = { clock: { now: () => now } }
  const request = { ground: 'retention', basis: 'kept for a year', retentionMs: 365 * day }

  it('is gone but for its last checkpoint, and the newest says by whom, and says it again', async () => {
    now = Date.now()
    const options = { ...series(), ...later }
    await started(options, at => ask(at, requester))
    await roll(options)
    await started(options, async at => {
      const early = at.guard.custodian.dispose(officer, counsel, request)
      await expect(early).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'too-early' } })
    })
    now += 366 * day
    await started(options, async at => {
      const { origin, index } = await at.guard.custodian.dispose(officer, counsel, request)
      expect(origin).toBe(first)
      expect((await at.entries())[index]).toMatchObject({ kind: 'disposed', of: first })
      const only = at.guard.custodian.dispose(officer, counsel, request)
      await expect(only).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    })
    expect(readdirSync(options.directory).sort()).toEqual(['checkpoint', 'checkpoint.d', 'keys', 'series'])
    const then = (more: Partial<VerifyOptions> = {}) => verdictsAt(options, now, more)
    const pin = join(temporaryDirectory(), 'pin')
    expect(await then({ pin, first: true })).toEqual([`${first}/2 OK`])
    expect(await then({ pin, incremental: true })).toEqual([`${first}/2 OK`])
    await roll(options)
    expect(await then()).toEqual([`${first}/2 OK`, `${first}/3 OK`])
  })

  it.each([
    ['all', { scope: 'ledger' }],
    ['one who is in it', { scope: 'principal', name: requester.id }],
  ] as const)('is not, while a hold stands on %s', async (_, target) => {
    now = Date.now()
    const options = { ...series(), ...later }
    await started(options, at => ask(at, requester))
    await roll(options)
    now += 366 * day
    await started(options, async at => {
      const hold = await at.guard.custodian.place(officer, target, 'a suit')
      const held = at.guard.custodian.dispose(officer, counsel, request)
      await expect(held).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold', hold } })
      expect(await at.of('custody-refused')).toMatchObject([{ verb: 'dispose', of: first, hold }])
      expect(existsSync(join(options.directory, 'tile'))).toBe(true)
      await at.guard.custodian.release(officer, hold, 'it is over')
      const released = at.guard.custodian.dispose(officer, counsel, request)
      await expect(released).rejects.toMatchObject({ data: { why: 'released-the-hold', hold } })
      await at.guard.custodian.dispose(counsel, requester, request)
    })
    expect(await verdictsAt(options, now)).toEqual([`${first}/2 OK`])
  })

  it.each([
    ['one person alone', officer, officer, 'own-request'],
    ['who has no right to it', dba, counsel, 'no-right'],
  ] as const)('is not by %s', async (_, by, approver, why) => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    await started(options, async at => {
      const refused = at.guard.custodian.dispose(by, approver, { ...request, retentionMs: 0 })
      await expect(refused).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why } })
    })
    expect(existsSync(join(options.directory, 'tile'))).toBe(true)
  })

  it('is by the next opening, where a kill left something of it', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    await started(options, at => at.guard.custodian.dispose(officer, counsel, { ...request, retentionMs: 0 }))
    mkdirSync(join(options.directory, 'tile'))
    mkdirSync(join(options.directory, 'vault'))
    writeFileSync(join(options.directory, 'vault/left'), '')
    await started(options, async () => undefined)
    expect(readdirSync(options.directory).sort()).toEqual(['checkpoint', 'checkpoint.d', 'keys', 'series'])
  })

  it('is no other that a link leads to, nor one with another checkpoint', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    await roll(options)
    const victim = series()
    await started(victim, at => ask(at, requester))
    const disposal = { ...request, retentionMs: 0 }
    await started(options, at => at.guard.custodian.dispose(officer, counsel, disposal))
    await started(options, at => at.guard.custodian.dispose(officer, counsel, disposal))
    const second = memberOf(options, 2).directory
    cpSync(second, join(options.directory, 'kept'), { recursive: true })
    rmSync(second, { recursive: true })
    symlinkSync(victim.directory, second)
    await started(options, async () => undefined)
    expect(existsSync(join(victim.directory, 'vault'))).toBe(true)
    rmSync(second)
    cpSync(victim.directory, second, { recursive: true })
    await started(options, async () => undefined)
    expect(existsSync(join(second, 'vault'))).toBe(true)
  })

  it('is missed where no entry says so', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    for (const name of ['tile', 'vault']) rmSync(join(options.directory, name), { recursive: true })
    const [found] = await verdicts(options)
    expect(found).toContain('TAMPERED FILE_MISSING')
    expect(found).toContain('no entry says that it was disposed of')
  })
})

async function verdictsAt({ directory }: DirectoryOptions, now: number, more: Partial<VerifyOptions> = {}) {
  const verified = await verifySeries({ directory, fingerprint: key.fingerprint, now, ...more })
  return verified.map(({ verification: { origin, verdict, findings } }) =>
    [origin, verdict, ...findings.map(({ code, what }) => `${code} ${what}`)].join(' '),
  )
}

describe('the place of a ledger in its series', () => {
  it('is where the one before says that it goes on', () => {
    expect(memberOf({ directory: '/ledger', origin: first }, 3)).toEqual({
      ...{ directory: '/ledger/series/3', origin: `${first}/3`, series: first },
    })
  })
})
