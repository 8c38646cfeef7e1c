/** Separation of duties: why a person may not decide what another asked for. Nobody is exempt, whatever their rights. */
import type { Access } from './format/entry.ts'
import type { Subject } from './identity/subject.ts'
import type { Policy } from './policy/policy.ts'
import type { Actors } from './principals.ts'

/** What waits for a decision, in pseudonyms. */
export interface Item {
  readonly id: string
  readonly subject: string
  readonly principal: string | undefined
  readonly owner: string | undefined
  readonly accesses: readonly Access[]
  /** Every one of which who decides must hold. */
  readonly roles: readonly string[]
  /** Who has approved it already. */
  readonly approvers: readonly string[]
  /** Its resources are globs: whoever may approve a part of one may not approve the whole. */
  readonly globs: boolean
}

/** @returns a word for the record; undefined where they may */
export function objection(policy: Policy, approver: Subject, actors: Actors, item: Item): string | undefined {
  if (approver.type !== 'person') return 'not-a-person'
  if (actors.subject === item.subject) return 'own-request'
  if (actors.subject === item.principal) return 'principal-of-request'
  if (actors.subject === item.owner) return 'owner-of-agent'
  if (item.approvers.includes(actors.subject)) return 'decided-already'
  if (!item.roles.every(role => policy.hasRole(approver.id, role))) return 'role-missing'
  const may = (resource: string) =>
    item.globs ? policy.canThroughout(approver.id, 'approve', resource) : policy.can(approver.id, 'approve', resource)
  return item.accesses.length > 0 && item.accesses.every(({ resource }) => may(resource)) ? undefined : 'no-right'
}

/** What each word means, for who is refused. */
export const explained: Readonly<Record<string, string>> = {
  'not-a-person': 'only a person may decide this; agents and services may not',
  'own-request': 'nobody decides their own request',
  'principal-of-request': 'this was asked for on your behalf: another person must decide it',
  'owner-of-agent': 'you are accountable for who asks: another person must decide it',
  'decided-already': 'you have decided this already: another person is needed',
  'role-missing': 'a role that this decision requires is missing',
  'no-right': 'no right to do this',
  'nothing-to-decide': 'nothing under that id waits for a decision: it was decided, has lapsed, or was never asked for',
  'nothing-to-revoke': 'no grant under that id can be revoked: it was denied or revoked already, or never asked for',
}

/** The right that is missing, as the line of a policy that would give it. */
export const wouldPermit = (action: string, resource: string): string =>
  `policy must permit ${action} on ${resource}, as a line "p, ROLE, ${resource}, ${action}, allow" does where none denies it`

/** @returns what would lift the objection, where it is a right or a role that is missing; else nothing */
export function remedy(why: string, { accesses, roles }: Pick<Item, 'accesses' | 'roles'>): string {
  if (why === 'role-missing') return `: ${roles.join(' and ')}`
  const [first] = accesses
  if (why !== 'no-right' || first === undefined) return ''
  const others = new Set(accesses.map(({ resource }) => resource)).size - 1
  return `: ${wouldPermit('approve', first.resource)}${others > 0 ? `; and so for ${others} more` : ''}`
}
