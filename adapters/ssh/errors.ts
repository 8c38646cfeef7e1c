/** Errors on SSH's wire: our codes as exit statuses, SFTP statuses and reasons for a channel that is not opened, in one table. */
import { type ErrorCode, isOurs } from '../../lib/errors.ts'
import { openFailures } from './internals.ts'

/** sysexits.h, so that a script can tell a refusal from what its command said: the next try, another right, the operator. */
const exits = { tempfail: 75, noperm: 77, unavailable: 69 } as const

/** draft-ietf-secsh-filexfer-02, 7 */
export const fx = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  unsupported: 8,
} as const

interface Told {
  readonly exit: number
  readonly status: number
  readonly open: (typeof openFailures)[keyof typeof openFailures]
}

const refused: Told = { exit: exits.noperm, status: fx.permissionDenied, open: openFailures.prohibited }
const failed: Told = { exit: exits.unavailable, status: fx.failure, open: openFailures.connectFailed }

// biome-ignore format: a table
const table: Partial<Record<ErrorCode, Told>> = {
  ERR_UNIDENTIFIED:         refused,
  ERR_ACCESS_DENIED:        refused,
  ERR_GRANT_REQUIRED:       refused,
  ERR_GRANT_EXPIRED:        refused,
  ERR_APPROVAL_PENDING:     { ...refused, exit: exits.tempfail },
  ERR_APPROVAL_REJECTED:    refused,
  ERR_OBLIGATION_UNMET:     refused,
  ERR_LEDGER_UNAVAILABLE:   failed,
  ERR_POLICY_UNAVAILABLE:   failed,
  ERR_IDENTITY_UNAVAILABLE: failed,
  ERR_MASK_FAILED:          failed,
  ERR_UPSTREAM:             failed,
}

/** What a client is told. @param exchange under which the ledger can be searched */
export function told(error: unknown, exchange: string | undefined): Told & { readonly text: string } {
  const where = exchange === undefined ? '' : ` (exchange ${exchange})`
  const text = isOurs(error) ? `${error.code}: ${error.message}` : 'the gateway failed on this'
  return { ...((isOurs(error) ? table[error.code] : undefined) ?? failed), text: `counterfoil: ${text}${where}` }
}
