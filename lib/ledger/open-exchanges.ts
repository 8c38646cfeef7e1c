/** Which exchanges are in flight, as a fold over entries: permitted, and without an outcome yet. */
import type { Entry } from '../format/entry.ts'

export class OpenExchanges {
  readonly #open = new Set<string>()

  get size(): number {
    return this.#open.size
  }

  ids(): readonly string[] {
    return [...this.#open]
  }

  see(entry: Entry): void {
    if (entry.kind === 'decision' && entry.verdict === 'permit') this.#open.add(entry.exchange)
    else if (entry.kind === 'outcome') this.#open.delete(entry.exchange)
  }
}
