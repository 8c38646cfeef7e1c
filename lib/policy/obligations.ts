/** What matching controls oblige to, apart from Casbin: all that match are united, and the strictest of each wins. Pure. */
import type { Control, MaskRule, Obligations } from '../control.ts'
import { couldMatch, matches, overlaps } from '../glob.ts'
import type { Access, Operation } from '../operation.ts'

/** @param now Unix milliseconds: controls take effect, and stop being merely observed, at a moment */
export function uniteObligations(controls: readonly Control[], operation: Operation, now: number): Obligations {
  const found = controls
    .filter(control => isEffective(control, now))
    .map(control => ({ control, accesses: coveredBy(control, operation), masks: masksOf(control, operation) }))
    .filter(({ accesses, masks }) => accesses.length > 0 || masks.length > 0)
  const required = found.filter(({ control, accesses }) => accesses.length > 0 && control.require !== undefined)
  const enforced = required.filter(({ control }) => isEnforced(control, now))
  const grant = uniteGrants(enforced)
  const approval = uniteApprovals(enforced.map(({ control }) => control))
  return {
    controls: idsOf(found.map(({ control }) => control)),
    ...(grant === undefined ? {} : { grant }),
    ...(approval === undefined ? {} : { approval }),
    masks: found.flatMap(({ masks }) => masks),
    record: uniteRecords(found),
    durability: isWritten(
      found.map(({ control }) => control),
      operation,
    )
      ? 'written'
      : 'durable',
    observed: required
      .filter(({ control }) => !isEnforced(control, now))
      .map(({ control }) => ({
        control: control.id,
        grant: control.require?.grant !== undefined,
        approval: control.require?.approval !== undefined,
      })),
  }
}

/**
 * The terms of a grant over whatever could be accessed under it: requested resources may be globs.
 * @returns undefined where no control asks for a grant on any of it
 */
export function grantTerms(
  controls: readonly Control[],
  accesses: readonly Access[],
  now: number,
): Obligations['grant'] {
  const found = controls
    .filter(control => isEffective(control, now))
    .map(control => ({
      control,
      accesses: accesses.filter(
        ({ action, resource }) => hasAction(control, action) && overlaps(control.covers.resource, resource),
      ),
    }))
  return uniteGrants(found.filter(({ accesses: covered }) => covered.length > 0))
}

/**
 * Actions that controls name for which a grant is needed, on a resource or what a glob of them could mean, in order. Patterns name none.
 */
export function grantActions(controls: readonly Control[], resource: string, now: number): readonly string[] {
  const asking = controls.filter(
    one => one.require?.grant !== undefined && isEffective(one, now) && overlaps(one.covers.resource, resource),
  )
  const named = asking.flatMap(({ covers: { actions = [] } }) => actions)
  return [...new Set(named)].filter(action => !action.includes('*')).sort()
}

interface Found {
  readonly control: Control
  readonly accesses: readonly Access[]
}

function coveredBy(control: Control, operation: Operation): readonly Access[] {
  const { resource, risk } = control.covers
  if (risk !== undefined && risk !== operation.risk) return []
  return operation.accesses.filter(access => hasAction(control, access.action) && matches(resource, access.resource))
}

/** `*` as an asked-for action stands for all of them. */
const hasAction = ({ covers: { actions } }: Control, action: string) =>
  actions === undefined || action === '*' || actions.some(pattern => matches(pattern, action))

/** Masks apply to whatever the reply could show or bring elsewhere, by whichever action: they look at neither action nor risk. */
function masksOf(control: Control, operation: Operation): readonly MaskRule[] {
  const { resource } = control.covers
  if (control.mask === undefined) return []
  const { accesses, reaches, moves = [] } = operation
  const moved = moves.flatMap(({ from }) => (from === 'anywhere' ? [] : [from.resource]))
  const shown = [...accesses.map(access => access.resource), ...reaches, ...moved]
  const anything = operation.opaque || moves.some(({ from }) => from === 'anywhere')
  const reached = shown.some(name => matches(resource, name)) || (anything && couldMatch(resource, operation.target))
  if (!reached) return []
  const { id, patterns } = control
  const own = patterns === undefined ? {} : { patterns }
  return Object.entries(control.mask).map(([field, strategy]) => ({ control: id, resource, field, strategy, ...own }))
}

function uniteGrants(found: readonly Found[]): Obligations['grant'] {
  const asking = found.flatMap(({ control, accesses }) => {
    const grant = control.require?.grant
    return grant === undefined ? [] : [{ id: control.id, grant, accesses }]
  })
  if (asking.length === 0) return undefined
  const accesses = new Map(
    asking.flatMap(a => a.accesses).map(access => [`${access.action} ${access.resource}`, access]),
  )
  return {
    longestMs: Math.min(...asking.map(({ grant }) => grant.longestMs)),
    reason: asking.some(({ grant }) => grant.reason),
    roles: sorted(asking.flatMap(({ grant }) => grant.from ?? [])),
    controls: sorted(asking.map(({ id }) => id)),
    accesses: [...accesses.values()],
  }
}

function uniteApprovals(controls: readonly Control[]): Obligations['approval'] {
  const asking = controls.flatMap(({ id, require }) =>
    require?.approval === undefined ? [] : [{ id, ...require.approval }],
  )
  if (asking.length === 0) return undefined
  return {
    people: Math.max(...asking.map(({ people }) => people)),
    roles: sorted(asking.flatMap(({ from }) => from ?? [])),
    withinMs: Math.min(...asking.map(({ withinMs }) => withinMs)),
    waitMs: Math.min(...asking.map(({ waitMs }) => waitMs)),
    controls: sorted(asking.map(({ id }) => id)),
  }
}

/** By accesses, as requirements are: a mask may reach further than what a control asks to be recorded. */
function uniteRecords(found: readonly Found[]): Obligations['record'] {
  const asked = found.flatMap(({ control, accesses }) =>
    accesses.length > 0 && control.record ? [control.record] : [],
  )
  const most = (part: 'request' | 'response') => {
    const words = asked.flatMap(record => record[part] ?? [])
    return words.includes('masked') ? 'masked' : words[0]
  }
  const [request, response] = [most('request'), most('response')]
  return { ...(request === undefined ? {} : { request }), ...(response === undefined ? {} : { response }) }
}

/** Only where every matching control gives the power-cut promise up, and only for what changes nothing. */
const isWritten = (controls: readonly Control[], operation: Operation) =>
  operation.read && controls.length > 0 && controls.every(({ durability }) => durability === 'written')

// A date that cannot be read compares as false: in force.
const isEffective = ({ effective }: Control, now: number) =>
  effective === undefined || !(now < Date.parse(effective.from))

/** Observing ends at its date: from then on the control is enforced, whether anybody remembered it or not. */
function isEnforced({ mode }: Control, now: number): boolean {
  // A date that cannot be read compares as false: enforced.
  return mode === 'enforce' || !(now < Date.parse(mode.observeUntil))
}

const idsOf = (controls: readonly Control[]) => sorted(controls.map(({ id }) => id))
const sorted = (names: readonly string[]) => [...new Set(names)].sort()
