/**
 * Watches the space that a ledger has left, so that it refuses work while it still can write: what opens something is refused, what
 * closes something goes on, as long as the disk takes it. The ledger is unharmed, and accepts again once there is room.
 */
import { promises as fs } from 'node:fs'
import { Fault } from '../errors.ts'
import type { Draft } from './ledger.ts'

/** Bytes, or the part of the file system as a number from 0 to 1. */
export type Space = { readonly bytes: number } | { readonly part: number }

export interface DiskLimits {
  /** Below this an operator is told. */
  readonly warn?: Space | undefined
  /** Below this nothing new is accepted. */
  readonly refuse?: Space | undefined
  /** Milliseconds between looks. 5,000 unless said otherwise. */
  readonly everyMs?: number | undefined
}

/** What an operator is told, once each time that a limit is passed. */
export type OnDisk = (what: string, facts: { readonly free: number; readonly total: number }) => void

/** Kinds that end something which stands in the ledger already, or say that it lives. */
const closing = new Set<Draft['kind']>([
  ...(['outcome', 'settled', 'session-closed', 'attachment', 'attachment-cut', 'stopped', 'recovered'] as const),
  ...(['heartbeat', 'grant-revoked', 'events-lost'] as const),
])

export class Disk {
  readonly #directory: string
  readonly #limits: DiskLimits
  readonly #onDisk: OnDisk
  #state: 'enough' | 'little' | 'full' = 'enough'
  #timer: NodeJS.Timeout | undefined

  private constructor(directory: string, limits: DiskLimits, onDisk: OnDisk) {
    this.#directory = directory
    this.#limits = limits
    this.#onDisk = onDisk
  }

  static async watch(directory: string, limits: DiskLimits, onDisk: OnDisk = () => undefined): Promise<Disk> {
    const disk = new Disk(directory, limits, onDisk)
    await disk.look()
    disk.#timer = setInterval(() => void disk.look(), limits.everyMs ?? 5_000).unref()
    return disk
  }

  /** Measures now. Where it cannot be measured, nothing is known to be wrong: the next write tells. */
  async look(): Promise<void> {
    const found = await fs.statfs(this.#directory).catch(() => undefined)
    if (found === undefined) return
    // What an ordinary user may still use, not what is kept for root.
    const [free, total] = [found.bavail * found.bsize, found.blocks * found.bsize]
    const under = (limit: Space | undefined) =>
      limit !== undefined && free < ('bytes' in limit ? limit.bytes : limit.part * total)
    const state = under(this.#limits.refuse) ? 'full' : under(this.#limits.warn) ? 'little' : 'enough'
    if (state === this.#state) return
    this.#state = state
    this.#onDisk(said[state], { free, total })
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE where one of the drafts opens something, and there is no room to close it */
  requireRoom(drafts: readonly Draft[]): void {
    if (this.#state !== 'full' || drafts.every(draft => closing.has(draft.kind) || isDenial(draft))) return
    throw this.full()
  }

  /** @throws Fault ERR_LEDGER_UNAVAILABLE: no attachment is begun */
  requireSpace(): void {
    if (this.#state === 'full') throw this.full()
  }

  private full(): Fault {
    return new Fault(
      'ERR_LEDGER_UNAVAILABLE',
      'the disk of the ledger is nearly full: what is in flight may end, nothing begins',
    )
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const isDenial = (draft: Draft) => draft.kind === 'decision' && draft.verdict === 'deny'

const said = {
  enough: 'the disk of the ledger has room again',
  little: 'the disk of the ledger has little room left',
  full: 'the disk of the ledger is nearly full: nothing new is accepted until there is room',
} as const
