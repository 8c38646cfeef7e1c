/** Analyses whole texts, and views by their definitions, which are texts too: what a view can show is what its query reads. */
import type { Analysis, Overlay } from './analysis.ts'
import { type Names, type Relation, unknownDefinition } from './names.ts'
import { Reading } from './reading.ts'
import { readStatement } from './statement.ts'
import { parseStatements, type Statement } from './tree.ts'

/** @throws ProtocolViolation where the text cannot be parsed */
export function analyse(text: string, names: Names, overlay: Overlay): Analysis {
  return analyseStatements(parseStatements(text), names, overlay)
}

function analyseStatements(statements: readonly Statement[], names: Names, overlay: Overlay): Analysis {
  const inner = {
    statements: (some: readonly Statement[]) => analyseStatements(some, names, overlay),
    view: (relation: Relation) => analyseView(relation, names),
    beneath: (relation: Relation) => beneath(relation, names),
  }
  const reading = new Reading(names, overlay, inner)
  const parts = statements.map(({ kind, node }) => reading.statement(() => readStatement(reading, kind, node)))
  return reading.result(parts)
}

/** What a view reaches, by its definition; one answer for each relation of a snapshot. */
const reached = new WeakMap<Relation, Analysis>()

const unknownView: Analysis = {
  ...{ accesses: [], reaches: [], moves: [], absent: [], parts: [], missed: false, secret: false },
  ...{ opaque: true, code: true, risk: 'high', read: false },
}

/** @returns undefined where the relation is no view */
export function analyseView(relation: Relation, names: Names): Analysis | undefined {
  if (relation.definition === undefined) return undefined
  if (relation.definition === unknownDefinition) return unknownView
  let known = reached.get(relation)
  if (known === undefined) {
    const none: Overlay = { searchPath: [], temporary: new Set(), created: new Map(), views: new Set() }
    known = analyse(relation.definition, names, none)
    reached.set(relation, known)
  }
  return known
}

/** Resources whose data the relation can show beside its own: its kin, and of a view all that it reads. */
export function beneath(relation: Relation, names: Names): readonly string[] {
  const view = analyseView(relation, names)
  const tables = (view?.accesses ?? [])
    .map(access => access.resource)
    .filter(resource => !resource.endsWith('/session'))
  return [...relation.kin, ...tables, ...(view?.reaches ?? [])]
}
