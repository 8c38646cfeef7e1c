/**
 * What was erased, disposed of, held back, and refused to whoever tried: the rows of these views, with the names that are disclosed,
 * or by which entry one was erased.
 */
import type { Json } from '../lib/format/canonical.ts'
import { erasedBy, type Facts } from './facts.ts'
import type { Row } from './view-columns.ts'
import type { Period, Views } from './views.ts'

/** A disclosed value as text. */
type Shown = (value: Json | undefined) => string | null

export function custodyRows(
  facts: Facts,
  { from, to }: Period,
  shown: Shown,
): Pick<Views, 'attempts' | 'erasures' | 'disposals' | 'holds'> {
  const within = (time: string) => time >= from && time < to
  const nameOf = (pseudonym: string | undefined): string | null => {
    if (pseudonym === undefined) return null
    const erased = erasedBy(facts, pseudonym)
    return (
      shown(facts.principals.get(pseudonym)?.values.name) ?? (erased === undefined ? null : `ERASED (by #${erased})`)
    )
  }
  const attempts = facts.attempts.map(({ index, entry, here }): Row => {
    const { time, verb, of, code, why } = entry
    const ofVault = entry.kind === 'custody-refused'
    const subject = ofVault ? entry.by : entry.subject
    return {
      ...{ index, time, in_period: here && within(time), verb, of_id: of, subject, subject_name: nameOf(subject) },
      ...{ approvers: ofVault ? entry.approvers : [], code, why, hold: (ofVault ? entry.hold : undefined) ?? null },
    }
  })
  const erasures = facts.erasures.map(({ index, entry, values, here }): Row => {
    const { time, scope, of, ground, by, approvers, slots } = entry
    return {
      ...{ index, time, in_period: here && within(time), scope, of_id: of },
      ...{ of_name: scope === 'principal' ? nameOf(of) : null, ground, basis: shown(values.basis) },
      ...{ erased_by: by, erased_by_name: nameOf(by) },
      ...{ approvers, approver_names: approvers.map(one => nameOf(one) ?? one), slots: slots.length },
    }
  })
  const disposals = facts.disposals.map(({ here, ...found }): Row => {
    const { index, entry, values } = found
    const { time, of, size, root, ground, by, approvers } = entry
    const again = facts.isSaidAgain(found)
    return {
      ...{ index, time, said_again: again, in_period: here && !again && within(time), ledger: of, size, root, ground },
      ...{ basis: shown(values.basis), disposed_by: by, disposed_by_name: nameOf(by) },
      ...{ approvers, approver_names: approvers.map(one => nameOf(one) ?? one) },
    }
  })
  const holds = [...facts.holds.values()].map(({ placed, released }): Row => {
    const { hold, scope, of, by, time } = placed.entry
    const end = released?.entry
    return {
      ...{ hold, in_period: time < to && (end === undefined || end.time >= from), scope, of_id: of ?? null },
      ...{ of_name: scope === 'principal' ? nameOf(of) : null },
      ...{ placed_index: placed.index, placed_at: time, placed_again: facts.isSaidAgain(placed) },
      ...{ placed_by: by, placed_by_name: nameOf(by) },
      ...{ reason: shown(placed.values.reason), released_index: released?.index ?? null },
      ...{
        released_at: end?.time ?? null,
        released_again: released === undefined ? null : facts.isSaidAgain(released),
      },
      ...{ released_by: end?.by ?? null, released_by_name: nameOf(end?.by) },
      released_reason: shown(released?.values.reason),
    }
  })
  return { attempts, erasures, disposals, holds }
}
