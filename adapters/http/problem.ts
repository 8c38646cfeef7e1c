/** How a refusal or fault stands on an HTTP wire: the status for each code, and a problem document (RFC 9457). */
import { type FaultCode, isOurs, type RefusalCode } from '../../lib/errors.ts'

/** Every code that a subject can meet; whatever else is thrown is ours to mend, and 500. */
// biome-ignore format: a table
export const statusOf: Readonly<Record<RefusalCode | FaultCode, number>> = {
  ERR_UNIDENTIFIED:          401,
  ERR_ACCESS_DENIED:         403,
  ERR_GRANT_REQUIRED:        403,
  ERR_GRANT_EXPIRED:         403,
  ERR_APPROVAL_PENDING:      403,
  ERR_APPROVAL_REJECTED:     403,
  ERR_OBLIGATION_UNMET:      403,
  ERR_LEDGER_UNAVAILABLE:    503,
  ERR_POLICY_UNAVAILABLE:    503,
  ERR_IDENTITY_UNAVAILABLE:  503,
  ERR_MASK_FAILED:           502,
  ERR_UPSTREAM:              502,
}

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
  /** The exchange, to ask about and to find in the ledger. */
  readonly instance: string
  /** The approval that another person must give, before the same is sent again. */
  readonly approval?: string
}

/** What the subject may know: for a refusal what to do, for anything else only that it did not happen. */
export function problemOf(error: unknown, exchange: string): Problem {
  const ours = isOurs(error) ? error : undefined
  const refusal = ours?.name === 'Refusal'
  const code = ours?.code ?? 'ERR_INTERNAL'
  const approval = refusal ? ours.data.approval : undefined
  return {
    type: `urn:counterfoil:error:${code}`,
    title: refusal ? 'Refused' : 'Not done: a control could not do its work',
    status: (statusOf as Readonly<Record<string, number>>)[code] ?? 500,
    detail: refusal ? ours.message : 'ask the operator, naming the instance',
    code,
    instance: `urn:uuid:${exchange}`,
    ...(typeof approval === 'string' ? { approval } : {}),
  }
}
