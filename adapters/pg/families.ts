/** Relations that show or change each other's rows: parents and children, an index and its table, foreign keys that act. Pure. */

/** By oid. */
export interface Edges {
  readonly inherits: readonly { readonly child: string; readonly parent: string }[]
  readonly indexes: readonly { readonly index: string; readonly table: string }[]
  /** Where a change of the parent changes the child. */
  readonly actions: readonly { readonly child: string; readonly parent: string }[]
}

export interface Families {
  /** Ancestors and descendants of a relation, without itself; of an index, its table and that one's. */
  kin(oid: string): ReadonlySet<string>
  /** What the server changes when rows of the relation are changed or deleted: its errors may quote rows of those. */
  changed(oid: string): ReadonlySet<string>
}

export function families({ inherits, indexes, actions }: Edges): Families {
  const parents = graph(inherits.map(({ child, parent }) => [child, parent]))
  const children = graph(inherits.map(({ child, parent }) => [parent, child]))
  const tables = new Map(indexes.map(({ index, table }) => [index, table]))
  const acted = graph(actions.map(({ child, parent }) => [parent, child]))
  const own = (oid: string) => new Set([...reach(parents, oid), ...reach(children, oid)])
  const kin = (oid: string) => {
    const table = tables.get(oid)
    return table === undefined ? own(oid) : new Set([table, ...own(table), ...own(oid)])
  }
  return {
    kin,
    changed: oid => {
      const found = new Set<string>()
      const waiting = [oid, ...own(oid)]
      for (const from of waiting) {
        for (const to of acted.get(from) ?? []) {
          if (found.has(to)) continue
          found.add(to)
          for (const other of own(to)) found.add(other)
          waiting.push(to, ...own(to))
        }
      }
      return found
    },
  }
}

type Graph = ReadonlyMap<string, readonly string[]>

function graph(edges: readonly (readonly [string, string])[]): Graph {
  const made = new Map<string, string[]>()
  for (const [from, to] of edges) {
    const known = made.get(from)
    if (known === undefined) made.set(from, [to])
    else known.push(to)
  }
  return made
}

/** Whatever can be come to, without where it starts. */
function reach(edges: Graph, start: string): ReadonlySet<string> {
  const found = new Set<string>()
  const waiting = [start]
  for (const from of waiting) {
    for (const to of edges.get(from) ?? []) {
      if (to === start || found.has(to)) continue
      found.add(to)
      waiting.push(to)
    }
  }
  return found
}
