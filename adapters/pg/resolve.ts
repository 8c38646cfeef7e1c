/** What the name of a relation stands for in a session: the catalog's, the session's own, or nobody's that is known. */
import type { Absence } from '../../lib/operation.ts'
import type { Overlay } from './analysis.ts'
import { type Names, type Relation, resourceOf } from './names.ts'
import { type Node, stringAt } from './tree.ts'

export interface Resolved {
  readonly schema: string | undefined
  readonly name: string
  /** The catalog's. */
  readonly relation: Relation | undefined
  /** At least one. */
  readonly resources: readonly string[]
  /** Neither the catalog nor the session knows it. */
  readonly unknown: boolean
  /** Made by code: nobody has read what it is. */
  readonly unread: boolean
}

/** @param created names that come into being in the same text, with their schemas */
export function resolve(names: Names, overlay: Overlay, created: ReadonlyMap<string, string>, range: Node): Resolved {
  const schema = stringAt(range, 'schemaname')
  const name = stringAt(range, 'relname') ?? ''
  const resources: string[] = []
  // The session's own temporary relations come first, for the server; here they count beside whatever else has the name.
  const temporary = overlay.temporary.has(name) && (schema === undefined || schema === 'pg_temp')
  if (temporary || schema === 'pg_temp') resources.push(resourceOf(names.target, 'pg_temp', name))
  const relation = schema === 'pg_temp' ? undefined : names.relation(schema, name)
  if (relation !== undefined) resources.push(relation.resource)
  let unknown = false
  if (resources.length === 0) {
    const made = created.get(name) ?? overlay.created.get(name)
    unknown = made === undefined || (schema !== undefined && schema !== made)
    resources.push(resourceOf(names.target, unknown ? (schema ?? 'unknown') : made!, name))
  }
  return { schema, name, relation, resources, unknown, unread: schema === 'pg_temp' && !temporary }
}

/** Of a relation that is unknown. Whoever may read the catalog may know what is in it. */
export function absence(names: Names, action: string, of: string, schema: string | undefined, name: string): Absence {
  const { target, creationSchema } = names
  return {
    access: { action, resource: of },
    name: `relation "${schema === undefined ? name : `${schema}.${name}`}"`,
    as: resourceOf(target, schema ?? creationSchema, name),
    seenBy: { action: 'select', resource: resourceOf(target, 'pg_catalog', 'pg_class') },
  }
}
