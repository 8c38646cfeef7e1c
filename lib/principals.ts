/**
 * Who is who: the pseudonym of each principal, folded from the ledger's `principal` entries. Entries speak in pseudonyms only; the names
 * are disclosed once, sealed under a slot of their own, so that forgetting a person leaves every other entry readable.
 */
import { randomBytes } from 'node:crypto'
import { Refusal } from './errors.ts'
import type { Subject } from './identity/subject.ts'
import type { Ledger, Stored } from './ledger/ledger.ts'
import { isSubjectId } from './policy/rules.ts'

export interface Actors {
  readonly subject: string
  readonly principal?: string
  readonly owner?: string
}

interface Known {
  readonly pseudonym: string
  readonly type: Subject['type']
  readonly owner: string | undefined
}

export class Principals {
  readonly #ledger: Ledger
  readonly #byName = new Map<string, Promise<Known>>()
  readonly #names = new Map<string, string>()
  /** As the ledger has them; the latest of what it says of a name's first pseudonym. */
  readonly #recorded = new Map<string, Known>()
  /** Pseudonyms that this process gives, and to whom. */
  readonly #mine = new Map<string, string>()
  /** Erased ones: what was being read of them when they were erased is of no use any more. */
  readonly #forgotten = new Set<string>()
  #folded: Promise<void> = Promise.resolve()

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  /**
   * In index order. Where two processes that share the ledger met the same new name at once, the pseudonym that stands first is that
   * person's: with two, one could approve for oneself.
   */
  async fold({ index, entry }: Stored): Promise<void> {
    if (entry.kind !== 'principal') return
    const name = this.#mine.get(entry.subject) ?? (await this.#ledger.disclosures(index)).name
    // Erased: whoever comes back under that name is a new principal.
    if (typeof name !== 'string' || this.#forgotten.has(entry.subject)) return
    this.#names.set(entry.subject, name)
    const first = this.#recorded.get(name)
    if (first !== undefined && first.pseudonym !== entry.subject) return
    const known = { pseudonym: entry.subject, type: entry.type, owner: entry.owner }
    this.#recorded.set(name, known)
    this.#byName.set(name, Promise.resolve(known))
  }

  /** Entries as they come, folded one after another. What could not be read here fails whoever is asked for next. */
  follow(stored: Stored): void {
    if (stored.entry.kind !== 'principal') return
    this.#folded = this.#folded.then(() => this.fold(stored))
    this.#folded.catch(() => undefined)
  }

  /**
   * Pseudonyms of a subject, its principal and its owner; those never seen before are recorded first.
   * @throws Refusal ERR_UNIDENTIFIED where a name is none that policy could use: spelt in another way, a person would be two
   */
  async actors(subject: Subject): Promise<Actors> {
    const names = [subject.id, subject.principal, subject.owner].filter(name => name !== undefined)
    if (!names.every(isSubjectId)) {
      throw new Refusal('ERR_UNIDENTIFIED', 'the identity has a name that policy cannot use')
    }
    const owner = subject.owner === undefined ? undefined : await this.#person(subject.owner, subject.issuer)
    const principal =
      subject.principal === undefined ? undefined : await this.#person(subject.principal, subject.issuer)
    const own = await this.#pseudonym(subject.id, subject.type, subject.issuer, owner)
    return {
      subject: own,
      ...(principal === undefined ? {} : { principal }),
      ...(owner === undefined ? {} : { owner }),
    }
  }

  /** The pseudonym of a name that is known; undefined where it was erased, or never seen. */
  async pseudonymOf(name: string): Promise<string | undefined> {
    return (await this.#byName.get(name))?.pseudonym
  }

  /** Once it was erased: whoever comes back under that name is a new principal. */
  forget(pseudonym: string): void {
    const name = this.#names.get(pseudonym) ?? this.#mine.get(pseudonym)
    this.#forgotten.add(pseudonym)
    this.#names.delete(pseudonym)
    this.#mine.delete(pseudonym)
    if (name === undefined) return
    this.#byName.delete(name)
    if (this.#recorded.get(name)?.pseudonym === pseudonym) this.#recorded.delete(name)
  }

  /** The name behind a pseudonym, for those who may see it; undefined where unknown or erased. */
  nameOf(pseudonym: string): string | undefined {
    return this.#names.get(pseudonym)
  }

  #person(name: string, issuer: string): Promise<string> {
    return this.#pseudonym(name, undefined, issuer, undefined)
  }

  /** @param type undefined where the name is only referred to: a person, unless known otherwise. */
  async #pseudonym(
    name: string,
    type: Subject['type'] | undefined,
    issuer: string,
    owner: string | undefined,
  ): Promise<string> {
    const known = await this.#byName.get(name)
    if (known !== undefined && (type === undefined || (known.type === type && known.owner === owner))) {
      return known.pseudonym
    }
    // Two exchanges may meet the same new name at once: the second waits for the first's entry.
    if (this.#byName.has(name) && known === undefined) return this.#pseudonym(name, type, issuer, owner)
    const entry = this.#append(name, type ?? 'person', issuer, owner, known?.pseudonym)
    this.#byName.set(name, entry)
    entry.catch(() => this.#byName.delete(name))
    return (await entry).pseudonym
  }

  async #append(
    name: string,
    type: Subject['type'],
    issuer: string,
    owner: string | undefined,
    pseudonym = randomBytes(16).toString('base64url'),
  ): Promise<Known> {
    this.#mine.set(pseudonym, name)
    await this.#ledger.append([
      {
        kind: 'principal',
        subject: pseudonym,
        type,
        owner,
        disclose: { name, issuer },
        slot: `principal:${pseudonym}`,
      },
    ])
    if (!this.#forgotten.has(pseudonym)) this.#names.set(pseudonym, name)
    // By now this process has been told of whatever stands before it.
    await this.#folded
    const recorded = this.#recorded.get(name)
    if (recorded === undefined || recorded.pseudonym === pseudonym) return { pseudonym, type, owner }
    // Another process named them first.
    if (recorded.type === type && recorded.owner === owner) return recorded
    return this.#append(name, type, issuer, owner, recorded.pseudonym)
  }
}
