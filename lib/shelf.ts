/** What a book folds from the ledger, by id and by subject; what is long over is dropped, so that it does not grow with the ledger. */

import { rememberedMs } from './format/living.ts'

const fewest = 1024

export class Shelf<T extends { readonly id: string; readonly subject: string }> {
  /** For the fold, which sets an item again at each of its changes. */
  readonly items = new Map<string, T>()
  readonly #bySubject = new Map<string, Set<string>>()
  readonly #overAt: (item: T) => number
  #tidyAt = fewest

  /** @param overAt Unix milliseconds from which on an item can have no effect any more */
  constructor(overAt: (item: T) => number) {
    this.#overAt = overAt
  }

  /** After a new item was set. Looks through all of them each time their number has doubled. */
  added(id: string, now: number): void {
    const item = this.items.get(id)
    if (item === undefined) return
    const ids = this.#bySubject.get(item.subject) ?? new Set()
    this.#bySubject.set(item.subject, ids.add(id))
    if (this.items.size < this.#tidyAt) return
    for (const one of this.items.values()) if (this.#overAt(one) + rememberedMs <= now) this.#drop(one)
    this.#tidyAt = Math.max(fewest, this.items.size * 2)
  }

  /** A subject's, oldest first. */
  of(subject: string): T[] {
    return [...(this.#bySubject.get(subject) ?? [])].map(id => this.items.get(id)!)
  }

  #drop({ id, subject }: T): void {
    this.items.delete(id)
    const ids = this.#bySubject.get(subject)
    ids?.delete(id)
    if (ids?.size === 0) this.#bySubject.delete(subject)
  }
}
