/**
 * What every adapter must do, whatever its protocol. An adapter of your own passes it by `adapterConformance(door)`, where the door
 * says how each kind of work is asked for on its wire. The guard, policy and ledger behind it are real.
 */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Control } from '../../lib/control.ts'
import { Fault, Refusal } from '../../lib/errors.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Subject } from '../../lib/identity/subject.ts'
import type { Draft, Ledger } from '../../lib/ledger/ledger.ts'
import { openMemoryLedger } from '../../lib/ledger/memory.ts'
import {
  approvalControl,
  dba,
  type Fixture,
  fixture,
  grantControl,
  maskControl,
  owner,
  requester,
} from '../support/guard.ts'
import { held } from '../support/memory.ts'

/** What a client can ask for; the door knows how its protocol says it. */
export type Work =
  /** A short read, whose reply holds `Customer 0001`. */
  | 'read'
  /** A read whose reply holds `name`, and `ssn` and `email` under the mask, as `personal` has them. */
  | 'masked'
  /** A change that needs a grant, and that `done` counts. */
  | 'change'
  /** The destruction that needs an approval, and that `done` counts. */
  | 'destroy'
  /** A read that begins, and then says nothing more. */
  | 'silent'
  /** Under a grant, as `change`; and then nothing more is said. */
  | 'silent change'
  /** A read that fails after at least 100 kB of its reply. */
  | 'breaks'
  /** A read with a reply of at least 1 MB, in several pieces. */
  | 'long'
  /** A read with a reply of at least 64 MB. */
  | 'flood'
  /** Permitted, with `canary` in every place where the protocol has secrets. */
  | 'secret'

export interface Answer {
  /** All that reached the client, an error's text and details too. A flood's is left out. */
  readonly said: string
  /** Bytes of the reply that reached the client. */
  readonly bytes: number
  /** The reply came whole, and was no error. */
  readonly whole: boolean
  /** Our own code, where one was told. */
  readonly code?: string | undefined
}

export interface Call {
  /** Settles when the reply is over, however; never rejects. */
  readonly answer: Promise<Answer>
  /** The client goes, without a word. */
  hangUp(): void
  /** Reads on, where the call was asked to stall. */
  resume(): void
}

export interface OpenDoor {
  /** @param stall the client takes nothing of the reply until it is told to */
  call(work: Work, as: Subject, stall?: boolean): Call
  /** How often the upstream has been asked for this work. */
  done(work: 'read' | 'change' | 'destroy'): Promise<number>
  /** How many silent works the upstream is still at. */
  running(): Promise<number>
  /** Connects, and says nothing that is whole. @returns resolves when the door has closed the connection */
  silentClient(): Promise<{ readonly closed: Promise<void> }>
  close(): Promise<void>
}

export interface Door {
  readonly name: string
  /** The gate's target is `crm`. A silent client is given no more than a second. */
  open(gate: Gate): Promise<OpenDoor>
  /** The resource whose `ssn` and `email` are masked: a glob. */
  readonly personal: string
  /** What policy calls a change and a destruction here: `update`, `drop`. */
  readonly words: { readonly change: string; readonly destroy: string }
  /** The resource of a change. */
  readonly changed: string
  /**
   * Its replies have no form that masks can be applied to yet: what is under one is refused, and nothing of it is shown. To go when
   * they have.
   */
  readonly unmaskable?: true
  /** Its reads are not proven to change nothing, as those of a command are not: they are recorded as what may be a change. */
  readonly unproven?: true
}

export const personal = { name: 'Customer 0001', ssn: '123-45-0001', email: 'c1@customer.example' } as const

/** Planted anew for each run wherever a secret may stand: nothing that is kept or told may hold it. */
export const canary = `canary${randomBytes(12).toString('hex')}`

/** What a subject presents: a secret itself. */
export const credentialOf = (subject: Subject): string => `${canary}.${Buffer.from(subject.id).toString('base64url')}`

const subjects = [requester, owner, dba]

/** Machines are slow at times; what must be quick is timed apart. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 10_000 })

export function adapterConformance(door: Door): void {
  let at: Fixture
  let opened: OpenDoor
  let ledger: Breakable
  const told: string[] = []
  let heard: { readonly mock: { readonly calls: unknown[][] } }[] = []

  const start = async (controls: readonly Control[] = []) => {
    ledger = await breakable()
    at = await fixture(controls, {
      ledger: ledger.port,
      identify: async ({ secret }) => {
        const known = subjects.find(subject => credentialOf(subject) === secret)
        if (known === undefined) throw new Refusal('ERR_UNIDENTIFIED', 'unknown')
        return known
      },
    })
    opened = await door.open(at.guard)
  }
  const begin = (work: Work, as: Subject = requester, stall = false) => {
    const call = opened.call(work, as, stall)
    void call.answer.then(({ said }) => told.push(said))
    return call
  }
  const ask = (work: Work, as: Subject = requester) => begin(work, as).answer
  const decisions = async () => (await at.of('decision')).slice()
  /** The last decision and outcome, of works that were asked for one after the other. */
  const lastOutcome = async () => (await at.of('outcome')).at(-1)
  const outcomesOf = async (code: string) => (await at.of('outcome')).filter(outcome => outcome.code === code)

  const granted: Control = { ...grantControl, covers: { resource: 'crm/**', actions: [door.words.change] } }
  const approved = (waitMs: number): Control => ({
    ...approvalControl,
    covers: { resource: 'crm/**', actions: [door.words.destroy] },
    require: { approval: { people: 1, from: 'role:dba', withinMs: 60_000, waitMs } },
  })
  const grant = async (seconds: number) => {
    const { desk } = at.guard
    const request = { resource: door.changed, actions: [door.words.change], seconds, reason: 'a test' }
    const id = await desk.request(requester, request)
    await desk.approve(dba, id)
    return id
  }
  const asked = async () => {
    await eventually(() => at.of('approval-requested')).not.toEqual([])
    return (await at.of('approval-requested')).at(-1)!.approval
  }
  const denials = async () => (await decisions()).filter(decision => decision.verdict === 'deny')

  describe(`${door.name} as an adapter`, () => {
    beforeEach(() => {
      told.length = 0
      heard = [vi.spyOn(process.stderr, 'write'), vi.spyOn(console, 'error'), vi.spyOn(console, 'log')]
    })

    afterEach(async () => {
      ledger.mend()
      await opened.close()
      // Whatever a test was about: nothing that is kept, told or logged holds a secret or an unmasked value.
      const kept: unknown[] = []
      for await (const { index, entry } of at.ledger.entries()) kept.push(entry, await at.ledger.disclosures(index))
      const logged = heard.flatMap(({ mock }) => mock.calls)
      await at.guard.close()
      vi.restoreAllMocks()
      for (const text of [JSON.stringify(kept), JSON.stringify(logged), told.join('\n')]) {
        expect(text.includes(canary)).toBe(false)
      }
      for (const text of [JSON.stringify(kept), JSON.stringify(logged)]) expect(text.includes(personal.ssn)).toBe(false)
    })

    it('lets a permitted read through whole, and records its decision and what was offered', async () => {
      await start()
      const answer = await ask('read')
      expect(answer).toMatchObject({ whole: true })
      expect(answer.said).toContain('Customer 0001')
      const [decision] = await decisions()
      expect(decision).toMatchObject({ verdict: 'permit', read: !door.unproven, risk: 'low', method: requester.method })
      expect(decision!.subject).toMatch(/^[\w-]{22}$/)
      expect(await at.of('outcome')).toMatchObject([
        { exchange: decision!.exchange, result: 'completed', offered: expect.stringMatching(/^[\w-]{43}$/) },
      ])
    })

    it('refuses what policy does not permit, asks the upstream nothing, and records it', async () => {
      await start()
      expect(await ask('read', owner)).toMatchObject({ whole: false, code: 'ERR_ACCESS_DENIED' })
      expect(await opened.done('read')).toBe(0)
      expect(await decisions()).toMatchObject([{ verdict: 'deny', code: 'ERR_ACCESS_DENIED' }])
      expect(await at.of('outcome')).toEqual([])
    })

    it('refuses a credential that nobody has, and records it', async () => {
      await start()
      const stranger = { ...requester, id: 'stranger@crm.example' }
      expect(await ask('read', stranger)).toMatchObject({ whole: false, code: 'ERR_UNIDENTIFIED' })
      expect(await opened.done('read')).toBe(0)
      expect(await decisions()).toMatchObject([{ verdict: 'deny', code: 'ERR_UNIDENTIFIED' }])
    })

    it('records where a request came from, and never in clear', async () => {
      await start()
      await ask('read')
      expect(JSON.stringify(await at.entries())).not.toMatch(/127\.0\.0\.1|requester@/)
      const disclosed: unknown[] = []
      for await (const { index } of at.ledger.entries()) disclosed.push((await at.ledger.disclosures(index)).address)
      expect(disclosed).toContain('127.0.0.1')
    })

    if (door.unmaskable) {
      it('refuses a reply that is under a mask before the upstream is asked, and shows nothing of it', async () => {
        await start([{ ...maskControl, covers: { resource: door.personal } }])
        const { said, whole, code } = await ask('masked')
        expect({ whole, code }).toEqual({ whole: false, code: 'ERR_OBLIGATION_UNMET' })
        for (const value of Object.values(personal)) expect(said).not.toContain(value)
        await eventually(() => at.of('outcome')).toMatchObject([{ code: 'ERR_OBLIGATION_UNMET', bytes: 0 }])
      })
    } else {
      it('masks a reply before it leaves, and records by which control', async () => {
        await start([{ ...maskControl, covers: { resource: door.personal } }])
        const { said, whole } = await ask('masked')
        expect(whole).toBe(true)
        expect(said).toContain(personal.name)
        expect(said).not.toContain(personal.ssn)
        expect(said).toContain('0001')
        expect(said).not.toContain(personal.email)
        expect((await lastOutcome())!.masked).toEqual(['CF-01:email:redact', 'CF-01:ssn:last4'])
      })
    }

    it('shows the same reply unmasked where no control masks it', async () => {
      await start()
      expect((await ask('masked')).said).toContain(personal.ssn)
    })

    it('streams a long reply whole, and counts what it offered', async () => {
      await start()
      const { whole, bytes } = await ask('long')
      expect(whole).toBe(true)
      expect(bytes).toBeGreaterThanOrEqual(1_000_000)
      const outcome = await lastOutcome()
      expect(outcome).toMatchObject({ result: 'completed' })
      expect(outcome!.bytes).toBeGreaterThanOrEqual(1_000_000)
    })

    it('a reply that fails midway is no whole reply, and is recorded as failed', async () => {
      await start()
      expect((await ask('breaks')).whole).toBe(false)
      await eventually(() => at.of('outcome')).toMatchObject([{ result: 'failed' }])
      expect((await lastOutcome())!.code).toMatch(/./)
      expect((await ask('read')).whole).toBe(true)
    })

    it('leaves the upstream when the client hangs up, and records it as aborted', async () => {
      await start()
      const call = begin('silent')
      await eventually(() => opened.running()).toBe(1)
      call.hangUp()
      await expect.poll(() => opened.running(), { timeout: 1000 }).toBe(0)
      await eventually(() => at.of('outcome')).toMatchObject([{ result: 'aborted' }])
      expect((await call.answer).whole).toBe(false)
    })

    it('takes from the upstream no more than a slow reader lets it, and loses nothing of it', async () => {
      await start()
      const before = held()
      const call = begin('flood', requester, true)
      await eventually(decisions).toHaveLength(1)
      let most = 0
      // Without back-pressure 64 MB cross loopback many times over meanwhile.
      for (let sample = 0; sample < 40; sample += 1) {
        await new Promise(resolve => setTimeout(resolve, 25))
        most = Math.max(most, held() - before)
      }
      expect(most).toBeLessThan(24 * 1024 * 1024)
      expect(await at.of('outcome')).toEqual([])
      expect((await ask('read')).whole).toBe(true)
      call.resume()
      const { whole, bytes } = await call.answer
      expect(whole).toBe(true)
      expect(bytes).toBeGreaterThanOrEqual(64 * 1024 * 1024)
    })

    it('a client that has hung up on a flood holds nothing back', async () => {
      await start()
      const call = begin('flood', requester, true)
      await eventually(decisions).toHaveLength(1)
      call.hangUp()
      await eventually(() => at.of('outcome')).toMatchObject([{ result: 'aborted' }])
      expect((await ask('read')).whole).toBe(true)
    })

    it('a silent client stalls nobody else, and is closed within its deadline', async () => {
      await start()
      const { closed } = await opened.silentClient()
      expect((await ask('read')).whole).toBe(true)
      await closed
      expect((await ask('read')).whole).toBe(true)
    })

    describe('a grant', () => {
      it('is required: without one nothing is forwarded', async () => {
        await start([granted])
        expect(await ask('change')).toMatchObject({ whole: false, code: 'ERR_GRANT_REQUIRED' })
        expect(await opened.done('change')).toBe(0)
      })

      it('lets the change run, and is cited by its decision', async () => {
        await start([granted])
        const id = await grant(60)
        expect((await ask('change')).whole).toBe(true)
        expect(await opened.done('change')).toBe(1)
        expect((await decisions()).at(-1)).toMatchObject({ verdict: 'permit', grant: id })
      })

      it('that is revoked cuts what runs under it within a second, though the upstream is silent', async () => {
        await start([granted])
        const id = await grant(60)
        const call = begin('silent change')
        await eventually(() => opened.running()).toBe(1)
        const revoked = performance.now()
        await at.guard.desk.revoke(dba, id, 'enough')
        expect((await call.answer).whole).toBe(false)
        expect(performance.now() - revoked).toBeLessThan(1000)
        await expect.poll(() => opened.running(), { timeout: 1000 }).toBe(0)
        await eventually(() => outcomesOf('ERR_GRANT_EXPIRED')).toMatchObject([{ result: 'aborted' }])
        expect(await ask('change')).toMatchObject({ whole: false, code: 'ERR_GRANT_EXPIRED' })
      })

      it('that lapses cuts what runs under it at its absolute end', async () => {
        await start([granted])
        await grant(1)
        const until = Date.parse((await at.of('grant-decided'))[0]!.until!)
        const call = begin('silent change')
        expect((await call.answer).whole).toBe(false)
        expect(Date.now() - until).toBeGreaterThanOrEqual(-5)
        expect(Date.now() - until).toBeLessThan(1000)
        await eventually(() => outcomesOf('ERR_GRANT_EXPIRED')).toMatchObject([{ result: 'aborted' }])
      })
    })

    describe('a ledger that fails', () => {
      it('forwards no change', async () => {
        await start()
        expect((await ask('change')).whole).toBe(true)
        ledger.break()
        expect(await ask('change')).toMatchObject({ whole: false, code: 'ERR_LEDGER_UNAVAILABLE' })
        expect(await opened.done('change')).toBe(1)
      })

      it('lets no byte of a read leave', async () => {
        await start()
        expect((await ask('read')).whole).toBe(true)
        ledger.break()
        const { whole, said, code } = await ask('read')
        expect({ whole, code }).toEqual({ whole: false, code: 'ERR_LEDGER_UNAVAILABLE' })
        expect(said).not.toContain('Customer 0001')
      })

      it('lets nothing through whole of a reply whose decision was still recorded', async () => {
        await start()
        ledger.break(drafts => drafts.some(draft => draft.kind === 'outcome'))
        expect((await ask('long')).whole).toBe(false)
        expect(await at.of('outcome')).toEqual([])
      })
    })

    describe('an approval', () => {
      it('holds the action until another person gives it, and then it runs', async () => {
        await start([approved(30_000)])
        const call = begin('destroy')
        const id = await asked()
        expect(await opened.done('destroy')).toBe(0)
        await at.guard.desk.approve(dba, id)
        expect((await call.answer).whole).toBe(true)
        expect(await opened.done('destroy')).toBe(1)
        expect((await decisions()).at(-1)).toMatchObject({ verdict: 'permit', approval: id })
      })

      it('that is denied while the action is held refuses it', async () => {
        await start([approved(30_000)])
        const call = begin('destroy')
        await at.guard.desk.deny(dba, await asked())
        expect(await call.answer).toMatchObject({ whole: false, code: 'ERR_APPROVAL_REJECTED' })
        expect(await opened.done('destroy')).toBe(0)
      })

      it('that does not come in time refuses with its id; given later, the same action runs once', async () => {
        await start([approved(50)])
        const first = await ask('destroy')
        const id = await asked()
        expect(first).toMatchObject({ whole: false, code: 'ERR_APPROVAL_PENDING' })
        expect(first.said).toContain(id)
        await at.guard.desk.approve(dba, id)
        expect((await ask('destroy')).whole).toBe(true)
        expect(await ask('destroy')).toMatchObject({ whole: false, code: 'ERR_APPROVAL_PENDING' })
        expect(await opened.done('destroy')).toBe(1)
      })

      it('cannot be given by whoever asks for it', async () => {
        await start([approved(30_000)])
        const call = begin('destroy')
        const refused = at.guard.desk.approve(requester, await asked())
        await expect(refused).rejects.toMatchObject({ data: { why: 'own-request' } })
        expect(await opened.done('destroy')).toBe(0)
        call.hangUp()
        await call.answer
      })

      it('that comes after the client has gone runs nothing', async () => {
        await start([approved(30_000)])
        const call = begin('destroy')
        const id = await asked()
        call.hangUp()
        await eventually(denials).toHaveLength(1)
        await at.guard.desk.approve(dba, id)
        expect((await ask('read')).whole).toBe(true)
        expect(await opened.done('destroy')).toBe(0)
      })
    })

    it('keeps no secret of a request: not in an entry, a disclosure, an error or a log', async () => {
      await start()
      expect((await ask('secret')).whole).toBe(true)
      expect((await decisions()).at(-1)).toMatchObject({ verdict: 'permit' })
      await opened.call('secret', owner).answer
      expect((await decisions()).at(-1)).toMatchObject({ verdict: 'deny' })
    })
  })
}

interface Breakable {
  readonly port: Ledger
  /** From now on every append that `which` picks fails, as on a full disk. Default: every one. */
  break(which?: (drafts: readonly Draft[]) => boolean): void
  mend(): void
}

async function breakable(): Promise<Breakable> {
  const ledger = await openMemoryLedger({ origin: 'crm.example/test', writer: 'test' })
  let fails = (_: readonly Draft[]) => false
  const port: Ledger = {
    origin: ledger.origin,
    get size() {
      return ledger.size
    },
    append: async (drafts, options) => {
      if (fails(drafts)) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
      return ledger.append(drafts, options)
    },
    entries: from => ledger.entries(from),
    disclosures: index => ledger.disclosures(index),
    attach: async parts => {
      if (fails([])) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the disk is full')
      return ledger.attach(parts)
    },
    attachment: id => ledger.attachment(id),
    follow: listener => ledger.follow(listener),
    publish: () => ledger.publish(),
    seal: () => ledger.seal(),
    close: () => ledger.close(),
  }
  return {
    port,
    break: (which = () => true) => {
      fails = which
    },
    mend: () => {
      fails = () => false
    },
  }
}
