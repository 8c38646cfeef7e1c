/** Samples to figures: quantiles, and a row that is held against a yardstick of the same unit. */
import type { Row } from './row.ts'

/** @param q 0.5 for the median */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}

interface Figure {
  readonly suite: string
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly against: { readonly what: string; readonly value: number }
}

/** @param bound of the value divided by what it is held against */
export function row(
  { against, ...figure }: Figure,
  bound?: { readonly most: number } | { readonly least: number },
): Row {
  const ratio = figure.value / against.value
  const yardstick = `${against.what} (${Math.round(against.value)} ${figure.unit})`
  if (bound === undefined) return { ...figure, yardstick, ratio }
  return 'most' in bound
    ? { ...figure, yardstick, ratio, target: `<= ${bound.most}`, met: ratio <= bound.most }
    : { ...figure, yardstick, ratio, target: `>= ${bound.least}`, met: ratio >= bound.least }
}
