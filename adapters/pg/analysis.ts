/** What an analysis of a text says: the words between the reading of statements and those who judge, execute and remember them. */
import type { Absence, Access, Move } from '../../lib/operation.ts'
import type { Risk } from './actions.ts'

export interface Analysis {
  readonly accesses: readonly Access[]
  readonly reaches: readonly string[]
  /** Where it brings data, at once or later by what it defines. */
  readonly moves: readonly Move[]
  readonly opaque: boolean
  /** It runs code of the database's own, which may move what the session stands on. */
  readonly code: boolean
  readonly risk: Risk
  readonly read: boolean
  /** Never forwarded: why not. */
  readonly refused?: string
  /** A name that the catalog did not know. */
  readonly missed: boolean
  /** Relations that neither the catalog nor the session knows. */
  readonly absent: readonly Absence[]
  /** The text may hold a credential. */
  readonly secret: boolean
  /** One for each statement of the text. */
  readonly parts: readonly Part[]
}

/** What the session must know of one statement. */
export interface Part {
  readonly transaction?: { readonly kind: string; readonly savepoint?: string }
  readonly copy?: 'in' | 'out'
  /** A definition changes: the catalog is read again once it is done. */
  readonly defines: boolean
  /** A relation takes another parent, whose columns are renamed together with its own from then on. */
  readonly regroups?: boolean
  /** Names a session-level object: what it stands for is looked up when the statement is executed. */
  readonly uses?: Named
  readonly makes?: Named & { readonly analysis: Analysis }
  readonly drops?: Named | 'everything' | 'prepared' | 'cursors'
  /** New relations, by the name that later statements of this session use. */
  readonly creates: readonly Created[]
  /** For each column of the result, whether it is proved to show nothing; undefined where positions are unknown. */
  readonly harmless: readonly boolean[] | undefined
  /** The same, whatever names mean by the time that it runs. */
  readonly certain: readonly boolean[] | undefined
}

export interface Created {
  readonly schema: string
  readonly name: string
  readonly view: boolean
}

export interface Named {
  readonly kind: 'prepared' | 'cursor'
  readonly name: string
}

/** What the session itself created, and the catalog cannot see yet, or ever. */
export interface Overlay {
  readonly searchPath: readonly string[]
  readonly temporary: ReadonlySet<string>
  readonly created: ReadonlyMap<string, string>
  /** Views among them. */
  readonly views: ReadonlySet<string>
}
