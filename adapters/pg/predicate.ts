/** Whether a WHERE picks rows at all: one that is constant picks every row, and is as risky as none. */
import { contains, isNode, listAt, type Node, nodeAt, type Tree } from './tree.ts'

/** @returns false where it is absent, constant, or compares something with itself. It says nothing of how many rows it picks. */
export function isSelective(where: Tree): boolean {
  if (!isNode(where)) return false
  const [kind] = Object.keys(where)
  const node = kind === undefined ? undefined : nodeAt(where, kind)
  if (node === undefined) return false
  if (kind === 'CurrentOfExpr') return true
  if (kind === 'BoolExpr') {
    const args = listAt(node, 'args')
    return node.boolop === 'AND_EXPR' ? args.some(isSelective) : args.every(isSelective)
  }
  if (kind === 'A_Expr' && sameSides(node)) return false
  return contains(where, name => name === 'ColumnRef')
}

const sameSides = (node: Node) => bare(node.lexpr) === bare(node.rexpr)
const bare = (tree: Tree) => JSON.stringify(tree, (name, value) => (name === 'location' ? undefined : value))
