/**
 * Group commit: while one write is in flight, later appends queue, and go together as the next frame. Any error poisons it for
 * good, since a retried sync can falsely succeed: what is pending and all that comes later is refused.
 */
import { Fault } from '../errors.ts'

/** Where frames go. */
export interface Medium {
  /** Resolves when the bytes are durable. @param first index of the frame's first entry */
  writeSynced(bytes: Uint8Array, first: number): Promise<void>
  /** Resolves when the system has the bytes. */
  write(bytes: Uint8Array, first: number): Promise<void>
  /** Makes all that was written before durable. */
  sync(): Promise<void>
}

export interface BuiltFrame {
  readonly bytes: Uint8Array
  readonly first: number
}

export interface GroupCommitParts<Item, Frame extends BuiltFrame> {
  readonly medium: Medium
  readonly sizeOf: (item: Item) => number
  /** Called in order, just before the frame is written. */
  readonly build: (items: readonly Item[]) => Frame
  /** Called in order, as soon as a frame is durable, before its appends resolve. */
  readonly onDurable: (items: readonly Item[], frame: Frame) => void
}

interface Batch<Item> {
  readonly items: readonly Item[]
  readonly level: 'durable' | 'written'
  readonly resolve: () => void
  readonly reject: (error: Fault) => void
}

interface Group<Item, Frame> {
  readonly batches: readonly Batch<Item>[]
  readonly items: readonly Item[]
  readonly frame: Frame
}

/** Beyond this a frame's first entries would wait for its last. One append is never divided. */
const groupBytes = 4 * 1024 * 1024

export class GroupCommit<Item, Frame extends BuiltFrame> {
  readonly #parts: GroupCommitParts<Item, Frame>
  #queue: Batch<Item>[] = []
  /** Written, and not known durable; in order. */
  #unsynced: Group<Item, Frame>[] = []
  #inFlight: readonly Batch<Item>[] = []
  #writing = false
  #syncing = false
  #scheduled = false
  /** Settle when the medium is left alone; they never reject. */
  #writer: Promise<void> = Promise.resolve()
  #syncer: Promise<void> = Promise.resolve()
  #fault: Fault | undefined
  #onFault: (fault: Fault) => void = () => undefined

  constructor(parts: GroupCommitParts<Item, Frame>) {
    this.#parts = parts
  }

  get fault(): Fault | undefined {
    return this.#fault
  }

  append(items: readonly Item[], level: 'durable' | 'written'): Promise<void> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault)
    return new Promise((resolve, reject) => {
      this.#queue.push({ items, level, resolve, reject })
      if (this.#writing || this.#scheduled) return
      this.#scheduled = true
      // A microtask, so that appends of one turn share a frame; no later, since a lone append waits for it.
      queueMicrotask(this.#write)
    })
  }

  /** Calls back once it is poisoned. */
  onFault(listener: (fault: Fault) => void): void {
    this.#onFault = listener
  }

  /** Resolves when nothing is being written or synced. */
  async idle(): Promise<void> {
    await this.#writer
    await this.#syncer
  }

  /** Refuses what is pending and all that comes later. */
  poison(cause: unknown): void {
    if (this.#fault !== undefined) return
    this.#fault = new Fault(
      'ERR_LEDGER_UNAVAILABLE',
      'the ledger could not be written; it must be opened again',
      {},
      cause,
    )
    const pending = [...this.#unsynced.flatMap(({ batches }) => batches), ...this.#inFlight, ...this.#queue]
    this.#unsynced = []
    this.#inFlight = []
    this.#queue = []
    for (const { reject } of pending) reject(this.#fault)
    this.#onFault(this.#fault)
  }

  readonly #write = (): void => {
    this.#scheduled = false
    if (this.#writing || this.#fault !== undefined || this.#queue.length === 0) return
    const batches = this.#take()
    this.#inFlight = batches
    this.#writing = true
    const items = batches.length === 1 ? batches[0]!.items : batches.flatMap(batch => batch.items)
    let group: Group<Item, Frame>
    try {
      group = { batches, items, frame: this.#parts.build(items) }
    } catch (error) {
      this.poison(error)
      return
    }
    // A synced write covers itself only: behind an unsynced one, the sync that follows must cover both.
    const behind = this.#unsynced.length > 0 || batches.every(({ level }) => level === 'written')
    const { medium } = this.#parts
    const { bytes, first } = group.frame
    const written = behind ? medium.write(bytes, first) : medium.writeSynced(bytes, first)
    this.#writer = written.then(() => this.#written(group, behind)).catch(error => this.poison(error))
  }

  #written(group: Group<Item, Frame>, behind: boolean): void {
    if (this.#fault !== undefined) return
    this.#writing = false
    this.#inFlight = []
    if (behind) {
      for (const { level, resolve } of group.batches) if (level === 'written') resolve()
      this.#unsynced.push(group)
      this.#sync()
    } else {
      this.#durable(group)
    }
    // One turn later: those who were just answered may have something to add to the next frame.
    if (!this.#scheduled && this.#fault === undefined) {
      this.#scheduled = true
      setImmediate(this.#write)
    }
  }

  #sync(): void {
    if (this.#syncing || this.#unsynced.length === 0) return
    this.#syncing = true
    const covered = this.#unsynced.length
    this.#syncer = this.#parts.medium
      .sync()
      .then(() => {
        this.#syncing = false
        for (const group of this.#unsynced.splice(0, covered)) this.#durable(group)
        this.#sync()
      })
      .catch(error => this.poison(error))
  }

  #durable({ batches, items, frame }: Group<Item, Frame>): void {
    try {
      this.#parts.onDurable(items, frame)
    } catch (error) {
      // They are durable; but whoever follows them knows no longer what is true.
      for (const { resolve } of batches) resolve()
      this.poison(error)
      return
    }
    for (const { resolve } of batches) resolve()
  }

  #take(): Batch<Item>[] {
    let bytes = 0
    let count = 0
    for (const { items } of this.#queue) {
      bytes += items.reduce((sum, item) => sum + this.#parts.sizeOf(item), 0)
      if (count > 0 && bytes > groupBytes) break
      count += 1
    }
    return this.#queue.splice(0, count)
  }
}
