/** What a name in a statement stands for: the words between the catalog, which knows, and the reading of statements, which asks. */
import type { Effect } from './functions.ts'

export interface Relation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** pg_class.relkind: r table, v view, m materialized view, p partitioned, f foreign, S sequence, i and I index, c composite. */
  readonly kind: string
  readonly resource: string
  /** Attribute number to name. */
  readonly columns: ReadonlyMap<number, string>
  /** Resources of its ancestors and descendants by inheritance or partition; of an index, its table's. */
  readonly kin: readonly string[]
  /** Resources that a change of its rows changes too, by foreign keys that cascade or set. */
  readonly changed: readonly string[]
  /** A rule of the schema's own does something else in place of a write to it, or beside it. */
  readonly rewritten: boolean
  /** Of a view: its query, every name in it qualified; or that it cannot be known now. */
  readonly definition?: string | typeof unknownDefinition
}

/** A view whose tables are locked cannot be printed: it may show anything. */
export const unknownDefinition = Symbol('unknown definition')

/** A function's effect, and the schema that it was found in. */
export interface Called {
  readonly schema: string
  readonly effect: Effect
  /** It is the system's or an extension's, or something runs it unasked: a trigger, a default, a policy, a cast. */
  readonly relied: boolean
}

export interface Names {
  readonly target: string
  /** Resolves as the server would: pg_catalog first, then the pinned search path, unless a schema is given. */
  relation(schema: string | undefined, name: string): Relation | undefined
  relationOf(oid: number): Relation | undefined
  function(schema: string | undefined, name: string): Called | undefined
  /** Whether a function of the database's own takes a row: then `c.f` may be a call of it. */
  isRowFunction(name: string): boolean
  /** Whether the operator, in every variant, calls only functions known harmless. */
  operatorIsHarmless(schema: string | undefined, name: string): boolean
  /** Whether a cast to the type runs no code of the database's own. */
  typeIsHarmless(schema: string | undefined, name: string): boolean
  /** Of every relation. */
  resources(): readonly string[]
  /** The schema that an unqualified new name goes to. */
  readonly creationSchema: string
}

/** A part of a resource: printable, and never with a character that separates parts or stands for several. */
export function segment(name: string): string {
  return encodeURIComponent(name).replace(/[.!'()*~]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The last part of a resource, as it was before `resourceOf`. */
export const nameIn = (resource: string): string => decodeURIComponent(resource.slice(resource.lastIndexOf('.') + 1))

/** The schema in a resource. */
export const schemaIn = (resource: string): string =>
  decodeURIComponent(resource.slice(resource.lastIndexOf('/') + 1, resource.lastIndexOf('.')))

export const resourceOf = (target: string, schema: string, name: string): string =>
  `${target}/${segment(schema)}.${segment(name)}`
