/** Reads the statements that are no definitions: queries, writes, COPY, EXPLAIN, what is kept under a name, transactions, SET. */
import type { Named, Part } from './analysis.ts'
import { readDefinition } from './definitions.ts'
import { harmlessColumns } from './harmless.ts'
import type { Reading } from './reading.ts'
import { constant, contains, isNode, listAt, type Node, nodeAt, stringAt, type Tree } from './tree.ts'

/** @returns what the session must know of it */
export function readStatement(reading: Reading, kind: string, node: Node): Partial<Part> {
  switch (kind) {
    case 'SelectStmt':
      return select(reading, node)
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      reading.expressions({ [kind]: node })
      return {}
    case 'CopyStmt':
      return copy(reading, node)
    case 'ExplainStmt':
      return explain(reading, node)
    case 'CreateTableAsStmt':
      return createAs(reading, node)
    case 'ViewStmt':
      reading.creates(nodeAt(node, 'view'), 'create', true)
      reading.expressions(node.query)
      return { defines: true }
    case 'CreateSchemaStmt':
      return createSchema(reading, kind, node)
    case 'PrepareStmt':
      reading.session()
      return { makes: makes(reading, 'prepared', stringAt(node, 'name'), node.query) }
    case 'DeclareCursorStmt':
      reading.expressions(node.query)
      return { makes: makes(reading, 'cursor', stringAt(node, 'portalname'), node.query) }
    case 'ExecuteStmt':
      reading.expressions(node.params)
      return { uses: { kind: 'prepared', name: stringAt(node, 'name') ?? '' } }
    case 'FetchStmt':
      return { uses: { kind: 'cursor', name: stringAt(node, 'portalname') ?? '' } }
    case 'DeallocateStmt':
    case 'ClosePortalStmt':
    case 'DiscardStmt':
      return drop(reading, kind, node)
    case 'TransactionStmt':
      return transaction(reading, node)
    case 'VariableSetStmt':
      set(reading, node)
      return {}
    case 'CallStmt':
      reading.writes()
      reading.unknownCode()
      reading.expressions(node)
      return { defines: true }
    case 'DoStmt':
      reading.writes('high')
      reading.unknownCode()
      reading.access('execute', `${reading.names.target}/code`)
      // It may define anything: names are known again once the catalog has been read after it.
      return { defines: true }
    default:
      return readDefinition(reading, kind, node)
  }
}

function select(reading: Reading, node: Node): Partial<Part> {
  reading.expressions({ SelectStmt: node })
  const into = nodeAt(node, 'intoClause')
  return {
    defines: into !== undefined,
    harmless: harmlessColumns(node, reading.names),
    certain: harmlessColumns(node, undefined),
  }
}

function copy(reading: Reading, node: Node): Partial<Part> {
  const from = node.is_from === true
  const relation = nodeAt(node, 'relation')
  const elsewhere = stringAt(node, 'filename') !== undefined || node.is_program === true
  if (from) reading.target('insert', relation)
  else if (relation !== undefined) reading.source(relation)
  reading.expressions(node.query)
  reading.expressions(node.whereClause)
  if (!elsewhere) return { copy: from ? 'in' : 'out' }
  reading.writes('high')
  reading.unknownCode()
  // What it writes there can be read without us; what it reads may have been written so.
  reading.copying()
  reading.access('execute', `${reading.names.target}/server`)
  return {}
}

function explain(reading: Reading, node: Node): Partial<Part> {
  const [kind, inner] = Object.entries(nodeAt(node, 'query') ?? {})[0] ?? []
  const analyze = contains(node.options, (name, option) => {
    const value = stringAt(nodeAt(nodeAt(option, 'arg') ?? {}, 'String') ?? {}, 'sval')?.toLowerCase()
    const zero = nodeAt(nodeAt(option, 'arg') ?? {}, 'Integer')
    const off = value === 'false' || value === 'off' || (zero !== undefined && (zero.ival ?? 0) === 0)
    return name === 'DefElem' && stringAt(option, 'defname') === 'analyze' && !off
  })
  const read = () => (kind === undefined || !isNode(inner) ? {} : readStatement(reading, kind, inner))
  const part = analyze ? read() : reading.planned(read)
  return part.uses === undefined ? {} : { uses: part.uses }
}

function createAs(reading: Reading, node: Node): Partial<Part> {
  reading.creates(nodeAt(nodeAt(node, 'into') ?? {}, 'rel'))
  reading.copying()
  const prepared = nodeAt(nodeAt(node, 'query') ?? {}, 'ExecuteStmt')
  if (prepared === undefined) {
    reading.expressions(node.query)
    return { defines: true }
  }
  // What a prepared statement reads is known only when it runs.
  reading.unknownCode()
  return { defines: true, uses: { kind: 'prepared', name: stringAt(prepared, 'name') ?? '' } }
}

/** What is made together with a schema is made in it. */
function createSchema(reading: Reading, kind: string, { schemaElts, ...node }: Node): Partial<Part> {
  const schema = stringAt(node, 'schemaname') ?? stringAt(nodeAt(node, 'authrole') ?? {}, 'rolename') ?? ''
  for (const element of Array.isArray(schemaElts) ? schemaElts : []) {
    for (const [inner, child] of Object.entries(isNode(element) ? element : {})) {
      if (isNode(child)) readStatement(reading, inner, placedIn(child, schema))
    }
  }
  return readDefinition(reading, kind, node)
}

function placedIn(node: Node, schema: string): Node {
  const placed = ['relation', 'view', 'sequence'].flatMap(name => {
    const range = nodeAt(node, name)
    return range === undefined || 'schemaname' in range ? [] : [[name, { ...range, schemaname: schema }] as const]
  })
  return { ...node, ...Object.fromEntries(placed) }
}

function makes(
  reading: Reading,
  kind: Named['kind'],
  name: string | undefined,
  query: Tree,
): NonNullable<Part['makes']> {
  const [inner, node] = isNode(query) ? (Object.entries(query)[0] ?? []) : []
  const statements = inner === undefined || !isNode(node) ? [] : [{ kind: inner, node }]
  return { kind, name: name ?? '', analysis: reading.analysed(statements) }
}

function drop(reading: Reading, kind: string, node: Node): Partial<Part> {
  reading.session()
  if (kind === 'DiscardStmt') return node.target === 'DISCARD_ALL' ? { drops: 'everything' } : {}
  const name = stringAt(node, 'name') ?? stringAt(node, 'portalname')
  if (kind === 'DeallocateStmt') {
    return { drops: name === undefined ? 'prepared' : { kind: 'prepared', name } }
  }
  return { drops: name === undefined ? 'cursors' : { kind: 'cursor', name } }
}

function transaction(reading: Reading, node: Node): Partial<Part> {
  reading.session()
  const kind = (stringAt(node, 'kind') ?? '').replace('TRANS_STMT_', '').toLowerCase()
  const savepoint = stringAt(node, 'savepoint_name')
  if (kind.endsWith('prepared') || kind === 'prepare') reading.writes('high')
  return { transaction: { kind, ...(savepoint === undefined ? {} : { savepoint }) } }
}

function set(reading: Reading, node: Node): void {
  reading.session()
  const kind = stringAt(node, 'kind')
  const name = stringAt(node, 'name') ?? ''
  if (kind === 'VAR_RESET_ALL' || kind === 'VAR_SET_MULTI') return
  const values = listAt(node, 'args').map(constant)
  reading.setting(name, kind === 'VAR_SET_VALUE' ? values : undefined)
}
