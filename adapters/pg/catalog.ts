/** The upstream's catalog over a connection of our own: one snapshot of names, read again on a miss and after definitions change. */
import type pg from 'pg'
import { Fault } from '../../lib/errors.ts'
import { type Effect, effectOf, harmless, trustedExtensions, trustedFunctions } from './functions.ts'
import { type Called, type Names, type Relation, resourceOf, unknownDefinition } from './names.ts'
import { Views } from './views.ts'

const relationsSql = `
  select c.oid::int8::text as oid, n.nspname as schema, c.relname as name, c.relkind as kind,
    (select json_agg(json_build_array(a.attnum, a.attname)) from pg_attribute a
      where a.attrelid = c.oid and not a.attisdropped) as columns,
    case when c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      then (select r.xmin::text from pg_rewrite r where r.ev_class = c.oid and r.rulename = '_RETURN') end as rule,
    c.relhasrules and exists (select 1 from pg_rewrite r where r.ev_class = c.oid and r.ev_type <> '1') as rewritten
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'v', 'm', 'p', 'f', 'S', 't', 'i', 'I', 'c')`

const inheritsSql = `select inhrelid::int8::text as child, inhparent::int8::text as parent from pg_inherits`

/** Whether a function (p) belongs to an extension that is trusted. */
const trusted = `exists (select 1 from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_extension'::regclass
    and d.deptype = 'e' and e.extname = any($1))`

/** What initdb made. What was put into pg_catalog later is somebody's own, whatever schema it is in. */
const builtIn = (namespace: string, object: string) => `(${namespace}.nspname = 'pg_catalog' and ${object}.oid < 16384)`

/** Whether a function (p) is a member of an extension, or something other than a view stands on it. */
const relied = `exists (select 1 from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
    and d.classid <> 'pg_rewrite'::regclass)
  or exists (select 1 from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')`

/** Whether a function (p) is of those that are named one by one, as its extension made it: in C, which runs no SQL unless it is written to. */
const listed = `(p.prolang = (select oid from pg_language where lanname = 'c') and exists (
  select 1 from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_extension'::regclass
    and d.deptype = 'e' and e.extname || '.' || p.proname = any($2)))`

const functionsSql = `
  select n.nspname as schema, p.proname as name,
    bool_and(p.provolatile <> 'v' or ${listed}) as steady,
    bool_and(${builtIn('n', 'p')} or ${trusted} or ${listed}) as known,
    bool_or(n.nspname in ('pg_catalog', 'information_schema') or ${relied}) as relied,
    bool_or(exists (select 1 from pg_type t where t.oid = p.proargtypes[0] and t.typtype in ('c', 'p', 'd'))) as row
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace group by 1, 2`

const operatorsSql = `
  select n.nspname as schema, o.oprname as name,
    bool_and(${builtIn('f', 'p')} or (p.provolatile <> 'v' and ${trusted})) as harmless
  from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
    join pg_proc p on p.oid = o.oprcode join pg_namespace f on f.oid = p.pronamespace
  where not ${builtIn('n', 'o')} group by 1, 2`

/** A domain's checks, alone or inside a composite, and a base type's input function run code; an enum does not. */
const typesSql = `
  select n.nspname as schema, t.typname as name,
    t.typtype = 'e' or (t.typtype = 'b' and ${trusted}) as harmless
  from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_proc p on p.oid = t.typinput
  where not ${builtIn('n', 't')}`

interface Rows {
  readonly relations: readonly {
    oid: string
    schema: string
    name: string
    kind: string
    columns: [number, string][] | null
    rule: string | null
    rewritten: boolean
  }[]
  readonly inherits: readonly { child: string; parent: string }[]
  readonly functions: readonly {
    schema: string
    name: string
    steady: boolean
    known: boolean
    relied: boolean
    row: boolean
  }[]
  readonly operators: readonly { schema: string; name: string; harmless: boolean }[]
  readonly types: readonly { schema: string; name: string; harmless: boolean }[]
  /** Of views, by oid. */
  readonly definitions: ReadonlyMap<string, string>
}

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
    const kin = kinship(rows.inherits)
    const resources = new Map(rows.relations.map(r => [r.oid, resourceOf(target, visible(r.schema), r.name)]))
    for (const { oid, schema, name, kind, columns, rule, rewritten } of rows.relations) {
      const definition = rows.definitions.get(oid)
      const relation: Relation = {
        oid: Number(oid),
        schema: visible(schema),
        name,
        kind,
        resource: resources.get(oid)!,
        columns: new Map(columns ?? []),
        kin: [...kin(oid)].map(other => resources.get(other)).filter(resource => resource !== undefined),
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

/** Ancestors and descendants of a relation, without itself. */
function kinship(inherits: Rows['inherits']): (oid: string) => Set<string> {
  const parents = new Map<string, string[]>()
  const children = new Map<string, string[]>()
  const add = (map: Map<string, string[]>, from: string, to: string) => map.set(from, [...(map.get(from) ?? []), to])
  for (const { child, parent } of inherits) {
    add(parents, child, parent)
    add(children, parent, child)
  }
  const reach = (edges: Map<string, string[]>, from: string, into: Set<string>) => {
    for (const next of edges.get(from) ?? []) {
      if (into.has(next)) continue
      into.add(next)
      reach(edges, next, into)
    }
  }
  return oid => {
    const found = new Set<string>()
    reach(parents, oid, found)
    reach(children, oid, found)
    return found
  }
}

export interface CatalogOptions {
  readonly target: string
  readonly searchPath: readonly string[]
  /** A client, not yet connected, for each connection that is needed. */
  readonly connect: () => pg.Client
}

/** How long a snapshot is used before it is read again behind the scenes: definitions may change past the gateway. */
const freshMs = 10_000
const settledMs = 50

export class Catalog {
  readonly #options: CatalogOptions
  readonly #views = new Views()
  #client: pg.Client | undefined
  #snapshot: Snapshot | undefined
  #reading: Promise<Snapshot> | undefined
  #readAt = 0
  #version = 0
  #stale = false
  #closed = false

  constructor(options: CatalogOptions) {
    this.#options = options
  }

  /** Definitions have changed: the next to ask waits for a new reading. */
  invalidate(): void {
    this.#stale = true
  }

  /** Whether a reading now could know more: not straight after the last, or unknown names would keep us reading. */
  mayBeBehind(): boolean {
    return performance.now() - this.#readAt > settledMs
  }

  /** @throws Fault ERR_UPSTREAM where it cannot be read */
  async current(): Promise<Snapshot> {
    if (this.#snapshot === undefined || this.#stale) return this.refresh()
    if (performance.now() - this.#readAt > freshMs && this.#reading === undefined) {
      this.refresh().catch(() => this.invalidate())
    }
    return this.#snapshot
  }

  /** Reads anew. Those who ask while a reading has not begun share it. @throws Fault ERR_UPSTREAM */
  async refresh(): Promise<Snapshot> {
    const running = this.#reading
    // A reading under way may have begun before the change that the caller knows of.
    if (running !== undefined) await running.catch(() => undefined)
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<Snapshot> {
    this.#readAt = performance.now()
    this.#stale = false
    try {
      const client = await this.#connected()
      const ask = async <T>(sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows as T
      await client.query('begin isolation level repeatable read read only')
      const extensions = [trustedExtensions]
      const rows = {
        relations: await ask<Rows['relations']>(relationsSql),
        inherits: await ask<Rows['inherits']>(inheritsSql),
        functions: await ask<Rows['functions']>(functionsSql, [...extensions, trustedFunctions]),
        operators: await ask<Rows['operators']>(operatorsSql, extensions),
        types: await ask<Rows['types']>(typesSql, extensions),
      }
      await client.query('commit')
      const named = rows.relations.map(({ oid, schema, name }) => [oid, schema, name])
      const definitions = await this.#views.read(client, rows.relations, [named, rows.functions, rows.operators])
      const { target, searchPath } = this.#options
      this.#snapshot = new Snapshot(target, searchPath, ++this.#version, { ...rows, definitions })
      return this.#snapshot
    } catch (error) {
      this.#stale = true
      this.#client?.end().catch(() => undefined)
      this.#client = undefined
      throw new Fault('ERR_UPSTREAM', 'the catalog of the upstream could not be read', {}, error)
    }
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client
    if (this.#closed) throw new Fault('ERR_UPSTREAM', 'the gateway is closed')
    const client = this.#options.connect()
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    await client.connect()
    // So that views' definitions come with every name qualified.
    await client.query(`set search_path = ''; set statement_timeout = 10000`)
    this.#client = client
    return client
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#reading?.catch(() => undefined)
    await this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }
}
