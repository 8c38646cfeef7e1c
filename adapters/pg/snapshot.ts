/** One reading of the upstream's catalog, and names resolved in it as the server would. */
import type { Rows } from './catalog-queries.ts'
import { families } from './families.ts'
import { type Effect, effectOf, harmless } from './functions.ts'
import { type Called, type Names, type Relation, resourceOf, unknownDefinition } from './names.ts'

/** One reading of the catalog. Immutable: statements analysed with it are as good as it is. */
export class Snapshot implements Names {
  readonly target: string
  readonly version: number
  readonly creationSchema: string
  readonly #path: readonly string[]
  readonly #relations = new Map<string, Relation>()
  readonly #byOid = new Map<number, Relation>()
  readonly #functions = new Map<string, Called>()
  readonly #rowFunctions = new Set<string>()
  readonly #operators = new Map<string, boolean>()
  readonly #types = new Map<string, boolean>()

  constructor(target: string, searchPath: readonly string[], version: number, rows: Rows) {
    this.target = target
    this.version = version
    this.creationSchema = searchPath[0] ?? 'public'
    this.#path = searchPath.includes('pg_catalog') ? searchPath : ['pg_catalog', ...searchPath]
    const { kin, changed } = families(rows)
    const resources = new Map(rows.relations.map(r => [r.oid, resourceOf(target, visible(r.schema), r.name)]))
    const named = (oids: ReadonlySet<string>) =>
      [...oids].map(other => resources.get(other)).filter(resource => resource !== undefined)
    for (const { oid, schema, name, kind, columns, rule, rewritten } of rows.relations) {
      const definition = rows.definitions.get(oid)
      const relation: Relation = {
        oid: Number(oid),
        schema: visible(schema),
        name,
        kind,
        resource: resources.get(oid)!,
        columns: new Map(columns ?? []),
        kin: named(kin(oid)),
        changed: named(changed(oid)),
        rewritten,
        ...(rule === null ? {} : { definition: definition ?? unknownDefinition }),
      }
      this.#byOid.set(relation.oid, relation)
      // Each session has temporary relations of its own, which only the session can tell apart.
      if (!isTemporary(schema)) this.#relations.set(key(schema, name), relation)
    }
    for (const { schema, name, steady, known, relied, row } of rows.functions) {
      const effect: Effect =
        schema === 'pg_catalog' && known
          ? effectOf(name, steady)
          : known && steady
            ? harmless
            : { kind: 'unknown', risk: ['pg_catalog', 'information_schema'].includes(schema) ? 'high' : 'low' }
      this.#functions.set(key(schema, name), { schema, effect, relied })
      if (row && effect.kind !== 'harmless') this.#rowFunctions.add(name)
    }
    for (const { schema, name, harmless } of rows.operators) this.#operators.set(key(schema, name), harmless)
    for (const { schema, name, harmless } of rows.types) {
      const at = key(visible(schema), name)
      this.#types.set(at, harmless && (this.#types.get(at) ?? true))
    }
  }

  relation(schema: string | undefined, name: string): Relation | undefined {
    for (const at of schema === undefined ? this.#path : [schema]) {
      const found = this.#relations.get(key(at, name))
      if (found !== undefined) return found
    }
    return undefined
  }

  relationOf(oid: number): Relation | undefined {
    return this.#byOid.get(oid)
  }

  resources(): readonly string[] {
    return [...this.#byOid.values()].map(({ resource }) => resource)
  }

  /** The server picks among all schemas of the path by the arguments' types, so the worst of them counts. */
  function(schema: string | undefined, name: string): Called | undefined {
    let worst: Called | undefined
    for (const at of schema === undefined ? this.#path : [schema]) {
      const found = this.#functions.get(key(at, name))
      if (found === undefined) continue
      if (worst === undefined || severity(found.effect) > severity(worst.effect)) worst = found
    }
    return worst
  }

  isRowFunction(name: string): boolean {
    return this.#rowFunctions.has(name)
  }

  operatorIsHarmless(schema: string | undefined, name: string): boolean {
    if (schema === undefined) return this.#path.every(at => this.#operators.get(key(at, name)) ?? true)
    return this.#operators.get(key(schema, name)) ?? schema === 'pg_catalog'
  }

  typeIsHarmless(schema: string | undefined, name: string): boolean {
    // The server looks for types in the session's temporary schema first: any session's counts.
    if (schema === undefined) return ['pg_temp', ...this.#path].every(at => this.#types.get(key(at, name)) ?? true)
    return this.#types.get(key(schema, name)) ?? schema === 'pg_catalog'
  }
}

const key = (schema: string, name: string) => `${schema}\0${name}`
const isTemporary = (schema: string) => /^pg_temp_\d+$/.test(schema)
const visible = (schema: string) => (isTemporary(schema) ? 'pg_temp' : schema)
const severity = (effect: Effect) => ['harmless', 'writes', 'unknown'].indexOf(effect.kind)
