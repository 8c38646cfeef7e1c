/** A ledger in a directory that is open for appending: the parts of this folder, put together behind the port. */
import { hash } from 'node:crypto'
import { systemClock } from '../clock.ts'
import { Fault } from '../errors.ts'
import type { Json } from '../format/canonical.ts'
import type { Checkpoint, SignedCheckpoint } from '../format/checkpoint.ts'
import type { Entry } from '../format/entry.ts'
import type { Living } from '../format/living.ts'
import { macKey } from '../format/mac.ts'
import { Appending } from './appending.ts'
import { Attaching } from './attaching.ts'
import { Attachments } from './attachments.ts'
import type { NoteKey } from './checkpoint.ts'
import { Levels } from './coverage.ts'
import { Disk } from './disk.ts'
import { Eraser } from './eraser.ts'
import { readable } from './files.ts'
import { Followers } from './followers.ts'
import type { AppendOptions, AttachmentWriter, AttachParts, Draft, DraftOf, Erasure, Ledger, Stored } from './ledger.ts'
import type { Lock } from './lock.ts'
import { endingDrafts, inTurns, isUnfinished } from './opening.ts'
import type { DirectoryOptions } from './options.ts'
import { Publisher, type Signers } from './publisher.ts'
import { Reading } from './reading.ts'
import { type Recovered, setAside } from './recovery.ts'
import { Schedule } from './schedule.ts'
import { takeSnapshot } from './snapshots.ts'
import type { Story } from './story.ts'
import { Vault } from './vault.ts'
import { Wal } from './wal.ts'
import { Writers } from './writers.ts'

/** A writer as it introduces itself. */
export type Started = Pick<DirectoryOptions, 'software' | 'placement' | 'heartbeatMs'>

const defaultHeartbeatMs = 60_000
const defaultSegmentBytes = 2 * 1024 * 1024
/**
 * The log may grow to so many times a snapshot before the next is taken: of a ledger with
 * much in flight, that is most of what is written.
 */
const logPerSnapshot = 8

/** How many are in flight is said when it takes its place among the entries. */
export const heartbeatDraft = (heartbeatMs: number): DraftOf<'heartbeat'> => ({
  kind: 'heartbeat',
  open: 0,
  interval: Math.ceil(heartbeatMs / 1000),
})

export interface StartParts {
  readonly options: DirectoryOptions
  readonly noteKey: NoteKey
  readonly lock: Lock
  readonly recovered: Recovered
  readonly epoch: number
  /** Of every writer that is known. */
  readonly stories: ReadonlyMap<string, Story>
  /** What is folded of all that was recovered. */
  readonly living: Living
}

export class DirectoryLedger implements Ledger {
  readonly origin: string
  readonly #options: DirectoryOptions
  readonly #epoch: number
  /** Bytes of a torn tail that its opening set aside. */
  readonly torn: number
  readonly #lock: Lock
  readonly #wal: Wal
  readonly #vault: Vault
  readonly #writers: Writers
  readonly #appending: Appending
  readonly #reading: Reading
  readonly #publisher: Publisher
  readonly #schedule: Schedule
  readonly #followers = new Followers()
  readonly #levels: Levels
  #tornUntold = 0
  /** Of the last that was taken here. */
  #snapshotBytes = 0
  #disk: Disk | undefined
  readonly #eraser: Eraser
  readonly #attaching: Attaching
  /** What its own process attaches, and others through it. */
  readonly attachments: Attachments
  /** What is folded, up to the last durable entry. */
  readonly living: Living
  #closing: Promise<void> | undefined
  #onFault: (fault: Fault) => void = () => undefined
  #heartbeat: NodeJS.Timeout | undefined

  private constructor(
    { options, noteKey, lock, recovered, epoch, stories, living }: StartParts,
    wal: Wal,
    vault: Vault,
  ) {
    const { origin, directory, sealer, clock = systemClock } = options
    const { tree, recent, published } = recovered
    this.origin = origin
    this.#options = options
    this.#epoch = epoch
    this.torn = recovered.torn?.bytes.length ?? 0
    this.#lock = lock
    this.#wal = wal
    this.#vault = vault
    this.#reading = new Reading({ directory, origin, tree, recent, vault, size: () => this.size })
    this.living = living
    this.#writers = new Writers({ origin, clock, slot: name => vault.names.get(name) }, stories, living.entries())
    this.#appending = new Appending({
      ...{ origin, epoch, wal, tree, recent, writers: this.#writers },
      logKey: macKey(options.wrappingKey, origin, 'wal'),
      onPlaced: entry => {
        this.#eraser.coming(entry)
        this.attachments.coming(entry)
      },
      onDurable: stored => this.#accept(stored),
      onAccepted: () => this.#schedule.soon(),
    })
    this.#publisher = new Publisher({
      directory,
      noteKey,
      sealer,
      tree,
      recent,
      published,
      epoch,
      durable: () => this.#appending.durable,
      snapshot: (at, key) => {
        const taken = takeSnapshot(at, this.living, key)
        this.#snapshotBytes = taken.bytes
        return taken.write
      },
    })
    this.#levels = new Levels({ publish: () => this.publish(), witness: options.witness })
    this.#schedule = new Schedule({
      ...{ publishMs: options.publishMs, sealMs: options.sealMs, clock },
      size: () => this.size,
      isBehind: () => wal.behind > this.#snapshotBytes * logPerSnapshot,
      isOver: () => this.#closing !== undefined || this.#appending.fault !== undefined,
      publish: () => this.publish(),
      seal: () => this.seal(),
    })
    this.#attaching = new Attaching(directory, macKey(options.wrappingKey, origin, 'attaching'))
    this.#eraser = new Eraser({
      ...{ directory, origin, vault, recent, publisher: this.#publisher },
      entries: from => this.entries(from),
      size: () => this.size,
      settled: () => this.#appending.settled(),
      // What this process asked is under the key of whose it is.
      noted: () => this.#attaching.begun(),
      mayDecide: writer => writer !== options.writer && this.#writers.story(writer)?.alive === true,
      append: drafts => this.#appending.append(options.writer, drafts, 'durable'),
      publish: () => this.#publish(false),
      guarded: work => this.#guarded(work),
    })
    this.attachments = new Attachments({
      ...{ options, vault, attaching: this.#attaching, eraser: this.#eraser },
      size: () => this.size,
      now: () => clock.now(),
      requireReady: () => this.#requireReady(),
      requireHeld: () => this.#lock.requireHeld(),
      append: drafts => this.append(drafts),
    })
    this.#appending.onFault(fault => {
      this.#stopTimers()
      // Of what is recorded from here on nothing could be said.
      void this.attachments.close()
      this.#onFault(fault)
    })
  }

  static async start(parts: StartParts): Promise<DirectoryLedger> {
    const { options, recovered } = parts
    const { directory, origin, wrappingKey, segmentBytes = defaultSegmentBytes } = options
    const segments = [...recovered.segments]
    if (recovered.torn !== undefined) segments.splice(-1, 1, await setAside(recovered.torn, parts.epoch))
    let ledger: DirectoryLedger | undefined
    const onFault = (error: unknown) => ledger?.poison(error)
    const vault = await Vault.open({ directory, origin, wrappingKey, onFault })
    const wal = await Wal.open(
      { directory, segmentBytes, requireHeld: () => parts.lock.requireHeld() },
      segments,
      recovered.tree.size,
    )
    ledger = new DirectoryLedger(parts, wal, vault)
    if (options.disk !== undefined) ledger.#disk = await Disk.watch(directory, options.disk, options.onDisk)
    return ledger
  }

  get series(): string {
    return this.#options.series ?? this.origin
  }

  get size(): number {
    return this.#appending.durable.size
  }

  /** What is durable by now. */
  get head(): Checkpoint {
    return this.#appending.durable
  }

  /** Openings for writing, this one included. */
  get epoch(): number {
    return this.#epoch
  }

  /** Appends what the opening owes, and publishes. */
  async begin(opening: readonly Draft[]): Promise<void> {
    const cut = await this.#attaching.cut(
      this.origin,
      from => this.entries(from),
      slot => this.#vault.key(slot),
    )
    // Behind what says that there was a crash, where anything does.
    const behind = opening.findIndex(({ kind }) => kind === 'recovered') + 1
    await this.#appendOwed(this.#options.writer, opening.toSpliced(behind, 0, ...cut))
    if (opening.length === 0) this.#tornUntold = this.torn
    await this.publish()
    await this.#eraser.finish()
  }

  /** What says that a writer is at work from now on. */
  started({ software, placement, heartbeatMs = defaultHeartbeatMs }: Started): DraftOf<'started'> {
    const { sealer } = this.#options
    const certificate = sealer === undefined ? undefined : hash('sha256', sealer.certificate, 'base64url' as 'hex')
    const interval = Math.ceil(heartbeatMs / 1000)
    return { kind: 'started', software, placement, epoch: this.#epoch, interval, certificate }
  }

  /** From now on a heartbeat of its own at each interval. Who shares the ledger sends its own. */
  beat(): void {
    const { heartbeatMs = defaultHeartbeatMs } = this.#options
    this.#heartbeat = setInterval(() => {
      // A ledger that is poisoned says so to whoever appends; here nobody waits.
      this.append([heartbeatDraft(heartbeatMs)]).catch(() => undefined)
    }, heartbeatMs).unref()
  }

  async append(drafts: readonly Draft[], { level = 'durable' }: AppendOptions = {}): Promise<readonly Stored[]> {
    return this.appendAs(this.#options.writer, drafts, { level })
  }

  /** Appends what another process asks for, under its own name and counter. @param ids as that process made them */
  async appendAs(
    writer: string,
    drafts: readonly Draft[],
    { level = 'durable', ids }: AppendOptions & { readonly ids?: readonly string[] } = {},
  ): Promise<readonly Stored[]> {
    this.#requireOpen()
    this.#levels.require(level)
    this.#disk?.requireRoom(drafts)
    this.attachments.requireSpeakable(drafts)
    const stored = await this.#appending.append(writer, drafts, level === 'written' ? 'written' : 'durable', ids)
    const last = stored.at(-1)
    if (last !== undefined && (level === 'signed' || level === 'witnessed')) await this.covered(last.index + 1, level)
    return stored
  }

  /** Resolves when a checkpoint of at least `size` entries is signed and published, or witnessed: at once, where one is already. */
  async covered(size: number, level: 'signed' | 'witnessed'): Promise<void> {
    await this.#levels.reach(size, level)
  }

  /**
   * Closes the past of a writer that went without a word, or left something in flight. The first since a takeover is
   * whose writing was torn, if it was.
   */
  async giveUp(writer: string): Promise<void> {
    const story = this.story(writer)
    if (!isUnfinished(story)) return
    const torn = this.#tornUntold
    this.#tornUntold = 0
    await this.#appendOwed(writer, endingDrafts(story.open, this.#epoch, torn))
  }

  async #appendOwed(writer: string, drafts: readonly Draft[]): Promise<void> {
    // Where there is no room for all of it, none of it is begun.
    this.#disk?.requireRoom(drafts)
    for (const some of inTurns(drafts)) await this.appendAs(writer, some)
  }

  /** What a writer has said. */
  story(writer: string): Story {
    if (this.#writers.story(writer) === undefined) this.#writers.add(writer)
    return this.#writers.story(writer)!
  }

  /** Exchanges that a writer permitted, or asked an approval for, and that are not over. */
  inFlight(writer: string): number {
    return this.#writers.inFlight(writer)
  }

  /** Writers that are at work, as far as the ledger tells, or that left something in flight. */
  unfinished(): readonly string[] {
    return this.#writers.names().filter(name => isUnfinished(this.#writers.story(name)))
  }

  /** @throws LedgerError ERR_LEDGER_MISSING */
  entryAt(index: number): Promise<Entry> {
    return this.#reading.entryAt(index)
  }

  /** @returns the id of a durable entry, or undefined where there is none */
  idAt(index: number): Promise<string | undefined> {
    return this.#reading.idAt(index)
  }

  entries(from = 0): AsyncGenerator<Stored> {
    return this.#reading.entries(from)
  }

  async *state(): AsyncGenerator<Stored> {
    yield* this.living.entries()
  }

  /** What an entry discloses, to be said again elsewhere. @throws as disclosures */
  encodedDisclosures(index: number): Promise<readonly string[]> {
    return this.#reading.encodedDisclosures(index)
  }

  disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    return this.#reading.disclosures(index)
  }

  attach({ slot, of }: AttachParts): Promise<AttachmentWriter> {
    return this.attachments.begin({ writer: this.#options.writer, slot, of })
  }

  /** Whether an exchange is under way that another writer began. */
  isAnothers(writer: string, exchange: string): boolean {
    return this.#writers.isAnothers(writer, exchange)
  }

  attachment(id: string): AsyncIterable<Uint8Array> {
    return this.#reading.attachment(id)
  }

  /** @param isHeld whether it is held by another ledger of the series. */
  async erase(erasure: Erasure, isHeld?: () => Promise<boolean>): Promise<readonly Stored[]> {
    this.#requireOpen()
    return readable(async () => {
      await this.attachments.giveUpUnspoken()
      return this.#eraser.erase(erasure, isHeld)
    })
  }

  follow(listener: (stored: Stored) => void): () => void {
    return this.#followers.add(listener)
  }

  async publish(): Promise<SignedCheckpoint> {
    this.#requireOpen()
    return this.#publish(false)
  }

  async seal(): Promise<SignedCheckpoint> {
    this.#requireOpen()
    return this.#seal()
  }

  /**
   * Appends what changes the keys, and seals. @param draft the rotation; what follows it is appended with it
   * @throws Fault ERR_LEDGER_UNAVAILABLE; where a key did not sign the seal, the rotation is durable all the same
   */
  async rotate([draft, ...others]: readonly [Draft, ...Draft[]], signers: Signers): Promise<SignedCheckpoint> {
    this.#requireOpen()
    // Before anything is awaited: a publication under way must not sign for the rotation with the old key.
    this.#publisher.succeed(signers, this.#appending.next)
    await this.#appending.append(this.#options.writer, [draft, ...others], 'durable')
    return this.#seal()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  poison(cause: unknown): void {
    this.#appending.poison(cause)
  }

  /** Calls back once, when nothing more is accepted for an error's sake. */
  onFault(listener: (fault: Fault) => void): void {
    this.#onFault = listener
  }

  /** Releases everything and appends nothing: the opening itself failed. */
  async abandon(): Promise<void> {
    this.poison(undefined)
    await this.#release(false)
  }

  #requireReady(): void {
    this.#requireOpen()
    if (this.#appending.fault !== undefined) throw this.#appending.fault
    this.#disk?.requireSpace()
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
  }

  #accept(stored: Stored): void {
    const { entry } = stored
    this.#eraser.see(entry)
    this.living.add(stored)
    this.#attaching.see(entry)
    this.#followers.tell(stored)
  }

  async #publish(seal: boolean): Promise<SignedCheckpoint> {
    return this.#guarded(() => this.#publisher.publish(seal))
  }

  async #seal(): Promise<SignedCheckpoint> {
    const sealed = await this.#publish(true)
    this.#schedule.sealed()
    await this.#guarded(() => this.#wal.release(sealed.size))
    if (this.#closing === undefined) this.#options.onSeal?.(sealed)
    return sealed
  }

  /** Any error here stops the ledger, but for a Fault: a key did not sign, and no checkpoint was replaced. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.#appending.fault !== undefined) throw this.#appending.fault
    try {
      this.#lock.requireHeld()
      return await work()
    } catch (error) {
      if (error instanceof Fault) throw error
      this.poison(error)
      throw this.#appending.fault
    }
  }

  async #close(): Promise<void> {
    this.#stopTimers()
    let sealed = false
    try {
      await this.#eraser.close()
      if (this.#appending.fault === undefined) {
        await this.#appending.append(this.#options.writer, [{ kind: 'stopped' }], 'durable')
        sealed = (await this.#seal()).size === this.size
      }
    } finally {
      await this.#release(sealed).catch(error => {
        throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger could not be put away', {}, error)
      })
    }
  }

  async #release(sealed: boolean): Promise<void> {
    this.#stopTimers()
    try {
      // Nothing may still be writing when descriptors are closed and the lock is given up.
      await Promise.all([this.#eraser.close(), this.attachments.close()])
      await Promise.all([this.#publisher.idle(), this.#appending.idle(), this.#vault.close()])
      await this.#attaching.close()
      await this.#wal.close(sealed)
    } finally {
      this.#lock.release()
    }
  }

  #stopTimers(): void {
    this.#disk?.stop()
    clearInterval(this.#heartbeat)
    this.#schedule.stop()
  }
}
