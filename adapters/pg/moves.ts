/**
 * Definitions after which data lies elsewhere or under another name, or code runs that nobody called: where from, and where to.
 * As a table, of every statement that defines anything. What is not in it could bring anything anywhere, and is said to.
 */
import { type Alteration, alterations, anything, columnMoves, stays } from './alterations.ts'
import { family, inSchema, shownBy } from './covered.ts'
import { nameIn, resourceOf, schemaIn } from './names.ts'
import type { Reading } from './reading.ts'
import { isNode, listAt, type Node, nodeAt, qualified, stringAt, strings, type Tree } from './tree.ts'

type Mover = (reading: Reading, node: Node) => void

/** What its expressions call runs whenever the server sees fit: unknown code there could bring anything anywhere. */
const keepsExpressions: Mover = reading => reading.storing()

// biome-ignore format: a table
const movers: Readonly<Record<string, Mover>> = {
  // relations
  CreateStmt: table,                         AlterTableStmt: alterTable,
  RenameStmt: rename,                        AlterObjectSchemaStmt: setSchema,
  IndexStmt: keepsExpressions,               CreateStatsStmt: keepsExpressions,  AlterStatsStmt: stays,
  CreateSeqStmt: stays,                      AlterSeqStmt: stays,                CreateSchemaStmt: stays,
  RefreshMatViewStmt: stays,                 AlterTableMoveAllStmt: stays,
  // types
  CreateEnumStmt: stays,                     AlterEnumStmt: stays,               CompositeTypeStmt: stays,
  CreateDomainStmt: keepsExpressions,        AlterDomainStmt: keepsExpressions,  CreateRangeStmt: range,
  // what the server does of itself when a relation is used
  RuleStmt: rule,                            CreateTrigStmt: trigger,
  CreatePolicyStmt: keepsExpressions,        AlterPolicyStmt: keepsExpressions,
  // code: a call of it is judged when it is called, unless something relies on it
  CreateFunctionStmt: replaced,              AlterFunctionStmt: altered,         DefineStmt: define,
  CreateCastStmt: cast,                      AlterObjectDependsStmt: stays,
  CreateExtensionStmt: stays,                AlterExtensionStmt: stays,
  AlterTSConfigurationStmt: stays,           AlterTSDictionaryStmt: stays,       AlterCollationStmt: stays,
  // copies of the data elsewhere
  CreatePublicationStmt: publish,            AlterPublicationStmt: publish,      CreatedbStmt: createDatabase,
  CreateForeignServerStmt: stays,            CreateUserMappingStmt: stays,
  // what destroys, says who may, or only looks
  DropStmt: stays,                           TruncateStmt: stays,                CommentStmt: stays,
  VacuumStmt: stays,                         ReindexStmt: stays,                 ClusterStmt: stays,
  CheckPointStmt: stays,                     LockStmt: stays,                    SecLabelStmt: stays,
  GrantStmt: stays,                          GrantRoleStmt: stays,               AlterDefaultPrivilegesStmt: stays,
  CreateRoleStmt: stays,                     AlterRoleStmt: stays,               AlterRoleSetStmt: stays,
  DropRoleStmt: stays,                       DropOwnedStmt: stays,               ReassignOwnedStmt: stays,
  AlterOwnerStmt: stays,                     DropSubscriptionStmt: stays,        DropUserMappingStmt: stays,
  DropdbStmt: stays,                         AlterDatabaseStmt: stays,           AlterDatabaseSetStmt: stays,
  AlterDatabaseRefreshCollStmt: stays,       AlterSystemStmt: stays,             CreateTableSpaceStmt: stays,
  AlterTableSpaceOptionsStmt: stays,         DropTableSpaceStmt: stays,
  VariableShowStmt: stays,                   ConstraintsSetStmt: stays,
  ListenStmt: stays,                         UnlistenStmt: stays,                NotifyStmt: stays,
}

export function readMoves(reading: Reading, name: string, node: Node): void {
  const mover = Object.hasOwn(movers, name) ? movers[name]! : anything
  mover(reading, node)
}

function table(reading: Reading, node: Node): void {
  reading.storing()
  const relation = nodeAt(node, 'relation')
  if (relation !== undefined) columnMoves(reading, relation, listAt(node, 'tableElts'))
}

function alterTable(reading: Reading, node: Node): void {
  reading.storing()
  const relation = nodeAt(node, 'relation')
  if (relation === undefined) return void anything(reading)
  for (const item of listAt(node, 'cmds')) {
    const command = isNode(item) ? (nodeAt(item, 'AlterTableCmd') ?? {}) : {}
    const subtype = stringAt(command, 'subtype') ?? ''
    const alteration: Alteration = Object.hasOwn(alterations, subtype) ? alterations[subtype]! : away
    alteration(reading, relation, command)
  }
}

/** From a relation, to nobody knows where. */
const away: Alteration = (reading, relation) => {
  for (const resource of shownBy(reading, relation)) reading.copied(resource)
}

/** Of a relation, by whichever ALTER: the server does not insist that it be a table, a view or an index. */
function rename(reading: Reading, node: Node): void {
  const relation = nodeAt(node, 'relation')
  const type = stringAt(node, 'renameType') ?? ''
  const newName = stringAt(node, 'newname') ?? ''
  const old = stringAt(node, 'subname')
  if (type === 'OBJECT_SCHEMA') {
    for (const resource of inSchema(reading, old ?? '')) movesTo(reading, resource, newName)
    return
  }
  // Of a composite type; with CASCADE, of every table made of it.
  if (type === 'OBJECT_ATTRIBUTE' && node.behavior === 'DROP_CASCADE') anything(reading)
  if (type === 'OBJECT_ATTRIBUTE' || relation === undefined) return
  const { own, kin } = family(reading, relation)
  if (type === 'OBJECT_COLUMN') {
    for (const resource of [...own, ...kin]) {
      reading.moves({ from: { resource, field: old ?? '' }, to: { resource, field: newName } })
    }
    return
  }
  // Triggers, rules, policies and constraints have a name of their own.
  if (old !== undefined) return
  for (const resource of own) movesTo(reading, resource, schemaIn(resource), newName)
}

function setSchema(reading: Reading, node: Node): void {
  if (node.objectType === 'OBJECT_EXTENSION') return void anything(reading)
  const relation = nodeAt(node, 'relation')
  if (relation === undefined) return
  for (const resource of family(reading, relation).own) movesTo(reading, resource, stringAt(node, 'newschema') ?? '')
}

/** A relation takes another name: whatever it shows is found there from now on. */
function movesTo(reading: Reading, resource: string, schema: string, name: string = nameIn(resource)): void {
  reading.moves({ from: { resource }, to: { resource: resourceOf(reading.names.target, schema, name) } })
  reading.becomes(schema, name)
}

function rule(reading: Reading, node: Node): void {
  const relation = nodeAt(node, 'relation')
  // A rule for SELECT is the query of a view, and is read as such.
  if (relation === undefined || node.event === 'CMD_SELECT' || listAt(node, 'actions').length === 0) return
  for (const resource of shownBy(reading, relation)) reading.copied(resource)
}

/** Triggers of the server's own that copy one column into another. */
const copying = ['tsvector_update_trigger', 'tsvector_update_trigger_column']

function trigger(reading: Reading, node: Node): void {
  reading.storing()
  const relation = nodeAt(node, 'relation')
  const { schema, name } = qualified(strings(listAt(node, 'funcname')))
  const called = reading.names.function(schema, name)
  const builtIn = called?.schema === 'pg_catalog'
  if (builtIn && name === 'suppress_redundant_updates_trigger') return
  if (called?.effect.kind === 'harmless') return
  if (!builtIn || !copying.includes(name) || relation === undefined) return void anything(reading)
  const [into, , ...from] = strings(listAt(node, 'args'))
  for (const resource of shownBy(reading, relation)) {
    for (const field of from) reading.moves({ from: { resource, field }, to: { resource, field: into ?? '' } })
  }
}

/** CREATE OR REPLACE of a function on which something stands changes what runs there. */
function replaced(reading: Reading, node: Node): void {
  const { schema, name } = qualified(strings(listAt(node, 'funcname')))
  const places = schema === undefined ? reading.overlay.searchPath : [schema]
  if (schema === 'pg_catalog' || schema === 'information_schema') return void anything(reading)
  if (node.replace === true && places.some(at => reading.names.function(at, name)?.relied === true)) anything(reading)
}

function altered(reading: Reading, node: Node): void {
  const { schema, name } = qualified(strings(listAt(nodeAt(node, 'func') ?? {}, 'objname')))
  const places = schema === undefined ? ['pg_catalog', ...reading.overlay.searchPath] : [schema]
  if (places.some(at => reading.names.function(at, name)?.relied === true)) anything(reading)
}

function define(reading: Reading, node: Node): void {
  const kind = stringAt(node, 'kind')
  const shell = listAt(node, 'definition').length === 0
  if (kind === 'OBJECT_AGGREGATE') replaced(reading, { ...node, funcname: node.defnames })
  // Types and parsers are functions that the server runs; operators are judged where they stand.
  else if ((kind === 'OBJECT_TYPE' && !shell) || kind === 'OBJECT_TSPARSER' || kind === 'OBJECT_TSTEMPLATE')
    anything(reading)
}

function range(reading: Reading, node: Node): void {
  const codes = listAt(node, 'params').map(item =>
    isNode(item) ? stringAt(nodeAt(item, 'DefElem') ?? {}, 'defname') : '',
  )
  if (codes.some(code => code === 'canonical' || code === 'subtype_diff')) anything(reading)
}

/** A cast may be implicit: then no statement shows that it runs. */
function cast(reading: Reading, node: Node): void {
  const func = nodeAt(node, 'func')
  if (func === undefined) return
  const { schema, name } = qualified(strings(listAt(func, 'objname')))
  if (reading.names.function(schema, name)?.effect.kind !== 'harmless') anything(reading)
}

function publish(reading: Reading, node: Node): void {
  if (node.for_all_tables === true) return void anything(reading)
  if (node.action === 'AP_DropObjects') return
  for (const item of listAt(node, 'pubobjects')) {
    const object = isNode(item) ? (nodeAt(item, 'PublicationObjSpec') ?? {}) : {}
    const relation = nodeAt(nodeAt(object, 'pubtable') ?? {}, 'relation')
    if (relation === undefined) {
      const schema = stringAt(object, 'name')
      const whole = schema === undefined ? reading.overlay.searchPath : [schema]
      for (const resource of whole.flatMap(of => inSchema(reading, of))) reading.copied(resource)
      continue
    }
    const columns = strings(listAt(nodeAt(object, 'pubtable') ?? {}, 'columns'))
    for (const resource of shownBy(reading, relation)) {
      if (columns.length === 0) reading.copied(resource)
      for (const field of columns) reading.moves({ from: { resource, field } })
    }
  }
}

/** The two templates that come with the server hold nobody's data. */
function createDatabase(reading: Reading, node: Node): void {
  const template = listAt(node, 'options')
    .map(item => (isNode(item) ? nodeAt(item, 'DefElem') : undefined))
    .find(option => stringAt(option ?? {}, 'defname') === 'template')
  if (template !== undefined && !['template0', 'template1'].includes(textOf(template.arg))) anything(reading)
}

const textOf = (tree: Tree) => (isNode(tree) ? (stringAt(nodeAt(tree, 'String') ?? {}, 'sval') ?? '') : '')
