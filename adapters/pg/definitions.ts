/** Reads definitions and everything else that the table in actions.ts covers: which objects, by which action, at what risk. */
import { type Kind, kinds, mildAlterations, type Risk, unlisted } from './actions.ts'
import type { Part } from './analysis.ts'
import { readMoves } from './moves.ts'
import { resourceOf } from './names.ts'
import type { Reading } from './reading.ts'
import { contains, isNode, listAt, type Node, nodeAt, qualified, stringAt, strings, type Tree } from './tree.ts'

/** Everything that the table in actions.ts covers. */
export function readDefinition(reading: Reading, name: string, node: Node): Partial<Part> {
  const kind: Kind = Object.hasOwn(kinds, name) ? kinds[name]! : unlisted
  if (kind.secret) reading.secret()
  const risk = riskOf(name, node, kind)
  if (!kind.read) reading.writes(risk)
  const action = name.startsWith('Grant') && node.is_grant !== true ? 'revoke' : kind.action
  const { relation, objects, relations, sequence, typevar, table, base, ...rest } = node
  const foreign = isNode(base) ? base.relation : undefined
  const own = [relation, sequence, typevar, table, foreign].filter(isNode).filter(child => 'relname' in child)
  // Rules, triggers and policies come into being on a relation that is there.
  const relational = !['RuleStmt', 'CreateTrigStmt', 'CreatePolicyStmt'].includes(name)
  if (action === 'create' && relational) for (const child of own) reading.creates(child)
  else for (const child of own) reading.target(action, child, risk)
  let named = own.length
  for (const item of [...listAt({ relations }, 'relations'), ...listAt({ objects }, 'objects')]) {
    named += object(reading, item, action, kind, stringAt(node, 'removeType') ?? stringAt(node, 'objtype'))
  }
  if (named === 0) reading.access(action, `${reading.names.target}/${kind.on ?? 'database'}`)
  // Of a schema or the database: an index that cannot be made anew quotes what stands twice under it.
  if (named === 0 && kind.action === 'maintain') reading.anything()
  readMoves(reading, name, node)
  reading.expressions(isNode(base) ? { ...rest, base: { ...base, relation: undefined } } : rest)
  const regroups = contains(node.cmds, (_, part) => takesParent.has(stringAt(part, 'subtype') ?? ''))
  return { defines: !kind.read && name !== 'NotifyStmt', ...(regroups ? { regroups } : {}) }
}

const takesParent = new Set(['AT_AddInherit', 'AT_AttachPartition'])

function object(reading: Reading, item: Tree, action: string, kind: Kind, of: string | undefined): number {
  if (!isNode(item)) return 0
  const range = nodeAt(item, 'RangeVar')
  if (range !== undefined) {
    reading.target(action, range, kind.risk)
    return 1
  }
  const list = nodeAt(item, 'List')
  const call = nodeAt(item, 'ObjectWithArgs')
  const parts = strings(list === undefined ? listAt(call ?? {}, 'objname') : listAt(list, 'items'))
  if (parts.length === 0) return 0
  const relational = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE', 'OBJECT_FOREIGN_TABLE']
  const { schema, name } = qualified(parts)
  if (of !== undefined && relational.includes(of)) {
    reading.target(action, { relname: name, ...(schema === undefined ? {} : { schemaname: schema }) }, kind.risk)
  } else {
    reading.access(action, resourceOf(reading.names.target, schema ?? reading.names.creationSchema, name))
  }
  return 1
}

function riskOf(name: string, node: Node, kind: Kind): Risk {
  if (name === 'VacuumStmt') {
    return contains(node.options, (_, option) => stringAt(option, 'defname') === 'full') ? 'high' : 'low'
  }
  if (name !== 'AlterTableStmt') return kind.risk
  const parts = listAt(node, 'cmds').map(item => (isNode(item) ? nodeAt(item, 'AlterTableCmd')?.subtype : undefined))
  return parts.every(part => typeof part === 'string' && mildAlterations.has(part)) ? 'low' : 'high'
}
