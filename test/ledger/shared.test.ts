/** What a leader lets in and what it does not, what becomes of who leaves, and that a hostile connection harms nobody. */
import { type EventEmitter, once } from 'node:events'
import { mkdirSync, renameSync, rmdirSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { DirectoryLedger } from '../../lib/ledger/directory-ledger.ts'
import type { Ledger, Stored } from '../../lib/ledger/ledger.ts'
import {
  encodeJson,
  encodeMessage,
  longestMessage,
  type Message,
  MessageReader,
} from '../../lib/ledger/shared/frames.ts'
import { Leader } from '../../lib/ledger/shared/leader.ts'
import { dial, serverOf } from '../../lib/ledger/shared/local.ts'
import { decodeEntries, encodeEntries, protocolVersion } from '../../lib/ledger/shared/messages.ts'
import { openSharedLedger, type SharedOptions } from '../../lib/ledger/shared/open.ts'
import { asLeader, lineKey, throughLeader } from '../../lib/ledger/shared/reach.ts'
import { SharedLedger } from '../../lib/ledger/shared/shared-ledger.ts'
import {
  allEntries,
  crashImage,
  decision,
  exchangeId,
  kindsOf,
  ledgerOptions,
  outcome,
  settled,
  temporaryDirectory,
} from '../support/directory-ledger.ts'
import { counsel, customer, erasure, officer, principal } from '../support/erasable-ledger.ts'

async function shared(options: SharedOptions): Promise<Ledger> {
  const ledger = await openSharedLedger(options)
  onTestFinished(() => ledger.close().catch(() => undefined))
  return ledger
}

const nobody = (): never => {
  throw new Error('who listens there does not have the key')
}

async function raw(options: SharedOptions): Promise<Duplex> {
  const socket = await dial(join(options.directory, 'leader', 'socket'), lineKey(options), nobody)
  onTestFinished(() => void socket?.destroy())
  socket?.on('error', () => undefined)
  return socket!
}

const hello = (options: SharedOptions, writer: string) => ({
  ...{
    version: protocolVersion,
    origin: options.origin,
    writer,
    software: 'x',
    placement: 'embedded',
    heartbeatMs: 60_000,
  },
})

/**
 * In the leader's place, between it and who comes first: that one is let in, told of nothing, and cut off. Who comes later is passed on.
 */
async function cutAfterWelcome(options: SharedOptions): Promise<void> {
  const [address, real] = ['socket', 'real'].map(name => join(options.directory, 'leader', name))
  renameSync(address!, real!)
  let first = true
  const between = serverOf(lineKey(options)).on('secureConnection', async here => {
    const cut = first
    first = false
    const there = (await dial(real!, lineKey(options), nobody))!
    for (const socket of [here, there]) socket.on('error', () => undefined)
    here.pipe(there)
    if (!cut) return void there.pipe(here)
    const reader = new MessageReader(longestMessage)
    there.on('data', (bytes: Buffer) => {
      for (const { type, body } of reader.read(bytes)) {
        if (type !== 'welcome') continue
        here.end(encodeMessage(type, body))
        there.destroy()
      }
    })
  })
  onTestFinished(() => void between.close())
  between.listen(address!)
  await once(between, 'listening')
}

function signal<T>(): { readonly given: Promise<T>; readonly give: (value: T) => void } {
  let give!: (value: T) => void
  const given = new Promise<T>(resolve => {
    give = resolve
  })
  return { given, give }
}

async function stateOf(ledger: Ledger): Promise<Stored[]> {
  const found: Stored[] = []
  for await (const stored of ledger.state()) found.push(stored)
  return found
}

/** In the leader's place, between it and who comes from now on: what the leader says is passed on as `pass` has it, once it has that. */
async function between(
  options: SharedOptions,
  pass: (message: Message) => Buffer | Promise<Buffer>,
  heard: (message: Message) => void = () => undefined,
): Promise<void> {
  const [address, real] = ['socket', 'real'].map(name => join(options.directory, 'leader', name))
  renameSync(address!, real!)
  const line = serverOf(lineKey(options)).on('secureConnection', async here => {
    const there = (await dial(real!, lineKey(options), nobody))!
    for (const socket of [here, there]) socket.on('error', () => undefined)
    const [asked, said] = [new MessageReader(longestMessage), new MessageReader(longestMessage)]
    here.on('data', (bytes: Buffer) => {
      for (const message of asked.read(bytes)) heard(message)
      there.write(bytes)
    })
    here.on('close', () => there.destroy())
    let last: Promise<unknown> = Promise.resolve()
    there.on('data', (bytes: Buffer) => {
      for (const message of said.read(bytes)) {
        const passed = pass(message)
        if (Buffer.isBuffer(passed)) here.write(passed)
        else last = last.then(async () => here.write(await passed))
      }
    })
  })
  onTestFinished(() => void line.close())
  line.listen(address!)
  await once(line, 'listening')
}

describe('a shared ledger', () => {
  it('lets in again who was let in, and lost its leader before it was told of anything', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    await one.append([settled()])
    await cutAfterWelcome(options)
    const two = await shared({ ...options, writer: 'two' })
    const [stored] = await two.append([settled()])
    expect((await allEntries(one)).slice(-2).map(({ entry }) => [entry.writer, entry.kind])).toEqual([
      ['two', 'started'],
      ['two', 'settled'],
    ])
    expect((await allEntries(two)).at(-1)).toEqual(stored)
  })

  it('tells every process of the entries of all, each under its own name and counter', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const told: Stored[] = []
    one.follow(stored => told.push(stored))
    await Promise.all([one.append([settled()]), two.append([settled(), settled()]), one.append([settled()])])
    expect(told.map(({ entry }) => entry.writer).toSorted()).toEqual(['one', 'one', 'two', 'two'])
    for (const writer of ['one', 'two']) {
      const own = (await allEntries(two)).filter(({ entry }) => entry.writer === writer)
      expect(own.map(({ entry }) => entry.seq)).toEqual(own.map((_, i) => i + 1))
    }
  })

  it('lets a process open what another one disclosed, and read what it recorded', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const [stored] = await two.append([{ ...settled(), disclose: { name: 'Customer 0001' } }])
    expect(await one.disclosures(stored!.index)).toEqual({ name: 'Customer 0001' })
    expect(await two.disclosures(stored!.index)).toEqual({ name: 'Customer 0001' })
  })

  it('erases for any of its processes, and tells each before that one goes on', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const [named] = await two.append([principal(customer)])
    const [erased] = await two.erase!(erasure({ basis: 'asked in writing, \u00e9', judgedAt: two.size }))
    expect(erased!.entry).toMatchObject({ kind: 'erasure', of: customer, by: officer, approvers: [counsel] })
    expect(two.size).toBeGreaterThan(erased!.index)
    expect(await two.disclosures(erased!.index)).toEqual({ basis: 'asked in writing, \u00e9' })
    for (const each of [one, two]) expect(await each.disclosures(named!.index)).toEqual({})
    await expect(two.erase!(erasure())).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
  })

  it('erases nothing on which another process has placed a hold since it was judged', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const [named] = await two.append([principal(customer)])
    const judgedAt = two.size
    const hold = { kind: 'hold-placed', hold: 'h-12345678', scope: 'principal', of: customer, by: counsel } as const
    const placed = one.append([hold])
    await expect(two.erase!(erasure({ judgedAt }))).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    await placed
    await expect(two.erase!(erasure({ judgedAt }))).rejects.toMatchObject({ code: 'ERR_OBLIGATION_UNMET' })
    expect(await one.disclosures(named!.index)).toEqual({ name: 'customer@crm.example' })
    expect(kindsOf(await allEntries(one))).not.toContain('erasure')
    await two.erase!(erasure({ judgedAt: two.size }))
  })

  it('leaves nobody waiting for what it will not be told of any more, once it is closed', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const stopped = signal<void>()
    let [pages, hasStopped] = [0, false]
    await between(options, ({ type, body }) => {
      if (type === 'piece') pages += 1
      const told = type === 'entries' ? decodeEntries(body) : []
      if (hasStopped && told.length > 0) return Buffer.alloc(0)
      const last = told.findIndex(({ entry }) => entry.writer === 'two' && entry.kind === 'stopped')
      if (last < 0) return encodeMessage(type, body)
      hasStopped = true
      return stopped.given.then(() => encodeMessage(type, ...encodeEntries(told.slice(0, last + 1))))
    })
    const two = await shared({ ...options, writer: 'two' })
    const closed = two.close()
    await vi.waitFor(async () => expect(kindsOf(await allEntries(one))).toContain('stopped'), { timeout: 20_000 })
    await one.append([principal(customer)])
    const known = stateOf(two).catch((error: unknown) => error)
    await vi.waitFor(() => expect(pages).toBe(2), { timeout: 20_000 })
    stopped.give()
    await closed
    expect(await known).toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
  })

  it('leaves no append unanswered where its last word is declined', async () => {
    const options = ledgerOptions()
    await shared({ ...options, writer: 'one' })
    const last = signal<string>()
    await between(
      options,
      ({ type, body }) => {
        const told = type === 'entries' ? decodeEntries(body) : []
        if (!told.some(({ entry }) => entry.kind === 'settled')) return encodeMessage(type, body)
        const declined = { family: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE', message: 'declined' }
        return last.given.then(id => encodeJson('declined', { id, ...declined }))
      },
      ({ type, body }) => {
        const drafts = type === 'append' ? JSON.parse(body.toString()) : undefined
        if (drafts?.drafts[0].kind === 'stopped') last.give(drafts.ids[0])
      },
    )
    const two = await shared({ ...options, writer: 'two' })
    const appended = two.append([settled()]).catch((error: unknown) => error)
    await expect(two.close()).rejects.toThrow('declined')
    expect(await appended).toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
  })

  it('lets go of a leader that told it nothing in time, so that it can be opened again', async () => {
    const options = { ...ledgerOptions(), graceMs: 100 }
    await shared({ ...options, writer: 'one' })
    let isSilent = true
    await between(options, ({ type, body }) =>
      isSilent && type === 'entries' ? Buffer.alloc(0) : encodeMessage(type, body),
    )
    await expect(openSharedLedger({ ...options, writer: 'two', takeoverMs: 200 })).rejects.toMatchObject({
      ...{ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' },
    })
    isSilent = false
    const two = await vi.waitFor(() => shared({ ...options, writer: 'two' }), { timeout: 20_000 })
    await two.append([settled()])
  })

  it('has put away what it came to lead too late, before it says that it is not open', async () => {
    const options = { ...ledgerOptions(), writer: 'two' }
    const one = await shared({ ...options, writer: 'one' })
    const { origin, software, placement } = options
    const takeoverMs = 300
    const onEvent = () => undefined
    let [attempts, led] = [0, false]
    const opening = SharedLedger.open({
      ...{ self: { origin, writer: 'two', software, placement, heartbeatMs: 60_000 } },
      ...{ takeoverMs, onEvent, mayErase: true },
      reach: async (self, events, onNext) => {
        attempts += 1
        if (attempts === 1) {
          const socket = await raw(options)
          const reached = await throughLeader(async () => socket, self, events, onNext)
          setImmediate(() => socket.destroy())
          // Not all there is will be told by that leader.
          return { ...reached!, size: reached!.size + 100 }
        }
        // Begun later than what the opening waits by, and longer: it ends later.
        await one.close()
        await setTimeout(2 * takeoverMs)
        const reached = await asLeader({ options, self, graceMs: 100, onEvent, events, onNext })
        led ||= reached !== undefined
        return reached
      },
    })
    await expect(opening).rejects.toMatchObject({ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' })
    expect(led).toBe(true)
    await (await openDirectoryLedger(options)).close()
  })

  it('refuses a second process of one name, the leading one included', async () => {
    const options = ledgerOptions()
    await shared({ ...options, writer: 'one' })
    await shared({ ...options, writer: 'two' })
    for (const writer of ['one', 'two']) {
      await expect(openSharedLedger({ ...options, writer })).rejects.toMatchObject({ code: 'ERR_LEDGER_LOCKED' })
    }
  })

  it('refuses a process that means another ledger', async () => {
    const options = ledgerOptions()
    await shared({ ...options, writer: 'one' })
    await expect(
      openSharedLedger({ ...options, writer: 'two', origin: 'another.example/ledger' }),
    ).rejects.toMatchObject({ code: 'ERR_LEDGER_INCONSISTENT' })
  })

  it('has the next one lead at once when the leader stops in order, and goes on', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const three = await shared({ ...options, writer: 'three' })
    const [before] = await two.append([settled()])
    await one.close()
    const stored = await Promise.all([two.append([settled()]), three.append([settled()]), two.append([settled()])])
    const entries = await allEntries(three)
    expect(entries[before!.index]).toEqual(before)
    for (const [one] of stored) expect(entries[one!.index]).toEqual(one)
    expect(kindsOf(entries).filter(kind => kind === 'recovered')).toEqual([])
    const back = await shared({ ...options, writer: 'one' })
    await back.append([settled()])
    await two.close()
    await back.append([settled()])
  })

  it('closes as unknown what a process that went without a word had in flight, and no other', async () => {
    const options = { ...ledgerOptions(), graceMs: 50 }
    const one = await shared({ ...options, writer: 'one' })
    const [lost, ended, others] = [exchangeId(), exchangeId(), exchangeId()]
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'gone')))
    await once(socket, 'data')
    const drafts = [decision(lost), decision(ended), outcome(ended)]
    socket.write(encodeJson('append', { ids: drafts.map(() => id()), drafts }))
    await one.append([decision(others)])
    await vi.waitFor(() => expect(one.size).toBe(7), { timeout: 20_000 })
    socket.destroy()
    await vi.waitFor(() => expect(one.size).toBe(9), { timeout: 20_000 })
    const after = await allEntries(one, 7)
    expect(after.map(({ entry }) => [entry.writer, entry.kind])).toEqual([
      ['gone', 'recovered'],
      ['gone', 'outcome'],
    ])
    expect(after[1]!.entry).toMatchObject({ exchange: lost, result: 'unknown' })
  })

  it('tells the operator where what a process had in flight could not be closed, and closes it when that one comes again', async () => {
    let isBroken = false
    const clock = {
      now: () => {
        if (isBroken) throw new RangeError('no time')
        return Date.now()
      },
    }
    const told: object[] = []
    const onEvent = (what: string, facts = {}) => void told.push({ what, ...facts })
    const options = { ...ledgerOptions({ clock }), graceMs: 50, onEvent }
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'gone')))
    await once(socket, 'data')
    const lost = exchangeId()
    socket.write(encodeJson('append', { ids: [id()], drafts: [decision(lost)] }))
    await vi.waitFor(() => expect(one.size).toBe(4), { timeout: 20_000 })
    isBroken = true
    socket.destroy()
    await vi.waitFor(() => expect(told).toHaveLength(1), { timeout: 20_000 })
    const what = 'a writer went, and what it had in flight could not be closed: it is in flight still'
    expect(told).toEqual([{ what, writer: 'gone', why: 'RangeError' }])
    expect(one.size).toBe(4)
    isBroken = false
    await shared({ ...options, writer: 'gone' })
    const after = (await allEntries(one, 4)).map(({ entry }) => entry)
    expect(after.map(({ kind }) => kind)).toEqual(['recovered', 'outcome', 'started'])
    expect(after[1]).toMatchObject({ exchange: lost, result: 'unknown' })
  })

  it('reads no more of a process while 1,024 of its questions are not answered, and answers all of them', async () => {
    const signing = signal<void>()
    const options = { ...ledgerOptions(), witness: () => signing.given }
    const covered = vi.spyOn(DirectoryLedger.prototype, 'covered')
    onTestFinished(() => covered.mockRestore())
    await shared({ ...options, writer: 'one' })
    const [hasty, other] = [await raw(options), await raw(options)]
    for (const [socket, writer] of [
      [hasty, 'hasty'],
      [other, 'other'],
    ] as const) {
      socket.write(encodeJson('hello', hello(options, writer)))
      await once(socket, 'data')
    }
    let answers = 0
    const reader = new MessageReader(longestMessage)
    hasty.on('data', (bytes: Buffer) => {
      for (const { type } of reader.read(bytes)) if (type === 'answer') answers += 1
    })
    const [asked, longestRead] = [20_000, 65_536]
    for (let number = 1; number <= asked; number += 1) {
      hasty.write(encodeJson('ask', { what: 'covered', number, size: 1, level: 'witnessed' }))
    }
    await vi.waitFor(() => expect(covered.mock.calls.length).toBeGreaterThanOrEqual(1024), { timeout: 20_000 })
    // Whoever else asks is answered meanwhile.
    for (let number = 1; number <= 20; number += 1) {
      other.write(encodeJson('ask', { what: 'alive', number }))
      await once(other, 'data')
    }
    const shortest = encodeJson('ask', { what: 'covered', number: 1, size: 1, level: 'witnessed' }).length
    expect(covered.mock.calls.length).toBeLessThan(1024 + longestRead / shortest)
    expect(answers).toBe(0)
    signing.give()
    await vi.waitFor(() => expect(answers).toBe(asked), { timeout: 20_000 })
  })

  it('closes as unknown what a process had in flight that stopped in order', async () => {
    const options = { ...ledgerOptions(), graceMs: 50 }
    const one = await shared({ ...options, writer: 'one' })
    const web = await shared({ ...options, writer: 'web' })
    const lost = exchangeId()
    await web.append([decision(lost)])
    await web.close()
    const closed = async () => (await allEntries(one)).filter(({ entry }) => entry.kind === 'outcome')
    await vi.waitFor(async () => expect(await closed()).toHaveLength(1), { timeout: 20_000 })
    expect(await closed()).toMatchObject([{ entry: { writer: 'web', exchange: lost, result: 'unknown' } }])
  })

  it('closes as unknown what a process had in flight that was lost long before this one leads', async () => {
    const options = ledgerOptions({ writer: 'web' })
    const before = await openDirectoryLedger(options)
    const lost = exchangeId()
    await before.append([decision(lost)])
    const image = crashImage(options)
    await before.close()
    // The first to lead is lost as well, before it has given that one up.
    const clock = { now: () => Date.now() + 600_000 }
    await shared({ ...image, writer: 'lost', clock, graceMs: 60_000 })
    const one = await shared({ ...crashImage(image), writer: 'one', clock, graceMs: 50 })
    const closed = async () => (await allEntries(one)).filter(({ entry }) => entry.kind === 'outcome')
    await vi.waitFor(async () => expect(await closed()).toHaveLength(1), { timeout: 20_000 })
    expect(await closed()).toMatchObject([{ entry: { writer: 'web', exchange: lost, result: 'unknown' } }])
  })

  it('lets in who starts anew under the name of one that just went, once that is given up', async () => {
    const options = { ...ledgerOptions(), graceMs: 100 }
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'two')))
    await once(socket, 'data')
    socket.destroy()
    // Until that has been noticed, the name is in use.
    const two = await vi.waitFor(() => shared({ ...options, writer: 'two' }), { timeout: 20_000 })
    await two.append([settled()])
    const own = (await allEntries(one)).filter(({ entry }) => entry.writer === 'two')
    expect(kindsOf(own)).toEqual(['started', 'recovered', 'started', 'settled'])
  })

  it('refuses a writer that was given up and comes back', async () => {
    const options = { ...ledgerOptions(), graceMs: 20 }
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'gone')))
    await once(socket, 'data')
    socket.destroy()
    await vi.waitFor(async () => expect(kindsOf(await allEntries(one))).toContain('recovered'), { timeout: 20_000 })
    const [, , started] = await allEntries(one)
    const place = { index: started!.index, id: started!.entry.id }
    const again = await raw(options)
    again.write(encodeJson('hello', { ...hello(options, 'gone'), back: { started: place, last: place } }))
    const [answer] = (await once(again, 'data')) as [Buffer]
    expect(answer.toString()).toContain('ERR_LEDGER_LOCKED')
  })

  it('refuses a writer that was told of what the ledger does not hold', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'two')))
    await once(socket, 'data')
    const [, , started] = await allEntries(one)
    socket.destroy()
    const again = await raw(options)
    const back = { started: { index: 2, id: started!.entry.id }, last: { index: 9, id: id() } }
    again.write(encodeJson('hello', { ...hello(options, 'two'), back }))
    const [answer] = (await once(again, 'data')) as [Buffer]
    expect(answer.toString()).toContain('ERR_LEDGER_INCONSISTENT')
  })

  // biome-ignore format: a table
  const hostile: readonly (readonly [string, (options: SharedOptions) => readonly Buffer[]])[] = [
    ['a giant length',               () => [Buffer.from([0xff, 0xff, 0xff, 0xff, 1])]],
    ['a type that is none',          () => [Buffer.from([0, 0, 0, 0, 99])]],
    ['garbage',                      () => [Buffer.alloc(4096, 'garbage')]],
    ['a request before it is let in', () => [encodeJson('ask', { what: 'publish', number: 1 })]],
    ['a hello with a member more',   o => [encodeJson('hello', { ...hello(o, 'two'), more: 1 })]],
    ['a hello that is no JSON',      () => [encodeMessage('hello', Buffer.from('{'))]],
    ['an append without drafts',     o => [encodeJson('hello', hello(o, 'two')), encodeJson('append', { ids: [], drafts: [] })]],
    ['fewer ids than drafts',        o => [encodeJson('hello', hello(o, 'two')), encodeJson('append', { ids: [id()], drafts: [settled(), settled()] })]],
    ['a question that is none',      o => [encodeJson('hello', hello(o, 'two')), encodeJson('ask', { what: 'shutdown', number: 1 })]],
    ['a welcome of its own',         o => [encodeJson('hello', hello(o, 'two')), encodeJson('welcome', {})]],
  ]
  it.each(hostile)('ends a connection that sends %s, and stays unharmed', async (_, sent) => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    const closed = once(socket, 'close')
    socket.on('data', () => undefined)
    for (const bytes of sent(options)) {
      socket.write(bytes)
      await setTimeout(20)
    }
    await closed
    await one.append([settled()])
  })

  it('answers a question that is not asked as it should be, and goes on', async () => {
    const options = ledgerOptions()
    await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    let answered = ''
    socket.on('data', bytes => {
      answered += bytes.toString('latin1')
    })
    socket.write(encodeJson('hello', hello(options, 'two')))
    await once(socket, 'data')
    socket.write(encodeJson('ask', { what: 'attach', number: 1, slot: 'two words' }))
    socket.write(encodeJson('ask', { what: 'alive', number: 2 }))
    await vi.waitFor(() => expect(answered).toContain('{"number":2'), { timeout: 20_000 })
    expect(answered).toMatch(/\{"number":1,"family":"LedgerError","code":"ERR_ENTRY_MALFORMED"/)
  })

  it('is asked nothing, and sent nothing, that would end the connection again and again', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    const malformed = { name: 'LedgerError', code: 'ERR_ENTRY_MALFORMED' }
    await expect(two.attach({ slot: 'two words' })).rejects.toMatchObject(malformed)
    const long = Array.from({ length: 70 }, () => ({ ...settled(), disclose: { statement: 'x'.repeat(1_000_000) } }))
    await expect(two.append(long)).rejects.toMatchObject(malformed)
    const writer = await two.attach({ slot: 'one-word' })
    await expect(writer.write(Buffer.alloc(longestMessage))).rejects.toMatchObject(malformed)
    await two.append([settled()])
    expect(kindsOf(await allEntries(one)).filter(kind => kind === 'started' || kind === 'recovered')).toHaveLength(2)
  })

  it('stays unharmed by half a message, and lets nobody say for himself that a ledger opened or recovered', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const half = await raw(options)
    half.write(encodeJson('hello', hello(options, 'half')).subarray(0, 20))
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'two')))
    await once(socket, 'data')
    const drafts = [{ kind: 'recovered', epoch: 9, torn: 0 }]
    socket.write(encodeJson('append', { ids: [id()], drafts }))
    let answered = ''
    socket.on('data', bytes => {
      answered += bytes.toString()
    })
    await vi.waitFor(() => expect(answered).toContain('ERR_ENTRY_MALFORMED'), { timeout: 20_000 })
    await one.append([settled()])
    expect(kindsOf(await allEntries(one))).not.toContain('recovered')
  })

  it('tells a process that did not read for a while of all that there is', async () => {
    const options = ledgerOptions()
    const one = await shared({ ...options, writer: 'one' })
    const socket = await raw(options)
    socket.write(encodeJson('hello', hello(options, 'slow')))
    await once(socket, 'data')
    socket.pause()
    const wide = { ...settled(), exchanges: Array.from({ length: 500 }, exchangeId) }
    for (let i = 0; i < 20; i += 1) await one.append(Array.from({ length: 50 }, () => wide as never))
    let bytes = 0
    socket.on('data', (read: Buffer) => {
      bytes += read.length
    })
    socket.resume()
    await vi.waitFor(() => expect(bytes).toBeGreaterThan(1000 * 500 * 36), { timeout: 10_000 })
  })

  it('takes nobody for its leader, and nobody for one of its processes, who has no key of its vault', async () => {
    const options = ledgerOptions()
    const events: string[] = []
    const onEvent = (what: string) => void events.push(what)
    const one = await shared({ ...options, writer: 'one', onEvent })
    const stranger = { ...options, wrappingKey: new Uint8Array(32).fill(9), writer: 'two', takeoverMs: 300 }
    await expect(openSharedLedger(stranger)).rejects.toThrow('does not show that it has the key of the vault')
    expect(events[0]).toContain('a connection to the shared ledger was closed: it does not show')
    expect((await allEntries(one)).map(({ entry }) => entry.writer)).not.toContain('two')
    await one.close()

    let heard = Buffer.alloc(0)
    const impostor = createServer(socket => {
      socket.on('error', () => undefined)
      socket.on('data', bytes => {
        heard = Buffer.concat([heard, bytes])
        socket.write(encodeJson('welcome', { version: protocolVersion, next: 9, size: 9 }))
      })
    })
    onTestFinished(() => void impostor.close())
    impostor.listen(join(options.directory, 'leader', 'socket'))
    await once(impostor, 'listening')
    const three = await shared({ ...options, writer: 'three', onEvent })
    const [stored] = await three.append([{ ...settled(), disclose: { name: 'Customer 0001' } }])
    expect((await allEntries(three)).at(-1)).toEqual(stored)
    expect(heard.length).toBeGreaterThan(0)
    expect(heard.includes('three')).toBe(false)
  })

  it('keeps its socket where nobody else may enter, and takes no folder of another make', async () => {
    const options = ledgerOptions()
    await shared({ ...options, writer: 'one' })
    expect(statSync(join(options.directory, 'leader')).mode & 0o777).toBe(0o700)
    expect(statSync(join(options.directory, 'leader', 'socket')).mode & 0o777).toBe(0o600)
  })

  it('is unavailable where something lies in the place of its socket, says what, and opens once that is gone', async () => {
    const options = { ...ledgerOptions({ writer: 'a' }), takeoverMs: 1 }
    const socket = join(options.directory, 'leader/socket')
    mkdirSync(socket, { recursive: true, mode: 0o700 })
    await expect(openSharedLedger(options)).rejects.toMatchObject({
      ...{ name: 'Fault', code: 'ERR_LEDGER_UNAVAILABLE' },
      message: expect.stringContaining('leader/socket'),
    })
    rmdirSync(socket)
    const a = await shared({ ...options, takeoverMs: 10_000 })
    await a.append([settled()])
  })

  it('goes on where it could not take one connection in, and tells of it', async () => {
    const told: string[] = []
    const add = vi.spyOn(Leader.prototype, 'add')
    onTestFinished(() => add.mockRestore())
    const a = await shared({ ...ledgerOptions({ writer: 'a' }), onEvent: what => void told.push(what) })
    const server = add.mock.calls[0]![0] as unknown as EventEmitter
    // As net's server does where the process has too many files open.
    server.emit('error', Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }))
    expect(told).toEqual([expect.stringContaining('could not be taken in')])
    await a.append([settled()])
  })

  it('is reached however long its path is', async () => {
    const directory = join(temporaryDirectory(), 'x'.repeat(100), 'ledger')
    mkdirSync(join(directory, '..'))
    const options = ledgerOptions({ directory })
    const one = await shared({ ...options, writer: 'one' })
    const two = await shared({ ...options, writer: 'two' })
    await two.append([settled()])
    await one.close()
    await two.append([settled()])
  })

  it('waits no longer than it was told where another process has the ledger alone', async () => {
    const options = ledgerOptions()
    const { openDirectoryLedger } = await import('../../lib/ledger/directory.ts')
    const alone = await openDirectoryLedger({ ...options, writer: 'alone' })
    onTestFinished(() => alone.close())
    await expect(openSharedLedger({ ...options, writer: 'one', takeoverMs: 200 })).rejects.toMatchObject({
      code: 'ERR_LEDGER_UNAVAILABLE',
    })
  })

  it('is not shared with who says too seldom that it lives', async () => {
    await expect(openSharedLedger({ ...ledgerOptions(), heartbeatMs: 61_000 })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })
})

let made = 0
const id = () => {
  made += 1
  return `0190b0a0-0000-7000-9000-${made.toString(16).padStart(12, '0')}`
}
