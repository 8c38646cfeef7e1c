/** The epoch: counts openings for writing. Frames carry it, and a writer that finds another one on disk stops. */
import { join } from 'node:path'
import { LedgerError } from '../errors.ts'
import { readIfThere, replaceFiles } from './files.ts'

export const epochFile = 'epoch'

/** @returns the epoch, or undefined where there is none yet. @throws LedgerError ERR_LEDGER_CORRUPT */
export async function readEpoch(directory: string): Promise<number | undefined> {
  const bytes = await readIfThere(join(directory, epochFile))
  if (bytes === undefined) return undefined
  const text = bytes.toString('latin1')
  if (!/^[1-9]\d{0,8}\n$/.test(text)) throw new LedgerError('ERR_LEDGER_CORRUPT', 'the epoch file is no number')
  return Number(text)
}

/** Durable on return. */
export const writeEpoch = (directory: string, epoch: number): Promise<void> =>
  replaceFiles(directory, [[epochFile, `${epoch}\n`]])

const manyOpenings = 1_000_000
/** Openings that were killed before they said anything. */
const unsaid = 1_000

/**
 * The file is not authenticated, so that it can be mended by hand; and a number that frames were written under is there
 * for good. One that is larger than ledgers have is held against what the last opening said.
 * @throws LedgerError ERR_LEDGER_CORRUPT
 */
export async function requireOpenings(epoch: number, lastSaid: () => Promise<number>): Promise<void> {
  if (epoch <= manyOpenings) return
  const last = await lastSaid()
  if (epoch <= last + unsaid) return
  const what = `the epoch file says ${epoch}, and the last opening was number ${last}: somebody else wrote it. Write ${last} there`
  throw new LedgerError('ERR_LEDGER_CORRUPT', what, { expected: last, actual: epoch, file: epochFile })
}
