/**
 * Drafts to durable entries: each takes its place in the order in which it was asked for, goes with others in a frame,
 * and is told of once that is durable.
 */
import { setImmediate } from 'node:timers/promises'
import type { Fault } from '../errors.ts'
import type { Checkpoint } from '../format/checkpoint.ts'
import type { Entry } from '../format/entry.ts'
import { encodeFrame } from '../format/frame.ts'
import type { MacKey } from '../format/mac.ts'
import { type BuiltFrame, GroupCommit, type Medium } from './group-commit.ts'
import type { Draft, Stored } from './ledger.ts'
import type { Recent } from './recent.ts'
import type { Prepared } from './scribe.ts'
import type { Tree } from './tree.ts'
import type { Writers } from './writers.ts'

interface Parts {
  readonly origin: string
  /** Of this opening: it stands in each frame. */
  readonly epoch: number
  readonly logKey: MacKey
  readonly wal: Medium
  readonly writers: Writers
  readonly tree: Tree
  readonly recent: Recent
  /** Told of every entry when it takes its place, before it is durable. */
  readonly onPlaced: (entry: Entry) => void
  /** Told of every entry that became durable, in index order. An error stops the ledger. */
  readonly onDurable: (stored: Stored) => void
  /** Called behind the last of those that became durable together. */
  readonly onAccepted: () => void
}

interface TreeFrame extends BuiltFrame {
  readonly size: number
  readonly root: Uint8Array
}

export class Appending {
  readonly #parts: Parts
  readonly #commit: GroupCommit<Prepared, TreeFrame>
  #durable: Checkpoint
  /** Index of the next entry to be appended: those before it may not be durable yet. */
  #next: number

  constructor(parts: Parts) {
    this.#parts = parts
    const { origin, wal, tree } = parts
    this.#durable = { origin, size: tree.size, root: tree.root() }
    this.#next = tree.size
    this.#commit = new GroupCommit({
      medium: wal,
      sizeOf: ({ bytes, sealed }) => bytes.length + sealed.length,
      build: items => this.#frame(items),
      onDurable: (items, frame) => this.#accept(items, frame),
    })
  }

  /** What is durable by now. */
  get durable(): Checkpoint {
    return this.#durable
  }

  get next(): number {
    return this.#next
  }

  /** Why nothing more is accepted; undefined while all is well. */
  get fault(): Fault | undefined {
    return this.#commit.fault
  }

  /** Refuses what is pending and all that comes later. */
  poison(cause: unknown): void {
    this.#commit.poison(cause)
  }

  /** Calls back once it is poisoned. */
  onFault(listener: (fault: Fault) => void): void {
    this.#commit.onFault(listener)
  }

  /** Resolves when nothing is being written or synced. */
  idle(): Promise<void> {
    return this.#commit.idle()
  }

  /** @throws LedgerError ERR_ENTRY_MALFORMED, and nothing is appended; Fault ERR_LEDGER_UNAVAILABLE */
  async append(
    writer: string,
    drafts: readonly Draft[],
    level: 'durable' | 'written',
    ids?: readonly string[],
  ): Promise<readonly Stored[]> {
    if (this.fault !== undefined) throw this.fault
    if (drafts.length === 0) return []
    const items = this.#parts.writers.prepare(writer, drafts, ids)
    const first = this.#next
    this.#next += items.length
    for (const { entry } of items) this.#parts.onPlaced(entry)
    await this.#commit.append(items, level)
    return items.map(({ entry }, i) => ({ index: first + i, entry }))
  }

  /** @returns how many entries there were when it was called, once they are durable */
  async settled(): Promise<number> {
    const next = this.#next
    for (; this.#durable.size < next && this.fault === undefined; await setImmediate()) await this.idle()
    return next
  }

  #frame(items: readonly Prepared[]): TreeFrame {
    const { tree, epoch, logKey } = this.#parts
    const first = tree.size
    for (const { leaf } of items) tree.append(leaf)
    const root = tree.root()
    const bytes = encodeFrame(
      { epoch, first, durable: this.#durable.size, root },
      items.map(item => item.bytes),
      items.map(item => item.sealed),
      logKey,
    )
    return { bytes, first, size: tree.size, root }
  }

  #accept(items: readonly Prepared[], { first, size, root }: TreeFrame): void {
    const { origin, recent, onDurable, onAccepted } = this.#parts
    recent.add(items)
    this.#durable = { origin, size, root }
    for (const [i, { entry }] of items.entries()) onDurable({ index: first + i, entry })
    onAccepted()
  }
}
