/**
 * Who held which role, as a policy's disclosed rules say: `g, WHO, role:NAME`, a line each, and through other roles. Read apart from the
 * guard's own reader, so that the one checks the other.
 */
import type { Json } from '../lib/format/canonical.ts'
import type { Row } from './view-columns.ts'

/** @param policy its digest. @param rules the text, where it is disclosed */
export function membershipRows(policy: string, rules: Json | undefined): Row[] {
  if (typeof rules !== 'string') return []
  const direct = new Map<string, Set<string>>()
  for (const line of rules.split('\n')) {
    const [kind, member, role] = line.split(',').map(field => field.trim())
    if (kind !== 'g' || !member || !role) continue
    direct.set(member, (direct.get(member) ?? new Set()).add(role))
  }
  return [...direct.keys()].sort().flatMap(member => {
    const held = new Set(direct.get(member))
    // A set is walked in the order in which it grows: roles of roles come up in their turn.
    for (const role of held) for (const above of direct.get(role) ?? []) held.add(above)
    return [...held].sort().map((role): Row => ({ policy, member, role }))
  })
}
