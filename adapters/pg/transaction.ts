/** Which changes still wait for their transaction, and what became of them: CommandComplete is no commit. */
import type { Part } from './analysis.ts'
import type { TransactionStatus } from './wire.ts'

export type Settlement = 'committed' | 'rolled-back' | 'unknown'

export class Transactions {
  readonly #settle: (exchanges: readonly string[], result: Settlement) => void
  #open: string[] = []
  #savepoints: { readonly name: string; readonly at: number }[] = []
  /** As the last ReadyForQuery had it. */
  status: TransactionStatus = 'I'
  /** Something has been executed since the last ReadyForQuery: an implicit transaction may hold locks. */
  busy = false
  /** An error since the last ReadyForQuery. */
  failed = false
  /** A mask was in force for a part of it: what its end says may quote values. */
  masked = false

  constructor(settle: (exchanges: readonly string[], result: Settlement) => void) {
    this.#settle = settle
  }

  get inTransaction(): boolean {
    return this.status !== 'I' || this.busy
  }

  get unsettled(): boolean {
    return this.#open.length > 0
  }

  /** A change whose fate is not known yet. */
  add(exchange: string): void {
    this.#open.push(exchange)
  }

  /** A statement was completed with this tag. A COMMIT in a failed transaction is answered with ROLLBACK. */
  completed({ transaction }: Part, tag: string): void {
    const { kind, savepoint } = transaction ?? {}
    const at = this.#savepoints.findLastIndex(({ name }) => name === savepoint)
    if (kind === 'savepoint') this.#savepoints.push({ name: savepoint ?? '', at: this.#open.length })
    else if (kind === 'release' && at >= 0) this.#savepoints.length = at
    else if (kind === 'rollback_to' && at >= 0) {
      this.#report('rolled-back', this.#open.splice(this.#savepoints[at]!.at))
      this.#savepoints.length = at + 1
    } else if (kind === 'prepare') this.#finish('unknown')
    else if (tag === 'COMMIT' && kind === 'commit') this.#finish('committed')
    else if (tag === 'ROLLBACK' && (kind === 'commit' || kind === 'rollback')) this.#finish('rolled-back')
  }

  /** ReadyForQuery. */
  ready(status: TransactionStatus): void {
    // Outside a transaction nothing is open any more: what was implicit has been committed, or undone by its error.
    if (status === 'I') this.#finish(this.failed ? 'rolled-back' : 'committed')
    if (status === 'I') this.masked = false
    this.status = status
    this.busy = false
    this.failed = false
  }

  /** The connection is gone. @param certain no COMMIT can have been under way */
  lost(certain: boolean): void {
    this.#finish(certain ? 'rolled-back' : 'unknown')
  }

  #finish(result: Settlement): void {
    this.#savepoints = []
    this.#report(result, this.#open.splice(0))
  }

  #report(result: Settlement, settled: readonly string[]): void {
    if (settled.length > 0) this.#settle(settled, result)
  }
}
