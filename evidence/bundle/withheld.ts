/**
 * Principals of whom nothing is disclosed in a copy of a bundle: which entries are theirs, and which others name them.
 * What is withheld is said, so that whoever verifies the copy can tell it from what is missing.
 */
import { Misuse } from '../../lib/errors.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Entry } from '../../lib/format/entry.ts'
import type { LedgerRecord } from '../verify.ts'
import { type DisclosurePolicy, isShown } from './select.ts'

export interface Withheld {
  /** Pseudonyms, sorted. */
  readonly principals: readonly string[]
  /** Entries of others of which something is withheld because it names one of these; ascending. */
  readonly entries: readonly number[]
  /** Entries of which something was erased after the closing checkpoint, so that what says so is not in the bundle; ascending. */
  readonly erasedLater: readonly number[]
}

/** What they did, what was done on their behalf, and what was done about them: entries, by what stands in clear. */
export class Theirs {
  readonly #principals: ReadonlySet<unknown>
  /** Ids of their sessions and exchanges. */
  readonly #ids = new Set<unknown>()

  /** @param entries all that are asked about */
  constructor(principals: readonly string[], entries: readonly { readonly entry: Entry }[]) {
    this.#principals = new Set(principals)
    if (principals.length === 0) return
    for (const { entry } of entries) {
      if (entry.kind !== 'decision' && entry.kind !== 'session-opened') continue
      if (!this.#names(entry)) continue
      this.#ids.add(entry.session)
      if (entry.kind === 'decision') this.#ids.add(entry.exchange)
    }
    this.#ids.delete(undefined)
  }

  has(entry: Entry): boolean {
    const { session, exchange, of } = entry as { readonly [K in 'session' | 'exchange' | 'of']?: unknown }
    return this.#names(entry) || [session, exchange, of].some(id => this.#ids.has(id))
  }

  #names(entry: Entry): boolean {
    const { subject, principal, by, of } = entry as {
      readonly [K in 'subject' | 'principal' | 'by' | 'of']?: unknown
    }
    return [subject, principal, by, of].some(one => this.#principals.has(one))
  }
}

/**
 * @param who names, or pseudonyms. @param all of the ledger. @param shown what is in the bundle. @param size of the closing checkpoint
 * @throws Misuse ERR_OPTION_INVALID where the ledger knows of nobody by that name
 */
export function withhold(
  who: readonly string[],
  all: readonly LedgerRecord[],
  shown: readonly LedgerRecord[],
  size: number,
): { readonly withheld: Withheld; readonly isWithheld: (record: LedgerRecord, name: string) => boolean } {
  const erasedLater = shown.filter(({ opened }) => (opened.erased?.by ?? 0) >= size).map(({ index }) => index)
  if (who.length === 0) return { withheld: { principals: [], entries: [], erasedLater }, isWithheld: () => false }
  const principals = new Set(who.flatMap(one => pseudonymsOf(one, all)))
  const names = all.flatMap(({ entry, opened: { values } }) =>
    entry.kind === 'principal' && principals.has(entry.subject) && typeof values.name === 'string' ? [values.name] : [],
  )
  const theirs = new Theirs([...principals], shown)
  const namesThem = (value: Json | undefined) => {
    const text = JSON.stringify(value ?? null)
    return names.some(name => text.includes(JSON.stringify(name).slice(1, -1)))
  }
  const isWithheld = ({ entry, opened }: LedgerRecord, name: string) =>
    theirs.has(entry) || namesThem(opened.values[name])
  const entries = shown
    .filter(record => !theirs.has(record.entry) && Object.values(record.opened.values).some(namesThem))
    .map(({ index }) => index)
  return { withheld: { principals: [...principals].sort(), entries, erasedLater }, isWithheld }
}

function pseudonymsOf(who: string, all: readonly LedgerRecord[]): string[] {
  const found = all.flatMap(({ entry, opened: { values } }) =>
    entry.kind === 'principal' && (entry.subject === who || values.name === who) ? [entry.subject] : [],
  )
  if (found.length === 0) throw new Misuse('ERR_OPTION_INVALID', `withhold: the ledger knows of nobody as ${who}`)
  return found
}

// Table: what entries of these kinds may disclose. Of others, some is in no bundle.
// biome-ignore format: a table
const disclosable: Partial<Record<Entry['kind'], readonly string[]>> = {
  'principal':          ['name', 'issuer'],
  'policy':             ['model', 'rules', 'controls'],
  'session-opened':     ['address', 'client', 'issuer'],
  'grant-requested':    ['reason'],
  'grant-revoked':      ['reason'],
  'approval-requested': ['action', 'actionSalt'],
  'erasure':            ['basis'],
  'disposed':           ['basis'],
  'hold-placed':        ['reason'],
  'hold-released':      ['reason'],
}

/** Whether all that an entry discloses is in a bundle of this policy, where it is withheld from nobody and was not erased. */
export const isWhole = (entry: Entry, policy: DisclosurePolicy): boolean =>
  disclosable[entry.kind]?.every(name => isShown(entry, name, policy)) ?? false
