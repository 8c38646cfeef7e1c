/**
 * What a session has named: prepared statements and portals, made by the protocol or in SQL, which share their names. Code in
 * the database may remake any of them unseen: after it has run, what was known is known no more.
 */
import type { Json } from '../../lib/format/canonical.ts'
import { type Analysed, namedIn } from './analyser.ts'
import type { Analysis, Overlay, Part } from './analysis.ts'
import type { Described } from './columns.ts'

export interface Prepared {
  analysed: Analysed
  /** The Parse message, by which it can be made again; absent where it was made in SQL. */
  readonly parse?: Buffer
  /** Oids of parameters' types, where the client gave any. */
  readonly types: readonly number[]
  generation: number
}

export interface Portal {
  readonly analysed: Analysed
  readonly types: readonly number[]
  readonly values: readonly Json[]
  readonly formats: readonly number[]
  readonly generation: number
  /** Made by DECLARE: its columns come with each FETCH, and it may outlive the transaction. */
  readonly cursor: boolean
  described?: readonly Described[] | 'none'
}

export class State implements Overlay {
  readonly searchPath: readonly string[]
  readonly temporary = new Set<string>()
  readonly created = new Map<string, string>()
  readonly views = new Set<string>()
  readonly prepared = new Map<string, Prepared>()
  readonly portals = new Map<string, Portal>()
  generation = 0
  /** Settings must be pinned again before anything else is forwarded. */
  unpinned = false

  constructor(searchPath: readonly string[]) {
    this.searchPath = searchPath
  }

  /** Code of the database's own has run. */
  taint(): void {
    this.generation++
    this.unpinned = true
  }

  /** What a name stands for; undefined where we cannot know. */
  meaning(kind: 'prepared' | 'cursor', name: string): Analysed | undefined {
    const found = kind === 'prepared' ? this.prepared.get(name) : this.portals.get(name)
    return found?.generation === this.generation ? found.analysed : undefined
  }

  /** Portals end with their transaction; cursors WITH HOLD do not, so cursors are kept. */
  transactionEnded(): void {
    for (const [name, portal] of this.portals) if (!portal.cursor) this.portals.delete(name)
  }

  /** Another subject has the connection from here on. @param wholly statements of the protocol must be prepared again, too */
  handedOver(wholly: boolean): void {
    this.temporary.clear()
    this.portals.clear()
    // The unnamed one is gone with whoever parsed it.
    for (const [name, { parse }] of this.prepared) if (parse === undefined || name === '') this.prepared.delete(name)
    if (!wholly) return
    // These were another subject's names for what the catalog has, or will have once it is read again.
    this.created.clear()
    this.views.clear()
    this.taint()
  }

  /** A statement has been executed. What it would have created is remembered even where it failed: it only adds names. */
  creates({ creates }: Part): void {
    for (const { schema, name, view } of creates) {
      if (view) this.views.add(name)
      if (schema === 'pg_temp') this.temporary.add(name)
      else this.created.set(name, schema)
    }
  }

  completed(part: Part, analysed: Analysed): void {
    const { makes, drops } = part
    if (makes !== undefined) {
      const common = { analysed: namedIn(analysed, makes), types: [], generation: this.generation }
      if (makes.kind === 'prepared') this.prepared.set(makes.name, common)
      else this.portals.set(makes.name, { ...common, values: [], formats: [], cursor: true })
    }
    if (drops === undefined) return
    if (drops === 'everything' || drops === 'prepared') this.prepared.clear()
    if (drops === 'everything' || drops === 'cursors') this.portals.clear()
    if (typeof drops === 'object') {
      if (drops.kind === 'prepared') this.prepared.delete(drops.name)
      else this.portals.delete(drops.name)
    }
  }
}

type Meaning = Pick<Analysed, 'text' | 'analysis'>

/** What stands behind the names that a text uses, in its own order: a name may be made earlier in the same text. */
export function usedBy(analysis: Analysis, state: State, text: string): readonly (Meaning | undefined)[] {
  const here = new Map<string, Analysis>()
  const used: (Meaning | undefined)[] = []
  for (const { makes, uses } of analysis.parts) {
    if (makes !== undefined) here.set(`${makes.kind} ${makes.name}`, makes.analysis)
    if (uses === undefined) continue
    const before = state.meaning(uses.kind, uses.name)
    const local = here.get(`${uses.kind} ${uses.name}`)
    if (local !== undefined) used.push({ text, analysis: local })
    if (before !== undefined || local === undefined) used.push(before)
  }
  return used
}
