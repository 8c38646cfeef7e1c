/** Legal holds, as a pure fold over entries: nothing that one covers is erased while it stands. */
import type { Entry } from '../format/entry.ts'
import { type ScopeName, scopeName } from '../format/scope.ts'

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
      const { hold: id, scope, of = '', by } = entry
      this.#holds.set(id, { id, on: scope === 'ledger' ? scope : scopeName({ scope, of }), by })
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

  /** Those that cover this scope, released ones too. */
  on(name: ScopeName): readonly Hold[] {
    return this.all().filter(({ on }) => on === 'ledger' || on === name)
  }
}
