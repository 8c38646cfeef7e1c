/** Watches records that identifications rest on, while any does: whoever's record no longer holds is cut. */
import { Fault, isOurs, type Refusal } from '../errors.ts'

/** Milliseconds between two looks: a withdrawal counts within a second. */
const interval = 500

interface Watched {
  readonly id: string
  readonly cut: (reason: Refusal | Fault) => void
}

/**
 * @param judge throws a Refusal where the record behind an id no longer holds, a Fault where that cannot be told: either one cuts
 * @returns watches one id. @returns a function that ends the watch
 */
export function withdrawals(judge: (id: string) => Promise<void>): (id: string, cut: Watched['cut']) => () => void {
  const watched = new Set<Watched>()
  let timer: NodeJS.Timeout | undefined

  const look = async (one: Watched) => {
    try {
      await judge(one.id)
    } catch (error) {
      // Ended meanwhile: there is nothing to cut.
      if (watched.delete(one)) one.cut(reasonOf(error))
    }
  }
  const round = () => {
    if (watched.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
    for (const one of watched) void look(one)
  }

  return (id, cut) => {
    const one = { id, cut }
    watched.add(one)
    timer ??= setInterval(round, interval).unref()
    // Withdrawn between the identification and this.
    void look(one)
    return () => watched.delete(one)
  }
}

const reasonOf = (error: unknown): Refusal | Fault =>
  isOurs(error)
    ? (error as Refusal | Fault)
    : new Fault('ERR_IDENTITY_UNAVAILABLE', 'it cannot be told whether this identification still holds', {}, error)
