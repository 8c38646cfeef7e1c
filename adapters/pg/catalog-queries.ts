/** What is asked of the upstream's catalog, and what comes back. */
import type { Edges } from './families.ts'

export const relationsSql = `
  select c.oid::int8::text as oid, n.nspname as schema, c.relname as name, c.relkind as kind,
    (select json_agg(json_build_array(a.attnum, a.attname)) from pg_attribute a
      where a.attrelid = c.oid and not a.attisdropped) as columns,
    case when c.relkind in ('v', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      then (select r.xmin::text from pg_rewrite r where r.ev_class = c.oid and r.rulename = '_RETURN') end as rule,
    c.relhasrules and exists (select 1 from pg_rewrite r where r.ev_class = c.oid and r.ev_type <> '1') as rewritten
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'v', 'm', 'p', 'f', 'S', 't', 'i', 'I', 'c')`

export const inheritsSql = `select inhrelid::int8::text as child, inhparent::int8::text as parent from pg_inherits`

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

/**
 * Whether a function (p) is of those that are named one by one, as its extension made it: in
 * C, which runs no SQL unless it is written to.
 */
const listed = `(p.prolang = (select oid from pg_language where lanname = 'c') and exists (
  select 1 from pg_depend d join pg_extension e on e.oid = d.refobjid
  where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.refclassid = 'pg_extension'::regclass
    and d.deptype = 'e' and e.extname || '.' || p.proname = any($2)))`

export const functionsSql = `
  select n.nspname as schema, p.proname as name,
    bool_and(p.provolatile <> 'v' or ${listed}) as steady,
    bool_and(${builtIn('n', 'p')} or ${trusted} or ${listed}) as known,
    bool_or(n.nspname in ('pg_catalog', 'information_schema') or ${relied}) as relied,
    bool_or(exists (select 1 from pg_type t where t.oid = p.proargtypes[0] and t.typtype in ('c', 'p', 'd'))) as row
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace group by 1, 2`

export const operatorsSql = `
  select n.nspname as schema, o.oprname as name,
    bool_and(${builtIn('f', 'p')} or (p.provolatile <> 'v' and ${trusted})) as harmless
  from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
    join pg_proc p on p.oid = o.oprcode join pg_namespace f on f.oid = p.pronamespace
  where not ${builtIn('n', 'o')} group by 1, 2`

/** A domain's checks, alone or inside a composite, and a base type's input function run code; an enum does not. */
export const typesSql = `
  select n.nspname as schema, t.typname as name,
    t.typtype = 'e' or (t.typtype = 'b' and ${trusted}) as harmless
  from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_proc p on p.oid = t.typinput
  where not ${builtIn('n', 't')}`

export const indexesSql = `select indexrelid::int8::text as index, indrelid::int8::text as table from pg_index`

/** Foreign keys with CASCADE, SET NULL or SET DEFAULT. */
export const actionsSql = `select conrelid::int8::text as child, confrelid::int8::text as parent from pg_constraint
  where contype = 'f' and (confdeltype in ('c', 'n', 'd') or confupdtype in ('c', 'n', 'd'))`

/** What they answer, for a snapshot. */
export interface Rows extends Edges {
  readonly relations: readonly {
    oid: string
    schema: string
    name: string
    kind: string
    columns: [number, string][] | null
    rule: string | null
    rewritten: boolean
  }[]
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
