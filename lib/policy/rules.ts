/**
 * The rules file: rights (`p, who, resource, actions, allow|deny`) and roles (`g, who, role:name`), a line each, `#` for comments.
 * Read here and not by Casbin, whose reader skips over what it does not understand.
 */
import { couldMatch } from '../glob.ts'
import type { Problem } from '../problem.ts'

export interface Right {
  /** A subject's id, or `role:...`. */
  readonly subject: string
  /** Globs. */
  readonly resource: string
  readonly action: string
  readonly effect: 'allow' | 'deny'
}

export interface Membership {
  readonly member: string
  readonly role: string
  readonly line: number
}

export interface Rules {
  readonly rights: readonly Right[]
  readonly memberships: readonly Membership[]
}

export interface RulesOptions {
  /** As problems name it. */
  readonly file: string
  /** Names of all listeners and applications; where given, a resource beyond them all is a problem. */
  readonly targets?: readonly string[] | undefined
}

interface Field {
  readonly text: string
  readonly column: number
}

const rolePrefix = 'role:'

/**
 * What may name a subject: printable, no comma (it parts the fields here, and Casbin's memory of `g` joins by it), and e-mail
 * addresses in lower case, as identity providers' are read.
 */
export function isSubjectId(id: string): boolean {
  return (
    /^[\x21-\x2b\x2d-\x7e]{1,256}$/.test(id) &&
    !id.startsWith(rolePrefix) &&
    (!id.includes('@') || id === id.toLowerCase())
  )
}

const isRole = (name: string) => /^role:[A-Za-z0-9._-]{1,128}$/.test(name)
const isAction = (name: string) => /^[A-Za-z0-9*_-]{1,64}$/.test(name)
const isResource = (name: string) => /^[\x21-\x2b\x2d-\x7e]{1,512}$/.test(name)

/** @returns the rules, and every problem found; the rules are of no use where there is one. */
export function readRules(text: string, { file, targets }: RulesOptions): { rules: Rules; problems: Problem[] } {
  const rights: Right[] = []
  const memberships: Membership[] = []
  const problems: Problem[] = []
  const seen = new Map<string, number>()
  const roleRights: { readonly role: string; readonly line: number; readonly column: number }[] = []

  for (const [index, whole] of text.split(/\r?\n/).entries()) {
    const line = index + 1
    if (whole.trim() === '' || whole.trimStart().startsWith('#')) continue
    const report = (column: number, message: string, hint?: string) =>
      problems.push({ file, line, column, message, ...(hint === undefined ? {} : { hint }) })
    const fields = split(whole)
    const before = problems.length
    const [kind, ...rest] = fields
    if (kind!.text === 'p') checkRight(rest, targets, report, whole.length + 1)
    else if (kind!.text === 'g') checkMembership(rest, report, whole.length + 1)
    else report(kind!.column, 'a rule starts with p (a right) or g (a role)', 'write p, WHO, RESOURCE, ACTION, allow')
    if (problems.length > before) continue

    const key = fields.map(field => field.text).join(',')
    const first = seen.get(key)
    if (first !== undefined) report(1, `the same rule as in line ${first}`, 'delete one')
    seen.set(key, line)
    const [a, b, c, d] = rest.map(field => field.text) as [string, string, string, string]
    if (kind!.text === 'p' && isRole(a)) roleRights.push({ role: a, line, column: rest[0]!.column })
    if (kind!.text === 'p') rights.push({ subject: a, resource: b, action: c, effect: d as Right['effect'] })
    else memberships.push({ member: a, role: b, line })
  }
  for (const { line, role } of circles(memberships)) {
    problems.push({
      file,
      line,
      column: 1,
      message: `${role} contains itself`,
      hint: 'a circle of roles gives each the rights of all',
    })
  }
  const held = heldRoles(memberships)
  for (const { role, line, column } of roleRights) {
    if (held.has(role)) continue
    problems.push({
      file,
      line,
      column,
      message: 'this rule can never match',
      hint: `nobody holds ${role}: g, WHO, ${role}`,
    })
  }
  return { rules: { rights, memberships }, problems }
}

/** Roles that somebody holds, directly or through other roles. */
function heldRoles(memberships: readonly Membership[]): ReadonlySet<string> {
  const roles = new Map<string, string[]>()
  for (const { member, role } of memberships) roles.set(member, [...(roles.get(member) ?? []), role])
  const people = [...roles.keys()].filter(member => !isRole(member))
  return new Set(people.flatMap(person => [...reachable(person, roles)]))
}

function split(line: string): Field[] {
  let at = 0
  return line.split(',').map(part => {
    const column = at + (part.length - part.trimStart().length) + 1
    at += part.length + 1
    return { text: part.trim(), column }
  })
}

type Report = (column: number, message: string, hint?: string) => void

function checkRight(
  fields: readonly Field[],
  targets: readonly string[] | undefined,
  report: Report,
  end: number,
): void {
  const [subject, resource, action, effect, extra] = fields
  if (effect === undefined || extra !== undefined) {
    report(extra?.column ?? end, 'a right has five fields', 'write p, WHO, RESOURCE, ACTION, allow or deny')
    return
  }
  checkSubject(subject!, report)
  if (!isResource(resource!.text))
    report(resource!.column, 'not a resource', 'write TARGET/..., with * and ** as wildcards')
  else if (targets !== undefined && !targets.some(target => couldMatch(resource!.text, target))) {
    report(
      resource!.column,
      'this rule can never match',
      `resources start with one of ${targets.map(t => `${t}/`).join(', ')}`,
    )
  }
  if (!isAction(action!.text)) report(action!.column, 'not an action', 'write one word, or * for all')
  if (effect.text !== 'allow' && effect.text !== 'deny') report(effect.column, 'neither allow nor deny')
}

function checkMembership(fields: readonly Field[], report: Report, end: number): void {
  const [member, role, extra] = fields
  if (role === undefined || extra !== undefined) {
    report(extra?.column ?? end, 'a role has three fields', 'write g, WHO, role:NAME')
    return
  }
  checkSubject(member!, report)
  if (!isRole(role.text)) report(role.column, 'not a role', 'write role:NAME')
}

function checkSubject({ text, column }: Field, report: Report): void {
  if (isRole(text) || isSubjectId(text)) return
  const shouted = text.includes('@') && isSubjectId(text.toLowerCase())
  if (shouted) report(column, 'this rule can never match', 'e-mail addresses are compared in lower case')
  else report(column, 'neither a subject nor a role', 'write a subject as dba@crm.example or agent:NAME, or role:NAME')
}

/** @returns the memberships through which a role reaches itself. */
function circles(memberships: readonly Membership[]): Membership[] {
  const roles = new Map<string, string[]>()
  for (const { member, role } of memberships) roles.set(member, [...(roles.get(member) ?? []), role])
  return memberships.filter(({ member, role }) => reachable(role, roles).has(member))
}

/** @returns the name and everything it reaches. */
export function reachable(from: string, links: ReadonlyMap<string, readonly string[]>): ReadonlySet<string> {
  const found = new Set([from])
  for (const name of found) for (const next of links.get(name) ?? []) found.add(next)
  return found
}
