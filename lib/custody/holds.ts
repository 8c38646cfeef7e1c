/** Legal holds, as a pure fold over entries: nothing that one covers is erased while it stands. */
import { coveredBy, holdOn } from '../format/concerned.ts'
import type { Entry } from '../format/entry.ts'
import type { ScopeName } from '../format/scope.ts'

export interface Hold {
  readonly id: string
  /** `ledger`: of everything. */
  readonly on: ScopeName | 'ledger'
  /** Pseudonyms. */
  readonly by: string
  readonly releasedBy?: string
}

export class Holds {
  readonly #holds = new Map<string, Hold>()

  fold(entry: Entry): void {
    if (entry.kind === 'hold-placed') {
      this.#holds.set(entry.hold, { id: entry.hold, on: holdOn(entry), by: entry.by })
    } else if (entry.kind === 'hold-released') {
      const hold = this.#holds.get(entry.hold)
      if (hold !== undefined) this.#holds.set(hold.id, { ...hold, releasedBy: entry.by })
    }
  }

  get(id: string): Hold | undefined {
    return this.#holds.get(id)
  }

  /** In the order in which they were placed, released ones too. */
  all(): readonly Hold[] {
    return [...this.#holds.values()]
  }

  /** Those that cover this scope, released ones too. @param concerned pseudonyms: a hold on one of them covers it too */
  on(name: ScopeName, concerned: Iterable<string>): readonly Hold[] {
    const covered = coveredBy(name, concerned)
    return this.all().filter(({ on }) => covered.has(on))
  }
}
