/** What this process has appended and not yet been told of: known again by the ids that it gave, sent again where a leader died. */
import type { Fault } from '../../errors.ts'
import type { Draft, Stored } from '../ledger.ts'
import type { Batch } from './messages.ts'

interface Item extends Batch {
  readonly stored: Stored[]
  readonly resolve: (stored: readonly Stored[]) => void
  readonly reject: (error: unknown) => void
  /** `performance.now()` from which on it waits for a leader. */
  since: number
}

export class Pending {
  readonly #items = new Set<Item>()
  readonly #byId = new Map<string, Item>()

  /** In the order in which they were asked for. */
  batches(): readonly Batch[] {
    return [...this.#items]
  }

  add(batch: { readonly ids: readonly string[]; readonly drafts: readonly Draft[] }): Promise<readonly Stored[]> {
    return new Promise((resolve, reject) => {
      const item = { ...batch, stored: [], resolve, reject, since: performance.now() }
      this.#items.add(item)
      for (const id of batch.ids) this.#byId.set(id, item)
    })
  }

  /** An entry of this writer's is durable. */
  arrived(stored: Stored): void {
    const item = this.#byId.get(stored.entry.id)
    if (item === undefined) return
    item.stored.push(stored)
    if (item.stored.length < item.ids.length) return
    this.#remove(item)
    item.resolve(item.stored)
  }

  declined(firstId: string, error: unknown): void {
    const item = this.#byId.get(firstId)
    if (item === undefined) return
    this.#remove(item)
    item.reject(error)
  }

  /** From now on it is waited for a leader. */
  waiting(): void {
    for (const item of this.#items) item.since = performance.now()
  }

  /** @param ms those that have waited so long; all of them where left out */
  fail(fault: Fault, ms = 0): void {
    const now = performance.now()
    for (const item of [...this.#items]) {
      if (now - item.since < ms) continue
      this.#remove(item)
      item.reject(fault)
    }
  }

  #remove(item: Item): void {
    this.#items.delete(item)
    for (const id of item.ids) this.#byId.delete(id)
  }
}
