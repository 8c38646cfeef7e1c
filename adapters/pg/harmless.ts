/**
 * Which columns of a SELECT are proved, from its text alone, to show no stored value: counts, constants, harmless facts of the server.
 */
import type { Names } from './names.ts'
import { isNode, listAt, type Node, nodeAt, qualified, strings, type Tree } from './tree.ts'

/**
 * @param names undefined where names may mean something else by now: only what no definition can change is harmless then
 * @returns one for each column; undefined where a star or a set operation leaves positions unknown
 */
export function harmlessColumns(select: Node, names: Names | undefined): readonly boolean[] | undefined {
  const targets = listAt(select, 'targetList').map(item => (isNode(item) ? nodeAt(item, 'ResTarget')?.val : undefined))
  if (targets.length === 0 || nodeAt(select, 'larg') !== undefined) return undefined
  const star = targets.some(target => isNode(target) && JSON.stringify(target).includes('"A_Star"'))
  return star ? undefined : targets.map(target => isHarmless(target, names))
}

function isHarmless(tree: Tree, names: Names | undefined): boolean {
  if (!isNode(tree)) return false
  const [kind] = Object.keys(tree)
  const node = kind === undefined ? undefined : nodeAt(tree, kind)
  if (node === undefined) return false
  switch (kind) {
    case 'A_Const':
    case 'ParamRef':
    case 'SQLValueFunction':
      return true
    case 'TypeCast': {
      const { schema, name } = qualified(strings(listAt(nodeAt(node, 'typeName') ?? {}, 'names')))
      const known = names === undefined ? schema === 'pg_catalog' : names.typeIsHarmless(schema, name)
      return known && isHarmless(node.arg, names)
    }
    case 'FuncCall':
      return isHarmlessCall(node, names)
    default:
      return false
  }
}

function isHarmlessCall(node: Node, names: Names | undefined): boolean {
  const { schema, name } = qualified(strings(listAt(node, 'funcname')))
  // Nobody's function of no arguments comes before the server's own.
  if (names === undefined)
    return name === 'count' && node.agg_star === true && (schema ?? 'pg_catalog') === 'pg_catalog'
  if (names.function(schema, name)?.effect.kind !== 'harmless') return false
  // A number of rows shows no value, whatever is counted.
  if (name === 'count') return true
  return node.over === undefined && listAt(node, 'args').every(argument => isHarmless(argument, names))
}
