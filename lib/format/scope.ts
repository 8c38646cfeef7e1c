/**
 * Which principal or session the disclosures of an entry belong to: what is erased together, and what an erasure can be an alibi for.
 * It follows from the entries in clear, so that a verifier needs neither the vault nor its key to tell. Pure.
 */
import type { Entry, EntryOf } from './entry.ts'

/** As slots are named: `principal:PSEUDONYM`, `session:ID`. */
export type ScopeName = `principal:${string}` | `session:${string}`

export const scopeName = ({ scope, of }: { scope: 'principal' | 'session'; of: string }): ScopeName => `${scope}:${of}`

export class Scopes {
  /** By exchange, as its decision says: statements and replies are of the session, where there is one. */
  readonly #exchanges = new Map<string, ScopeName | undefined>()

  /** To be told of every entry before any is asked for: what belongs to an exchange may stand before its decision. */
  learn(entry: Entry): void {
    if (entry.kind === 'decision') this.#exchanges.set(entry.exchange, ofDecision(entry))
  }

  /** @returns undefined where it is of nobody (the texts of a policy), or cannot be told */
  of(entry: Entry): ScopeName | undefined {
    switch (entry.kind) {
      case 'decision':
        return ofDecision(entry)
      case 'session-opened':
        return `session:${entry.session}`
      case 'attachment':
      case 'attachment-cut':
        return entry.session === undefined ? this.#exchanges.get(entry.exchange) : `session:${entry.session}`
      case 'outcome':
      case 'approval-requested':
        return this.#exchanges.get(entry.exchange)
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
    if (entry.kind !== 'approval-requested' || this.#exchanges.has(entry.exchange)) return this.of(entry) === name
    return name.startsWith('session:') || name === `principal:${entry.subject}`
  }
}

const ofDecision = ({ session, subject }: EntryOf<'decision'>): ScopeName | undefined => {
  if (session !== undefined) return `session:${session}`
  return subject === undefined ? undefined : `principal:${subject}`
}
