/** Where a process stands in a shared ledger, and that it may go on from there. */
import { LedgerError } from '../../errors.ts'
import type { DirectoryLedger } from '../directory-ledger.ts'

export interface Place {
  readonly index: number
  readonly id: string
}

export interface Back {
  /** Its own `started`. */
  readonly started: Place
  /** The last entry that it was told of. */
  readonly last: Place
}

/**
 * That a writer may go on where it stood: the leader of before may have been another than it knew.
 * @throws LedgerError ERR_LEDGER_LOCKED, ERR_LEDGER_INCONSISTENT
 */
export async function requirePlace(ledger: DirectoryLedger, writer: string, back: Back): Promise<void> {
  const { alive } = ledger.story(writer)
  if (!alive || (await ledger.idAt(back.started.index)) !== back.started.id) {
    throw new LedgerError('ERR_LEDGER_LOCKED', 'this writer was given up: it must be opened again')
  }
  if ((await ledger.idAt(back.last.index)) !== back.last.id) {
    throw new LedgerError('ERR_LEDGER_INCONSISTENT', 'the ledger does not hold what this writer was told of')
  }
}
