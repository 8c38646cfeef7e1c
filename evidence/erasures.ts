/**
 * What entries say was erased: whether that was theirs to do (`custody-rights.ts`), what of the disclosures that are
 * gone it explains (`alibis.ts`), and who is named again (`returns.ts`).
 */
import type { Entry, EntryOf, Kind } from '../lib/format/entry.ts'
import { type ScopeName, scopeName } from '../lib/format/scope.ts'
import { Alibis, type ErasedScope } from './alibis.ts'
import { CustodyRights, type LateErasure } from './custody-rights.ts'
import type { Finding } from './finding.ts'
import { type GonePrincipal, Returns } from './returns.ts'

/**
 * The kinds that say something of erasures. Decisions and sessions are many: they are told
 * of for the sake of the erasures that there are.
 */
export const toldOf: ReadonlySet<Kind> = new Set<Kind>([
  ...(['principal', 'session-opened', 'hold-placed', 'hold-released', 'erasure'] as const),
  ...(['decision', 'approval-requested', 'grant-requested', 'continued', 'concluded', 'disposed'] as const),
])

/** Of entries that are all at hand, in order: told twice, so that it can be asked what erased whatever each of them disclosed. */
export function erasuresIn(entries: readonly { readonly index: number; readonly entry: Entry }[]): Erasures {
  const first = new Erasures()
  for (const { index, entry } of entries) first.add(index, entry)
  const erasures = new Erasures(first.ofSessions, first.names)
  for (const { index, entry } of entries) erasures.add(index, entry)
  return erasures
}

export class Erasures {
  readonly all: ErasedScope[] = []
  /** Those of them behind the ledger's conclusion. */
  readonly late: ErasedScope[] = []
  /** Sessions that were erased. */
  readonly ofSessions = new Set<string>()
  /** What was erased. */
  readonly names = new Set<ScopeName>()
  readonly alibis: Alibis
  readonly #rights: CustodyRights
  readonly #returns = new Returns()

  /**
   * What an erasure needs of decisions and sessions is known after a first time through the entries; a second tells it.
   * @param sessions that were erased. @param erased what was erased: needed for
   * alibis, and for whom a principal's erasure concerns
   */
  constructor(sessions: ReadonlySet<string> = new Set(), erased: ReadonlySet<ScopeName> = new Set()) {
    this.alibis = new Alibis(erased)
    this.#rights = new CustodyRights(sessions, erased)
  }

  /** Whether there is an erasure, a hold was placed or released, or a ledger disposed of. */
  get isAny(): boolean {
    return this.all.length > 0 || this.#rights.isAny
  }

  /** Holds that stand at the end. */
  get holds(): number {
    return this.#rights.holds
  }

  get findings(): readonly Finding[] {
    return this.#rights.findings
  }

  /** In index order. */
  add(index: number, entry: Entry): void {
    this.#rights.add(index, entry)
    this.alibis.add(index, entry)
    const { isConcluded } = this.#rights
    if (entry.kind === 'erasure') this.#erase({ index, entry }, isConcluded)
    else if (entry.kind === 'principal' && !isConcluded && !this.#rights.isCarried(index))
      this.#returns.name(index, entry)
  }

  #erase(erased: ErasedScope, isLate: boolean): void {
    const { index, entry } = erased
    this.all.push(erased)
    this.names.add(scopeName(entry))
    if (entry.scope === 'session') this.ofSessions.add(entry.of)
    if (isLate) this.late.push(erased)
    else if (entry.scope === 'principal') this.#returns.erase(index, entry)
  }

  /** @see CustodyRights.judge */
  judge(late: readonly LateErasure[]): readonly LateErasure[] {
    return this.#rights.judge(late)
  }

  /** @see CustodyRights.concernedBy */
  concernedBy(erasure: Pick<EntryOf<'erasure'>, 'scope' | 'of'>): readonly string[] | undefined {
    return this.#rights.concernedBy(erasure)
  }

  get gone(): readonly GonePrincipal[] {
    return this.#returns.gone
  }

  /** @see Returns.namedAgain */
  namedAgain(before: readonly GonePrincipal[]): Generator<Finding> {
    return this.#returns.namedAgain(before)
  }
}
