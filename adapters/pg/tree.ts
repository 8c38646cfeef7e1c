/** PostgreSQL's parse tree as libpg-query gives it, and the one door to that package. Offsets are in UTF-8 bytes. */
import { loadModule, normalizeSync, parseSync, SqlError } from 'libpg-query'
import { ProtocolViolation } from './violation.ts'

/** A node: `{ SelectStmt: {...} }`, or the bare fields where the kind is certain from the place. */
export type Node = { readonly [name: string]: Tree }
export type Tree = string | number | boolean | null | undefined | Node | readonly Tree[]

export interface Statement {
  /** The node's kind, as `SelectStmt`. */
  readonly kind: string
  readonly node: Node
}

export const loadParser: () => Promise<void> = loadModule

/**
 * Every statement of a text. None, where it holds only blanks and comments.
 * @throws ProtocolViolation 42601 where it cannot be parsed, 54001 where it is nested too deeply to be
 */
export function parseStatements(text: string): readonly Statement[] {
  if (text.includes('\0')) throw new ProtocolViolation('42601', 'a statement with a NUL in it')
  if (text.trim() === '') return []
  try {
    const { stmts } = parseSync(text) as unknown as { stmts?: readonly { stmt?: Node }[] }
    return (stmts ?? []).map(({ stmt }) => {
      const [kind, node] = Object.entries(stmt ?? {})[0] ?? []
      if (kind === undefined || !isNode(node)) throw new ProtocolViolation('42601', 'a statement that cannot be read')
      return { kind, node }
    })
  } catch (error) {
    throw violation(error)
  }
}

/** The text with every literal replaced by a parameter. @throws ProtocolViolation */
export function withoutLiterals(text: string): string {
  try {
    return normalizeSync(text)
  } catch (error) {
    throw violation(error)
  }
}

function violation(error: unknown): ProtocolViolation {
  if (error instanceof ProtocolViolation) return error
  if (error instanceof SqlError && error.sqlDetails !== undefined) {
    // Counted in characters from 0 there, from 1 on the wire. The parser's own words quote the client's text alone.
    const { cursorPosition, message } = error.sqlDetails
    return new ProtocolViolation('42601', message, cursorPosition + 1)
  }
  return new ProtocolViolation('54001', 'a statement that is nested too deeply, or cannot be read')
}

export const isNode = (tree: Tree): tree is Node => typeof tree === 'object' && tree !== null && !Array.isArray(tree)
export const nodeAt = (node: Node, name: string): Node | undefined => {
  const child = node[name]
  return isNode(child) ? child : undefined
}
export const listAt = (node: Node, name: string): readonly Tree[] => {
  const child = node[name]
  return Array.isArray(child) ? child : []
}
export const stringAt = (node: Node, name: string): string | undefined => {
  const child = node[name]
  return typeof child === 'string' ? child : undefined
}

/** A list of String nodes: the parts of a qualified name. */
export function strings(list: readonly Tree[]): readonly string[] {
  return list.flatMap(item => {
    const value = isNode(item) ? nodeAt(item, 'String') : undefined
    return value === undefined ? [] : [stringAt(value, 'sval') ?? '']
  })
}

/** Schema and name of a qualified name; a database's name before them is left out. */
export function qualified(parts: readonly string[]): { readonly schema: string | undefined; readonly name: string } {
  return { schema: parts.at(-2), name: parts.at(-1) ?? '' }
}

/** The parts of a ColumnRef's name; undefined for `t.*`, which is a row, though its last name may be a column's as well. */
export function columnName(node: Node): readonly string[] | undefined {
  const fields = listAt(node, 'fields')
  const parts = strings(fields)
  return parts.length === fields.length ? parts : undefined
}

/** An A_Const as text; undefined for anything else. */
export function constant(tree: Tree): string | undefined {
  const value = isNode(tree) ? nodeAt(tree, 'A_Const') : undefined
  if (value === undefined) return undefined
  const text = nodeAt(value, 'sval')
  if (text !== undefined) return stringAt(text, 'sval') ?? ''
  const number = nodeAt(value, 'ival')
  if (number !== undefined) return String(number.ival ?? 0)
  const float = nodeAt(value, 'fval')
  if (float !== undefined) return stringAt(float, 'fval')
  const flag = nodeAt(value, 'boolval')
  return flag === undefined ? undefined : String(flag.boolval ?? false)
}

/** Whether the predicate holds for a node of that name anywhere in the tree. */
export function contains(tree: Tree, wanted: (name: string, child: Node) => boolean): boolean {
  if (Array.isArray(tree)) return tree.some(item => contains(item, wanted))
  if (!isNode(tree)) return false
  return Object.entries(tree).some(([name, child]) => (isNode(child) && wanted(name, child)) || contains(child, wanted))
}
