/**
 * The one door to Casbin: a model and rules in, permit or deny out. It answers nothing else: `enforceEx` names one rule only, by
 * file order, so what a decision obliges to is matched apart (obligations.ts).
 */
import { createRequire } from 'node:module'
import type { RoleManager } from 'casbin'
import { Fault } from '../errors.ts'
import { contains, matches, overlaps } from '../glob.ts'
import { defaultModel } from './model.ts'
import { isSubjectId, type Right, type Rules, reachable } from './rules.ts'

// The CommonJS build: the ESM one is two to four times slower, and its synced enforcer throws.
const casbin = createRequire(import.meta.url)('casbin') as typeof import('casbin')

export interface Enforcer {
  /** @throws Fault ERR_POLICY_UNAVAILABLE where Casbin throws: an operation that cannot be judged does not happen */
  permits(subjectId: string, action: string, resource: string): boolean
  /**
   * Whether a glob of resources is permitted wherever it leads: one rule allows all of it, and none denies any of it.
   * @throws Fault ERR_POLICY_UNAVAILABLE
   */
  permitsThroughout(subjectId: string, action: string, resources: string): boolean
  /** A subject's id and every role it holds, directly or not. */
  names(subjectId: string): ReadonlySet<string>
}

const mostRemembered = 10_000

/** An enforcer for exactly these rules. Never changed: other rules are another enforcer, with nothing remembered. */
export async function casbinEnforcer(model: string, rules: Rules): Promise<Enforcer> {
  const roles = new Map<string, string[]>()
  for (const { member, role } of rules.memberships) roles.set(member, [...(roles.get(member) ?? []), role])
  const closures = new Map<string, ReadonlySet<string>>()
  const names = (id: string) => remember(closures, id, () => reachable(id, roles))

  const enforcer = await casbin.newEnforcer(casbin.newModelFromString(model))
  await enforcer.addFunction('glob', (text: string, pattern: string) => matches(pattern, text))
  enforcer.setRoleManager(roleManager((member, role) => names(member).has(role)))
  await enforcer.buildRoleLinks()
  const scanned = enforcer.getModel().model.get('p')!.get('p')!

  // Casbin scans all of its rules, 17 ms at 10,000. The shipped model can only match rules that name the subject or one of its
  // roles, so it is shown just these. Another model may match subjects in another way, and scans all.
  const index = new Map<string, string[][]>()
  for (const right of rules.rights) {
    const key = model === defaultModel ? right.subject : ''
    const listed = index.get(key)
    if (listed === undefined) index.set(key, [toRow(right)])
    else listed.push(toRow(right))
  }
  const rowsFor = (id: string) =>
    model === defaultModel ? [...names(id)].flatMap(name => index.get(name) ?? []) : (index.get('') ?? [])

  const decided = new Map<string, boolean>()
  const decide = (id: string, action: string, resource: string) => {
    const rows = rowsFor(id)
    // With no rule at all, Casbin evaluates the matcher once against empty names.
    if (rows.length === 0) return false
    scanned.policy = rows
    try {
      return enforcer.enforceSync(id, resource, action) === true
    } catch (cause) {
      throw new Fault('ERR_POLICY_UNAVAILABLE', 'the policy could not be evaluated', {}, cause)
    }
  }
  const permits = (id: string, action: string, resource: string) => {
    // A subject named like a role would get that role's rights.
    if (!isSubjectId(id)) return false
    // Lengths first: no two questions share a key.
    const key = `${id.length} ${action.length} ${id}${action}${resource}`
    return remember(decided, key, () => decide(id, action, resource))
  }
  // Casbin judges a text, and a glob is not one: what it spans is judged by the rules themselves, as well.
  const spans = (id: string, asked: string, resources: string) => {
    const rows = rowsFor(id).filter(([, , action]) => matches(action!, asked))
    return (
      rows.some(([, resource, , effect]) => effect === 'allow' && contains(resource!, resources)) &&
      !rows.some(([, resource, , effect]) => effect === 'deny' && overlaps(resource!, resources))
    )
  }
  return {
    names,
    permits,
    permitsThroughout: (id, action, resources) => permits(id, action, resources) && spans(id, action, resources),
  }
}

const toRow = ({ subject, resource, action, effect }: Right) => [subject, resource, action, effect]

function remember<V>(memory: Map<string, V>, key: string, compute: () => V): V {
  const known = memory.get(key)
  if (known !== undefined) return known
  const value = compute()
  if (memory.size >= mostRemembered) memory.clear()
  memory.set(key, value)
  return value
}

/** Casbin's own role manager rebuilds every link at each question, and stops after ten. */
function roleManager(holds: (member: string, role: string) => boolean): RoleManager {
  const nothing = async () => undefined
  const none = async () => []
  return {
    clear: nothing,
    addLink: nothing,
    deleteLink: nothing,
    printRoles: nothing,
    hasLink: async (member, role) => holds(member, role),
    syncedHasLink: holds,
    getRoles: none,
    getUsers: none,
    getDomains: none,
    getAllDomains: none,
  }
}
