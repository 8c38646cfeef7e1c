/**
 * Selection for re-performance: nobody picks and nobody re-rolls. The seed is the SHA-256 of engagement, control and population;
 * the population, ordered by time, is cut into equal strata, and one is taken from each.
 */
import { createHash } from 'node:crypto'
import type { Row } from '../view-columns.ts'

export interface Selection {
  /** Hex. */
  readonly seed: string
  /** Hex: SHA-256 of the population's CSV. */
  readonly population: string
  readonly strata: number
  /** Positions in the population as ordered by time, from 0. */
  readonly positions: readonly number[]
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** @param csv the population as it stands in the bundle. @param size how many are wanted; all, where there are no more */
export function select(engagement: string, test: string, csv: string, rows: number, size: number): Selection {
  const population = sha256(csv)
  const seed = sha256(`${engagement}\n${test}\n${population}\n`)
  const strata = Math.min(size, rows)
  const positions = Array.from({ length: strata }, (_, k) => {
    const from = Math.floor((k * rows) / strata)
    const width = Math.floor(((k + 1) * rows) / strata) - from
    // 48 bits over a stratum: the bias of the remainder is below one in 10^7 for strata of ten million.
    return from + (Number.parseInt(sha256(`${seed}\n${k}\n`).slice(0, 12), 16) % width)
  })
  return { seed, population, strata, positions }
}

export const byTime = (rows: readonly Row[]): Row[] =>
  [...rows].sort((a, b) => compare(String(a.time ?? ''), String(b.time ?? '')) || compare(padded(a), padded(b)))

const padded = (row: Row) => String(row.index ?? '').padStart(20, '0')
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
