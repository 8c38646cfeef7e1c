/**
 * Reads what a text does out of PostgreSQL's own parse tree: accesses, what its reply can show, what it copies, its risk.
 * What a text does not show is said so: a function that is not known harmless makes the whole opaque. It is no proof against
 * the owner of the schema: triggers, rules, row security and defaults are the schema's own and are not followed.
 */
import type { Access } from '../../lib/operation.ts'
import { type Kind, kinds, mildAlterations, type Risk, unlisted } from './actions.ts'
import { readExpressions } from './expressions.ts'
import { leaks } from './functions.ts'
import { harmlessColumns } from './harmless.ts'
import { type Names, type Relation, resourceOf, unknownDefinition } from './names.ts'
import { maySet } from './settings.ts'
import {
  constant,
  contains,
  isNode,
  listAt,
  type Node,
  nodeAt,
  parseStatements,
  qualified,
  type Statement,
  stringAt,
  strings,
  type Tree,
} from './tree.ts'

export interface Analysis {
  readonly accesses: readonly Access[]
  readonly reaches: readonly string[]
  /** Relations read inside a statement that writes what it reads. */
  readonly copies: readonly string[]
  readonly opaque: boolean
  /** It runs code of the database's own, which may move what the session stands on. */
  readonly code: boolean
  readonly risk: Risk
  readonly read: boolean
  /** Never forwarded: why not. */
  readonly refused?: string
  /** A name that the catalog did not know. */
  readonly missed: boolean
  /** The text may hold a credential. */
  readonly secret: boolean
  /** One for each statement of the text. */
  readonly parts: readonly Part[]
}

/** What the session must know of one statement. */
export interface Part {
  readonly transaction?: { readonly kind: string; readonly savepoint?: string }
  readonly copy?: 'in' | 'out'
  /** A definition changes: the catalog is read again once it is done. */
  readonly defines: boolean
  /** Names a session-level object: what it stands for is looked up when the statement is executed. */
  readonly uses?: Named
  readonly makes?: Named & { readonly analysis: Analysis }
  readonly drops?: Named | 'everything' | 'prepared' | 'cursors'
  /** New relations, by the name that later statements of this session use. */
  readonly creates: readonly { readonly schema: string; readonly name: string; readonly view: boolean }[]
  /** For each column of the result, whether it is proved to show nothing; undefined where positions are unknown. */
  readonly harmless: readonly boolean[] | undefined
}

export interface Named {
  readonly kind: 'prepared' | 'cursor'
  readonly name: string
}

/** What the session itself created, and the catalog cannot see yet, or ever. */
export interface Overlay {
  readonly searchPath: readonly string[]
  readonly temporary: ReadonlySet<string>
  readonly created: ReadonlyMap<string, string>
  /** Views among them. */
  readonly views: ReadonlySet<string>
}

/** @throws ProtocolViolation where the text cannot be parsed */
export function analyse(text: string, names: Names, overlay: Overlay): Analysis {
  return analyseStatements(parseStatements(text), names, overlay)
}

function analyseStatements(statements: readonly Statement[], names: Names, overlay: Overlay): Analysis {
  const reading = new Reading(names, overlay)
  const parts = statements.map(statement => reading.statement(statement))
  return reading.result(parts)
}

type Scope = ReadonlySet<string>
const noNames: Scope = new Set()

/** What a view reaches, by its definition; one answer for each relation of a snapshot. */
const reached = new WeakMap<Relation, Analysis>()

const unknownView: Analysis = {
  ...{ accesses: [], reaches: [], copies: [], parts: [], missed: false, secret: false },
  ...{ opaque: true, code: true, risk: 'high', read: false },
}

export function analyseView(relation: Relation, names: Names): Analysis | undefined {
  if (relation.definition === undefined) return undefined
  if (relation.definition === unknownDefinition) return unknownView
  let known = reached.get(relation)
  if (known === undefined) {
    const none: Overlay = { searchPath: [], temporary: new Set(), created: new Map(), views: new Set() }
    known = analyse(relation.definition, names, none)
    reached.set(relation, known)
  }
  return known
}

/** Resources whose data the relation can show beside its own: its kin, and of a view all that it reads. */
export function beneath(relation: Relation, names: Names): readonly string[] {
  const view = analyseView(relation, names)
  const tables = (view?.accesses ?? [])
    .map(access => access.resource)
    .filter(resource => !resource.endsWith('/session'))
  return [...relation.kin, ...tables, ...(view?.reaches ?? [])]
}

/** Reads the statements of one text. Mutable while it reads; nothing of it leaves but the result. */
export class Reading {
  readonly names: Names
  readonly overlay: Overlay
  readonly #accesses = new Map<string, Access>()
  readonly #reaches = new Set<string>()
  readonly #copies = new Set<string>()
  #opaque = false
  #code = false
  #risk: Risk = 'low'
  #read = true
  #refused: string | undefined
  #missed = false
  #secret = false
  /** Of the statement being read: relations that it reads, and whether it writes what it reads. */
  #sources = new Set<string>()
  #copying = false
  /** It stores what expressions give. */
  #storing = false
  #creates: { schema: string; name: string; view: boolean }[] = []
  #depth = 0
  readonly #createdHere = new Map<string, string>()

  constructor(names: Names, overlay: Overlay) {
    this.names = names
    this.overlay = overlay
  }

  result(parts: readonly Part[]): Analysis {
    if (this.#accesses.size === 0) this.session()
    return {
      accesses: [...this.#accesses.values()],
      reaches: [...this.#reaches],
      copies: [...this.#copies],
      opaque: this.#opaque,
      code: this.#code,
      risk: this.#risk,
      read: this.#read,
      missed: this.#missed,
      secret: this.#secret,
      parts,
      ...(this.#refused === undefined ? {} : { refused: this.#refused }),
    }
  }

  statement({ kind, node }: Statement): Part {
    this.#sources = new Set()
    this.#copying = false
    this.#storing = false
    this.#creates = []
    const part = this.#one(kind, node)
    if (this.#copying) for (const source of this.#sources) this.#copies.add(source)
    // What may reach anything may copy anything.
    if ((this.#copying || this.#storing) && this.#opaque) {
      for (const resource of this.names.resources()) this.#copies.add(resource)
    }
    return { defines: false, harmless: undefined, ...part, creates: this.#creates }
  }

  // What a part of a statement tells of the whole.

  access(action: string, resource: string): void {
    this.#accesses.set(`${action} ${resource}`, { action, resource })
  }

  session(): void {
    this.access('session', `${this.names.target}/session`)
  }

  writes(risk: Risk = 'low'): void {
    this.#read = false
    if (risk === 'high') this.#risk = 'high'
  }

  unknownCode(): void {
    this.#opaque = true
    this.#code = true
    this.#read = false
  }

  refuse(why: string): void {
    this.#refused ??= why
  }

  copying(): void {
    this.#copying = true
  }

  storing(): void {
    this.#storing = true
  }

  /** A relation whose own columns are copied into others. */
  copied(resource: string): void {
    this.#copies.add(resource)
  }

  /** What a write gives back. Inside a WITH, the rest of the statement may copy it. */
  returned(resource: string): void {
    this.access('select', resource)
    if (this.#depth > 0) this.#sources.add(resource)
  }

  /** Reads a part whose rows go to the rest of the statement. */
  nested(read: () => void): void {
    this.#depth++
    read()
    this.#depth--
  }

  /** A name that the catalog does not know: it may be new. */
  miss(): void {
    this.#missed = true
  }

  /** A relation that is read. */
  source(node: Node, scope: Scope): void {
    const name = stringAt(node, 'relname') ?? ''
    if (stringAt(node, 'schemaname') === undefined && scope.has(name)) return
    for (const resource of this.#touch('select', node)) this.#sources.add(resource)
    // Whoever copies from a view copies from its tables.
    const relation = this.names.relation(stringAt(node, 'schemaname'), name)
    if (relation !== undefined) for (const resource of beneath(relation, this.names)) this.#sources.add(resource)
  }

  /** A relation that something is done to. @returns its resources */
  target(action: string, node: Node | undefined, risk: Risk = 'low'): readonly string[] {
    this.writes(risk)
    return node === undefined ? [] : this.#touch(action, node)
  }

  #touch(action: string, node: Node): readonly string[] {
    const schema = stringAt(node, 'schemaname')
    const name = stringAt(node, 'relname') ?? ''
    const { target } = this.names
    const resources: string[] = []
    // The session's own temporary relations come first, for the server; here they count beside whatever else has the name.
    const temporary = this.overlay.temporary.has(name) && (schema === undefined || schema === 'pg_temp')
    if (temporary || schema === 'pg_temp') resources.push(resourceOf(target, 'pg_temp', name))
    // Made by code: nobody has read what it is.
    if (schema === 'pg_temp' && !temporary) this.#opaque = true
    const relation = schema === 'pg_temp' ? undefined : this.names.relation(schema, name)
    if (relation !== undefined) {
      resources.push(relation.resource)
      this.#follow(relation, action)
    } else if (resources.length === 0) {
      const created = this.#createdHere.get(name) ?? this.overlay.created.get(name)
      const known = created !== undefined && (schema === undefined || schema === created)
      if (!known) {
        this.#missed = true
        this.#opaque = true
      }
      resources.push(resourceOf(target, known ? created : (schema ?? 'unknown'), name))
    }
    // The catalog does not show it, or shows what it hides: a view over temporary relations is itself temporary, unasked.
    if (this.overlay.views.has(name) && (relation === undefined || schema === undefined)) this.#opaque = true
    if (leaks(schema ?? relation?.schema ?? '', name)) {
      this.#opaque = true
      this.#risk = 'high'
    }
    for (const resource of resources) this.access(action, resource)
    return resources
  }

  #follow(relation: Relation, action: string): void {
    for (const resource of beneath(relation, this.names)) this.#reaches.add(resource)
    const writing = ['insert', 'update', 'delete'].includes(action)
    if (writing && relation.rewritten) this.unknownCode()
    // A rule of pg_settings is another SET.
    if (writing && relation.schema === 'pg_catalog') {
      this.#risk = 'high'
      if (relation.name === 'pg_settings') this.refuse('this setting may not be changed through the gateway')
    }
    const view = analyseView(relation, this.names)
    if (view === undefined) return
    // A materialized view runs nothing when it is read; a view runs what it calls.
    if (relation.kind !== 'v' || action === 'drop') return
    if (view.opaque) this.#opaque = true
    if (view.code) this.#code = true
    if (!view.read) this.#read = false
  }

  // Statements.

  #one(kind: string, node: Node): Partial<Part> {
    switch (kind) {
      case 'SelectStmt':
        return this.#select(node)
      case 'InsertStmt':
      case 'UpdateStmt':
      case 'DeleteStmt':
      case 'MergeStmt':
        this.expressions({ [kind]: node }, noNames)
        return {}
      case 'CopyStmt':
        return this.#copy(node)
      case 'ExplainStmt':
        return this.#explain(node)
      case 'CreateTableAsStmt':
        return this.#createAs(node)
      case 'ViewStmt':
        this.creates(nodeAt(node, 'view'), 'create', true)
        this.expressions(node.query, noNames)
        return { defines: true }
      case 'PrepareStmt':
        this.session()
        return { makes: this.#makes('prepared', stringAt(node, 'name'), node.query) }
      case 'DeclareCursorStmt':
        this.expressions(node.query, noNames)
        return { makes: this.#makes('cursor', stringAt(node, 'portalname'), node.query) }
      case 'ExecuteStmt':
        this.expressions(node.params, noNames)
        return { uses: { kind: 'prepared', name: stringAt(node, 'name') ?? '' } }
      case 'FetchStmt':
        return { uses: { kind: 'cursor', name: stringAt(node, 'portalname') ?? '' } }
      case 'DeallocateStmt':
      case 'ClosePortalStmt':
      case 'DiscardStmt':
        return this.#drop(kind, node)
      case 'TransactionStmt':
        return this.#transaction(node)
      case 'VariableSetStmt':
        this.#set(node)
        return {}
      case 'CallStmt':
        this.writes()
        this.unknownCode()
        this.expressions(node, noNames)
        return {}
      case 'DoStmt':
        this.writes('high')
        this.unknownCode()
        this.access('execute', `${this.names.target}/code`)
        return {}
      default:
        return this.#other(kind, node)
    }
  }

  expressions(tree: Tree, scope: Scope): void {
    readExpressions(this, tree, scope)
  }

  #select(node: Node): Partial<Part> {
    this.expressions({ SelectStmt: node }, noNames)
    const into = nodeAt(node, 'intoClause')
    return { defines: into !== undefined, harmless: harmlessColumns(node, this.names) }
  }

  #copy(node: Node): Partial<Part> {
    const from = node.is_from === true
    const relation = nodeAt(node, 'relation')
    const elsewhere = stringAt(node, 'filename') !== undefined || node.is_program === true
    if (from) this.target('insert', relation)
    else if (relation !== undefined) this.source(relation, noNames)
    this.expressions(node.query, noNames)
    this.expressions(node.whereClause, noNames)
    if (!elsewhere) return { copy: from ? 'in' : 'out' }
    this.writes('high')
    this.unknownCode()
    if (!from) this.copying()
    this.access('execute', `${this.names.target}/server`)
    return {}
  }

  #explain(node: Node): Partial<Part> {
    const [kind, inner] = Object.entries(nodeAt(node, 'query') ?? {})[0] ?? []
    const analyze = contains(node.options, (name, option) => {
      const value = stringAt(nodeAt(nodeAt(option, 'arg') ?? {}, 'String') ?? {}, 'sval')?.toLowerCase()
      const zero = nodeAt(nodeAt(option, 'arg') ?? {}, 'Integer')
      const off = value === 'false' || value === 'off' || (zero !== undefined && (zero.ival ?? 0) === 0)
      return name === 'DefElem' && stringAt(option, 'defname') === 'analyze' && !off
    })
    const read = this.#read
    const opaque = this.#opaque
    const part: Partial<Part> = kind === undefined || !isNode(inner) ? {} : this.#one(kind, inner)
    // Planned only, it changes nothing; but planning runs what claims to be immutable.
    if (!analyze && this.#opaque === opaque) this.#read = read
    return part.uses === undefined ? {} : { uses: part.uses }
  }

  #createAs(node: Node): Partial<Part> {
    this.creates(nodeAt(nodeAt(node, 'into') ?? {}, 'rel'))
    this.copying()
    const prepared = nodeAt(nodeAt(node, 'query') ?? {}, 'ExecuteStmt')
    if (prepared === undefined) {
      this.expressions(node.query, noNames)
      return { defines: true }
    }
    // What a prepared statement reads is known only when it runs.
    this.unknownCode()
    return { defines: true, uses: { kind: 'prepared', name: stringAt(prepared, 'name') ?? '' } }
  }

  /** A relation that comes into being, and that the catalog cannot see before it is committed, or ever. */
  creates(node: Node | undefined, action = 'create', view = false): void {
    if (node === undefined) return
    const name = stringAt(node, 'relname') ?? ''
    const asked = stringAt(node, 'schemaname')
    const schema = node.relpersistence === 't' || asked === 'pg_temp' ? 'pg_temp' : (asked ?? this.names.creationSchema)
    this.#creates.push({ schema, name, view })
    this.#createdHere.set(name, schema)
    this.writes()
    this.access(action, resourceOf(this.names.target, schema, name))
  }

  #makes(kind: Named['kind'], name: string | undefined, query: Tree): NonNullable<Part['makes']> {
    const [inner, node] = isNode(query) ? (Object.entries(query)[0] ?? []) : []
    const statements = inner === undefined || !isNode(node) ? [] : [{ kind: inner, node }]
    return { kind, name: name ?? '', analysis: analyseStatements(statements, this.names, this.overlay) }
  }

  #drop(kind: string, node: Node): Partial<Part> {
    this.session()
    if (kind === 'DiscardStmt') return node.target === 'DISCARD_ALL' ? { drops: 'everything' } : {}
    const name = stringAt(node, 'name') ?? stringAt(node, 'portalname')
    if (kind === 'DeallocateStmt') {
      return { drops: name === undefined ? 'prepared' : { kind: 'prepared', name } }
    }
    return { drops: name === undefined ? 'cursors' : { kind: 'cursor', name } }
  }

  #transaction(node: Node): Partial<Part> {
    this.session()
    const kind = (stringAt(node, 'kind') ?? '').replace('TRANS_STMT_', '').toLowerCase()
    const savepoint = stringAt(node, 'savepoint_name')
    if (kind.endsWith('prepared') || kind === 'prepare') this.writes('high')
    return { transaction: { kind, ...(savepoint === undefined ? {} : { savepoint }) } }
  }

  #set(node: Node): void {
    this.session()
    const kind = stringAt(node, 'kind')
    const name = stringAt(node, 'name') ?? ''
    if (kind === 'VAR_RESET_ALL' || kind === 'VAR_SET_MULTI') return
    const values = listAt(node, 'args').map(constant)
    this.setting(name, kind === 'VAR_SET_VALUE' ? values : undefined)
  }

  /** @param values undefined for a reset; a value that is no constant is refused */
  setting(name: string | undefined, values: readonly (string | undefined)[] | undefined): void {
    const known = values === undefined || values.every(value => value !== undefined)
    const may =
      name !== undefined && known && maySet(name, values as readonly string[] | undefined, this.overlay.searchPath)
    if (may) return
    this.access('set', `${this.names.target}/setting`)
    this.writes('high')
    this.refuse('this setting may not be changed through the gateway')
  }

  /** Everything that the table in actions.ts covers. */
  #other(name: string, node: Node): Partial<Part> {
    const kind: Kind = Object.hasOwn(kinds, name) ? kinds[name]! : unlisted
    if (kind.secret) this.#secret = true
    const risk = riskOf(name, node, kind)
    if (!kind.read) this.writes(risk)
    const action = name.startsWith('Grant') && node.is_grant !== true ? 'revoke' : kind.action
    const { relation, objects, relations, sequence, typevar, ...rest } = node
    const own = [relation, sequence, typevar].filter(isNode).filter(child => 'relname' in child)
    if (action === 'create' && own.length > 0 && name !== 'RuleStmt') for (const child of own) this.creates(child)
    else for (const child of own) this.target(action, child, risk)
    let named = own.length
    for (const item of [...listAt({ relations }, 'relations'), ...listAt({ objects }, 'objects')]) {
      named += this.#object(item, action, kind, stringAt(node, 'removeType') ?? stringAt(node, 'objtype'))
    }
    if (named === 0) this.access(action, `${this.names.target}/${kind.on ?? 'database'}`)
    if (name === 'CreateStmt' || name === 'AlterTableStmt') this.storing()
    this.expressions(rest, noNames)
    // A generated column or USING moves values from one column to another.
    if (name === 'AlterTableStmt' && contains(rest, child => child === 'ColumnRef')) {
      for (const child of own) for (const resource of this.#touch(action, child)) this.#copies.add(resource)
    }
    return { defines: !kind.read && name !== 'NotifyStmt' }
  }

  #object(item: Tree, action: string, kind: Kind, of: string | undefined): number {
    if (!isNode(item)) return 0
    const range = nodeAt(item, 'RangeVar')
    if (range !== undefined) {
      this.target(action, range, kind.risk)
      return 1
    }
    const list = nodeAt(item, 'List')
    const call = nodeAt(item, 'ObjectWithArgs')
    const parts = strings(list === undefined ? listAt(call ?? {}, 'objname') : listAt(list, 'items'))
    if (parts.length === 0) return 0
    const relational = ['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_SEQUENCE', 'OBJECT_FOREIGN_TABLE']
    const { schema, name } = qualified(parts)
    if (of !== undefined && relational.includes(of)) {
      this.target(action, { relname: name, ...(schema === undefined ? {} : { schemaname: schema }) }, kind.risk)
    } else {
      this.access(action, resourceOf(this.names.target, schema ?? this.names.creationSchema, name))
    }
    return 1
  }
}

function riskOf(name: string, node: Node, kind: Kind): Risk {
  if (name === 'VacuumStmt') {
    return contains(node.options, (_, option) => stringAt(option, 'defname') === 'full') ? 'high' : 'low'
  }
  if (name !== 'AlterTableStmt') return kind.risk
  const parts = listAt(node, 'cmds').map(item => (isNode(item) ? nodeAt(item, 'AlterTableCmd')?.subtype : undefined))
  return parts.every(part => typeof part === 'string' && mildAlterations.has(part)) ? 'low' : 'high'
}
