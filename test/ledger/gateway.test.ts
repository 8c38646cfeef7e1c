/**
 * Appending from other hosts: real TLS on loopback, certificates of openssl; who is let in, who is not, and what
 * becomes of it when a leader dies.
 */
import { once } from 'node:events'
import { connect as connectPlain, createServer, type Socket } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Stored } from '../../lib/ledger/ledger.ts'
import { type MutualTls, urisOf, writerUri } from '../../lib/ledger/shared/certificate.ts'
import { encodeJson } from '../../lib/ledger/shared/frames.ts'
import { protocolVersion } from '../../lib/ledger/shared/messages.ts'
import { openRemoteLedger } from '../../lib/ledger/shared/remote.ts'
import { guard } from '../../lib/open.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { allEntries, exchangeId, kindsOf, ledgerOptions, origin, settled } from '../support/directory-ledger.ts'
import { erasure } from '../support/erasable-ledger.ts'
import { dba, fixture, grantControl, requester, rules } from '../support/guard.ts'
import { freePort, Hosts, wire } from '../support/hosts.ts'
import { without } from '../support/interop.ts'

let hosts: Hosts

describe.skipIf(without('openssl'))('a ledger that is appended to from other hosts (with openssl)', () => {
  beforeAll(() => {
    hosts = new Hosts()
  })

  it('takes appends, tells of entries, and gives back what a guard needs', async () => {
    const host = await hosts.leads()
    const web = await hosts.remote(host.url, 'web-1')
    const told: Stored[] = []
    web.follow(stored => told.push(stored))
    const [stored] = await web.append([settled()], { level: 'signed' })
    await host.ledger.append([settled()])
    await vi.waitFor(() => expect(told.map(({ entry }) => entry.writer)).toEqual(['web-1', 'leader']), {
      timeout: 20_000,
    })
    expect(await allEntries(web)).toEqual(await allEntries(host.ledger))
    expect((await web.publish()).size).toBeGreaterThan(stored!.index)
    expect((await web.seal()).size).toBe(host.ledger.size)
    await web.close()
    expect(kindsOf(await allEntries(host.ledger)).at(-1)).toBe('stopped')
  })

  it('is sealed for another host once in a while, however often that asks, and published each time', async () => {
    const seals: number[] = []
    const options = ledgerOptions({ writer: 'leader', onSeal: ({ size }) => void seals.push(size) })
    const host = hosts.at(await freePort(), options)
    const ledger = await host.open()
    const web = await hosts.remote(host.url, 'web-1')
    const other = await hosts.remote(host.url, 'web-2')
    for (let i = 0; i < 4; i += 1) {
      for (const one of [web, other]) {
        const [stored] = await one.append([settled()])
        expect((await one.seal()).size).toBe(stored!.index + 1)
      }
    }
    expect(seals.length).toBe(1)
    await ledger.seal()
    expect(seals.at(-1)).toBe(ledger.size)
  })

  it('opens names and what waits for a decision for another host, and nothing else', async () => {
    const { ledger, url } = await hosts.leads()
    const [approval, late] = [approvalRequested(60_000), approvalRequested(-3_600_000)]
    const subject = 'A'.repeat(22)
    const stored = await ledger.append([
      { kind: 'principal', subject, type: 'person', disclose: { name: 'user@crm.example', issuer: 'local' } },
      { ...approval, disclose: { action: 'DROP', actionSalt: 'salt' } },
      { ...late, disclose: { action: 'DROP', actionSalt: 'salt' } },
      { ...settled(), disclose: { statement: 'SELECT' } },
    ])
    const web = await hosts.remote(url, 'web-1')
    const [one, two, ...others] = stored.map(({ index }) => index)
    expect(await web.disclosures(one!)).toEqual({ name: 'user@crm.example' })
    expect(await web.disclosures(two!)).toEqual({ action: 'DROP', actionSalt: 'salt' })
    for (const index of others) {
      await expect(web.disclosures(index)).rejects.toMatchObject({ name: 'Refusal', code: 'ERR_ACCESS_DENIED' })
    }
    const [own] = await web.append([{ ...settled(), disclose: { statement: 'SELECT' } }])
    await expect(web.disclosures(own!.index)).rejects.toMatchObject({ code: 'ERR_ACCESS_DENIED' })
  })

  it('carries a guard there: who is known to one is the same person to the other', async () => {
    const { ledger, url } = await hosts.leads()
    const policy = await casbinPolicy({ rules, controls: [grantControl] })
    const here = await fixture([grantControl], { ledger })
    const there = await guard({
      ...{ name: origin, policy, identify: async () => requester },
      ledger: { gateway: url, writer: 'web-1', tls: hosts.writer('web-1') },
    })
    onTestFinished(() => there.close())
    const actors = await here.guard.principals.actors(requester)
    await vi.waitFor(async () => expect(await there.principals.pseudonymOf(requester.id)).toBe(actors.subject), {
      timeout: 20_000,
    })
    const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 60, reason: 'repair' }
    const id = await here.guard.desk.request(requester, request)
    await vi.waitFor(async () => expect(await there.desk.pending(dba)).toMatchObject([{ id, reason: 'repair' }]), {
      timeout: 20_000,
    })
    await there.desk.approve(dba, id)
    expect(kindsOf(await allEntries(ledger))).toContain('grant-decided')
  })

  // biome-ignore format: a table
  const unsayable: readonly (readonly [string, string, Record<string, unknown>])[] = [
    ['that it recovered',         'ERR_ENTRY_MALFORMED', { kind: 'recovered', epoch: 9, torn: 0 }],
    ['that somebody was erased',  'ERR_ENTRY_MALFORMED', { kind: 'erasure', scope: 'session', of: 'x', ground: 'x', by: 'A'.repeat(22), approvers: [], slots: [1] }],
    ['that a hold was placed',    'ERR_ACCESS_DENIED',   { kind: 'hold-placed', hold: 'h-12345678', scope: 'ledger', by: 'A'.repeat(22) }],
    ['that a hold was released',  'ERR_ACCESS_DENIED',   { kind: 'hold-released', hold: 'h-12345678', by: 'A'.repeat(22) }],
    ['that a witness cosigned',   'ERR_ACCESS_DENIED',   { kind: 'anchored' }],
    ['that a key was rotated',    'ERR_ACCESS_DENIED',   { kind: 'key-rotated' }],
    ['that a key was revoked',    'ERR_ACCESS_DENIED',   { kind: 'key-revoked' }],
    ['that keys were rewrapped',  'ERR_ACCESS_DENIED',   { kind: 'vault-rewrapped', from: 'x', to: 'y', slots: 0, erased: 0 }],
    ['a kind that is none',       'ERR_ACCESS_DENIED',   { kind: 'made-up' }],
  ]
  it('does not let another host say what only who has the directory can say', async () => {
    const host = await hosts.leads()
    const web = await hosts.remote(host.url, 'web-1')
    const before = host.ledger.size
    for (const [what, code, draft] of unsayable) {
      await expect(web.append([draft as never]), what).rejects.toMatchObject({ code })
    }
    expect(host.ledger.size).toBe(before)
    await web.append([settled()])
  })

  // biome-ignore format: a table
  const unfit: readonly (readonly [string, RegExp, () => MutualTls])[] = [
    ['another writer',                 /not for the writer web-1/,  () => hosts.writer('web-2')],
    ['that writer of another ledger',  /not for the writer web-1/,  () => hosts.writer('web-1', { names: [`URI.1=${writerUri('another.example', 'web-1')}`] })],
    ['a host of that name',            /not for the writer web-1/,  () => hosts.writer('web-1', { names: ['DNS.1=web-1'] })],
    ['a name that only looks like it', /not for the writer web-1/,  () => hosts.writer('web-1', { names: [`DNS.1="web-1, URI:${writerUri(origin, 'web-1')}"`] })],
    ['servers only',                   /not for this side/,         () => hosts.writer('web-1', { use: 'serverAuth' })],
    ['a time that is over',            /has expired/,               () => hosts.writer('web-1', { until: -3_600_000 })],
    ['a time that is yet to come',     /not valid yet/,             () => hosts.writer('web-1', { from: 3_600_000 })],
    ['nobody here, by its authority',  /authority/,                 () => hosts.writer('web-1', {}, hosts.foreign)],
  ]
  it('refuses a certificate that does not do, and says so at both ends', async () => {
    const host = await hosts.leads()
    const before = host.ledger.size
    for (const [what, why, tls] of unfit) {
      const refused = openRemoteLedger(hosts.optionsOf(host.url, 'web-1', { tls: tls() }))
      await expect(refused, what).rejects.toMatchObject({
        ...{ name: 'Refusal', code: 'ERR_UNIDENTIFIED', message: expect.stringMatching(why) },
      })
      expect(host.refusals().at(-1), what).toMatch(why)
    }
    expect(host.refusals()).toHaveLength(unfit.length)
    expect(host.ledger.size).toBe(before)
  })

  it('refuses who shows no certificate, speaks TLS 1.2, or no TLS at all, and reads nothing of theirs', async () => {
    const host = await hosts.leads()
    const before = host.ledger.size
    const { key, cert, ca } = hosts.writer('web-1')
    const bare = connect({ host: '127.0.0.1', port: host.port, ca })
    bare.write(encodeJson('hello', hello))
    expect(await everything(bare)).toContain('it shows no certificate')
    const old = connect({ host: '127.0.0.1', port: host.port, key, cert, ca, maxVersion: 'TLSv1.2' })
    const [error] = await once(old, 'error')
    expect(error.code).toMatch(/ERR_SSL|EPROTO|ECONNRESET/)
    const plain = connectPlain(host.port, '127.0.0.1')
    plain.write(encodeJson('hello', hello))
    await everything(plain)
    await vi.waitFor(() => expect(host.refusals()).toHaveLength(3), { timeout: 20_000 })
    expect(host.refusals()).toEqual([
      'it shows no certificate',
      expect.stringContaining('ERR_SSL_UNSUPPORTED_PROTOCOL'),
      expect.stringContaining('ERR_SSL_'),
    ])
    expect(host.ledger.size).toBe(before)
  })

  it('lets nobody there erase: neither an entry nor a question of theirs does', async () => {
    const host = await hosts.leads()
    expect((await hosts.remote(host.url, 'web-1')).erase).toBeUndefined()
    const { key, cert, ca } = hosts.writer('web-2')
    const socket = connect({ host: '127.0.0.1', port: host.port, key, cert, ca })
    onTestFinished(() => void socket.destroy())
    const hello = { version: protocolVersion, origin, writer: 'web-2', software: 'x', placement: 'gateway' as const }
    socket.write(encodeJson('hello', { ...hello, heartbeatMs: 60_000 }))
    let answered = ''
    socket.on('data', bytes => {
      answered += bytes.toString('latin1')
    })
    await vi.waitFor(() => expect(answered).toContain('started'), { timeout: 20_000 })
    const { basis, judgedAt: _, ...rest } = erasure()
    const asked = { what: 'erase', number: 7, ...rest, basis: Buffer.from(basis).toString('base64url') }
    socket.write(encodeJson('ask', asked))
    await vi.waitFor(() => expect(answered).toContain('may not ask for erase'), { timeout: 20_000 })
    expect(answered).toContain('ERR_ACCESS_DENIED')
    expect(kindsOf(await allEntries(host.ledger))).not.toContain('erasure')
  })

  it('gives nobody a session to resume, so that every connection shows its certificate', async () => {
    const host = await hosts.leads()
    const { key, cert, ca } = hosts.writer('web-1')
    const socket = connect({ host: '127.0.0.1', port: host.port, key, cert, ca })
    let sessions = 0
    socket.on('session', () => {
      sessions += 1
    })
    await once(socket, 'secureConnect')
    socket.write(encodeJson('ask', { what: 'alive', number: 1 }))
    await everything(socket)
    expect(sessions).toBe(0)
  })

  it('refuses more connections with one certificate than a process has use for', async () => {
    const host = await hosts.leads()
    const { key, cert, ca } = hosts.writer('web-1')
    const open = () => connect({ host: '127.0.0.1', port: host.port, key, cert, ca })
    const sockets: TLSSocket[] = []
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (let i = 0; i < 8; i += 1) {
      const socket = open().on('error', () => undefined)
      sockets.push(socket)
      await once(socket, 'secureConnect')
    }
    expect(await everything(open())).toContain('there are 8 connections')
  })

  it('counts whoever does not end their handshake, tells of them, and lets others in once they are gone', async () => {
    const host = await hosts.leads()
    const knock = async () => {
      const socket = connectPlain(host.port, '127.0.0.1').on('error', () => undefined)
      onTestFinished(() => void socket.destroy())
      await once(socket, 'connect')
      // The head of a ClientHello, and no more.
      socket.write(Buffer.from([22, 3, 1, 2, 0]))
      return { socket, over: everything(socket) }
    }
    const half: Awaited<ReturnType<typeof knock>>[] = []
    for (let i = 0; i < 128; i += 1) half.push(await knock())
    await (await knock()).over
    expect(host.refusals()).toEqual(['there are 128 already'])
    for (const { socket } of half.slice(0, 64)) socket.destroy()
    await vi.waitFor(() => expect(host.refusals()).toContainEqual(expect.stringContaining('ECONNRESET')), {
      timeout: 20_000,
    })
    const web = await hosts.remote(host.url, 'web-1')
    await web.append([settled()])
    // Who says nothing more is cut off in time.
    await Promise.all(half.map(({ over }) => over))
    expect(host.events.length).toBeLessThan(30)
    await web.append([settled()])
  })

  it('refuses an own leader that is another host, of another authority, or no leader at all', async () => {
    const elsewhere = hosts.server
    hosts.server = hosts.ours.issue({ names: ['DNS.1=elsewhere.example'], use: 'serverAuth' })
    const named = await hosts.leads()
    hosts.server = hosts.foreign.issue({ names: ['IP.1=127.0.0.1'], use: 'serverAuth' })
    const strange = await hosts.leads()
    hosts.server = elsewhere
    const talk = createServer(socket => socket.end('220 not a ledger\r\n')).listen(0, '127.0.0.1')
    onTestFinished(() => void talk.close())
    await once(talk, 'listening')
    const url = `tls://127.0.0.1:${(talk.address() as { port: number }).port}`
    for (const [gateway, why] of [
      [named.url, /is for another host/],
      [strange.url, /authority that is not trusted/],
      [url, /does not speak TLS 1.3/],
    ] as const) {
      const refused = openRemoteLedger(hosts.optionsOf(gateway, 'web-1'))
      await expect(refused).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED', message: expect.stringMatching(why) })
    }
  })

  it('is looked for no longer than said, at every address', async () => {
    const urls = [`tls://127.0.0.1:${await freePort()}`, `tls://localhost:${await freePort()}`]
    await expect(openRemoteLedger(hosts.optionsOf(urls, 'web-1', { takeoverMs: 200 }))).rejects.toMatchObject({
      ...{ code: 'ERR_LEDGER_UNAVAILABLE', message: expect.stringContaining(urls.join(', ')) },
    })
  })

  it('is listened for by who leads alone, and found again at another address without loss or repeat', async () => {
    const options = ledgerOptions()
    const [one, two] = [
      hosts.at(await freePort(), { ...options, writer: 'one' }),
      hosts.at(await freePort(), { ...options, writer: 'two' }),
    ]
    const first = await one.open()
    const second = await two.open()
    await expect(once(connectPlain(two.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    const web = await hosts.remote([one.url, two.url], 'web-1')
    const stored = [await web.append([settled()])]
    const inFlight = Array.from({ length: 20 }, () => web.append([settled()]))
    await first.close()
    stored.push(...(await Promise.all(inFlight)), await web.append([settled()]))
    const entries = await allEntries(second)
    for (const [each] of stored) expect(entries[each!.index]).toEqual(each)
    const own = entries.filter(({ entry }) => entry.writer === 'web-1')
    expect(own.map(({ entry }) => entry.seq)).toEqual(own.map((_, i) => i + 1))
    expect(own).toHaveLength(1 + stored.length)
    await expect(once(connectPlain(one.port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('listens as soon as its address is free', async () => {
    const port = await freePort()
    const squatter = createServer().listen(port, '127.0.0.1')
    await once(squatter, 'listening')
    const host = hosts.at(port, { ...ledgerOptions(), writer: 'leader' })
    await host.open()
    await vi.waitFor(() => expect(host.events.map(({ facts }) => String(facts.why)).join()).toContain('EADDRINUSE'), {
      timeout: 20_000,
    })
    squatter.close()
    const web = await hosts.remote(host.url, 'web-1')
    await web.append([settled()])
  })

  it('shows its renewed certificate, and goes on with the one of before where the new one is none', async () => {
    let now = hosts.server
    const host = await hosts.leads({ tls: () => now, renewMs: 20 })
    const shown = async () => {
      const socket = connect({ host: '127.0.0.1', port: host.port, ca: hosts.ours.ca }).on('error', () => undefined)
      await once(socket, 'secureConnect')
      const { fingerprint256 } = socket.getPeerX509Certificate()!
      socket.destroy()
      return fingerprint256
    }
    const before = await shown()
    now = { ...hosts.server, cert: 'no certificate' }
    await vi.waitFor(() => expect(host.events.map(({ what }) => what).join()).toContain('cannot be used'), {
      timeout: 20_000,
    })
    expect(await shown()).toBe(before)
    now = hosts.ours.issue({ names: ['IP.1=127.0.0.1'], use: 'serverAuth' })
    await vi.waitFor(async () => expect(await shown()).not.toBe(before), { timeout: 20_000 })
  })

  it('closes what was let in by an authority that is trusted no more, and nothing where one is added', async () => {
    let now = hosts.server
    const host = await hosts.leads({ tls: () => now, renewMs: 20 })
    const renewed = (times: number) =>
      vi.waitFor(() => expect(host.events.filter(({ what }) => what.includes('was renewed')).length).toBe(times), {
        timeout: 20_000,
      })
    const [kept, lost] = [hosts.writer('web-1'), hosts.writer('web-2')]
    const stays = await hosts.remote(host.url, 'web-1', { tls: kept, takeoverMs: 100 })
    const hello = { version: protocolVersion, origin, writer: 'web-2', software: 'x', placement: 'gateway' as const }
    const socket = connect({ host: '127.0.0.1', port: host.port, ...lost }).on('error', () => undefined)
    socket.write(encodeJson('hello', { ...hello, heartbeatMs: 60_000 }))
    await once(socket, 'data')
    const ended = once(socket, 'close')
    now = { ...now, ca: `${hosts.ours.ca}\n${hosts.foreign.ca}` }
    await renewed(1)
    await stays.append([settled()])
    expect(socket.destroyed).toBe(false)
    now = { ...now, ca: hosts.foreign.ca }
    await ended
    await vi.waitFor(() => expect(host.refusals().join()).toContain('authority'), { timeout: 20_000 })
    await expect(stays.append([settled()])).rejects.toThrow()
  })

  it('closes a connection when its certificate expires, and takes it again once that is renewed', async () => {
    const host = await hosts.leads()
    let now = hosts.writer('web-1', { until: 2_000 })
    const web = await hosts.remote(host.url, 'web-1', { tls: () => now })
    await web.append([settled()])
    await vi.waitFor(() => expect(host.refusals().join()).toContain('has expired'), { timeout: 20_000 })
    now = hosts.writer('web-1')
    await web.append([settled()])
  })

  it('appends once what was on its way when a connection broke, however often it breaks', async () => {
    const host = await hosts.leads()
    const line = await wire(host.port)
    const web = await hosts.remote(line.url, 'web-1')
    const long = { message: 'x'.repeat(500_000) }
    for (let round = 0; round < 10; round += 1) {
      const appends = Array.from({ length: 8 }, () => web.append([{ ...settled(), disclose: long }]))
      if (round % 2 === 0) await appends[0]
      line.drop()
      await Promise.all(appends)
    }
    const ids = (await allEntries(host.ledger)).map(({ entry }) => entry.id)
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([])
    expect(ids.length).toBeGreaterThan(80)
  })

  it('gives up a leader that has gone silent, and goes on at the next', async () => {
    const options = ledgerOptions()
    const one = hosts.at(await freePort(), { ...options, writer: 'one' })
    const first = await one.open()
    const line = await wire(one.port)
    const web = await hosts.remote([line.url, one.url], 'web-1', { silenceMs: 300 })
    await web.append([settled()])
    line.cut()
    const [stored] = await web.append([settled()])
    expect((await allEntries(first))[stored!.index]).toEqual(stored)
  })

  it('gives up a writer that has gone silent, though its connection stands', async () => {
    const host = await hosts.leads({ silenceMs: 300 }, { graceMs: 500 })
    const { key, cert, ca } = hosts.writer('web-1')
    const socket = connect({ host: '127.0.0.1', port: host.port, key, cert, ca })
    const over = everything(socket)
    socket.write(encodeJson('hello', hello))
    await vi.waitFor(
      async () =>
        expect((await allEntries(host.ledger)).filter(({ entry }) => entry.writer === 'web-1').at(-1)?.entry.kind).toBe(
          'recovered',
        ),
      { timeout: 20_000 },
    )
    await over
  })
})

describe('the name on a certificate', () => {
  it('is one URI, whatever characters its parts are of', () => {
    expect(writerUri('a:b', 'c')).not.toBe(writerUri('a', 'b:c'))
    expect(writerUri('crm.example/counterfoil', 'web-1')).toBe('counterfoil:crm.example%2Fcounterfoil:web-1')
  })

  it('is read as a whole, or not at all', () => {
    expect(urisOf('DNS:a, URI:counterfoil:x:y, IP Address:::1')).toEqual(['counterfoil:x:y'])
    expect(urisOf('URI:"counterfoil:x\\u002cy"')).toEqual(['counterfoil:x,y'])
    expect(urisOf('DNS:"a, URI:counterfoil:x:y"')).toEqual([])
    for (const odd of ['DNS:a", URI:counterfoil:x:y', 'URI:counterfoil:x:y,URI:z', '', 'DNS:"a'])
      expect(urisOf(odd), odd).toEqual([])
  })
})

const hello = {
  ...{ version: protocolVersion, origin, writer: 'web-1', software: 'x' },
  ...{ placement: 'embedded', heartbeatMs: 60_000 },
}

const approvalRequested = (ms: number) => ({
  ...{ kind: 'approval-requested' as const, approval: `a-${String(Math.abs(ms)).padStart(12, '0')}` },
  ...{ exchange: exchangeId(), subject: 'A'.repeat(22), action: 'A'.repeat(43), accesses: [], controls: [] },
  ...{ people: 1, roles: [], until: new Date(Date.now() + ms).toISOString() },
})

/** All that is received until the other side ends. */
async function everything(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', bytes => {
    text += bytes.toString()
  })
  socket.on('error', () => undefined)
  await once(socket, 'close')
  return text
}
