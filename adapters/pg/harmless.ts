/** Which columns of a SELECT are proved, from its text alone, to show no stored value: counts, constants, harmless facts of the server. */
import type { Names } from './names.ts'
import { isNode, listAt, type Node, nodeAt, qualified, strings, type Tree } from './tree.ts'

/** @returns one for each column; undefined where a star or a set operation leaves positions unknown */
export function harmlessColumns(select: Node, names: Names): readonly boolean[] | undefined {
  const targets = listAt(select, 'targetList').map(item => (isNode(item) ? nodeAt(item, 'ResTarget')?.val : undefined))
  if (targets.length === 0 || nodeAt(select, 'larg') !== undefined) return undefined
  const star = targets.some(target => isNode(target) && JSON.stringify(target).includes('"A_Star"'))
  return star ? undefined : targets.map(target => isHarmless(target, names))
}

function isHarmless(tree: Tree, names: Names): boolean {
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
      return names.typeIsHarmless(schema, name) && isHarmless(node.arg, names)
    }
    case 'FuncCall':
      return isHarmlessCall(node, names)
    default:
      return false
  }
}

function isHarmlessCall(node: Node, names: Names): boolean {
  const { schema, name } = qualified(strings(listAt(node, 'funcname')))
  if (names.function(schema, name)?.effect.kind !== 'harmless') return false
  // A number of rows shows no value, whatever is counted.
  if (name === 'count') return true
  return node.over === undefined && listAt(node, 'args').every(argument => isHarmless(argument, names))
}
