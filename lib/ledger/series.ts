/**
 * Where the ledgers of a series lie: the first in the directory that is configured, those after it in a folder of that, each a ledger by
 * itself. Only the newest is appended to; of an older one that was disposed of, its last checkpoint is left.
 */
import { join } from 'node:path'
import { checkpointFile, memberFolder, seriesFolder } from '../format/layout.ts'
import { numberIn, originOf } from '../format/series.ts'
import { namesIn, readable, readIfThere, requireOwnFolder } from './files.ts'
import type { DirectoryOptions } from './options.ts'

export type Series = Pick<DirectoryOptions, 'directory' | 'origin'>

/** @param series its directory, and as `origin` its name. @returns the same for one of its ledgers */
export function memberOf<T extends Series>(series: T, number: number): T & { readonly series: string } {
  const { directory, origin } = series
  const place = { directory: join(directory, memberFolder(number)), origin: originOf(origin, number) }
  return { ...series, ...place, series: origin }
}

/** @param member one of its ledgers. @returns its directory, and as `origin` its name: what `memberOf` made that of */
export function seriesOf<T extends Series & { readonly series?: string | undefined }>(member: T): T {
  const { directory, origin, series = origin } = member
  const number = numberIn(series, origin) ?? 1
  return { ...member, directory: number === 1 ? directory : join(directory, '..', '..'), origin: series }
}

/** Numbers of the ledgers that are there, ascending; none where none is. @throws Fault ERR_LEDGER_UNAVAILABLE */
export const membersIn = (directory: string): Promise<readonly number[]> => readable(() => numbersIn(directory))

async function numbersIn(directory: string): Promise<readonly number[]> {
  const names = (await namesIn(join(directory, seriesFolder))).filter(name => /^[1-9]\d{0,8}$/.test(name)).map(Number)
  requireOwnFolder(directory, seriesFolder)
  const numbers: number[] = []
  for (const number of [1, ...names.filter(n => n > 1).sort((a, b) => a - b)]) {
    if (number > 1) requireOwnFolder(directory, memberFolder(number))
    if ((await readIfThere(join(directory, memberFolder(number), checkpointFile))) !== undefined) numbers.push(number)
  }
  return numbers
}

/** Those before the newest that were not disposed of. @throws Fault ERR_LEDGER_UNAVAILABLE */
export async function earlierIn(directory: string): Promise<readonly number[]> {
  const whole: number[] = []
  for (const number of (await membersIn(directory)).slice(0, -1)) {
    const folder = join(directory, memberFolder(number))
    if (await readable(() => isWhole(folder))) whole.push(number)
  }
  return whole
}

/** Tiles go last when a ledger is disposed of. */
const isWhole = async (directory: string): Promise<boolean> => (await namesIn(directory)).includes('tile')

/** The one that is appended to: the first, where none is there yet. */
export const newestIn = async (directory: string): Promise<number> => (await membersIn(directory)).at(-1) ?? 1
