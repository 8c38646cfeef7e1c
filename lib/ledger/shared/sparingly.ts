/** Strangers can knock as often as they like: of what they cause, so much is told in a minute, and then how much was not. */
import type { LeaderParts } from './leader.ts'

const mostTold = 20
const toldMs = 60_000

export function sparingly(tell: LeaderParts['onEvent']): LeaderParts['onEvent'] {
  let [began, told] = [Number.NEGATIVE_INFINITY, 0]
  return (what, facts = {}) => {
    const now = performance.now()
    const untold = Math.max(0, told - mostTold)
    if (now - began > toldMs) [began, told] = [now, 0]
    told += 1
    if (told <= mostTold) tell(what, told === 1 && untold > 0 ? { ...facts, untold } : facts)
  }
}
