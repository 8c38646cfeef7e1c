/**
 * The parts of ALTER TABLE, and the columns and constraints in it and in CREATE TABLE: which
 * of them bring data from one column to another.
 */
import { family } from './covered.ts'
import type { Reading } from './reading.ts'
import { columnName, contains, isNode, listAt, type Node, nodeAt, stringAt, strings, type Tree } from './tree.ts'

/** @param relation as it is named; @param command one part of the ALTER TABLE */
export type Alteration = (reading: Reading, relation: Node, command: Node) => void

/** Data lies where it lay, under the name that it had. */
export const stays = (): void => undefined

/** It may bring anything anywhere, now or later. */
export const anything = (reading: Reading): void => reading.moves({ from: 'anywhere' })

/** Parts that are not here leave it open where the data of the relation goes. */
// biome-ignore format: a table
export const alterations: Readonly<Record<string, Alteration>> = {
  // columns
  AT_AddColumn: column,                AT_AlterColumnType: columnType,      AT_SetExpression: expression,
  AT_DropExpression: stays,            AT_DropColumn: stays,                AT_ColumnDefault: stays,
  AT_DropNotNull: stays,               AT_SetNotNull: stays,                AT_SetStatistics: stays,
  AT_SetOptions: stays,                AT_ResetOptions: stays,              AT_SetStorage: stays,
  AT_SetCompression: stays,            AT_AddIdentity: stays,               AT_SetIdentity: stays,
  AT_DropIdentity: stays,              AT_AlterColumnGenericOptions: anything,
  // constraints
  AT_AddConstraint: column,            AT_AlterConstraint: stays,           AT_ValidateConstraint: stays,
  AT_AddIndexConstraint: stays,        AT_DropConstraint: stays,
  // the table
  AT_ChangeOwner: stays,               AT_ClusterOn: stays,                 AT_DropCluster: stays,
  AT_SetLogged: stays,                 AT_SetUnLogged: stays,               AT_DropOids: stays,
  AT_SetTableSpace: stays,             AT_SetRelOptions: stays,             AT_ResetRelOptions: stays,
  AT_AddOf: stays,                     AT_DropOf: stays,                    AT_ReplicaIdentity: stays,
  AT_EnableRowSecurity: stays,         AT_DisableRowSecurity: stays,        AT_ForceRowSecurity: stays,
  AT_NoForceRowSecurity: stays,        AT_GenericOptions: anything,
  // its family: through a parent, a table's columns are seen under the same names, and masked by the rules of both
  AT_AddInherit: stays,                AT_AttachPartition: stays,
  AT_DropInherit: leaves,              AT_DetachPartition: detaches,        AT_DetachPartitionFinalize: detaches,
  // code that runs unasked
  AT_DisableTrig: stays,               AT_DisableTrigAll: stays,            AT_DisableTrigUser: stays,
  AT_DisableRule: stays,
  AT_EnableTrig: anything,             AT_EnableAlwaysTrig: anything,       AT_EnableReplicaTrig: anything,
  AT_EnableTrigAll: anything,          AT_EnableTrigUser: anything,
  AT_EnableRule: anything,             AT_EnableAlwaysRule: anything,       AT_EnableReplicaRule: anything,
}

/** ADD of a column or a constraint. */
function column(reading: Reading, relation: Node, command: Node): void {
  columnMoves(reading, relation, [command.def])
}

function columnType(reading: Reading, relation: Node, command: Node): void {
  const using = nodeAt(nodeAt(command, 'def') ?? {}, 'ColumnDef')?.raw_default
  computes(reading, relation, using, stringAt(command, 'name') ?? '')
}

function expression(reading: Reading, relation: Node, command: Node): void {
  computes(reading, relation, command.def, stringAt(command, 'name') ?? '')
}

/** ALTER TABLE child NO INHERIT parent */
function leaves(reading: Reading, relation: Node, command: Node): void {
  parts(reading, nodeAt(nodeAt(command, 'def') ?? {}, 'RangeVar'), relation)
}

/** ALTER TABLE parent DETACH PARTITION child */
function detaches(reading: Reading, relation: Node, command: Node): void {
  parts(reading, relation, nodeAt(nodeAt(nodeAt(command, 'def') ?? {}, 'PartitionCmd') ?? {}, 'name'))
}

/** The rules on its ancestors cover a child's data no longer. */
function parts(reading: Reading, parent: Node | undefined, child: Node | undefined): void {
  if (parent === undefined || child === undefined) return void anything(reading)
  const [above, below] = [family(reading, parent), family(reading, child)]
  for (const from of new Set([...above.own, ...above.kin, ...below.kin])) {
    for (const to of below.own) if (from !== to) reading.moves({ from: { resource: from }, to: { resource: to } })
  }
}

/** Generated columns, and foreign keys that follow what they refer to. @param elements ColumnDef and Constraint nodes */
export function columnMoves(reading: Reading, relation: Node, elements: readonly Tree[]): void {
  for (const element of elements) {
    if (!isNode(element)) continue
    const definition = nodeAt(element, 'ColumnDef')
    const constraints = definition === undefined ? [element] : listAt(definition, 'constraints')
    const name = definition === undefined ? undefined : stringAt(definition, 'colname')
    for (const item of constraints) {
      const constraint = isNode(item) ? (nodeAt(item, 'Constraint') ?? {}) : {}
      if (constraint.contype === 'CONSTR_GENERATED') computes(reading, relation, constraint.raw_expr, name ?? '')
      if (constraint.contype === 'CONSTR_FOREIGN' && constraint.fk_upd_action === 'c') follows(reading, constraint)
    }
  }
}

/** ON UPDATE CASCADE: whatever the other column becomes, this one becomes, where nobody looks. */
function follows(reading: Reading, constraint: Node): void {
  const referred = nodeAt(constraint, 'pktable')
  if (referred === undefined) return void anything(reading)
  const { own, kin } = family(reading, referred)
  const columns = strings(listAt(constraint, 'pk_attrs'))
  for (const resource of [...own, ...kin]) {
    // Without a list it is the primary key, which the text does not name.
    if (columns.length === 0) reading.copied(resource)
    for (const field of columns) reading.moves({ from: { resource, field } })
  }
}

/** A column that is computed of others. */
function computes(reading: Reading, relation: Node, from: Tree, into: string): void {
  const { own, kin, relation: known } = family(reading, relation)
  const columns = new Set(known?.columns.values() ?? [])
  const fields = new Set<string | undefined>()
  contains({ from }, (name, child) => {
    if (name !== 'ColumnRef') return false
    const field = columnName(child)?.at(-1)
    // The table's own name among the columns is the whole row.
    const row =
      field === undefined || (known === undefined ? field === stringAt(relation, 'relname') : !columns.has(field))
    fields.add(row ? undefined : field)
    return false
  })
  for (const resource of [...own, ...kin]) {
    for (const field of fields) {
      const source = field === undefined ? { resource } : { resource, field }
      reading.moves({ from: source, to: { resource, field: into } })
    }
  }
}
