/**
 * What processes of other hosts say of who somebody is, and ask for under ids of theirs: of a pseudonym one name alone,
 * under an id once. What is on its way is judged by as if it were durable, through whichever connection it came.
 */
import type { Clock } from '../../clock.ts'
import type { Json } from '../../format/canonical.ts'
import { concernIn } from '../../format/concerned.ts'
import type { Entry } from '../../format/entry.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'
import type { Draft, DraftOf } from '../ledger.ts'
import { denied } from './access.ts'
import { Ids } from './ids.ts'
import type { LeaderParts } from './leader.ts'
import { Sessions } from './sessions.ts'

interface Coming {
  readonly type: string
  readonly name: Json | undefined
  /** How many that are on their way say so: some may not come to stand. */
  count: number
}

/** How far ahead another host may ask for anything, in milliseconds: until it is over, every snapshot says it again. */
const longestAskedMs = 366 * 86_400_000

export class Said {
  readonly ids: Ids
  readonly sessions: Sessions
  readonly #ledger: DirectoryLedger
  readonly #readErased: () => Promise<ReadonlySet<string>>
  #erasedBefore: Promise<ReadonlySet<string>> | undefined
  /** By pseudonym. */
  readonly #names = new Map<string, Coming>()
  /**
   * Of agents and services by pseudonym: who is accountable, as `principal` entries say. Of
   * those before this leader led, the newest of each.
   */
  readonly #owners = new Map<string, Set<string>>()
  /** The same of entries that are on their way: how many say so. */
  readonly #ownersComing = new Map<string, number>()
  /** Of grants and approvals. */
  readonly #asked = new Set<string>()

  /** @param readErased pseudonyms that were erased in the ledgers before it in its series */
  constructor(
    ledger: DirectoryLedger,
    clock: Clock,
    readErased: () => Promise<ReadonlySet<string>>,
    onEvent: LeaderParts['onEvent'],
  ) {
    this.ids = new Ids(ledger, clock, onEvent)
    this.sessions = new Sessions(ledger)
    this.#ledger = ledger
    this.#readErased = readErased
    for (const { entry } of ledger.living.entries()) this.#see(entry)
    ledger.follow(({ entry }) => this.#see(entry))
  }

  /**
   * Under another name they would be two, and could approve for themselves; of another type, a program could be somebody who approves.
   * @returns to be called once it is durable, or will not be
   * @throws Refusal ERR_ACCESS_DENIED
   */
  async name(draft: DraftOf<'principal'>): Promise<() => void> {
    const { subject, type, owner } = draft
    if (type === 'person' && owner !== undefined) throw anothers()
    const named = await this.#name(draft)
    if (owner === undefined) return named
    const key = ownedBy(subject, owner)
    this.#ownersComing.set(key, (this.#ownersComing.get(key) ?? 0) + 1)
    return () => {
      const left = this.#ownersComing.get(key)! - 1
      if (left > 0) this.#ownersComing.set(key, left)
      else this.#ownersComing.delete(key)
      named()
    }
  }

  async #name({ subject, type, disclose }: DraftOf<'principal'>): Promise<() => void> {
    const { living } = this.#ledger
    const name = disclose?.name
    const isNew = living.principal(subject) === undefined && !this.#names.has(subject)
    const wasErased = isNew && (await this.#before()).has(subject)
    // From here to where it is noted nothing is awaited: another may say so at the same time.
    const known = living.principal(subject)
    if (known === undefined) {
      if (wasErased || living.wasErased(subject)) throw denied('name again who was erased')
      const coming = this.#names.get(subject) ?? { type, name, count: 0 }
      if (coming.type !== type || coming.name !== name) throw anew()
      return this.#hold(subject, coming)
    }
    const { name: before } = await this.#ledger.disclosures(known.index)
    if (known.entry.kind !== 'principal' || known.entry.type !== type || name !== before) throw anew()
    return () => undefined
  }

  /**
   * Somebody may be about to decide what was asked for under that id.
   * @returns to be called once it is durable, or will not be
   * @throws Refusal ERR_ACCESS_DENIED
   */
  ask(id: string, forMs: number): () => void {
    if (this.#ledger.living.isKnown(id) || this.#asked.has(id)) throw denied('ask anew under an id that was asked for')
    if (!(forMs <= longestAskedMs)) throw denied('ask for more than a year')
    this.#asked.add(id)
    return () => void this.#asked.delete(id)
  }

  /**
   * Whom it concerns that somebody is erased follows from whom they acted for, and who is accountable for them: of a
   * person that is nobody else, and of an agent or a service who a `principal` entry says it is. A host that may name
   * any others could have nobody erased.
   * @throws Refusal ERR_ACCESS_DENIED
   */
  requireConcerned(draft: Draft): void {
    const concern = concernIn(draft as unknown as Entry)
    if (concern === undefined || draft.kind === 'principal') return
    const { subject } = concern
    const { principal, owner } = draft as DraftOf<'session-opened'>
    const { living } = this.#ledger
    const known = living.principal(subject)?.entry
    const type = known?.kind === 'principal' ? known.type : this.#names.get(subject)?.type
    // Of who is erased by now nothing is left to be erased.
    if (type === undefined && living.wasErased(subject)) return
    if (type !== 'agent' && type !== 'service') throw anothers()
    if (owner !== undefined && !this.#isOwner(subject, owner)) throw anothers()
    if (principal !== undefined && type !== 'agent') throw anothers()
  }

  #isOwner(subject: string, owner: string): boolean {
    return this.#owners.get(subject)?.has(owner) === true || this.#ownersComing.has(ownedBy(subject, owner))
  }

  #see(entry: Entry): void {
    if (entry.kind !== 'principal' || entry.owner === undefined) return
    this.#owners.set(entry.subject, (this.#owners.get(entry.subject) ?? new Set()).add(entry.owner))
  }

  /** What was erased in those before was erased by now: whoever is erased later is so in this one too. */
  #before(): Promise<ReadonlySet<string>> {
    this.#erasedBefore ??= this.#readErased().catch(error => {
      this.#erasedBefore = undefined
      throw error
    })
    return this.#erasedBefore
  }

  #hold(subject: string, coming: Coming): () => void {
    coming.count += 1
    this.#names.set(subject, coming)
    return () => {
      coming.count -= 1
      if (coming.count === 0) this.#names.delete(subject)
    }
  }
}

/** Neither has been looked at yet. */
const ownedBy = (subject: string, owner: string): string => JSON.stringify([subject, owner])

const anothers = () =>
  denied(
    'say that a person acts for somebody else, or is accountable to them; or of a program, who is, but by naming it',
  )

const anew = () => denied('say anew who somebody is')
