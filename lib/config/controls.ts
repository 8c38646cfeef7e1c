/** What controls.yaml means: controls, and what is wrong with them beyond their shape. Pure. */
import type { Control } from '../control.ts'
import { criteria, isCriterion } from '../criteria.ts'
import { duration } from '../duration.ts'
import { couldMatch } from '../glob.ts'
import { parseSelector } from '../masking/selector.ts'
import { nearest } from '../options.ts'
import { type Rules, reachable } from '../policy/rules.ts'
import { type Problem, refuseProblems } from '../problem.ts'
import { checkShape } from './check.ts'
import { checkPatterns } from './patterns.ts'
import { type ControlsFile, controlsFile } from './schema.ts'
import { type Path, readYaml } from './yaml.ts'

export interface ControlsContext {
  readonly targets: readonly { readonly name: string; readonly protocol: string }[]
  /** Undefined where the rules could not be read: what depends on them is left unjudged. */
  readonly rules: Rules | undefined
  /** Whether a key is configured, without which nothing can be hashed. */
  readonly canHash: boolean
  /** Unix milliseconds. */
  readonly now: number
}

export type ReportAt = (path: Path, message: string, hint?: string) => void

type Written = ControlsFile[number]

const minute = 60_000
const longestObserved = 90 * 86_400_000

export function readControls(written: ControlsFile, context: ControlsContext, report: ReportAt): Control[] {
  const ids = new Map<string, number>()
  for (const [i, control] of written.entries()) {
    const first = ids.get(control.id)
    if (first !== undefined) report([i, 'id'], `the same id as the ${first + 1}. control`)
    else ids.set(control.id, i)
    checkControl(control, context, (path, message, hint) => report([i, ...path], message, hint))
  }
  return written.map(toControl)
}

/**
 * Reads the text of controls that were in force once, as the ledger discloses it: their shape is checked, their dates and reach,
 * which were judged then, are not judged again.
 * @throws Misuse ERR_OPTION_INVALID
 */
export function parseControls(text: string): Control[] {
  const problems: Problem[] = []
  const written = checkShape(readYaml(text, 'controls'), controlsFile, problem => problems.push(problem))
  refuseProblems(problems)
  return (written ?? []).map(toControl)
}

function checkControl(control: Written, context: ControlsContext, report: ReportAt): void {
  for (const [i, id] of control.criteria.entries()) {
    if (isCriterion(id)) continue
    const meant = nearest(id, criteria)
    report(
      ['criteria', i],
      'an unknown criterion',
      meant === undefined ? 'see the 61 ids of TSC 2017' : `did you mean "${meant}"?`,
    )
  }
  checkReach(control, context, report)
  checkMask(control, context, report)
  checkPatterns(control, context.targets, report)
  checkMode(control, context.now, report)
  const { approval, grant } = control.require ?? {}
  if (approval !== undefined && duration(approval.wait ?? '30s') > duration(approval.within ?? '15m')) {
    report(['require', 'approval', 'wait'], 'an operation cannot be held for longer than its approval may take')
  }
  checkRole(approval?.from, approval?.people ?? 1, context, (m, hint) =>
    report(['require', 'approval', 'from'], m, hint),
  )
  checkRole(grant?.from, 1, context, (m, hint) => report(['require', 'grant', 'from'], m, hint))
  if (control.effective !== undefined && Number.isNaN(Date.parse(control.effective.from))) {
    report(['effective', 'from'], 'there is no such date')
  }
}

function checkReach({ covers }: Written, { targets }: ControlsContext, report: ReportAt): void {
  if (targets.some(({ name }) => couldMatch(covers.resource, name))) return
  const starts = targets.map(({ name }) => `${name}/`).join(', ')
  report(
    ['covers', 'resource'],
    'this control can never match',
    starts === '' ? undefined : `resources start with one of ${starts}`,
  )
}

function checkMask({ covers, mask }: Written, { targets, canHash }: ControlsContext, report: ReportAt): void {
  if (mask === undefined) return
  for (const key of ['action', 'risk'] as const) {
    if (covers[key] === undefined) continue
    report(
      ['covers', key],
      'a mask applies to whatever could show the field',
      'put the mask into a control of its own, without this',
    )
  }
  if (Object.keys(mask).length === 0) report(['mask'], 'a mask without a field')
  const rows = targets.find(({ name, protocol }) => protocol === 'postgres' && couldMatch(covers.resource, name))
  for (const [field, strategy] of Object.entries(mask)) {
    if (strategy === 'hash' && !canHash)
      report(['mask', field], 'there is no key to hash with', 'add to counterfoil.yaml: masking: { key: env:NAME }')
    const selector = parseSelector(field)
    if (selector === undefined) report(['mask', field], 'neither a name, a JSON pointer, nor *')
    else if (selector.kind === 'pointer' && rows !== undefined) {
      report(['mask', field], `a JSON pointer cannot mask columns, as in ${rows.name}`, 'name the column')
    }
  }
}

function checkMode({ mode, until, mask, require }: Written, now: number, report: ReportAt): void {
  if (mode !== 'observe') {
    if (until !== undefined) report(['until'], 'only observing ends', 'write mode: observe, or leave until out')
    return
  }
  if (mask !== undefined && require === undefined) report(['mode'], 'masks have no observe mode')
  if (until === undefined) {
    report(['mode'], 'observing must end', 'write until: DATE, at most 90 days ahead')
    return
  }
  const end = Date.parse(until)
  if (Number.isNaN(end)) report(['until'], 'there is no such date')
  else if (end <= now) report(['until'], 'observing has ended: the control is enforced', 'write mode: enforce')
  else if (end > now + longestObserved) report(['until'], 'observing must end within 90 days')
}

/** A role that too few people hold could never approve: what needs it would be refused for ever. */
function checkRole(
  role: string | undefined,
  people: number,
  { rules }: ControlsContext,
  report: (message: string, hint: string) => void,
) {
  if (role === undefined || rules === undefined) return
  const links = new Map<string, string[]>()
  for (const { member, role: into } of rules.memberships) links.set(member, [...(links.get(member) ?? []), into])
  const holders = [...links.keys()].filter(name => !name.startsWith('role:') && reachable(name, links).has(role))
  // Agents never approve.
  const able = holders.filter(name => !name.startsWith('agent:')).length
  if (able < people) report(`${able} hold ${role}, of ${people} who must approve`, `add to the rules: g, WHO, ${role}`)
}

function toControl(written: Written): Control {
  const { id, title, owner, criteria: ids, covers, mask, patterns, record, durability, effective, thresholds } = written
  const { grant, approval } = written.require ?? {}
  return {
    id,
    title,
    ...(owner === undefined ? {} : { owner }),
    criteria: ids,
    covers: {
      resource: covers.resource,
      ...(covers.action === undefined ? {} : { actions: covers.action }),
      ...(covers.risk === undefined ? {} : { risk: covers.risk }),
    },
    ...(grant === undefined && approval === undefined
      ? {}
      : {
          require: {
            ...(grant === undefined ? {} : { grant: toGrant(grant) }),
            ...(approval === undefined ? {} : { approval: toApproval(approval) }),
          },
        }),
    ...(mask === undefined ? {} : { mask }),
    ...(patterns === undefined ? {} : { patterns }),
    ...(record === undefined ? {} : { record: defined(record) }),
    ...(durability === undefined ? {} : { durability }),
    mode: written.mode === 'observe' ? { observeUntil: written.until ?? '' } : 'enforce',
    tests: written.tests ?? 'auto',
    ...(effective === undefined ? {} : { effective }),
    ...(thresholds === undefined ? {} : { thresholds: { revocationMs: duration(thresholds.revocation) } }),
  }
}

type Require = NonNullable<Written['require']>

const toGrant = ({ longest, reason, from }: NonNullable<Require['grant']>) => ({
  longestMs: duration(longest),
  reason: reason === 'required',
  ...(from === undefined ? {} : { from }),
})

const toApproval = ({ people, from, within, wait }: NonNullable<Require['approval']>) => ({
  people: people ?? 1,
  ...(from === undefined ? {} : { from }),
  withinMs: within === undefined ? 15 * minute : duration(within),
  waitMs: wait === undefined ? minute / 2 : duration(wait),
})

const defined = ({ request, response }: NonNullable<Written['record']>) => ({
  ...(request === undefined ? {} : { request }),
  ...(response === undefined ? {} : { response }),
})
