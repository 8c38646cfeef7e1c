/** What is granted, held, erased and disposed of across the ledgers of a series: guards that are stopped and started, on a directory. */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type VerifyOptions, verifySeries } from '../../evidence/index.ts'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { Earlier, forEachMember } from '../../lib/ledger/earlier.ts'
import type { DraftOf } from '../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openNewest, rollOver } from '../../lib/ledger/rollover.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { memberOf, newestIn } from '../../lib/ledger/series.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { decision, exchangeId, ledgerOptions, temporaryDirectory } from '../support/directory-ledger.ts'
import {
  agent,
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
async function started<T>(
  options: DirectoryOptions,
  work: (at: Fixture) => Promise<T>,
  earlier = new Earlier(options),
): Promise<T> {
  const ledger = await openNewest(options, {}, openDirectoryLedger)
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

  it('goes on with no earlier ledger that was rolled back to one of its own seals', async () => {
    const options = series()
    for (let i = 0; i < 2; i += 1) await started(options, at => ask(at, requester))
    await roll(options)
    const [seals, checkpoint] = ['checkpoint.d', 'checkpoint'].map(name => join(options.directory, name)) as [
      string,
      string,
    ]
    const [first, ...later] = readdirSync(seals).sort((a, b) => Number(a) - Number(b))
    const whole = temporaryDirectory()
    cpSync(options.directory, whole, { recursive: true })
    cpSync(join(seals, first!), checkpoint)
    for (const seal of later) rmSync(join(seals, seal))
    const rolledBack = { code: 'ERR_CHECKPOINT_ROLLBACK' }
    await started(options, async at => {
      await expect(at.guard.custodian.erase(officer, counsel, ofRequester)).rejects.toMatchObject(rolledBack)
    })
    await expect(forEachMember(options, async () => undefined)).rejects.toMatchObject(rolledBack)
    expect(parseCheckpoint(readFileSync(checkpoint))).toEqual(parseCheckpoint(readFileSync(join(seals, first!))))
    for (const name of ['checkpoint', 'checkpoint.d'])
      cpSync(join(whole, name), join(options.directory, name), { recursive: true })
    await started(options, at => at.guard.custodian.erase(officer, counsel, ofRequester))
    for (const verdict of await verdicts(options)) expect(verdict).toMatch(/ OK$/)
  })

  it('says what it erased by the time that a hold came', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    let place: () => Promise<unknown> = async () => undefined
    class Slow extends Earlier {
      override async erase(...parts: Parameters<Earlier['erase']>) {
        const erased = await super.erase(...parts)
        await place()
        return erased
      }
    }
    const work = async (at: Fixture) => {
      await ask(at, requester)
      place = () => at.guard.custodian.place(counsel, { scope: 'ledger' }, 'a suit')
      await expect(at.guard.custodian.erase(officer, counsel, ofRequester)).rejects.toMatchObject({
        ...{ code: 'ERR_OBLIGATION_UNMET', message: expect.stringContaining(`was erased from ${first} already`) },
        data: { why: 'under-hold', erased: [first] },
      })
    }
    await started(options, work, new Slow(options))
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
  })

  it('is right in an earlier ledger once the hold that stood when that was concluded is released', async () => {
    const options = series()
    const hold = await started(options, async at => {
      await ask(at, requester)
      return at.guard.custodian.place(counsel, { scope: 'ledger' }, 'a suit')
    })
    await roll(options)
    await started(options, async at => {
      await expect(at.guard.custodian.erase(officer, counsel, ofRequester)).rejects.toThrow(hold)
      await at.guard.custodian.release(counsel, hold, 'settled')
      // Who released it may approve, and not ask.
      await expect(at.guard.custodian.erase(counsel, officer, ofRequester)).rejects.toThrow('you have released')
      await at.guard.custodian.erase(officer, counsel, ofRequester)
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
    await roll(options)
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`, `${first}/3 OK`])
  })

  // Each: what is done in the second ledger, and in the third where there is one; how often the series was rolled over
  // before it was erased in the first.
  // biome-ignore format: a table
  const held: readonly (readonly [string, number, (at: Fixture) => Promise<unknown>, RegExp])[] = [
    ['a hold of the next ledger',             1, at => at.guard.custodian.place(counsel, { scope: 'ledger' }, 'a suit'),           /2 TAMPERED ERASURE_UNAUTHORISED entry \d+ of \S+ erases principal \S+, under the hold h-/],
    ['a hold on them of the one after',       2, at => at.guard.custodian.place(counsel, ofRequester.target, 'a suit'),            /3 TAMPERED ERASURE_UNAUTHORISED entry \d+ of \S+ erases principal \S+, under the hold h-/],
    ['a hold that who asked for it released', 1, async at => at.guard.custodian.release(officer, await at.guard.custodian.place(counsel, { scope: 'ledger' }, 'a suit'), 'over'), /2 TAMPERED ERASURE_UNAUTHORISED .* by who released the hold h-/],
  ]
  it.each(held)('in an earlier ledger is told where it was against %s', async (_, rolls, work, expected) => {
    // A minute ago: what comes within seconds of each other may have crossed.
    const options = { ...series(), clock: { now: () => Date.now() - 60_000 } }
    await started(options, at => ask(at, requester))
    for (let i = 0; i < rolls; i += 1) await roll(options)
    const people = await started(options, async at => {
      await ask(at, requester)
      await work(at)
      const named = [officer, counsel].map(async one => ({
        ...(await at.guard.principals.actors(one)),
        name: one.id,
        type: 'person' as const,
      }))
      const of = await at.guard.principals.pseudonymOf(requester.id)
      return { of: of!, known: await Promise.all(named) }
    })
    // Around the guard, which would have refused.
    const { of, known } = people
    const [by, approver] = known.map(({ subject }) => subject)
    const erasure = { scope: 'principal' as const, of, ...why, by: by!, approvers: [approver!] }
    const now = { ...options, clock: { now: Date.now } }
    await new Earlier(now).erase(erasure, known, async () => false)
    const told = (await verdicts(options)).filter(line => !line.endsWith(' OK'))
    expect(told.join('\n')).toMatch(expected)
  })

  it('of an agent is not for whom it acted in an earlier ledger', async () => {
    const options = series()
    await started(options, at => ask(at, agent))
    await roll(options)
    await started(options, async at => {
      const ofAgent = { target: { scope: 'principal', name: agent.id } as const, ...why }
      const refused = at.guard.custodian.erase(officer, requester, ofAgent)
      await expect(refused).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why: 'concerned' } })
      await at.guard.custodian.erase(officer, counsel, ofAgent)
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
  })

  it('of a session that is said to be opened again in the next ledger is about whom it was before, under their holds', async () => {
    const options = series()
    const target = { scope: 'session', id: '0190b0a0-0000-7000-8000-00000000aaaa' } as const
    const opened = (subject: string): DraftOf<'session-opened'> => ({
      ...{ kind: 'session-opened', session: target.id, subject, protocol: 'postgres', target: 'crm', method: 'key' },
      ...{ tls: false, disclose: { address: '192.0.2.1' }, slot: `session:${target.id}` },
    })
    const hold = await started(options, async at => {
      await ask(at, requester)
      await at.guard.ledger.append([opened((await at.guard.principals.actors(requester)).subject)])
      return at.guard.custodian.place(officer, { scope: 'principal', name: requester.id }, 'a suit')
    })
    await roll(options)
    await started(options, async at => {
      await at.guard.ledger.append([opened('whoever'.padEnd(22, '-'))])
      const held = at.guard.custodian.erase(officer, counsel, { target, ...why })
      await expect(held).rejects.toMatchObject({ data: { why: 'under-hold', hold } })
      const own = at.guard.custodian.erase(requester, counsel, { target, ...why })
      await expect(own).rejects.toMatchObject({ data: { why: 'concerned' } })
      await at.guard.custodian.release(counsel, hold, 'settled')
      await at.guard.custodian.erase(officer, counsel, { target, ...why })
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
  })

  it('is not for who comes back, where the clock was set back meanwhile: nor does whoever verifies find so', async () => {
    let now = Date.now()
    const options = { ...series(), clock: { now: () => now } }
    await started(options, async at => {
      const { custodian, principals } = at.guard
      for (const one of [officer, counsel, requester]) await principals.actors(one)
      const hold = await custodian.place(counsel, ofRequester.target, 'a suit')
      await custodian.release(officer, hold, 'it is over')
      await custodian.erase(counsel, requester, { target: { scope: 'principal', name: officer.id }, ...why })
      now -= 2_000
      // At first they are not known yet, then they are.
      for (const _ of ['unknown', 'known']) {
        const refused = custodian.erase(officer, counsel, ofRequester)
        await expect(refused).rejects.toMatchObject({ data: { why: 'may-have-returned' } })
      }
    })
    expect((await verdictsAt(options, now)).join()).not.toContain('ERASURE')
  })

  it('of a session that no entry opened is about who acted first in it, and finds it in each ledger', async () => {
    const options = series()
    const target = { scope: 'session', id: '0190b0a0-0000-7000-8000-00000000bbbb' } as const
    const decided = (subject: string) => ({
      ...{ ...decision(exchangeId(), 'deny'), session: target.id, subject, slot: `session:${target.id}` },
      disclose: { action: 'select 1', actionSalt: 'salt' },
    })
    const both = await started(options, async at => {
      const { principals } = at.guard
      const [one, other] = await Promise.all([requester, counsel].map(who => principals.actors(who)))
      await at.ledger.append([decided(one!.subject), decided(other!.subject)] as DraftOf<'decision'>[])
      return other!.subject
    })
    await roll(options)
    await started(options, async at => {
      const { custodian } = at.guard
      const own = custodian.erase(requester, officer, { target, ...why })
      await expect(own).rejects.toMatchObject({ data: { why: 'concerned' } })
      await custodian.erase(officer, counsel, { target, ...why })
      await at.ledger.append([decided(both)] as DraftOf<'decision'>[])
      // Each ledger is verified by itself: here it is of counsel.
      const again = custodian.erase(officer, counsel, { target, ...why })
      await expect(again).rejects.toMatchObject({ data: { why: 'concerned' } })
      const none = { target: { ...target, id: '0190b0a0-0000-7000-8000-00000000cccc' }, ...why }
      await expect(custodian.erase(officer, counsel, none)).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    })
    expect(await verdicts(options)).toEqual([`${first} OK`, `${first}/2 OK`])
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

  it('is not by who released a hold on it, and comes back under another pseudonym', async () => {
    now = Date.now()
    const options = { ...series(), ...later }
    await started(options, at => ask(at, requester))
    await roll(options)
    now += 366 * day
    await started(options, async at => {
      const { custodian } = at.guard
      const hold = await custodian.place(counsel, { scope: 'ledger' }, 'a suit')
      await custodian.release(officer, hold, 'it is over')
      await custodian.erase(counsel, requester, { target: { scope: 'principal', name: officer.id }, ...why })
      for (const [by, approver] of [
        [officer, counsel],
        [counsel, officer],
      ] as const) {
        const refused = custodian.dispose(by, approver, request)
        await expect(refused).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED', data: { why: 'may-have-returned' } })
      }
      await custodian.dispose(counsel, requester, request)
    })
    expect(await verdictsAt(options, now)).toEqual([`${first}/2 OK`])
  })

  it('is not, where a hold comes while the ledger is looked into', async () => {
    now = Date.now()
    const options = { ...series(), ...later }
    await started(options, at => ask(at, requester))
    await roll(options)
    now += 366 * day
    let place: () => Promise<unknown> = async () => undefined
    class Slow extends Earlier {
      override async speaksOf(...parts: Parameters<Earlier['speaksOf']>) {
        const found = await super.speaksOf(...parts)
        await place()
        return found
      }
    }
    const work = async (at: Fixture) => {
      await at.guard.principals.actors(officer)
      await at.guard.custodian.place(officer, { scope: 'principal', name: officer.id }, 'of who is not in it')
      place = () => at.guard.custodian.place(officer, { scope: 'ledger' }, 'a suit')
      const held = at.guard.custodian.dispose(counsel, requester, request)
      await expect(held).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET', data: { why: 'under-hold' } })
      expect(existsSync(join(options.directory, 'tile'))).toBe(true)
    }
    await started(options, work, new Slow(options))
  })

  it('around the guard is told where a hold stands on one who was in it', async () => {
    const options = series()
    await started(options, at => ask(at, requester))
    await roll(options)
    const draft = await started(options, async at => {
      await at.guard.custodian.place(counsel, ofRequester.target, 'a suit')
      const { origin: of, checkpoint } = (await new Earlier(options).oldest())!
      const { size, root } = checkpoint
      const actors = await Promise.all([officer, counsel].map(one => at.guard.principals.actors(one)))
      const [by, approver] = actors.map(({ subject }) => subject)
      const draft: DraftOf<'disposed'> = {
        ...{ kind: 'disposed', of, size, root: Buffer.from(root).toString('base64url'), ground: 'retention' },
        ...{ by: by!, approvers: [approver!], disclose: { basis: 'kept for a year' } },
      }
      await at.ledger.append([draft])
      return draft
    })
    await new Earlier(options).remove(draft)
    expect(await verdicts(options)).toEqual([
      expect.stringMatching(/2 TAMPERED ERASURE_UNAUTHORISED entry \d+ disposes of \S+, under the hold h-/),
    ])
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
    await expect(started(options, async () => undefined)).rejects.toMatchObject({ code: 'ERR_LEDGER_CORRUPT' })
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
