/** The live view of grants: follows the ledger, finds the grant that covers an exchange, and cuts what outlives it. */
import { alarm } from '../alarm.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { Obligations } from '../control.ts'
import { Refusal } from '../errors.ts'
import type { Access } from '../format/entry.ts'
import type { Stored } from '../ledger/ledger.ts'
import type { Actors } from '../principals.ts'
import { Shelf } from '../shelf.ts'
import { covers, foldGrant, type Grant, isLive, isWaiting, overAt } from './grant.ts'

type Terms = Pick<NonNullable<Obligations['grant']>, 'longestMs' | 'roles'>

const meets = (grant: Grant, { longestMs, roles }: Terms) =>
  grant.seconds * 1000 <= longestMs && roles.every(role => grant.roles.includes(role))

export class Grantbook {
  readonly #shelf = new Shelf<Grant>(overAt)
  readonly #watchers = new Map<string, Set<(reason: Refusal) => void>>()
  readonly #clock: Clock
  constructor(clock: Clock = systemClock) {
    this.#clock = clock
  }

  fold({ entry, index }: Stored): void {
    foldGrant(this.#shelf.items, entry, index)
    if (entry.kind === 'grant-requested') this.#shelf.added(entry.grant, this.#clock.now())
    if (entry.kind === 'grant-revoked') this.#cut(entry.grant, 'revoked')
  }

  get(id: string): Grant | undefined {
    return this.#shelf.items.get(id)
  }

  /** How many requests of a subject nobody has decided yet. */
  waiting(subject: string): number {
    const now = this.#clock.now()
    return this.#shelf.of(subject).filter(grant => isWaiting(grant, now)).length
  }

  all(): readonly Grant[] {
    return [...this.#shelf.items.values()]
  }

  /**
   * The live grant of exactly these actors that covers every access and lasts longest.
   * @param terms today's: a grant given on milder ones, before the policy changed, does not do
   */
  find(actors: Actors, accesses: readonly Access[], terms?: Terms): Grant | undefined {
    const now = this.#clock.now()
    return this.#of(actors)
      .filter(grant => isLive(grant, now) && covers(grant, accesses) && (terms === undefined || meets(grant, terms)))
      .sort((a, b) => b.until! - a.until!)[0]
  }

  /** A grant that would have covered it, had it not ended: so that the refusal can say so. */
  ended(actors: Actors, accesses: readonly Access[]): Grant | undefined {
    return this.#of(actors).find(
      grant => grant.until !== undefined && !isLive(grant, this.#clock.now()) && covers(grant, accesses),
    )
  }

  #of(actors: Actors): Grant[] {
    return this.#shelf
      .of(actors.subject)
      .filter(grant => grant.principal === actors.principal && grant.owner === actors.owner)
  }

  /** Calls `cut` once, when the grant lapses or is revoked. @returns a function that ends the watch */
  watch(id: string, cut: (reason: Refusal) => void): () => void {
    const grant = this.get(id)
    if (grant === undefined || !isLive(grant, this.#clock.now())) {
      cut(ending(id, grant?.status === 'revoked' ? 'revoked' : 'lapsed'))
      return () => undefined
    }
    const watchers = this.#watchers.get(id) ?? new Set()
    this.#watchers.set(id, watchers.add(cut))
    const quiet = alarm(this.#clock, grant.until!, () => {
      watchers.delete(cut)
      cut(ending(id, 'lapsed'))
    })
    return () => {
      quiet()
      watchers.delete(cut)
      if (watchers.size === 0) this.#watchers.delete(id)
    }
  }

  #cut(id: string, how: 'revoked' | 'lapsed'): void {
    const watchers = this.#watchers.get(id)
    this.#watchers.delete(id)
    for (const cut of watchers ?? []) cut(ending(id, how))
  }
}

const ending = (grant: string, how: 'revoked' | 'lapsed') =>
  new Refusal('ERR_GRANT_EXPIRED', `the grant ${grant} ${how === 'revoked' ? 'was revoked' : 'has lapsed'}`, {
    grant,
    how,
  })
