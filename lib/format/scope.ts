/**
 * Which principal or session the disclosures of an entry belong to: what is erased together, and what an erasure can be an alibi for.
 * It follows from the entries in clear, so that a verifier needs neither the vault nor its key to tell. Pure.
 */
import type { Entry, EntryOf } from './entry.ts'

/** As slots are named: `principal:PSEUDONYM`, `session:ID`. */
export type ScopeName = `principal:${string}` | `session:${string}`

export const scopeName = ({ scope, of }: { scope: 'principal' | 'session'; of: string }): ScopeName => `${scope}:${of}`

interface Decided {
  readonly writer: string
  readonly scope: ScopeName | undefined
}

/** What is of an exchange, by who wrote it: what another writer comes to say of that exchange changes nothing. */
const own = ({ writer, exchange }: { readonly writer: string; readonly exchange: string }) => `${exchange} ${writer}`

export class Scopes {
  /** By exchange, as its first decision says: statements and replies are of the session, where there is one. */
  readonly #first = new Map<string, Decided>()
  /** Of exchanges that a second writer decided too: no guard does. By `own`. */
  readonly #others = new Map<string, Decided>()

  /** To be told of every entry before any is asked for: what belongs to an exchange may stand before its decision. */
  learn(entry: Entry): void {
    if (entry.kind !== 'decision') return
    const decided = { writer: entry.writer, scope: ofDecision(entry) }
    const first = this.#first.get(entry.exchange)
    if (first === undefined) this.#first.set(entry.exchange, decided)
    else if (first.writer !== entry.writer && !this.#others.has(own(entry))) this.#others.set(own(entry), decided)
  }

  /** @returns undefined where it is of nobody (the texts of a policy), or cannot be told */
  of(entry: Entry): ScopeName | undefined {
    switch (entry.kind) {
      case 'decision':
        return ofDecision(entry)
      case 'session-opened':
        return `session:${entry.session}`
      case 'attachment':
        return entry.session === undefined ? this.#decided(entry)?.scope : `session:${entry.session}`
      case 'attachment-cut':
        // Said by whoever opened the ledger after its writer was gone.
        return entry.session === undefined ? this.#first.get(entry.exchange)?.scope : `session:${entry.session}`
      case 'outcome':
      case 'approval-requested':
        return this.#decided(entry)?.scope
      case 'principal':
      case 'grant-requested':
        return `principal:${entry.subject}`
      case 'grant-revoked':
        return `principal:${entry.by}`
      case 'event':
        return entry.subject === undefined ? undefined : `principal:${entry.subject}`
      default:
        return undefined
    }
  }

  /**
   * Whether a name is the entry's scope, or may be: an approval that was asked for before a crash has no decision that would say whether
   * it was of a session.
   */
  mayBe(entry: Entry, name: ScopeName): boolean {
    if (entry.kind !== 'approval-requested' || this.#decided(entry) !== undefined) return this.of(entry) === name
    return name.startsWith('session:') || name === `principal:${entry.subject}`
  }

  #decided(entry: { readonly writer: string; readonly exchange: string }): Decided | undefined {
    const first = this.#first.get(entry.exchange)
    return first?.writer === entry.writer ? first : this.#others.get(own(entry))
  }
}

const ofDecision = ({ session, subject }: EntryOf<'decision'>): ScopeName | undefined => {
  if (session !== undefined) return `session:${session}`
  return subject === undefined ? undefined : `principal:${subject}`
}
