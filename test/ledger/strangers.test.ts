/** What another host says is not taken as it says it: under which key it is sealed, what it recorded, who somebody is. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { type Entry, uuidv7 } from '../../lib/format/entry.ts'
import { attachingFolder } from '../../lib/format/layout.ts'
import { type Attached, type AttachedOf, type Draft, disclosedOf, type Ledger } from '../../lib/ledger/ledger.ts'
import { rollOver } from '../../lib/ledger/rollover.ts'
import { memberOf } from '../../lib/ledger/series.ts'
import { encodeJson } from '../../lib/ledger/shared/frames.ts'
import { protocolVersion } from '../../lib/ledger/shared/messages.ts'
import { allEntries, decision, exchangeId, kindsOf, origin, outcome, settled } from '../support/directory-ledger.ts'
import {
  counsel,
  customer,
  type Erasable,
  erasableLedger,
  erased,
  erasure,
  officer,
  principal,
  session,
  verified,
} from '../support/erasable-ledger.ts'
import { freePort, type Host, Hosts, wire } from '../support/hosts.ts'
import { without } from '../support/interop.ts'

let hosts: Hosts

const officers = exchangeId()

/** A leader with people, sessions and recordings, that other hosts append to. */
async function leads(graceMs = 5_000): Promise<{ at: Erasable; host: Host; ledger: Ledger }> {
  const at = await erasableLedger()
  const host = hosts.at(await freePort(), { ...at.options, writer: 'leader', graceMs })
  const ledger = await host.open()
  const draft = { kind: 'session-opened', session: officers, subject: officer, method: 'key', tls: true } as const
  const where = { protocol: 'postgres', target: 'crm', disclose: { address: '192.0.2.9' } } as const
  await ledger.append([{ ...draft, ...where, slot: `session:${officers}` }])
  return { at, host, ledger }
}

const disclose = { action: 'select', actionSalt: 'salt' }
const ended = (exchange: string): Draft => ({ ...outcome(exchange), disclose: { offeredSalt: 'salt' } }) as Draft
const by = (exchange: string, more: Partial<Draft>): Draft => ({ ...decision(exchange), disclose, ...more }) as Draft
const approval = (exchange: string): Draft => ({
  ...{ kind: 'approval-requested', approval: `a-${exchange.slice(-12)}`, exchange, subject: customer },
  ...{ action: 'A'.repeat(43), accesses: [], controls: [], people: 1, roles: [] },
  ...{ until: new Date(Date.now() + 60_000).toISOString(), disclose },
})

const event = { kind: 'event', source: 'crm', event: 'login', level: 'info' } as const

const wrong = [`principal:${officer}`, `session:${officers}`, `session:${session}`, 'ledger'] as const

const attachment = (id: string, of: AttachedOf, closed: Attached, more: Partial<Draft> = {}): Draft => {
  const { bytes, chunks, content } = closed
  const clear = { kind: 'attachment', attachment: id, ...of, bytes, chunks, content } as const
  return { ...clear, disclose: disclosedOf(closed), ...more } as Draft
}

async function record(ledger: Ledger, of: AttachedOf, text = 'what was shown') {
  const writer = await ledger.attach({ slot: `session:${officers}`, of })
  await writer.write(Buffer.from(text))
  return writer
}

const shown = (session: string | undefined, exchange = exchangeId()): AttachedOf => ({
  ...{ exchange, session, part: 'response', type: 'text/plain' },
})

/** A session of that host's own. */
async function opens(web: Ledger, subject = customer): Promise<string> {
  const session = uuidv7(Date.now())
  const draft = { kind: 'session-opened', session, subject, method: 'key', tls: true } as const
  await web.append([{ ...draft, protocol: 'postgres', target: 'crm', disclose: { address: '192.0.2.7' } }])
  return session
}

const denial = { name: 'Refusal', code: 'ERR_ACCESS_DENIED' }

describe.skipIf(without('openssl'))('what another host says (with openssl)', () => {
  beforeAll(() => {
    hosts = new Hosts()
  })

  it('is sealed under keys that follow from it, so that nobody becomes impossible to erase', async () => {
    const { at, host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const [session, second] = [await opens(web), await opens(web, officer)]
    // Under the keys of everybody else, in every way in which an entry can be of somebody.
    for (const slot of wrong) {
      const [one, other, asked] = [exchangeId(), exchangeId(), exchangeId()]
      await web.append([
        { ...by(one, { session, subject: customer } as Partial<Draft>), slot },
        { ...ended(one), slot },
        { ...by(other, { subject: customer } as Partial<Draft>), slot },
        { ...ended(other), slot },
        { ...approval(asked), slot },
        // Of nobody, and said to belong to what is somebody's.
        { ...event, exchange: one, disclose: { message: 'x' }, slot },
        { ...event, exchange: other, disclose: { message: 'x' }, slot },
      ] as Draft[])
      await web.append([{ ...by(asked, { subject: customer, verdict: 'deny' } as Partial<Draft>), slot } as Draft])
      // What was decided for one session is said to have been for another.
      await web.append([{ ...by(one, { session: second, subject: officer } as Partial<Draft>), slot } as Draft])
      const of = shown(undefined, other)
      const writer = await web.attach({ slot, of })
      await writer.write(Buffer.from('shown'))
      await web.append([{ ...attachment(writer.id, of, await writer.close()), slot } as Draft])
    }
    for (const each of [erasure({ scope: 'session', of: session }), erasure()]) await ledger.erase!(each)
    await web.close()
    await ledger.close()
    const found = await verified(at)
    // That it said so twice is told, and nothing else.
    expect(found.findings.map(({ code }) => code)).toEqual(wrong.map(() => 'ENTRY_REPEATED'))
  })

  it('is nothing of an exchange that another process has in flight', async () => {
    const { at, host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const [one, asked] = [exchangeId(), exchangeId()]
    await ledger.append([{ ...approval(asked), slot: `principal:${customer}` }])
    await ledger.append([by(one, { session, subject: customer, slot: `session:${session}` } as Partial<Draft>)])
    for (const exchange of [one, asked]) {
      const both = { ...settled(), exchanges: [exchangeId(), exchange] } as Draft
      const spoken = [ended(exchange), approval(exchange), settled(exchange), both]
      for (const draft of [by(exchange, { subject: officer } as Partial<Draft>), ...spoken]) {
        await expect(web.append([draft]), draft.kind).rejects.toMatchObject(denial)
      }
    }
    await ledger.append([{ ...ended(one), slot: `session:${session}` } as Draft])
    const denied = { subject: customer, verdict: 'deny', slot: `principal:${customer}` } as Partial<Draft>
    await ledger.append([by(asked, denied)])
    // Once it is over, what is said of it changes nothing of whose it was.
    const own = await opens(web, officer)
    for (const exchange of [one, asked]) {
      await web.append([by(exchange, { session: own, subject: officer } as Partial<Draft>), ended(exchange)])
    }
    for (const each of [erasure({ scope: 'session', of: session }), erasure()]) await ledger.erase!(each)
    await web.close()
    await ledger.close()
    const { findings } = await verified(at)
    expect(findings.filter(({ code }) => code.startsWith('DISCLOSURE'))).toEqual([])
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['ENTRY_REPEATED']))
  })

  it('is nothing of what another process waits to have approved, whoever leads by then', async () => {
    const { at, host, ledger } = await leads()
    const next = hosts.at(await freePort(), { ...at.options, writer: 'next' })
    const second = await next.open()
    const asked = exchangeId()
    await second.append([{ ...approval(asked), slot: `principal:${customer}` }])
    await ledger.close()
    const web = await hosts.remote([host.url, next.url], 'web-1')
    await expect(web.append([by(asked, { subject: officer } as Partial<Draft>)])).rejects.toMatchObject(denial)
    await second.append([by(asked, { subject: customer, slot: `principal:${customer}` } as Partial<Draft>)])
  })

  it('leaves what it waits to have approved to a later erasure, since nobody can tell yet whose it is', async () => {
    const { at, host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const asked = exchangeId()
    const [{ index } = { index: -1 }] = await web.append([approval(asked)])
    await ledger.erase!(erasure())
    expect(Object.keys(await ledger.disclosures(index))).toEqual(['action', 'actionSalt'])
    const own = await opens(web, officer)
    await web.append([by(asked, { session: own, subject: customer, verdict: 'deny' } as Partial<Draft>)])
    await ledger.erase!(erasure({ scope: 'session', of: own, by: 'counsel'.padEnd(22, '-'), approvers: [customer] }))
    expect(await ledger.disclosures(index)).toEqual({})
    await web.close()
    await ledger.close()
    const { findings } = await verified(at)
    expect(findings.filter(({ code }) => code.startsWith('DISCLOSURE'))).toEqual([])
  })

  it('is of recordings that it made, once each, and says of them what is so', async () => {
    const { host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const session = await opens(web)
    const other = await hosts.remote(host.url, 'web-2')
    const of = shown(session)
    const writer = await record(web, of)
    const open = attachment(writer.id, of, { id: writer.id, bytes: 14, chunks: 1, content: 'A'.repeat(43), salt: 'x' })
    await expect(web.append([open]), 'still being written').rejects.toMatchObject(denial)
    const closed = await writer.close()
    const before = ledger.size
    // biome-ignore format: a table
    const lies: readonly (readonly [string, Partial<Draft> | Partial<Entry>])[] = [
      ['another session',    { session: officers }],
      ['no session',         { session: undefined }],
      ['another exchange',   { exchange: exchangeId() }],
      ['another part',       { part: 'request' }],
      ['another type',       { type: 'text/html' }],
      ['fewer bytes',        { bytes: closed.bytes - 1 }],
      ['more chunks',        { chunks: closed.chunks + 1 }],
      ['another content',    { content: 'A'.repeat(43) }],
      ['another salt',       { disclose: { contentSalt: 'A'.repeat(22) } }],
      ['no salt',            { disclose: undefined } as never],
      ['one that is nobody\'s', { attachment: '0190b0a0-0000-7000-8000-00000000ffff' }],
    ]
    for (const [what, more] of lies) {
      await expect(web.append([attachment(writer.id, of, closed, more as never)]), what).rejects.toMatchObject(denial)
    }
    await expect(other.append([attachment(writer.id, of, closed)])).rejects.toMatchObject(denial)
    expect(ledger.size).toBe(before)
    const right = attachment(writer.id, of, closed)
    await expect(web.append([right, right]), 'twice at once').rejects.toMatchObject(denial)
    await web.append([right])
    await expect(web.append([right]), 'twice').rejects.toMatchObject(denial)
    await expect(web.attach({ slot: `session:${session}` }), 'of nothing').rejects.toMatchObject(denial)
  })

  it('is spoken of by another connection of the same writer; what was being written ends, and nothing waits for it', async () => {
    const { host, ledger } = await leads()
    const line = await wire(host.port)
    const web = await hosts.remote(line.url, 'web-1')
    const session = await opens(web)
    const [of, cut] = [shown(session), shown(session)]
    const writer = await record(web, of)
    const closed = await writer.close()
    const lost = await record(web, cut)
    await expect(ledger.erase!(erasure({ scope: 'session', of: session }))).rejects.toThrow(/is being written/)
    line.drop()
    await expect(lost.write(Buffer.from('more'))).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await web.append([settled()])
    await expect(lost.close()).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await web.append([attachment(writer.id, of, closed)])
    await ledger.erase!(erasure({ scope: 'session', of: session }))
  })

  it('is forgotten with a writer that was given up, so that what it recorded can be erased', async () => {
    const { host, ledger } = await leads(500)
    const line = await wire(host.port)
    const web = await hosts.remote(line.url, 'web-1', { takeoverMs: 50 })
    const session = await opens(web)
    await (await record(web, shown(session))).close()
    const erased = () => ledger.erase!(erasure({ scope: 'session', of: session }))
    await expect(erased()).rejects.toThrow(/is being written/)
    line.cut()
    line.drop()
    await expect.poll(async () => kindsOf(await allEntries(ledger))).toContain('recovered')
    await erased()
  })

  it('is erased with whom it is of, where its writer went without a word: outside of sessions too', async () => {
    const { at, host, ledger } = await leads(500)
    const line = await wire(host.port)
    const web = await hosts.remote(line.url, 'web-1', { takeoverMs: 50 })
    const [long, asked] = [exchangeId(), exchangeId()]
    await web.append([by(long, { subject: customer } as Partial<Draft>), approval(asked)])
    await web.append([by(asked, { subject: customer } as Partial<Draft>)])
    const written = []
    for (const exchange of [long, asked]) {
      written.push(await record(web, shown(undefined, exchange), 'x'.repeat(300_000)))
    }
    await expect(ledger.erase!(erasure())).rejects.toThrow(/is being written by web-1/)
    line.cut()
    line.drop()
    await expect.poll(async () => kindsOf(await allEntries(ledger))).toContain('recovered')
    await ledger.erase!(erasure())
    await ledger.close()
    const again = await hosts.at(await freePort(), { ...at.options, writer: 'leader' }).open()
    for (const { id } of written) {
      await expect(again.attachment(id)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ name: 'LedgerError' })
    }
    await again.close()
    expect((await verified(at)).findings.map(({ code, what }) => `${code} ${what}`)).toEqual([])
  })

  it('leaves no recording untold: what it comes not to speak of is said as soon as that is known', async () => {
    const { at, host, ledger } = await leads()
    const line = await wire(host.port)
    const web = await hosts.remote(line.url, 'web-1', { takeoverMs: 50 })
    const session = await opens(web)
    const told = async () => kindsOf(await allEntries(ledger)).filter(kind => kind === 'attachment-cut').length
    const noted = () => readdirSync(join(at.options.directory, attachingFolder)).length
    await record(web, shown(session), 'x'.repeat(300_000))
    line.drop()
    await expect.poll(told).toBe(1)
    await (await record(web, shown(session))).close()
    expect(noted()).toBe(1)
    line.cut()
    line.drop()
    await expect.poll(told).toBe(2)
    await expect.poll(noted).toBe(0)
    await ledger.erase!(erasure({ scope: 'session', of: session }))
    await ledger.close()
    expect((await verified(at)).findings.map(({ code, what }) => `${code} ${what}`)).toEqual([])
  })

  it('begins no more than an opening can close, and ends what it began', async () => {
    const { host } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const one = exchangeId()
    await web.append([decision(one)])
    const many: Draft[] = Array.from({ length: 16_383 }, () => ({ ...decision(), accesses: [] }) as Draft)
    const refused = { name: 'Fault', message: expect.stringContaining('exchanges of this process are in flight') }
    for (const more of [decision(), approval(exchangeId())]) {
      await expect(web.append([...many, more])).rejects.toMatchObject(refused)
    }
    await web.append([decision(exchangeId(), 'deny'), outcome(one), decision()])
  })

  it('is taken by the next leader of what the one before was told to the end, and no lie about it', async () => {
    const { at, host, ledger } = await leads()
    const next = hosts.at(await freePort(), { ...at.options, writer: 'next' })
    const second = await next.open()
    const web = await hosts.remote([host.url, next.url], 'web-1')
    const session = await opens(web)
    const other = await hosts.remote([host.url, next.url], 'web-2')
    const of = shown(session)
    const writer = await record(web, of)
    const closed = await writer.close()
    await ledger.close()
    await web.append([settled()])
    const right = attachment(writer.id, of, closed)
    for (const more of [{ bytes: closed.bytes - 1 }, { content: 'A'.repeat(43) }, { disclose: { contentSalt: 'x' } }]) {
      await expect(web.append([{ ...right, ...more } as Draft])).rejects.toMatchObject(denial)
    }
    await expect(other.append([right])).rejects.toMatchObject(denial)
    await web.append([right])
    await expect(web.append([right]), 'twice').rejects.toMatchObject(denial)
    for (const one of [web, other]) await one.close()
    await second.close()
    const found = await verified(at)
    expect(found.findings.map(({ code, what }) => `${code} ${what}`)).toEqual([])
  })

  it('is recorded in so many at a time and no more, however they are asked for at once', async () => {
    const { host } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const attach = () => web.attach({ slot: 'exchange', of: shown(undefined) })
    for (let begun = 0; begun < 1000; begun += 100) await Promise.all(Array.from({ length: 100 }, attach))
    const last = await Promise.allSettled(Array.from({ length: 100 }, attach))
    expect(last.filter(({ status }) => status === 'fulfilled')).toHaveLength(24)
    for (const one of last) if (one.status === 'rejected') expect(one.reason.message).toContain('1024 attachments')
    await web.append([settled()])
  })

  it('is not asked anew under an id that was asked for: what waits for a decision stays what it was', async () => {
    const { host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const asked = approval(exchangeId())
    const little = { resource: 'crm/public.customers', actions: ['update'], seconds: 1, longest: 60 }
    const who = { subject: customer, roles: [], controls: [], disclose: { reason: 'repair one row' } }
    const grant = { kind: 'grant-requested', grant: 'g-00000001', ...little, ...who } as const
    await ledger.append([asked, grant])
    const more = { ...grant, resource: 'crm/**', actions: ['update', 'drop'], seconds: 60 } as const
    for (const again of [more, { ...more, subject: officer }, grant, { ...asked, accesses: [], people: 0 } as Draft]) {
      await expect(web.append([again]), again.kind).rejects.toMatchObject(denial)
    }
    await web.append([{ ...grant, grant: 'g-00000002' }])
    const year = 366 * 86_400
    const until = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString()
    await web.append([{ ...grant, grant: 'g-00000003', seconds: year }])
    for (const long of [
      { ...grant, grant: 'g-00000004', seconds: year + 1 },
      { ...approval(exchangeId()), approval: 'a-00000004', until: until(year + 60) } as Draft,
    ]) {
      await expect(web.append([long]), long.kind).rejects.toThrow('may not ask for more than a year')
    }
  })

  it('is not who somebody is, said anew; the same may be said again', async () => {
    const { host, ledger } = await leads()
    const bob = { kind: 'principal', subject: 'B'.repeat(22), type: 'person' } as const
    await ledger.append([{ ...bob, disclose: { name: 'bob@crm.example' } }])
    const web = await hosts.remote(host.url, 'web-1')
    await expect(web.append([{ ...bob, disclose: { name: 'somebody' } }])).rejects.toMatchObject(denial)
    await expect(web.append([bob])).rejects.toMatchObject(denial)
    const program = { ...bob, type: 'service', disclose: { name: 'bob@crm.example' } } as const
    await expect(web.append([program])).rejects.toMatchObject(denial)
    await web.append([{ ...bob, disclose: { name: 'bob@crm.example' } }])
    await ledger.erase!(erasure())
    const again = { ...bob, subject: customer, disclose: { name: 'anybody@crm.example' } }
    await expect(web.append([again])).rejects.toMatchObject(denial)
  })

  it('gives a pseudonym one name alone, and asks under an id once, however fast it says so', async () => {
    const { host, ledger } = await leads()
    const [web, other] = [await hosts.remote(host.url, 'web-1'), await hosts.remote(host.url, 'web-2')]
    const named = (subject: string, name: string) => ({ ...principal(subject), disclose: { name } }) as Draft
    const [one, two, three] = ['1', '2', '3'].map(digit => digit.repeat(22)) as [string, string, string]
    await expect(web.append([named(one, 'mallory'), named(one, 'boss')])).rejects.toMatchObject(denial)
    const unfit = { ...named(two, 'mallory'), type: 'none' } as never
    const names = ['mallory', 'mallory', 'boss', 'boss']
    const said = await Promise.allSettled([
      web.append([named(two, 'mallory'), unfit]),
      ...names.map((name, i) => (i % 2 === 0 ? web : other).append([named(two, name)])),
      web.append([named(three, 'mallory')]),
      web.append([named(three, 'boss')]),
    ])
    expect(said.map(({ status }) => status)).toContain('fulfilled')
    const principals = (await allEntries(ledger)).filter(({ entry }) => entry.kind === 'principal')
    for (const subject of [one, two, three]) {
      const of = principals.filter(({ entry }) => (entry as { subject?: string }).subject === subject)
      const called = await Promise.all(of.map(async ({ index }) => (await ledger.disclosures(index)).name))
      expect(new Set(called).size).toBe(subject === one ? 0 : 1)
    }
    const asked = approval(exchangeId())
    const again = { ...approval(exchangeId()), approval: (asked as { approval: string }).approval } as Draft
    await expect(web.append([asked, again])).rejects.toMatchObject(denial)
    const both = await Promise.allSettled([web.append([asked]), other.append([again])])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('is of a program whose owner it says, in the same append or right behind it, and of no other owner', async () => {
    const { host } = await leads()
    const [web, other] = [await hosts.remote(host.url, 'web-1'), await hosts.remote(host.url, 'web-2')]
    const robot = (digit: string, owner: string) =>
      ({ ...principal(digit.repeat(22)), type: 'agent', owner }) as Draft & { readonly subject: string }
    const acts = ({ subject }: { readonly subject: string }, owner: string) =>
      by(exchangeId(), { subject, owner } as Partial<Draft>)
    const [one, two] = [robot('1', officer), robot('2', officer)]
    await web.append([one, acts(one, officer)])
    await Promise.all([web.append([two]), web.append([acts(two, officer)])])
    await Promise.all([web.append([{ ...two, owner: counsel } as Draft]), web.append([acts(two, counsel)])])
    await expect(web.append([acts(one, officer), robot('1', counsel), acts(two, customer)])).rejects.toThrow(/program/)
    // What said so was declined.
    for (const each of [web, other]) {
      await expect(each.append([acts(one, counsel)])).rejects.toMatchObject(denial)
    }
  })

  it('is no name for who was erased in an earlier ledger of the series', async () => {
    const at = await erased(await erasableLedger(), erasure())
    for (const number of [1, 2]) await rollOver(at.options, number)
    const host = hosts.at(await freePort(), { ...memberOf(at.options, 3), writer: 'leader' })
    await host.open()
    const web = await hosts.remote(host.url, 'web-1')
    const again = { ...principal(customer), disclose: { name: 'anybody@crm.example' } } as Draft
    await expect(web.append([again])).rejects.toMatchObject({
      ...denial,
      message: expect.stringContaining('was erased'),
    })
    await web.append([principal(officer), principal('somebody new'.padEnd(22, '-').replace(' ', '-'))])
  })

  it('is nothing of sessions of others, and keeps none from being erased; of its own it is, whoever leads by then', async () => {
    const { at, host, ledger } = await leads()
    const next = hosts.at(await freePort(), { ...at.options, writer: 'next' })
    const second = await next.open()
    const [web, other] = [
      await hosts.remote([host.url, next.url], 'web-1'),
      await hosts.remote([host.url, next.url], 'web-2'),
    ]
    const [own, theirs, closed] = [await opens(web), await opens(other), await opens(web)]
    const over = (of: string): Draft => ({ kind: 'session-closed', session: of, reason: 'client' })
    await web.append([over(closed)])
    // More than is read of them at once.
    await ledger.append(Array.from({ length: 5_000 }, () => settled()))
    const said = async () => {
      for (const of of [session, theirs, exchangeId()]) {
        const lies = [by(exchangeId(), { session: of, subject: customer } as Partial<Draft>), over(of)]
        for (const lie of lies) await expect(web.append([lie])).rejects.toThrow('a session that it did not open')
        await expect(record(web, shown(of))).rejects.toMatchObject(denial)
      }
      await (await record(web, shown(own))).close()
      // A word that was on its way when it ended.
      for (const of of [own, closed]) {
        await web.append([by(exchangeId(), { session: of, subject: customer, verdict: 'deny' } as Partial<Draft>)])
      }
      await other.append([by(exchangeId(), { session: theirs, subject: customer } as Partial<Draft>)])
    }
    await said()
    await ledger.erase!(erasure({ scope: 'session', of: session }))
    await ledger.close()
    await said()
    await second.erase!(erasure({ scope: 'session', of: theirs }))
    await web.append([over(own)])
    // What it opened before it started anew is over.
    await web.close()
    const again = await hosts.remote([host.url, next.url], 'web-1')
    await expect(record(again, shown(own))).rejects.toMatchObject(denial)
  })

  it('adds nobody whom it concerns that somebody is erased: neither to a person, nor to a session of others', async () => {
    const { host, ledger } = await leads()
    const web = await hosts.remote(host.url, 'web-1')
    const agent: Draft = { ...principal('agent'.padEnd(22, '-')), type: 'agent', owner: officer } as Draft
    const { subject: robot } = agent as { subject: string }
    const opened = (of: string, more: object) => ({
      ...{ kind: 'session-opened', session: of, protocol: 'postgres', target: 'crm', method: 'key', tls: true },
      ...more,
    })
    const grant = { kind: 'grant-requested', grant: 'g-00000009', resource: 'crm/**', actions: ['x'], seconds: 1 }
    // In every way in which an entry can tell.
    const ways: readonly ((more: object) => Draft)[] = [
      more => by(exchangeId(), { verdict: 'deny', ...more } as Partial<Draft>),
      more => opened(uuidv7(Date.now()), more) as Draft,
      more => ({ ...grant, longest: 1, roles: [], controls: [], ...more }) as Draft,
      more => ({ ...approval(exchangeId()), ...more }) as Draft,
    ]
    const lies = [{ owner: officer }, { principal: counsel }, { owner: officer, principal: counsel }]
    const nobody = 'nobody'.padEnd(22, '-')
    await ledger.append([agent])
    for (const way of ways) {
      for (const lie of lies) {
        for (const subject of [customer, nobody]) {
          await expect(web.append([way({ subject, ...lie })])).rejects.toMatchObject(denial)
        }
      }
      await expect(web.append([way({ subject: robot, principal: customer, owner: counsel })])).rejects.toThrow(
        /program/,
      )
    }
    await expect(web.append([{ ...principal(customer), owner: officer } as Draft])).rejects.toMatchObject(denial)
    const named = { ...principal('new'.padEnd(22, '-')), owner: officer } as Draft
    await expect(web.append([named])).rejects.toMatchObject(denial)
    const newcomer = principal('newcomer'.padEnd(22, '-')) as Draft & { subject: string }
    await expect(web.append([newcomer, ways[0]!({ subject: newcomer.subject, owner: officer })])).rejects.toThrow(
      /person/,
    )
    const recent = uuidv7(Date.now())
    await ledger.append([opened(recent, { subject: officer, slot: `session:${recent}` }) as Draft])
    for (const of of [recent, session]) {
      await expect(web.append([opened(of, { subject: counsel }) as Draft])).rejects.toThrow(/id of another|behind/)
    }
    await ledger.erase!(erasure({ judgedAt: ledger.size }))

    // Real delegation is: by an agent, and in sessions of that host's own, as often as it comes.
    const delegated = { subject: robot, owner: officer, principal: counsel }
    await web.append(ways.map(way => way(delegated)))
    const own = uuidv7(Date.now())
    await web.append([
      opened(own, delegated) as Draft,
      by(exchangeId(), { session: own, ...delegated } as Partial<Draft>),
    ])
    // Whoever comes to be accountable for it is first named so.
    await web.append([{ ...agent, owner: counsel } as Draft])
    await web.append(
      lies
        .slice(1)
        .map(({ principal }) => by(exchangeId(), { subject: robot, owner: counsel, principal } as Partial<Draft>)),
    )
    await expect(ledger.erase!(erasure({ of: robot, judgedAt: 0 }))).rejects.toMatchObject({
      code: 'ERR_ACCESS_DENIED',
    })
  })

  it('is of about now: a clock may be some seconds off, and one that is further is told how far', async () => {
    const { host, ledger } = await leads()
    const at = (ms: number) => ({ now: () => Date.now() + ms })
    for (const [i, seconds] of [45, -45, -240].entries()) {
      const web = await hosts.remote(host.url, `web-${i}`, { clock: at(seconds * 1000) })
      await web.append([decision(uuidv7(Date.now() + seconds * 1000), 'deny')])
    }
    const before = ledger.size
    for (const [i, [ms, text]] of [
      [Date.parse('2107-01-01') - Date.now(), / seconds ahead of /],
      [90_000, / 90 seconds ahead/],
      [-330_000, / 330 seconds behind/],
    ].entries() as Iterable<[number, [number, RegExp]]>) {
      const web = await hosts.remote(host.url, `off-${i}`, { clock: at(ms) })
      const refused = web.append([settled()])
      await expect(refused).rejects.toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
      await expect(refused).rejects.toThrow(text)
      // The operator there is told too, once for as long as it is off.
      await expect(web.append([settled()])).rejects.toThrow(text)
      const told = host.events.filter(({ facts }) => facts.writer === `off-${i}`)
      expect(told).toMatchObject([
        {
          what: expect.stringContaining('is refused'),
          facts: { why: expect.stringMatching(text) },
        },
      ])
    }
    const web = await hosts.remote(host.url, 'web-9')
    const future = uuidv7(Date.now() + 90_000)
    await expect(web.append([decision(future, 'deny')])).rejects.toThrow(/seconds ahead/)
    // What began long ago may end now.
    await web.append([decision(uuidv7(Date.now() - 86_400_000), 'deny')])
    expect(kindsOf(await allEntries(ledger, before)).filter(kind => kind === 'decision')).toHaveLength(1)
  })

  it('stands under ids of its own, each given once: not under those of others either, whoever leads by then', async () => {
    const { at, host, ledger } = await leads()
    const next = hosts.at(await freePort(), { ...at.options, writer: 'next' })
    const second = await next.open()
    const [others] = await ledger.append([settled()])
    const taken = others!.entry.id
    const [one, two] = [uuidv7(Date.now()), uuidv7(Date.now())]
    const web = await knocks(host, 'web-1')
    expect(await web.append([one, one])).toContain('may not give an entry or a session the id of another')
    expect(await web.append([taken])).toContain('may not give an entry or a session the id of another')
    expect(await web.append([one])).toContain(one)
    expect(await web.append([one])).toContain('may not give an entry or a session the id of another')
    // What was refused is not given yet.
    expect(await web.append([two, one])).toContain('may not give an entry or a session the id of another')
    expect(await web.append([two])).toContain(two)
    await ledger.close()
    await expect.poll(() => next.events.map(({ what }) => what)).toContain(listens)
    const again = await knocks(next, 'web-2')
    for (const id of [taken, one, two]) {
      expect(await again.append([id])).toContain('may not give an entry or a session the id of another')
    }
    const ids = (await allEntries(second)).map(({ entry }) => entry.id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

const listens = 'the ledger listens for writers of other hosts'

/** A process of another host that sends what it likes. `append` resolves with what it is told next. */
async function knocks(host: Host, writer: string) {
  const { key, cert, ca } = hosts.writer(writer)
  const socket = connect({ host: '127.0.0.1', port: host.port, key, cert, ca })
  onTestFinished(() => void socket.destroy())
  const told = async (about: RegExp, message: Buffer) => {
    let text = ''
    const take = (bytes: Buffer) => {
      text += bytes.toString('latin1')
    }
    socket.on('data', take).write(message)
    await expect.poll(() => text, { timeout: 20_000 }).toMatch(about)
    socket.off('data', take)
    return text
  }
  const hello = { version: protocolVersion, origin, writer, software: 'x', placement: 'gateway', heartbeatMs: 60_000 }
  await told(/"kind":"started".*/s, encodeJson('hello', hello))
  const append = (ids: readonly string[], drafts: readonly Draft[] = ids.map(() => settled())) =>
    told(/"message":"|"kind":"settled"/, encodeJson('append', { ids, drafts }))
  return { append }
}
