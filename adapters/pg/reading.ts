/**
 * What is gathered while the statements of a text are read: accesses, what its reply can show, what it copies, its risk.
 * What a text does not show is said so: a function that is not known harmless makes the whole opaque. It is no proof against
 * the owner of the schema: triggers, rules, row security and defaults are the schema's own and are not followed.
 */
import type { Access } from '../../lib/operation.ts'
import type { Risk } from './actions.ts'
import type { Analysis, Created, Overlay, Part } from './analysis.ts'
import { readExpressions } from './expressions.ts'
import { leaks } from './functions.ts'
import { type Names, type Relation, resourceOf } from './names.ts'
import { maySet } from './settings.ts'
import { type Node, type Statement, stringAt, type Tree } from './tree.ts'

export type Scope = ReadonlySet<string>
const noNames: Scope = new Set()

/** Analyses inside this one: of what a statement prepares or declares, and of views. */
export interface Inner {
  statements(statements: readonly Statement[]): Analysis
  view(relation: Relation): Analysis | undefined
  beneath(relation: Relation): readonly string[]
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
  #creates: Created[] = []
  #depth = 0
  readonly #createdHere = new Map<string, string>()
  readonly #inner: Inner

  constructor(names: Names, overlay: Overlay, inner: Inner) {
    this.names = names
    this.overlay = overlay
    this.#inner = inner
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

  /** @param read reads one statement of the text */
  statement(read: () => Partial<Part>): Part {
    this.#sources = new Set()
    this.#copying = false
    this.#storing = false
    this.#creates = []
    const part = read()
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

  /** Of a statement that is planned only: it changes nothing, but planning runs what claims to be immutable. */
  planned(read: () => Partial<Part>): Partial<Part> {
    const before = { read: this.#read, opaque: this.#opaque }
    const part = read()
    if (this.#opaque === before.opaque) this.#read = before.read
    return part
  }

  /** The text may hold a credential. */
  secret(): void {
    this.#secret = true
  }

  /** What a statement that is kept under a name would do. */
  analysed(statements: readonly Statement[]): Analysis {
    return this.#inner.statements(statements)
  }

  /** A name that the catalog does not know: it may be new. */
  miss(): void {
    this.#missed = true
  }

  /** A relation that is read. */
  source(node: Node, scope: Scope = noNames): void {
    const name = stringAt(node, 'relname') ?? ''
    if (stringAt(node, 'schemaname') === undefined && scope.has(name)) return
    for (const resource of this.#touch('select', node)) this.#sources.add(resource)
    // Whoever copies from a view copies from its tables.
    const relation = this.names.relation(stringAt(node, 'schemaname'), name)
    if (relation !== undefined) for (const resource of this.#inner.beneath(relation)) this.#sources.add(resource)
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
    for (const resource of this.#inner.beneath(relation)) this.#reaches.add(resource)
    const writing = ['insert', 'update', 'delete'].includes(action)
    if (writing && relation.rewritten) this.unknownCode()
    // A rule of pg_settings is another SET.
    if (writing && relation.schema === 'pg_catalog') {
      this.#risk = 'high'
      if (relation.name === 'pg_settings') this.refuse('this setting may not be changed through the gateway')
    }
    const view = this.#inner.view(relation)
    if (view === undefined) return
    // A materialized view runs nothing when it is read; a view runs what it calls.
    if (relation.kind !== 'v' || action === 'drop') return
    if (view.opaque) this.#opaque = true
    if (view.code) this.#code = true
    if (!view.read) this.#read = false
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

  expressions(tree: Tree, scope: Scope = noNames): void {
    readExpressions(this, tree, scope)
  }
}
