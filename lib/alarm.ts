/** A moment of a clock, however far off: a timer of Node's own holds 24.8 days, and knows one clock. */
import type { Clock } from './clock.ts'

const longestTimer = 2 ** 31 - 1

/**
 * Calls back once when the moment has come, at once where it has passed; keeps no process alive.
 * @param at Unix milliseconds. @returns a function that ends the wait
 */
export function alarm(clock: Clock, at: number, ring: () => void): () => void {
  let timer: NodeJS.Timeout | undefined
  const arm = () => {
    const left = at - clock.now()
    if (left <= 0) {
      ring()
      return
    }
    timer = setTimeout(arm, Math.min(left, longestTimer))
    timer.unref()
  }
  arm()
  return () => clearTimeout(timer)
}
