/** A ledger in a directory that is open for appending: the parts of this folder, put together behind the port. */
import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { systemClock } from '../clock.ts'
import { Fault, isOurs, LedgerError, Misuse } from '../errors.ts'
import { type AttachmentHead, openAttachment } from '../format/attachment.ts'
import type { Json } from '../format/canonical.ts'
import type { Checkpoint, SignedCheckpoint } from '../format/checkpoint.ts'
import { type Entry, parseEntry, uuidv7 } from '../format/entry.ts'
import { encodeFrame } from '../format/frame.ts'
import { tileWidth } from '../format/layout.ts'
import type { Living } from '../format/living.ts'
import { Attaching } from './attaching.ts'
import { keyForReaders, SealedWriter } from './attachment.ts'
import { createAttachmentFile, readAttachmentFile } from './attachment-file.ts'
import type { NoteKey } from './checkpoint.ts'
import { Coverage } from './coverage.ts'
import { Disk } from './disk.ts'
import { Eraser } from './eraser.ts'
import { readable } from './files.ts'
import { Followers } from './followers.ts'
import { type BuiltFrame, GroupCommit } from './group-commit.ts'
import type {
  AppendOptions,
  AttachmentWriter,
  AttachParts,
  Draft,
  DraftOf,
  Erasure,
  Ledger,
  Level,
  Stored,
} from './ledger.ts'
import type { Lock } from './lock.ts'
import { endingDrafts, isUnfinished } from './opening.ts'
import type { DirectoryOptions } from './options.ts'
import { Publisher, type Signers } from './publisher.ts'
import type { Recent } from './recent.ts'
import { type Recovered, setAside } from './recovery.ts'
import type { Prepared } from './scribe.ts'
import { takeSnapshot } from './snapshots.ts'
import { StoredBundles } from './stored-tiles.ts'
import type { Story } from './story.ts'
import type { Tree } from './tree.ts'
import { encodedDisclosures, openDisclosures, Vault } from './vault.ts'
import { Wal } from './wal.ts'
import { Writers } from './writers.ts'

interface TreeFrame extends BuiltFrame {
  readonly size: number
  readonly root: Uint8Array
}

/** A writer as it introduces itself. */
export type Started = Pick<DirectoryOptions, 'software' | 'placement' | 'heartbeatMs'>

const defaultHeartbeatMs = 60_000

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
  readonly #tree: Tree
  readonly #recent: Recent
  readonly #stored: StoredBundles
  readonly #commit: GroupCommit<Prepared, TreeFrame>
  readonly #publisher: Publisher
  readonly #followers = new Followers()
  readonly #coverage = {
    signed: new Coverage(() => this.publish()),
    witnessed: new Coverage(async () => {
      const checkpoint = await this.publish()
      await this.#options.witness!(checkpoint).catch(error => {
        throw isOurs(error)
          ? error
          : new Fault(
              'ERR_LEDGER_UNAVAILABLE',
              'the witnesses did not cosign: the entries stand all the same',
              {},
              error,
            )
      })
      return checkpoint
    }),
  }
  #tornUntold = 0
  #disk: Disk | undefined
  readonly #eraser: Eraser
  readonly #attaching: Attaching
  #durable: Checkpoint
  /** Index of the next entry to be appended: those before it may not be durable yet. */
  #next: number
  /** What is folded, up to the last durable entry. */
  readonly living: Living
  /** Unix milliseconds. */
  #sealedAt: number
  #closing: Promise<void> | undefined
  #heartbeat: NodeJS.Timeout | undefined
  #publication: NodeJS.Timeout | undefined

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
    this.#tree = tree
    this.#recent = recent
    this.#stored = new StoredBundles(directory, tree)
    this.#durable = { origin, size: tree.size, root: tree.root() }
    this.#next = tree.size
    this.#sealedAt = clock.now()
    this.living = living
    this.#writers = new Writers({ origin, clock, slot: name => vault.names.get(name) }, stories)
    this.#commit = new GroupCommit({
      medium: wal,
      sizeOf: ({ bytes, sealed }) => bytes.length + sealed.length,
      build: items => this.#frame(items),
      onDurable: (items, frame) => this.#accept(items, frame),
    })
    this.#publisher = new Publisher({
      directory,
      noteKey,
      sealer,
      tree,
      recent,
      published,
      epoch,
      durable: () => this.#durable,
      snapshot: (at, key) => takeSnapshot(at, this.living, key),
    })
    this.#attaching = new Attaching(directory)
    this.#eraser = new Eraser({
      ...{ directory, vault, recent, publisher: this.#publisher },
      entries: from => this.entries(from),
      size: () => this.size,
      settled: () => this.#settled(),
      append: drafts => this.#append(this.#options.writer, drafts, 'durable'),
      publish: () => this.#publish(false),
      guarded: work => this.#guarded(work),
    })
  }

  static async start(parts: StartParts): Promise<DirectoryLedger> {
    const { options, recovered } = parts
    const { directory, origin, wrappingKey, segmentBytes = 64 * 1024 * 1024 } = options
    const segments = [...recovered.segments]
    if (recovered.torn !== undefined) segments.splice(-1, 1, await setAside(recovered.torn, parts.epoch))
    let ledger: DirectoryLedger | undefined
    const onFault = (error: unknown) => ledger?.poison(error)
    const vault = await Vault.open({ directory, origin, wrappingKey, onFault })
    const wal = await Wal.open({ directory, segmentBytes }, segments, recovered.tree.size)
    ledger = new DirectoryLedger(parts, wal, vault)
    if (options.disk !== undefined) ledger.#disk = await Disk.watch(directory, options.disk, options.onDisk)
    return ledger
  }

  get series(): string {
    return this.#options.series ?? this.origin
  }

  get size(): number {
    return this.#durable.size
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
    if (opening.length + cut.length > 0) await this.append(opening.toSpliced(behind, 0, ...cut))
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
    this.#requireLevel(level)
    this.#disk?.requireRoom(drafts)
    const stored = await this.#append(writer, drafts, level === 'written' ? 'written' : 'durable', ids)
    const last = stored.at(-1)
    if (last !== undefined && (level === 'signed' || level === 'witnessed')) await this.covered(last.index + 1, level)
    return stored
  }

  /** Resolves when a checkpoint of at least `size` entries is signed and published, or witnessed: at once, where one is already. */
  async covered(size: number, level: 'signed' | 'witnessed'): Promise<void> {
    this.#requireLevel(level)
    await this.#coverage[level].reach(size)
  }

  #requireDurable(index: number): void {
    if (Number.isSafeInteger(index) && index >= 0 && index < this.size) return
    throw new LedgerError('ERR_LEDGER_MISSING', `no entry ${index} in a ledger of ${this.size}`)
  }

  #requireLevel(level: Level): void {
    if (level === 'witnessed' && this.#options.witness === undefined) {
      throw new Misuse('ERR_OPTION_INVALID', 'an append is to be witnessed, and no witness is configured')
    }
  }

  /** Closes the past of a writer that went without a word, or left something in flight. The first since a takeover is whose writing was torn, if it was. */
  async giveUp(writer: string): Promise<void> {
    const story = this.story(writer)
    if (!isUnfinished(story)) return
    const torn = this.#tornUntold
    this.#tornUntold = 0
    await this.appendAs(writer, endingDrafts(story.open, this.#epoch, torn))
  }

  /** What a writer has said. */
  story(writer: string): Story {
    if (this.#writers.story(writer) === undefined) this.#writers.add(writer)
    return this.#writers.story(writer)!
  }

  /** Writers that are at work, as far as the ledger tells. */
  atWork(): readonly string[] {
    return this.#writers.names().filter(name => this.#writers.story(name)!.alive)
  }

  async #entry(index: number): Promise<Entry> {
    return this.#recent.get(index)?.entry ?? (await this.#read(index)).entry
  }

  /** @throws LedgerError ERR_LEDGER_MISSING */
  async entryAt(index: number): Promise<Entry> {
    this.#requireDurable(index)
    return this.#entry(index)
  }

  /** @returns the id of a durable entry, or undefined where there is none */
  async idAt(index: number): Promise<string | undefined> {
    return index >= 0 && index < this.size ? (await this.#entry(index)).id : undefined
  }

  async *entries(from = 0): AsyncGenerator<Stored> {
    const end = this.size
    for (let index = from; index < end; ) {
      const held = this.#recent.get(index)
      if (held !== undefined) {
        yield { index, entry: held.entry }
        index += 1
        continue
      }
      const n = Math.floor(index / tileWidth)
      const bundle = await readable(() => this.#stored.entries(n))
      for (; index < (n + 1) * tileWidth; index += 1) {
        yield { index, entry: parseEntry(bundle[index % tileWidth]!) }
      }
    }
  }

  async *state(): AsyncGenerator<Stored> {
    yield* this.living.entries()
  }

  /** What an entry discloses, to be said again elsewhere. @throws as disclosures */
  async encodedDisclosures(index: number): Promise<readonly string[]> {
    this.#requireDurable(index)
    const { entry, sealed } = this.#recent.get(index) ?? (await this.#read(index))
    return encodedDisclosures(this.origin, entry, sealed, slot => readable(() => this.#vault.key(slot)))
  }

  async disclosures(index: number): Promise<Readonly<Record<string, Json>>> {
    this.#requireDurable(index)
    const { entry, sealed } = this.#recent.get(index) ?? (await this.#read(index))
    return openDisclosures(this.origin, entry, sealed, slot => readable(() => this.#vault.key(slot)))
  }

  async attach({ slot: name, of }: AttachParts): Promise<AttachmentWriter> {
    this.#requireOpen()
    if (this.#commit.fault !== undefined) throw this.#commit.fault
    this.#disk?.requireSpace()
    const id = uuidv7(this.#now())
    const { readers } = this.#options
    // With readers, the slot is what it is erased by, and opens nothing.
    const sealed = readers === undefined ? {} : await keyForReaders(readers, { origin: this.origin, id })
    const undone = this.#eraser.attaching(id, name)
    const medium = await createAttachmentFile(this.#options.directory, id).catch(error => {
      undone()
      throw error
    })
    // Who does not say what it is of has nobody told what becomes of it in a crash.
    const begin = of === undefined ? {} : { begin: () => this.#attaching.note(id, { ...of, size: this.size }) }
    const place = { origin: this.origin, id, medium: { ...medium, ...begin } }
    return new SealedWriter({ ...this.#vault.names.get(name), ...sealed, ...place })
  }

  attachment(id: string): AsyncIterable<Uint8Array> {
    const key = async ({ slot, message }: AttachmentHead) => {
      if (message !== undefined)
        throw new LedgerError('ERR_LEDGER_MISSING', 'the key of the attachment is with its readers')
      const found = await readable(() => this.#vault.key(slot))
      if (found === undefined) throw new LedgerError('ERR_LEDGER_MISSING', 'the attachment was erased')
      return found
    }
    return openAttachment({ origin: this.origin, id }, readAttachmentFile(this.#options.directory, id), key)
  }

  async erase(erasure: Erasure): Promise<readonly Stored[]> {
    this.#requireOpen()
    return readable(() => this.#eraser.erase(erasure))
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
    this.#publisher.succeed(signers, this.#next)
    await this.#append(this.#options.writer, [draft, ...others], 'durable')
    return this.#seal()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  poison(cause: unknown): void {
    this.#commit.poison(cause)
    this.#stopTimers()
  }

  /** Calls back once, when nothing more is accepted for an error's sake. */
  onFault(listener: (fault: Fault) => void): void {
    this.#commit.onFault(listener)
  }

  /** Releases everything and appends nothing: the opening itself failed. */
  async abandon(): Promise<void> {
    this.poison(undefined)
    await this.#release(false)
  }

  #requireOpen(): void {
    if (this.#closing !== undefined) throw new Fault('ERR_LEDGER_UNAVAILABLE', 'the ledger is closed')
  }

  async #append(
    writer: string,
    drafts: readonly Draft[],
    level: 'durable' | 'written',
    ids?: readonly string[],
  ): Promise<readonly Stored[]> {
    if (this.#commit.fault !== undefined) throw this.#commit.fault
    if (drafts.length === 0) return []
    const items = this.#writers.prepare(writer, drafts, ids)
    const first = this.#next
    this.#next += items.length
    for (const [i, { entry }] of items.entries()) if (entry.kind === 'hold-placed') this.#eraser.held(first + i, entry)
    await this.#commit.append(items, level)
    return items.map(({ entry }, i) => ({ index: first + i, entry }))
  }

  /** @returns how many entries there were when it was called, once they are durable */
  async #settled(): Promise<number> {
    const next = this.#next
    for (; this.size < next && this.#commit.fault === undefined; await setImmediate()) await this.#commit.idle()
    return next
  }

  #frame(items: readonly Prepared[]): TreeFrame {
    const first = this.#tree.size
    for (const { leaf } of items) this.#tree.append(leaf)
    const root = this.#tree.root()
    const bytes = encodeFrame(
      { epoch: this.#epoch, first, durable: this.#durable.size, root },
      items.map(item => item.bytes),
      items.map(item => item.sealed),
    )
    return { bytes, first, size: this.#tree.size, root }
  }

  #accept(items: readonly Prepared[], { first, size, root }: TreeFrame): void {
    this.#recent.add(items)
    this.#durable = { origin: this.origin, size, root }
    this.#publishSoon()
    for (const [i, { entry }] of items.entries()) {
      this.#eraser.see(entry)
      this.living.add({ index: first + i, entry })
      this.#attaching.see(entry)
      this.#followers.tell({ index: first + i, entry })
    }
  }

  /** One at a time, however long it takes: what becomes durable meanwhile is the next one's. */
  #publishSoon(): void {
    this.#publication ??= setTimeout(async () => {
      const { size } = this
      await this.#publishOrSeal().catch(() => undefined)
      this.#publication = undefined
      if (this.size > size && this.#closing === undefined && this.#commit.fault === undefined) this.#publishSoon()
    }, this.#options.publishMs ?? 1000).unref()
  }

  async #read(index: number): Promise<{ entry: Entry; sealed: Uint8Array }> {
    const n = Math.floor(index / tileWidth)
    const bundle = await readable(() => this.#stored.entries(n))
    const sealed = await readable(() => this.#stored.vault(n))
    return { entry: parseEntry(bundle[index % tileWidth]!), sealed: sealed[index % tileWidth]! }
  }

  async #publish(seal: boolean): Promise<SignedCheckpoint> {
    if (this.#commit.fault !== undefined) throw this.#commit.fault
    return this.#guarded(() => this.#publisher.publish(seal))
  }

  /** Sealed when it is time, and when the write-ahead log has grown by a segment. A key that does not sign is asked again next time. */
  async #publishOrSeal(): Promise<void> {
    const { sealMs = 3_600_000 } = this.#options
    const due = this.#wal.behind > 0 || this.#now() - this.#sealedAt >= sealMs
    if (!due) return void (await this.publish())
    await this.seal().catch(error => {
      if (!(error instanceof Fault) || this.#commit.fault !== undefined) throw error
      return this.publish()
    })
  }

  async #seal(): Promise<SignedCheckpoint> {
    const sealed = await this.#publish(true)
    this.#sealedAt = this.#now()
    await this.#guarded(() => this.#wal.release(sealed.size))
    if (this.#closing === undefined) this.#options.onSeal?.(sealed)
    return sealed
  }

  /** Any error here stops the ledger, but for a Fault: a key did not sign, and no checkpoint was replaced. */
  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Fault) throw error
      this.poison(error)
      throw this.#commit.fault
    }
  }

  async #close(): Promise<void> {
    this.#stopTimers()
    let sealed = false
    try {
      if (this.#commit.fault === undefined) {
        await this.#append(this.#options.writer, [{ kind: 'stopped' }], 'durable')
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
      await Promise.all([this.#publisher.idle(), this.#commit.idle(), this.#vault.close(), this.#attaching.close()])
      await this.#wal.close(sealed)
    } finally {
      this.#lock.release()
    }
  }

  #now(): number {
    return (this.#options.clock ?? systemClock).now()
  }

  #stopTimers(): void {
    this.#disk?.stop()
    clearInterval(this.#heartbeat)
    clearTimeout(this.#publication)
  }
}
