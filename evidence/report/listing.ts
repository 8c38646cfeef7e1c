/** Which rows of each test the report shows by themselves: exceptions and samples always, the population where it is small. Pure. */
import type { TestRun } from '../control-test.ts'
import type { Row } from '../view-columns.ts'
import type { Views } from '../views.ts'

/** A larger population is in its CSV alone. */
const mostPopulation = 100
/** Of more, the first are shown; all are in results/exceptions.csv. */
const mostExceptions = 500

export interface Listing {
  /** CONTROL.TEST, as its files are named. */
  readonly name: string
  readonly run: TestRun
  /** By time; undefined where it is too large to be shown. */
  readonly population: readonly Row[] | undefined
  readonly exceptions: readonly Row[]
  readonly sample: readonly Row[]
}

/** What a test's files hold, by its name: the population by time, and the rows drawn from it. */
export interface Drawn {
  readonly ordered: readonly Row[]
  readonly chosen: readonly Row[]
}

export const listingsOf = (runs: readonly TestRun[], drawn: ReadonlyMap<string, Drawn>): Listing[] =>
  runs
    .filter(run => run.sql !== undefined)
    .map(run => {
      const name = `${run.result.control}.${run.result.test}`
      const { ordered = [], chosen = [] } = drawn.get(name) ?? {}
      const population = ordered.length <= mostPopulation ? ordered : undefined
      return { name, run, population, exceptions: run.exceptions.rows.slice(0, mostExceptions), sample: chosen }
    })

/** Those of the period. */
export const operationsOf = ({ operations }: Views): readonly Row[] => operations.filter(row => row.in_period)

export const refusedOf = (views: Views): readonly Row[] => operationsOf(views).filter(row => row.verdict === 'deny')

/** Of the period: what was erased and disposed of, what was held back from it, and what was refused to whoever tried. */
export const custodyOf = ({ erasures, disposals, holds, attempts }: Views) => ({
  erasures: erasures.filter(row => row.in_period),
  disposals: disposals.filter(row => row.in_period),
  holds: holds.filter(row => row.in_period),
  attempts: attempts.filter(row => row.in_period),
})

/** The first of them are shown, each with its entry; all are in log/. */
export const mostCustody = 50

/** Entries of those that are shown. */
export function custodyEntries(views: Views): readonly number[] {
  const { erasures, disposals, holds, attempts } = custodyOf(views)
  const cells = [
    ...[erasures, disposals, attempts].flatMap(rows => rows.slice(0, mostCustody)).map(row => row.index),
    ...holds.slice(0, mostCustody).flatMap(row => [row.placed_index, row.released_index]),
  ]
  return cells.filter(cell => typeof cell === 'number')
}

/** The entry that a row is of; undefined where a query of a user names none. */
export function entryOf(row: Row): number | undefined {
  const index = row.index
  if (index === null || index === undefined || !/^\d{1,15}$/.test(String(index))) return undefined
  return Number(index)
}

/** Which tests show a row of each entry: none, of what was erased, held or refused. */
export function citations(listings: readonly Listing[], views: Views): ReadonlyMap<number, readonly string[]> {
  const cited = new Map<number, string[]>(custodyEntries(views).map(index => [index, []]))
  for (const { name, population = [], exceptions, sample } of listings) {
    const entries = new Set([...population, ...exceptions, ...sample].map(entryOf))
    for (const index of entries) if (index !== undefined) cited.set(index, [...(cited.get(index) ?? []), name])
  }
  return new Map([...cited].sort(([a], [b]) => a - b))
}
