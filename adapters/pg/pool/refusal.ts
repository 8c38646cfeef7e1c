/** What the guard says in an error of pg's: our own code and the exchange, beside the SQLSTATE that pg has as `code`. */
import type { ErrorCode } from '../../../lib/errors.ts'

export interface Refused {
  /** Stable: `ERR_GRANT_REQUIRED`. */
  readonly code: ErrorCode
  /** Under which the ledger has it. */
  readonly exchange?: string
}

/** @returns undefined where the error is none of the guard's: the server's, or the connection's */
export function refusal(error: unknown): Refused | undefined {
  // Field R of an ErrorResponse: of the server's own, a function of its source; code in the database cannot choose it.
  const { routine, detail } = (error ?? {}) as { routine?: unknown; detail?: unknown }
  if (typeof routine !== 'string' || !routine.startsWith('ERR_')) return undefined
  const exchange = /^exchange (\S+)$/.exec(String(detail))?.[1]
  return { code: routine as ErrorCode, ...(exchange === undefined ? {} : { exchange }) }
}
