/**
 * Every error that leaves Counterfoil, in four families by who must act. Codes are stable: match on `code`, never on text.
 * Adapters map a code to their wire (HTTP status, SQLSTATE, ...) in one table each.
 */

export type RefusalCode =
  | 'ERR_UNIDENTIFIED'
  | 'ERR_ACCESS_DENIED'
  | 'ERR_GRANT_REQUIRED'
  | 'ERR_GRANT_EXPIRED'
  | 'ERR_APPROVAL_PENDING'
  | 'ERR_APPROVAL_REJECTED'
  | 'ERR_OBLIGATION_UNMET'

export type FaultCode =
  | 'ERR_LEDGER_UNAVAILABLE'
  | 'ERR_POLICY_UNAVAILABLE'
  | 'ERR_IDENTITY_UNAVAILABLE'
  | 'ERR_MASK_FAILED'
  | 'ERR_UPSTREAM'

export type LedgerCode =
  | 'ERR_ENTRY_MALFORMED'
  | 'ERR_LEDGER_ROOT'
  | 'ERR_LEDGER_INCONSISTENT'
  | 'ERR_LEDGER_LOCKED'
  | 'ERR_LEDGER_MISSING'
  | 'ERR_LEDGER_CORRUPT'
  | 'ERR_LEDGER_CONCLUDED'
  | 'ERR_CHECKPOINT_SIGNATURE'
  | 'ERR_CHECKPOINT_ROLLBACK'
  | 'ERR_CHECKPOINT_FORK'
  | 'ERR_PROOF_INVALID'
  | 'ERR_DISCLOSURE_MISMATCH'
  | 'ERR_BUNDLE_MANIFEST'

export type MisuseCode =
  | 'ERR_OPTION_UNKNOWN'
  | 'ERR_OPTION_INVALID'
  | 'ERR_STAGE_ORDER'
  | 'ERR_NEXT_REPEATED'
  | 'ERR_FACT'
  | 'ERR_REPLY_TRUNCATED'
  | 'ERR_PACKAGE_MISSING'

export type ErrorCode = RefusalCode | FaultCode | LedgerCode | MisuseCode

/** Facts to act on: plain values, never secrets or unmasked data. */
export type ErrorData = Readonly<Record<string, unknown>>

abstract class CounterfoilError<C extends ErrorCode> extends Error {
  readonly code: C
  readonly data: ErrorData

  constructor(code: C, message: string, data: ErrorData = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.data = data
  }
}

/** The subject must act: ask for a grant, wait for an approval, log in. */
export class Refusal extends CounterfoilError<RefusalCode> {
  override readonly name = 'Refusal'
}

/** The operator must act: the guard could not do its work, so the operation did not happen. */
export class Fault extends CounterfoilError<FaultCode> {
  override readonly name = 'Fault'
}

/** The auditor must act: a ledger, checkpoint, proof or bundle does not hold. */
export class LedgerError extends CounterfoilError<LedgerCode> {
  override readonly name = 'LedgerError'
}

/** The developer or the author of the configuration must act. */
export class Misuse extends CounterfoilError<MisuseCode> {
  override readonly name = 'Misuse'
}

export type AnyError = Refusal | Fault | LedgerError | Misuse

export function isOurs(error: unknown): error is AnyError {
  return error instanceof CounterfoilError
}

/** What a stranger may be told of an unexpected error: its class, never its text, which may quote data. */
export function describe(error: unknown): string {
  if (isOurs(error)) return `${error.code}: ${error.message}`
  if (error instanceof Error) {
    const code = (error as NodeJS.ErrnoException).code
    return code === undefined ? error.name : `${error.name} (${code})`
  }
  return 'an error that is no Error'
}
