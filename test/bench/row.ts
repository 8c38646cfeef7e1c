/** One figure of a benchmark, as `--json` prints it. */
export interface Row {
  readonly suite: string
  readonly name: string
  readonly value: number
  readonly unit: string
  /** What it was measured against, in the same run. */
  readonly yardstick: string
  /** value / yardstick, or the inverse where the name says so. */
  readonly ratio: number
  /** As `>= 0.5`; absent where none was set. */
  readonly target?: string
  readonly met?: boolean
}
