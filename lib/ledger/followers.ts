/** Those who are told of each entry, in index order, as soon as it is durable. */
import type { Stored } from './ledger.ts'

export class Followers {
  readonly #listeners = new Set<{ readonly tell: (stored: Stored) => void }>()

  /** @returns a function that ends it */
  add(tell: (stored: Stored) => void): () => void {
    const listener = { tell }
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  tell(stored: Stored): void {
    for (const { tell } of this.#listeners) tell(stored)
  }
}
