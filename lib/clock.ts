/** Time arrives as an argument, so that deadlines can be tested at any hour. */
export interface Clock {
  /** Unix milliseconds. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
