/**
 * Reads queries and expressions wherever they stand: relations with the scope of common table expressions, writes inside them,
 * and whatever can hide code: functions, operators, casts, and columns that are functions in disguise.
 */
import { shownBy } from './covered.ts'
import { resourceOf } from './names.ts'
import { isSelective } from './predicate.ts'
import type { Reading } from './reading.ts'
import {
  columnName,
  constant,
  contains,
  isNode,
  listAt,
  type Node,
  nodeAt,
  qualified,
  stringAt,
  strings,
  type Tree,
} from './tree.ts'

type Scope = ReadonlySet<string>
type Reader = (reading: Reading, node: Node, scope: Scope) => void

// biome-ignore format: a table
const readers: Readonly<Record<string, Reader>> = {
  SelectStmt: select, larg: select, rarg: select,
  InsertStmt: insert, UpdateStmt: update, DeleteStmt: remove, MergeStmt: merge,
  FuncCall: call, funccall: call, func: call,
  A_Expr: operator, SubLink: operatorOfSublink, SortBy: operatorOfSort, JoinExpr: operatorOfJoin, CaseExpr: operatorOfCase,
  ColumnRef: column, A_Indirection: indirection,
}

export function readExpressions(reading: Reading, tree: Tree, scope: Scope): void {
  if (Array.isArray(tree)) {
    for (const item of tree) readExpressions(reading, item, scope)
    return
  }
  if (!isNode(tree)) return
  if ('relname' in tree && 'relpersistence' in tree) {
    reading.source(tree, scope)
    return
  }
  if ('names' in tree && 'typemod' in tree) typeName(reading, tree)
  for (const [name, child] of Object.entries(tree)) {
    const reader = isNode(child) && Object.hasOwn(readers, name) ? readers[name] : undefined
    if (reader === undefined) readExpressions(reading, child, scope)
    else reader(reading, child as Node, scope)
  }
}

/** @returns the scope with the names that the WITH clause adds; its queries are read on the way. */
function withClause(reading: Reading, node: Node, scope: Scope): Scope {
  const clause = nodeAt(node, 'withClause')
  if (clause === undefined) return scope
  const expressions = listAt(clause, 'ctes').flatMap(item => (isNode(item) ? [nodeAt(item, 'CommonTableExpr')!] : []))
  const names = expressions.map(expression => stringAt(expression, 'ctename') ?? '')
  const recursive = clause.recursive === true
  const inner = new Set(recursive ? [...scope, ...names] : scope)
  for (const [i, expression] of expressions.entries()) {
    // Without RECURSIVE a name means the table until the expression that takes it is complete.
    reading.nested(() => readExpressions(reading, expression.ctequery, new Set(inner)))
    readExpressions(reading, { ...expression, ctequery: undefined }, scope)
    inner.add(names[i]!)
  }
  return inner
}

function rest(node: Node, ...without: readonly string[]): Node {
  return Object.fromEntries(Object.entries(node).filter(([name]) => name !== 'withClause' && !without.includes(name)))
}

function select(reading: Reading, node: Node, scope: Scope): void {
  const inner = withClause(reading, node, scope)
  const into = nodeAt(nodeAt(node, 'intoClause') ?? {}, 'rel')
  if (into !== undefined) {
    reading.creates(into)
    reading.copying()
  }
  // Row locks are writes, and hold others up.
  if (listAt(node, 'lockingClause').length > 0) reading.writes()
  readExpressions(reading, rest(node, 'intoClause', 'lockingClause'), inner)
}

/** What a write gives back: data of its target, and where another part of the statement takes it, a source. */
function returning(reading: Reading, node: Node, relation: Node | undefined): void {
  const clause = nodeAt(node, 'returningClause') ?? listAt(node, 'returningList')[0]
  if (clause === undefined || relation === undefined) return
  reading.returned(reading.resolve(relation).resources, shownBy(reading, relation))
}

function insert(reading: Reading, node: Node, scope: Scope): void {
  const inner = withClause(reading, node, scope)
  const relation = nodeAt(node, 'relation')
  reading.target('insert', relation)
  reading.copying()
  const conflict = nodeAt(node, 'onConflictClause')
  if (conflict?.action === 'ONCONFLICT_UPDATE') {
    reading.target('update', relation)
    assignments(reading, conflict, relation, 'excluded')
  }
  returning(reading, node, relation)
  readExpressions(reading, rest(node, 'relation'), inner)
}

function update(reading: Reading, node: Node, scope: Scope): void {
  const inner = withClause(reading, node, scope)
  const relation = nodeAt(node, 'relation')
  reading.target('update', relation, isSelective(node.whereClause) ? 'low' : 'high')
  assignments(reading, node, relation)
  returning(reading, node, relation)
  readExpressions(reading, rest(node, 'relation'), inner)
}

function remove(reading: Reading, node: Node, scope: Scope): void {
  const inner = withClause(reading, node, scope)
  const relation = nodeAt(node, 'relation')
  reading.target('delete', relation, isSelective(node.whereClause) ? 'low' : 'high')
  returning(reading, node, relation)
  readExpressions(reading, rest(node, 'relation'), inner)
}

function merge(reading: Reading, node: Node, scope: Scope): void {
  const inner = withClause(reading, node, scope)
  const relation = nodeAt(node, 'relation')
  const everyRow = !isSelective(node.joinCondition)
  reading.target('select', relation)
  for (const item of listAt(node, 'mergeWhenClauses')) {
    const clause = isNode(item) ? (nodeAt(item, 'MergeWhenClause') ?? {}) : {}
    const action = { CMD_INSERT: 'insert', CMD_UPDATE: 'update', CMD_DELETE: 'delete' }[
      stringAt(clause, 'commandType') ?? ''
    ]
    if (action === undefined) continue
    reading.target(action, relation, everyRow && action !== 'insert' ? 'high' : 'low')
    if (action === 'insert') reading.copying()
    assignments(reading, clause, relation)
  }
  returning(reading, node, relation)
  readExpressions(reading, rest(node, 'relation'), inner)
}

/**
 * SET lists: a value that comes from another column or a query is a copy, and so is one that says where in the column it goes;
 * `n = n + 1` is none.
 */
function assignments(reading: Reading, node: Node, relation: Node | undefined, proposed?: 'excluded'): void {
  reading.storing()
  // An alias hides the relation's own name, which another relation may bear then.
  const own = stringAt(nodeAt(relation ?? {}, 'alias') ?? {}, 'aliasname') ?? stringAt(relation ?? {}, 'relname')
  const shown = relation === undefined ? [] : shownBy(reading, relation)
  for (const item of listAt(node, 'targetList')) {
    const assignment = isNode(item) ? (nodeAt(item, 'ResTarget') ?? {}) : {}
    const value = { val: assignment.val, subscripts: assignment.indirection }
    const assigned = stringAt(assignment, 'name')
    if (contains(value, name => name === 'SubLink')) reading.copying()
    contains(value, (name, child) => {
      if (name !== 'ColumnRef') return false
      const parts = columnName(child)
      // With a schema before it, it is no alias, and may be another table of the same name.
      const table = parts === undefined || parts.length > 2 ? parts?.join('.') : parts.at(-2)
      if (table !== undefined && table === proposed) return false
      const itself = parts?.at(-1) === assigned && (table === undefined || own === table)
      if (itself) return false
      reading.copying()
      // What a view or a parent gives is its tables'.
      if (table === undefined || own === table) for (const resource of shown) reading.copied(resource)
      return false
    })
  }
}

function call(reading: Reading, node: Node, scope: Scope): void {
  readExpressions(reading, rest(node, 'funcname'), scope)
  const { schema, name } = qualified(strings(listAt(node, 'funcname')))
  if (name === 'set_config' && (schema === undefined || schema === 'pg_catalog')) {
    const [setting, value] = listAt(node, 'args').map(constant)
    reading.session()
    reading.setting(setting, [value])
    return
  }
  const called = reading.names.function(schema, name)
  if (called === undefined) reading.miss()
  if (called?.effect.kind === 'harmless') return
  reading.access('call', resourceOf(reading.names.target, called?.schema ?? schema ?? 'unknown', name))
  reading.writes(called?.effect.risk ?? 'high')
  // A payload, a sequence's value, the key of a lock, a large object: each can be read again where no mask reaches.
  const system = called?.effect.kind === 'writes' || called?.schema === 'pg_catalog'
  if (system && !listAt(node, 'args').every(isGiven)) reading.copying()
  if (called?.effect.kind !== 'writes') reading.unknownCode()
}

/** A value of the client's own: a constant or a parameter, perhaps cast. */
function isGiven(tree: Tree): boolean {
  if (!isNode(tree)) return false
  const cast = nodeAt(tree, 'TypeCast')
  return cast === undefined ? 'A_Const' in tree || 'ParamRef' in tree : isGiven(cast.arg)
}

function useOperator(reading: Reading, parts: readonly string[]): void {
  const { schema, name } = qualified(parts)
  const meant = name.includes('BETWEEN') ? ['<', '<=', '>', '>='] : [name]
  if (meant.every(symbol => reading.names.operatorIsHarmless(schema, symbol))) return
  reading.unknownCode()
  reading.access('call', `${reading.names.target}/operator`)
}

function operator(reading: Reading, node: Node, scope: Scope): void {
  useOperator(reading, strings(listAt(node, 'name')))
  readExpressions(reading, rest(node, 'name'), scope)
}

function operatorOfSublink(reading: Reading, node: Node, scope: Scope): void {
  const parts = strings(listAt(node, 'operName'))
  if (parts.length > 0) useOperator(reading, parts)
  // `x IN (SELECT ...)` names none.
  else if (node.subLinkType === 'ANY_SUBLINK') useOperator(reading, ['='])
  readExpressions(reading, rest(node, 'operName'), scope)
}

function operatorOfSort(reading: Reading, node: Node, scope: Scope): void {
  const parts = strings(listAt(node, 'useOp'))
  if (parts.length > 0) useOperator(reading, parts)
  readExpressions(reading, rest(node, 'useOp'), scope)
}

/** NATURAL and USING compare with whatever `=` the path has for the columns' types. */
function operatorOfJoin(reading: Reading, node: Node, scope: Scope): void {
  if (node.isNatural === true || listAt(node, 'usingClause').length > 0) useOperator(reading, ['='])
  readExpressions(reading, node, scope)
}

/** `CASE x WHEN y` */
function operatorOfCase(reading: Reading, node: Node, scope: Scope): void {
  if (isNode(node.arg)) useOperator(reading, ['='])
  readExpressions(reading, node, scope)
}

/** `c.f` is `f(c)` where c has no column f: a call without parentheses. */
function column(reading: Reading, node: Node): void {
  const parts = strings(listAt(node, 'fields'))
  if (parts.length > 1) attribute(reading, parts.at(-1)!)
}

function indirection(reading: Reading, node: Node, scope: Scope): void {
  for (const name of strings(listAt(node, 'indirection'))) attribute(reading, name)
  readExpressions(reading, node, scope)
}

function attribute(reading: Reading, name: string): void {
  if (!reading.names.isRowFunction(name)) return
  reading.unknownCode()
  reading.access('call', resourceOf(reading.names.target, 'unknown', name))
}

function typeName(reading: Reading, node: Node): void {
  const { schema, name } = qualified(strings(listAt(node, 'names')))
  if (name === '' || reading.names.typeIsHarmless(schema, name)) return
  reading.unknownCode()
  reading.access('call', resourceOf(reading.names.target, schema ?? 'unknown', name))
}
