/** The live view of approvals: follows the ledger, matches exact actions, lets one be taken once, and wakes those who wait. */
import { type Clock, systemClock } from '../clock.ts'
import type { Obligations } from '../control.ts'
import { actionCommitment } from '../format/disclosure.ts'
import type { Ledger, Stored } from '../ledger/ledger.ts'
import type { Access, Operation } from '../operation.ts'
import type { Actors } from '../principals.ts'
import { Shelf } from '../shelf.ts'
import { type Approval, foldApproval } from './approval.ts'

export interface Commitment {
  readonly action: string
  readonly salt: string
}

type Terms = Pick<NonNullable<Obligations['approval']>, 'people' | 'roles' | 'withinMs'>

export class Approvalbook {
  readonly #shelf = new Shelf<Approval>(({ until }) => until)
  readonly #taken = new Set<string>()
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #ledger: Ledger
  readonly #clock: Clock
  constructor(ledger: Ledger, clock: Clock = systemClock) {
    this.#ledger = ledger
    this.#clock = clock
  }

  fold({ entry, index }: Stored): void {
    foldApproval(this.#shelf.items, entry, index)
    if (entry.kind === 'approval-requested') this.#shelf.added(entry.approval, this.#clock.now())
    if (entry.kind === 'approval-decided' && this.get(entry.approval)?.status !== 'pending') {
      for (const wake of this.#waiting.get(entry.approval) ?? []) wake()
      this.#waiting.delete(entry.approval)
    }
  }

  get(id: string): Approval | undefined {
    return this.#shelf.items.get(id)
  }

  /** How many of a subject's nobody has decided yet. */
  waiting(subject: string): number {
    const now = this.#clock.now()
    return this.#shelf.of(subject).filter(({ status, until }) => status === 'pending' && now < until).length
  }

  all(): readonly Approval[] {
    return [...this.#shelf.items.values()]
  }

  /**
   * The latest approval of exactly these actors, still within its time and not used, for exactly this action: found by
   * recomputing its commitment, so that nothing about the action need stand in clear. The same words on other resources (another
   * target, another search path) are another action; and what was asked for on milder terms than today's does not do.
   */
  async find(
    actors: Actors,
    { action, accesses }: Pick<Operation, 'action' | 'accesses'>,
    terms: Terms,
  ): Promise<{ approval: Approval; commitment: Commitment } | undefined> {
    const now = this.#clock.now()
    const mine = this.#shelf
      .of(actors.subject)
      .filter(a => a.status !== 'used' && a.until > now && !this.#taken.has(a.id))
      .filter(a => a.principal === actors.principal && a.owner === actors.owner)
      .filter(a => a.people >= terms.people && terms.roles.every(role => a.roles.includes(role)))
      .filter(a => a.until - a.requested <= terms.withinMs)
      .filter(a => sameAccesses(a.accesses, accesses))
    for (const approval of mine.reverse()) {
      const { actionSalt: salt } = await this.#ledger.disclosures(approval.index)
      if (typeof salt === 'string' && actionCommitment(salt, action) === approval.action) {
        return { approval, commitment: { action: approval.action, salt } }
      }
    }
    return undefined
  }

  /**
   * Takes an approval for one execution: compare-and-set, synchronous, so of two racing executions one wins.
   * @returns false where it is not approved, over, used, or taken; else the caller must use it or give it back
   */
  take(id: string): boolean {
    const approval = this.get(id)
    if (approval?.status !== 'approved' || approval.until <= this.#clock.now() || this.#taken.has(id)) return false
    this.#taken.add(id)
    return true
  }

  giveBack(id: string): void {
    this.#taken.delete(id)
  }

  /** Resolves when the approval is decided, or at `until` at the latest. */
  async decided(id: string, until: number, signal: AbortSignal): Promise<void> {
    if (this.get(id)?.status !== 'pending' || signal.aborted) return
    await new Promise<void>(resolve => {
      const waiting = this.#waiting.get(id) ?? new Set()
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, until - this.#clock.now()))
      signal.addEventListener('abort', done, { once: true })
      this.#waiting.set(id, waiting.add(done))
    })
  }
}

function sameAccesses(some: readonly Access[], others: readonly Access[]): boolean {
  const words = (accesses: readonly Access[]) =>
    new Set(accesses.map(({ action, resource }) => `${action} ${resource}`))
  const [one, other] = [words(some), words(others)]
  return one.size === other.size && [...one].every(word => other.has(word))
}
