/** A series of ledgers, one after another: which origin each has, by the name of the series and its number in it. Pure. */

/** The first is named as the series is. */
export const originOf = (series: string, number: number): string => (number === 1 ? series : `${series}/${number}`)

/** @returns the number of the ledger with that origin in the series; undefined where it is of another */
export function numberIn(series: string, origin: string): number | undefined {
  if (origin === series) return 1
  const [, digits] = origin.startsWith(`${series}/`)
    ? (/^([1-9]\d{0,8})$/.exec(origin.slice(series.length + 1)) ?? [])
    : []
  const number = Number(digits)
  return number >= 2 ? number : undefined
}
