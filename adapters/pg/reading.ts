/**
 * What is gathered while the statements of a text are read: accesses, what its reply can show, what it copies, its risk.
 * What a text does not show is said so: a function that is not known harmless makes the whole opaque. It is no proof against
 * the owner of the schema: triggers, rules, row security and defaults are the schema's own and are not followed.
 */
import type { Absence, Access, Move } from '../../lib/operation.ts'
import type { Risk } from './actions.ts'
import type { Analysis, Created, Overlay, Part } from './analysis.ts'
import { readExpressions } from './expressions.ts'
import { leaks } from './functions.ts'
import { type Names, type Relation, resourceOf } from './names.ts'
import { absence, type Resolved, resolve } from './resolve.ts'
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
  readonly #moves = new Map<string, Move>()
  #opaque = false
  #code = false
  #risk: Risk = 'low'
  #read = true
  #refused: string | undefined
  #missed = false
  readonly #absent: Absence[] = []
  #secret = false
  /** Of the statement being read: relations that it reads, and whether it writes what it reads. */
  #sources = new Set<string>()
  #copying = false
  /** It stores what expressions give. */
  #storing = false
  #creates: Created[] = []
  #depth = 0
  /** Names that come into being in this text, with their schemas. */
  readonly createdHere = new Map<string, string>()
  readonly inner: Inner

  constructor(names: Names, overlay: Overlay, inner: Inner) {
    this.names = names
    this.overlay = overlay
    this.inner = inner
  }

  result(parts: readonly Part[]): Analysis {
    if (this.#accesses.size === 0) this.session()
    return {
      accesses: [...this.#accesses.values()],
      reaches: [...this.#reaches],
      moves: [...this.#moves.values()],
      opaque: this.#opaque,
      code: this.#code,
      risk: this.#risk,
      read: this.#read,
      missed: this.#missed,
      absent: this.#absent,
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
    if (this.#copying) for (const source of this.#sources) this.copied(source)
    // What may reach anything may copy anything.
    if ((this.#copying || this.#storing) && this.#opaque) this.moves({ from: 'anywhere' })
    return { defines: false, harmless: undefined, certain: undefined, ...part, creates: this.#creates }
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

  /** It may reach anything. */
  anything(): void {
    this.#opaque = true
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
    this.moves({ from: { resource } })
  }

  /** Data comes to lie elsewhere, or under another name. */
  moves(move: Move): void {
    this.#moves.set(JSON.stringify(move), move)
  }

  /** What a write gives back. Inside a WITH, the rest of the statement may copy it. @param shown whose data it can be */
  returned(resources: readonly string[], shown: readonly string[]): void {
    for (const resource of resources) this.access('select', resource)
    if (this.#depth > 0) for (const resource of shown) this.#sources.add(resource)
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
    return this.inner.statements(statements)
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
    if (relation !== undefined) for (const resource of this.inner.beneath(relation)) this.#sources.add(resource)
  }

  /** A relation that something is done to. @returns its resources */
  target(action: string, node: Node | undefined, risk: Risk = 'low'): readonly string[] {
    this.writes(risk)
    return node === undefined ? [] : this.#touch(action, node)
  }

  #touch(action: string, node: Node): readonly string[] {
    const { schema, name, relation, resources, unknown, unread } = this.resolve(node)
    if (unread) this.#opaque = true
    if (unknown) {
      this.#missed = true
      this.#opaque = true
      this.#absent.push(absence(this.names, action, resources[0]!, schema, name))
    }
    if (relation !== undefined) this.#follow(relation, action)
    // The catalog does not show it, or shows what it hides: a view over temporary relations is itself temporary, unasked.
    if (this.overlay.views.has(name) && (relation === undefined || schema === undefined)) this.#opaque = true
    if (leaks(schema ?? relation?.schema ?? '', name)) {
      this.#opaque = true
      this.#risk = 'high'
    }
    for (const resource of resources) this.access(action, resource)
    return resources
  }

  resolve(node: Node): Resolved {
    return resolve(this.names, this.overlay, this.createdHere, node)
  }

  #follow(relation: Relation, action: string): void {
    for (const resource of this.inner.beneath(relation)) this.#reaches.add(resource)
    const writing = ['insert', 'update', 'delete'].includes(action)
    // Where a row of another falls foul of its constraints then, the server's error quotes that row.
    if (writing && action !== 'insert') for (const resource of relation.changed) this.#reaches.add(resource)
    if (writing && relation.rewritten) {
      this.unknownCode()
      this.storing()
    }
    // A rule of pg_settings is another SET.
    if (writing && relation.schema === 'pg_catalog') {
      this.#risk = 'high'
      // Names and columns are rows there, which the server lets its superusers change.
      this.moves({ from: 'anywhere' })
      if (relation.name === 'pg_settings') this.refuse('this setting may not be changed through the gateway')
    }
    const view = this.inner.view(relation)
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
    this.becomes(schema, name, view)
    this.writes()
    this.access(action, resourceOf(this.names.target, schema, name))
  }

  /** A name that stands for a relation from here on, though the catalog cannot say so yet. */
  becomes(schema: string, name: string, view = false): void {
    this.#creates.push({ schema, name, view })
    this.createdHere.set(name, schema)
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
