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
