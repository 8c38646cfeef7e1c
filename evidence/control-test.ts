/**
 * Runs each control's tests as SQL over the views, and says one of four words. A gap in the log, or a time in which a control
 * was only observed, is never passed over: what it spans cannot be tested.
 */

import type { Control } from '../lib/control.ts'
import { isOurs } from '../lib/errors.ts'
import { type Answer, type Database, openDatabase } from './duckdb.ts'
import { currentControls, type Mapping } from './mapping.ts'
import { proceduresFor } from './procedures/index.ts'
import type { Row } from './view-columns.ts'
import type { Period, Views } from './views.ts'

export type ResultWord = 'no-exceptions-noted' | 'exceptions-noted' | 'not-occurring' | 'unable-to-test'

export interface Interval {
  readonly from: string
  readonly to: string
  readonly why: string
}

export interface TestResult {
  readonly control: string
  readonly test: string
  readonly title: string
  readonly word: ResultWord
  readonly population: number
  readonly exceptions: number
  /** Intervals of the period that this says nothing of. */
  readonly unable: readonly Interval[]
  /** Why nothing at all could be tested. */
  readonly why: string | undefined
}

export interface Queries {
  readonly population: string
  readonly exceptions: string
  readonly unable: string | undefined
}

/** A test's queries and what they gave. */
export interface TestRun {
  readonly result: TestResult
  readonly sql: Queries | undefined
  readonly population: Answer
  readonly exceptions: Answer
}

const nothing: Answer = { columns: [], rows: [] }

/** @throws Misuse ERR_PACKAGE_MISSING where DuckDB is not installed */
export async function runControlTests(views: Views, mapping: Mapping, period: Period): Promise<readonly TestRun[]> {
  const database = await openDatabase(views)
  try {
    const runs: TestRun[] = []
    const silent = logGaps(views, period)
    const unread = mapping.unreadable.map(policy =>
      inForce(views, policy, period, 'the controls in force could not be read'),
    )
    const stray = strayOperations(views, mapping)
    for (const control of currentControls(mapping)) {
      const observed = observedIntervals(views, control.id, period)
      const untold = [...silent, ...unread.flat(), ...stray, ...observed]
      runs.push(...(await runControl(database, versionsOf(control, views, mapping, period), untold)))
    }
    return runs
  } finally {
    database.close()
  }
}

/** The newest, then those of the policies that were in force in the period, or that something in it cites. */
function versionsOf(
  newest: Control,
  views: Views,
  { versions }: Mapping,
  period: Period,
): readonly [Control, ...Control[]] {
  const cited = new Set(views.operations.flatMap(row => (row.in_period ? [row.policy] : [])))
  const then = versions.filter(({ policy }) => cited.has(policy) || inForce(views, policy, period, '').length > 0)
  const others = then.flatMap(({ controls }) => controls.filter(one => one.id === newest.id && one !== newest))
  return [newest, ...others.reverse()]
}

async function runControl(
  database: Database,
  versions: readonly [Control, ...Control[]],
  unable: readonly Interval[],
): Promise<TestRun[]> {
  const [control] = versions
  const chosen = proceduresFor(versions)
  const base = { control: control.id, unable }
  if (chosen.length === 0) {
    const why = 'it asks for nothing that a test here examines'
    const none = {
      ...base,
      test: 'none',
      title: 'No test',
      population: 0,
      exceptions: 0,
      word: 'unable-to-test' as const,
      why,
    }
    return [{ result: none, sql: undefined, population: nothing, exceptions: nothing }]
  }
  const runs: TestRun[] = []
  for (const { name, title, population, exceptions, unable: untold } of chosen) {
    const sql = {
      population: population(control.id),
      exceptions: exceptions(control.id),
      unable: untold?.(control.id),
    }
    const named = { ...base, test: name, title }
    try {
      const found = await database.select('population', sql.population)
      const failed = await database.select('exceptions', sql.exceptions)
      const counts = { population: found.rows.length, exceptions: failed.rows.length }
      const intervals = sql.unable === undefined ? [] : (await database.select('unable', sql.unable)).rows.map(interval)
      const all = [...unable, ...intervals]
      const result = { ...named, ...counts, unable: all, word: wordFor(counts, all), why: undefined }
      runs.push({ result, sql, population: found, exceptions: failed })
    } catch (error) {
      if (!isOurs(error)) throw error
      const result = { ...named, population: 0, exceptions: 0, word: 'unable-to-test' as const, why: error.message }
      runs.push({ result, sql, population: nothing, exceptions: nothing })
    }
  }
  return runs
}

const interval = (row: Row): Interval => ({ from: text(row.starts_at), to: text(row.ends_at), why: text(row.why) })

function wordFor(counts: { population: number; exceptions: number }, unable: readonly Interval[]): ResultWord {
  // A deviation that was found stays one, whatever else could not be seen.
  if (counts.exceptions > 0) return 'exceptions-noted'
  if (unable.length > 0) return 'unable-to-test'
  return counts.population === 0 ? 'not-occurring' : 'no-exceptions-noted'
}

/** Gaps in the log within the period; an orderly stop is none, since nothing could pass. */
function logGaps(views: Views, period: Period): Interval[] {
  return views.gaps
    .filter(gap => gap.kind !== 'stopped')
    .flatMap(gap => clip({ from: text(gap.starts_at), to: text(gap.ends_at) }, period, text(gap.detail)))
}

/** What ran under a policy that is not known: no control's population can hold it, and it must not be passed over. */
function strayOperations({ operations }: Views, { versions, unreadable }: Mapping): Interval[] {
  const known = new Set<Row[string]>([...versions.map(({ policy }) => policy), ...unreadable])
  return operations
    .filter(row => row.in_period && row.verdict === 'permit' && !known.has(row.policy ?? null))
    .map(row => ({
      from: text(row.time),
      to: text(row.time),
      why: `entry ${text(row.index)} permits under a policy that no entry holds`,
    }))
}

function observedIntervals(views: Views, control: string, period: Period): Interval[] {
  return views.requirements
    .filter(row => row.control === control && row.observed_until !== null)
    .flatMap(row =>
      inForce(
        views,
        text(row.policy),
        { from: period.from, to: min(period.to, text(row.observed_until)) },
        'only observed, not enforced',
      ),
    )
}

/** When a policy was in force: from its entry to the next. */
function inForce({ policies }: Views, digest: string, period: Period, why: string): Interval[] {
  return policies.flatMap((row: Row, i) => {
    if (row.digest !== digest) return []
    const next = policies[i + 1]
    return clip({ from: text(row.time), to: next === undefined ? period.to : text(next.time) }, period, why)
  })
}

function clip(span: Period, period: Period, why: string): Interval[] {
  const [from, to] = [max(span.from, period.from), min(span.to, period.to)]
  return from < to ? [{ from, to, why }] : []
}

const text = (cell: Row[string] | undefined) => String(cell ?? '')
const min = (a: string, b: string) => (a < b ? a : b)
const max = (a: string, b: string) => (a > b ? a : b)
