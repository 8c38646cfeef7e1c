/** One table of exit statuses for every command. */
import { type AnyError, isOurs, type LedgerCode } from '../lib/errors.ts'

// biome-ignore format: a table
export const exit = {
  good:       0,
  /** Exceptions noted; or the guard refused. */
  exceptions: 1,
  /** Usage or configuration. */
  usage:      2,
  /** Integrity broken. */
  broken:     3,
  /** Incomplete: could not tell. */
  incomplete: 4,
} as const

export type ExitStatus = (typeof exit)[keyof typeof exit]

/** Nothing is wrong with a ledger that is not there, or that another process holds: it could not be told. */
const notTold: ReadonlySet<LedgerCode> = new Set(['ERR_LEDGER_LOCKED', 'ERR_LEDGER_MISSING', 'ERR_LEDGER_CONCLUDED'])

/** Nor of one whose key only its owner can vouch for. */
const isUntold = ({ code, data }: AnyError): boolean => notTold.has(code as LedgerCode) || data.untold === true

export function exitStatusOf(error: unknown): ExitStatus {
  if (!isOurs(error)) return exit.incomplete
  const status: Record<AnyError['name'], () => ExitStatus> = {
    Refusal: () => exit.exceptions,
    Fault: () => exit.incomplete,
    LedgerError: () => (isUntold(error) ? exit.incomplete : exit.broken),
    Misuse: () => exit.usage,
  }
  return status[error.name]()
}
