/** A real ledger in a directory, and what is believed of it: what is done to it, and how it is killed and opened. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect } from 'vitest'
import { type Checkpoint, parseCheckpoint } from '../../../lib/format/checkpoint.ts'
import { noteKeyOf } from '../../../lib/ledger/checkpoint.ts'
import { openForKeys } from '../../../lib/ledger/directory.ts'
import type { DirectoryLedger } from '../../../lib/ledger/directory-ledger.ts'
import type { Stored } from '../../../lib/ledger/ledger.ts'
import type { DirectoryOptions } from '../../../lib/ledger/options.ts'
import type { BothKeys } from '../../../lib/ledger/rotation.ts'
import { copy, crashDuring, tear } from '../../support/crash-point.ts'
import { allEntries, ledgerOptions, origin } from '../../support/directory-ledger.ts'
import { Belief, type Believed, believe } from './belief.ts'
import { counsel, Drafts, keeper, newPrincipal, officer } from './drafts.ts'
import { requireBelieved, Stranger } from './judging.ts'
import { account, started } from './opening.ts'
import type { Group, Kill, Recording, Reopening, Work } from './work.ts'

/** Long enough for what these ledgers go through, and no longer than a timer can wait. */
const heartbeatMs = 20 * 86_400_000

export class World {
  readonly belief = new Belief()
  readonly recordings: Recording[] = []
  /** Writers that were at work when the ledger was opened, by what they had said, and have not been given up since. */
  readonly left = new Set<string>()
  readonly checkpoints: Checkpoint[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'counterfoil-model-'))
  readonly #stranger: Stranger
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
    this.#stranger = new Stranger(keys.sealer, this.#folder)
  }

  /** Makes the ledger, with the people who may have something erased, and some of whom it may be. */
  async begin(): Promise<void> {
    this.ledger = await openForKeys(this.options)
    const { writer } = this.options
    await this.#find([believe(writer, { kind: 'opened', origin }), started(writer)])
    for (const one of [officer, counsel, keeper]) {
      const stored = await this.ledger.append([newPrincipal(one)])
      this.believe([believe(writer, newPrincipal(one), { scope: `principal:${one}` })], stored)
    }
    for (const what of ['principal', 'principal', 'session', 'permitted', 'permitted'] as const) {
      const { drafts, believed } = new Drafts(this.belief, this.now).say(writer, [{ what, of: 0 }])
      this.believe(believed, await this.ledger.append(drafts))
    }
  }

  async end(): Promise<void> {
    await this.ledger.close().catch(() => undefined)
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Does it to its end. */
  async do(work: Work): Promise<void> {
    await work.run(() => false)
    for (const { believed, acknowledged } of work.groups) {
      if (acknowledged === undefined) await this.#find(believed)
      else this.believe(believed, acknowledged)
    }
    work.done?.()
    if (work.keys !== undefined) this.#speakWith(work.keys)
  }

  #speakWith(keys: BothKeys): void {
    this.keys = keys
    this.options = { ...this.options, noteKey: keys.noteKey.privateKey, sealer: keys.sealer }
  }

  /** What is stored is what was believed, and is known from now on. */
  believe(believed: readonly Believed[], stored: readonly Stored[]): void {
    expect(stored).toHaveLength(believed.length)
    for (const [i, one] of believed.entries()) this.belief.add(one, stored[i]!)
  }

  /** Looks for them behind what is believed already. */
  async #find(believed: readonly Believed[]): Promise<void> {
    const from = this.belief.size
    await this.#durable(from + believed.length)
    this.believe(believed, (await allEntries(this.ledger, from)).slice(0, believed.length))
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
    this.believe([believe(writer, { ...draft, open: this.belief.open(writer).length })], stored)
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
    if (judged && work?.keys === undefined) await this.#stranger.requireUntampered(this.options)
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
    account(this, entries.slice(known.length), perhaps, { as, rewrap })
    this.recordings.length = 0
    const { formerWrappingKey: __, ...after } = options
    this.options = after
  }

  /** Holds all that the open ledger gives against what is believed. */
  async look(): Promise<void> {
    await this.#durable(this.belief.size)
    await requireBelieved(this)
  }

  /** What is published, by who has held the pin from the beginning. */
  verify(): Promise<void> {
    return this.#stranger.verify(this.options)
  }

  /** The checkpoint as it lies. */
  published(): Checkpoint {
    const checkpoint = parseCheckpoint(readFileSync(join(this.options.directory, 'checkpoint')))
    this.checkpoints.push(checkpoint)
    return checkpoint
  }
}
