/** A real ledger in a directory, what is believed of it, and how the two are held against each other. */
import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import { type VerifyOptions, verifyLedger } from '../../../evidence/index.ts'
import { Holds } from '../../../lib/custody/holds.ts'
import { longestChunk } from '../../../lib/format/attachment.ts'
import { type Checkpoint, parseCheckpoint } from '../../../lib/format/checkpoint.ts'
import { encodeEntry } from '../../../lib/format/entry.ts'
import { decodeFrame } from '../../../lib/format/frame.ts'
import { Frontier, leafHash } from '../../../lib/format/merkle.ts'
import { noteKeyOf } from '../../../lib/ledger/checkpoint.ts'
import { openForKeys } from '../../../lib/ledger/directory.ts'
import type { DirectoryLedger } from '../../../lib/ledger/directory-ledger.ts'
import type { AttachedOf, AttachmentWriter, Stored } from '../../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../../lib/ledger/options.ts'
import type { BothKeys } from '../../../lib/ledger/rotation.ts'
import { copy, crashDuring } from '../../support/crash-point.ts'
import { allEntries, ledgerOptions, origin } from '../../support/directory-ledger.ts'
import { Belief, type Believed, believe, difference } from './belief.ts'
import { counsel, Drafts, keeper, newPrincipal, officer } from './drafts.ts'

/** Entries that are appended together: all of them are there, or none. */
export interface Group {
  readonly believed: readonly Believed[]
  /** Once they are acknowledged. */
  acknowledged?: readonly Stored[]
}

/** Something that is done to an open ledger, and what it appends, in order. */
export interface Work {
  readonly groups: readonly Group[]
  /** @param isOver whether it was killed by now, so that nothing more is acknowledged */
  run(isOver: () => boolean): Promise<unknown>
  /** The keys that speak afterwards, where they are others. It ends with the ledger closed then. */
  readonly keys?: BothKeys
  /** Once it is done. */
  readonly done?: () => void
}

export interface Recording {
  readonly of: AttachedOf
  readonly scope: string
  readonly writer: AttachmentWriter
  readonly bytes: Buffer[]
}

/** How a ledger is killed, and opened again. */
export interface Kill {
  /** At which call that changes a file. */
  readonly at: number
  /** Bytes of a write that was cut off, behind the last frame. */
  readonly rubbish: Uint8Array
  /** Whether what is left is verified before it is opened. */
  readonly judged: boolean
}

export interface Reopening {
  readonly as: string
  /** The key of the vault is changed by it. */
  readonly rewrap: boolean
  /** It is killed itself at that call that changes a file, and done again; 0: it is not. */
  readonly killedAt: number
}

/** Long enough for what these ledgers go through, and no longer than a timer can wait. */
const heartbeatMs = 20 * 86_400_000

export class World {
  readonly belief = new Belief()
  readonly recordings: Recording[] = []
  /** Writers that were at work when the ledger was opened, by what they had said, and have not been given up since. */
  readonly left = new Set<string>()
  readonly checkpoints: Checkpoint[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'counterfoil-model-'))
  readonly #pin = join(this.#folder, 'pin')
  readonly #pinned: BothKeys
  #isPinned = false
  #made = 0
  #wrappings = 7
  /** Unix milliseconds; it begins in the past, so that it can be put on. */
  now = Date.now() - 19 * 86_400_000
  keys: BothKeys
  options: DirectoryOptions
  ledger!: DirectoryLedger

  constructor(keys: Omit<BothKeys, 'noteKey'>, publishMs: number) {
    const directory = join(this.#folder, 'ledger')
    const base = ledgerOptions({ directory, heartbeatMs, publishMs, segmentBytes: 30_000, sealer: keys.sealer })
    this.options = { ...base, clock: { now: () => this.now }, witness: async seen => void this.checkpoints.push(seen) }
    this.keys = { ...keys, noteKey: noteKeyOf(base.noteKey, origin) }
    this.#pinned = this.keys
  }

  /** Makes the ledger, with the people who may have something erased, and some of whom it may be. */
  async begin(): Promise<void> {
    this.ledger = await openForKeys(this.options)
    const { writer } = this.options
    await this.#believe([believe(writer, { kind: 'opened', origin }), this.#started(writer)])
    for (const one of [officer, counsel, keeper]) {
      const stored = await this.ledger.append([newPrincipal(one)])
      this.#add([believe(writer, newPrincipal(one), { scope: `principal:${one}` })], stored)
    }
    for (const what of ['principal', 'principal', 'session', 'permitted', 'permitted'] as const) {
      const { drafts, believed } = new Drafts(this.belief, this.now).say(writer, [{ what, of: 0 }])
      this.#add(believed, await this.ledger.append(drafts))
    }
  }

  async end(): Promise<void> {
    await this.ledger.close().catch(() => undefined)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #started(writer: string): Believed {
    return believe(writer, { kind: 'started' })
  }

  /** Does it to its end. */
  async do(work: Work): Promise<void> {
    await work.run(() => false)
    for (const { believed, acknowledged } of work.groups) {
      if (acknowledged === undefined) await this.#believe(believed)
      else this.#add(believed, acknowledged)
    }
    work.done?.()
    if (work.keys !== undefined) this.#speakWith(work.keys)
  }

  #speakWith(keys: BothKeys): void {
    this.keys = keys
    this.options = { ...this.options, noteKey: keys.noteKey.privateKey, sealer: keys.sealer }
  }

  #add(believed: readonly Believed[], stored: readonly Stored[]): void {
    expect(stored).toHaveLength(believed.length)
    for (const [i, one] of believed.entries()) this.belief.add(one, stored[i]!)
  }

  /** Looks for them behind what is believed already. */
  async #believe(believed: readonly Believed[]): Promise<void> {
    const from = this.belief.size
    await this.#durable(from + believed.length)
    this.#add(believed, (await allEntries(this.ledger, from)).slice(0, believed.length))
  }

  /** What was only written is there in a moment. */
  async #durable(size: number): Promise<void> {
    const until = performance.now() + 20_000
    while (this.ledger.size < size) {
      if (performance.now() > until) throw new Error(`the ledger has ${this.ledger.size} entries, expected ${size}`)
      await setImmediate()
    }
  }

  /** Whoever is at work by this opening. */
  joined(): string[] {
    const opened = this.belief.entries.findLastIndex(
      ({ kind, writer }) => kind === 'started' && writer === this.options.writer,
    )
    const of = (writer: string) =>
      this.belief.entries
        .slice(opened)
        .findLast(one => one.writer === writer && ['started', 'stopped', 'recovered'].includes(one.kind))?.kind
    return [...new Set(this.belief.entries.map(({ writer }) => writer))].filter(writer => of(writer) === 'started')
  }

  /** Closes the ledger, and opens it again. */
  async closeAndOpen(reopening: Reopening): Promise<void> {
    await this.do(this.closing())
    await this.#reopen([], reopening)
  }

  /** After what has closed it. */
  reopenAsBefore(): Promise<void> {
    return this.#reopen([], { as: this.options.writer, rewrap: false, killedAt: 0 })
  }

  /** A writer says that it lives, and how many of its exchanges are in flight. */
  async beat(writer: string): Promise<void> {
    const draft = { kind: 'heartbeat', open: 0, interval: heartbeatMs / 1000 } as const
    const stored = await this.ledger.appendAs(writer, [draft])
    this.#add([believe(writer, { ...draft, open: this.belief.open(writer).length })], stored)
  }

  closing(): Work {
    const { ledger } = this
    const { writer } = this.options
    return {
      groups: [{ believed: [believe(writer, { kind: 'stopped' })] }],
      run: () => ledger.close(),
    }
  }

  /** Kills the ledger, in the midst of something where that is given, and opens what is left. */
  async killAndOpen(work: Work | undefined, { at, rubbish, judged }: Kill, reopening: Reopening): Promise<void> {
    const { directory } = this.options
    const image = this.#newFolder()
    if (work === undefined) copy(directory, image)
    else await crashDuring({ directory, image, at }, work.run)
    await this.#leave(this.ledger, directory, image)
    if (rubbish.length > 0) tear(image, rubbish)
    // A rotation puts certificates in their places before and after it is published: until the ledger is opened again they may not agree.
    if (judged && work?.keys === undefined)
      await this.#judge('TAMPERED', { depth: 'all', wrappingKey: this.options.wrappingKey })
    if (work?.keys !== undefined && (await this.#opensWith(work.keys))) {
      work.done?.()
      this.#speakWith(work.keys)
    }
    await this.#reopen(work?.groups ?? [], reopening)
  }

  #newFolder(): string {
    this.#made += 1
    return join(this.#folder, `image-${this.#made}`)
  }

  /** What runs on behind the kill is put away. */
  async #leave(ledger: DirectoryLedger, directory: string, image: string): Promise<void> {
    await ledger.close().catch(() => undefined)
    for (const { writer } of this.recordings) await writer.close().catch(() => undefined)
    rmSync(directory, { recursive: true, force: true })
    this.options = { ...this.options, directory: image }
  }

  /** Whether a rotation that was killed has come to be durable, as whoever finishes it finds out. Looked at in a copy. */
  async #opensWith({ noteKey, sealer }: BothKeys): Promise<boolean> {
    const directory = this.#newFolder()
    copy(this.options.directory, directory)
    try {
      const tried = { ...this.options, directory, noteKey: noteKey.privateKey, sealer }
      await (await openForKeys(tried)).close()
      return true
    } catch (error) {
      const refused = ['ERR_LEDGER_INCONSISTENT', 'ERR_CHECKPOINT_SIGNATURE']
      expect(refused, String(error)).toContain((error as { code: string }).code)
      return false
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  }

  /** @param perhaps what may have become durable before: so many of these groups as did, from the first on */
  async #reopen(perhaps: readonly Group[], { as, rewrap, killedAt }: Reopening): Promise<void> {
    const { formerWrappingKey: _, ...before } = { ...this.options, writer: as }
    let options: DirectoryOptions = before
    if (rewrap) {
      this.#wrappings += 1
      options = {
        ...before,
        wrappingKey: new Uint8Array(32).fill(this.#wrappings),
        formerWrappingKey: before.wrappingKey,
      }
    }
    if (killedAt > 0) {
      const { directory } = options
      const image = this.#newFolder()
      let opened: DirectoryLedger | undefined
      await crashDuring({ directory, image, at: killedAt }, async () => {
        opened = await openForKeys(options)
      })
      await opened?.close().catch(() => undefined)
      rmSync(directory, { recursive: true, force: true })
      options = { ...options, directory: image }
    }
    this.options = options
    this.ledger = await openForKeys(options)
    const entries = await allEntries(this.ledger)
    const known = this.belief.entries.map(({ entry }) => entry.id)
    expect(entries.slice(0, known.length).map(({ entry }) => entry.id)).toEqual(known)
    this.#account(entries.slice(known.length), perhaps, { as, rewrap })
    this.recordings.length = 0
    const { formerWrappingKey: __, ...after } = options
    this.options = after
  }

  /** Every entry that was not known is one of these: what may have become durable, what the opening owes, twice where it was killed itself. */
  #account(tail: readonly Stored[], perhaps: readonly Group[], { as, rewrap }: Omit<Reopening, 'killedAt'>): void {
    let rest = tail
    const take = (believed: readonly Believed[]) => {
      this.#add(believed, rest.slice(0, believed.length))
      rest = rest.slice(believed.length)
    }
    for (const { believed, acknowledged } of perhaps) {
      const there =
        believed.length <= rest.length && believed.every((one, i) => difference(one, rest[i]!.entry) === undefined)
      if (acknowledged !== undefined) {
        const ids = (stored: readonly Stored[]) => stored.map(({ entry }) => entry.id)
        expect(ids(rest.slice(0, believed.length)), 'what was acknowledged').toEqual(ids(acknowledged))
      }
      if (!there) break
      take(believed)
    }
    const rewrapped = believe(as, { kind: 'vault-rewrapped' })
    const said = tail.filter(({ entry }) => entry.kind === 'vault-rewrapped')
    expect(said).toHaveLength(rewrap ? 1 : 0)
    const openings = rest.filter(({ entry }) => entry.kind === 'started' && entry.writer === as)
    for (let i = 0; i < openings.length; i += 1) {
      take(this.#opening(as, rest))
      if (rest[0]?.entry.kind === 'vault-rewrapped') take([rewrapped])
    }
    expect(rest.map(({ entry }) => entry)).toEqual([])
  }

  /** What an opening says, in the order in which it was said: after a kill, what was in flight, and what was being recorded. */
  #opening(as: string, tail: readonly Stored[]): readonly Believed[] {
    this.left.clear()
    for (const writer of this.belief.atWork()) if (writer !== as) this.left.add(writer)
    const stopped = this.belief.entries.at(-1)?.kind === 'stopped'
    const open = this.belief.open()
    // A kill while the ledger was being closed may have torn what follows the last entry.
    const torn = stopped && tail[0]?.entry.kind === 'recovered' && tail[0].entry.torn > 0
    const recovered = !stopped || torn || open.length > 0
    const cut = this.recordings.filter(({ bytes }) => Buffer.concat(bytes).length >= longestChunk)
    const owed = [
      ...cut.map(({ of, scope, writer }) =>
        believe(as, { kind: 'attachment-cut', attachment: writer.id, ...of }, { scope }),
      ),
      ...open.map(exchange => believe(as, { kind: 'outcome', exchange, result: 'unknown', items: 0, bytes: 0 })),
    ]
    this.recordings.length = 0
    const first = recovered ? [believe(as, { kind: 'recovered' })] : []
    const actual = tail.slice(first.length, first.length + owed.length)
    const inOrder = actual.flatMap(({ entry }) => owed.filter(one => difference(one, entry) === undefined))
    expect(inOrder, JSON.stringify(tail.map(({ entry }) => entry))).toHaveLength(owed.length)
    for (const { entry } of actual) if (entry.kind === 'attachment-cut') this.#requireWithin(cut, entry)
    return [...first, ...inOrder, this.#started(as)]
  }

  #requireWithin(cut: readonly Recording[], { attachment, bytes }: { attachment: string; bytes: number }): void {
    const written = Buffer.concat(cut.find(({ writer }) => writer.id === attachment)!.bytes).length
    expect(bytes).toBeLessThanOrEqual(written)
  }

  /** Holds all that the open ledger gives against what is believed. */
  async look(): Promise<void> {
    const { ledger, belief } = this
    await this.#durable(belief.size)
    const entries = await allEntries(ledger)
    expect(entries.map(({ entry }) => entry.id)).toEqual(belief.entries.map(({ entry }) => entry.id))
    for (const [index, { discloses, erased, recording, entry }] of belief.entries.entries()) {
      if (Object.keys(discloses).length === 0) continue
      expect(await ledger.disclosures(index), `entry ${index}`).toEqual(erased ? {} : discloses)
      if (recording === undefined || entry.kind !== 'attachment') continue
      const pieces: Uint8Array[] = []
      const read = (async () => {
        for await (const piece of ledger.attachment(entry.attachment)) pieces.push(piece)
      })()
      if (erased) await expect(read, `entry ${index}`).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING' })
      else await read
      if (!erased) expect(Buffer.concat(pieces).equals(recording), `recording of entry ${index}`).toBe(true)
    }
    const state: Stored[] = []
    for await (const stored of ledger.state()) state.push(stored)
    expect(state.map(({ index }) => index)).toEqual(belief.state())
    const holds = new Holds()
    for (const { entry } of state) holds.fold(entry)
    const standing = belief.of('hold-placed').filter(({ hold }) => holds.get(hold)?.releasedBy === undefined)
    expect(standing.map(({ hold }) => hold)).toEqual(belief.standing())
  }

  /** What is published, by who has held the pin from the beginning. */
  async verify(): Promise<void> {
    const { wrappingKey } = this.options
    const pinned = { pin: this.#pin, ...(!this.#isPinned && { first: true }) }
    await this.#judge('OK', { ...pinned, depth: 'all', wrappingKey })
    this.#isPinned = true
  }

  async #judge(verdict: 'OK' | 'TAMPERED', more: Partial<VerifyOptions>): Promise<void> {
    const { fingerprint, certificate } = this.#pinned.sealer
    const { directory } = this.options
    const found = await verifyLedger({ directory, fingerprint, certificate, origin, ...more })
    if (verdict === 'OK')
      expect({ verdict: found.verdict, findings: found.findings }).toEqual({ verdict, findings: [] })
    else expect(found.verdict, JSON.stringify(found.findings)).not.toBe(verdict)
  }

  /** At the end: every checkpoint that was ever signed is of the first so many of the entries that there are. */
  requirePrefixes(): void {
    const tree = new Frontier()
    const roots = ['']
    for (const { entry } of this.belief.entries) {
      tree.append(leafHash(encodeEntry(entry)))
      roots.push(Buffer.from(tree.root()).toString('hex'))
    }
    for (const { size, root } of this.checkpoints) expect(Buffer.from(root).toString('hex')).toBe(roots[size])
  }

  /** The checkpoint as it lies. */
  published(): Checkpoint {
    const checkpoint = parseCheckpoint(readFileSync(join(this.options.directory, 'checkpoint')))
    this.checkpoints.push(checkpoint)
    return checkpoint
  }
}

/** Bytes of a write that was cut off, behind the last frame. */
function tear(directory: string, rubbish: Uint8Array): void {
  const folder = join(directory, 'wal')
  const name = existsSync(folder)
    ? readdirSync(folder)
        .filter(one => one.endsWith('.seg'))
        .at(-1)
    : undefined
  if (name === undefined) return
  const path = join(folder, name)
  const bytes = readFileSync(path)
  let end = 0
  for (let next = decodeFrame(bytes, 0); next !== undefined; next = decodeFrame(bytes, end)) end = next.end
  truncateSync(path, end)
  appendFileSync(path, rubbish)
}
