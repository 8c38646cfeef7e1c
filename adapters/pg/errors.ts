/**
 * Errors on PostgreSQL's wire: our codes as SQLSTATEs in one table, the messages that carry them, and the server's own errors
 * with everything left out that may quote a masked value.
 */
import { type ErrorCode, isOurs } from '../../lib/errors.ts'
import { ProtocolViolation } from './violation.ts'
import { Fields, message, type } from './wire.ts'

// biome-ignore format: a table
const sqlstates: Partial<Record<ErrorCode, string>> = {
  ERR_UNIDENTIFIED:         '28000', // invalid_authorization_specification
  ERR_ACCESS_DENIED:        '42501', // insufficient_privilege
  ERR_GRANT_REQUIRED:       '42501',
  ERR_GRANT_EXPIRED:        '42501',
  ERR_APPROVAL_PENDING:     '42501',
  ERR_APPROVAL_REJECTED:    '42501',
  ERR_OBLIGATION_UNMET:     '42501',
  ERR_LEDGER_UNAVAILABLE:   '57P03', // cannot_connect_now
  ERR_POLICY_UNAVAILABLE:   '57P03',
  ERR_IDENTITY_UNAVAILABLE: '57P03',
  ERR_MASK_FAILED:          '57P03',
  ERR_UPSTREAM:             '08006', // connection_failure
}

/** Where what is refused is not there at all. */
const undefinedTable = '42P01'

export type Severity = 'ERROR' | 'FATAL'

/** What is told: `routine` (field R) carries our code, so that a program need not read text. */
interface Told {
  readonly sqlstate: string
  readonly text: string
  readonly routine?: string
  readonly detail?: string
  readonly position?: number
}

function told(error: unknown, exchange: string | undefined): Told {
  const detail = exchange === undefined ? {} : { detail: `exchange ${exchange}` }
  if (error instanceof ProtocolViolation) {
    const position = error.position === undefined ? {} : { position: error.position }
    return { sqlstate: error.sqlstate, text: error.message, ...position, ...detail }
  }
  if (isOurs(error)) {
    const sqlstate = error.data.absent === undefined ? (sqlstates[error.code] ?? 'XX000') : undefinedTable
    return { sqlstate, text: error.message, routine: error.code, ...detail }
  }
  return { sqlstate: 'XX000', text: 'the gateway failed on this statement', ...detail }
}

/** ErrorResponse of one of our errors. @param overrides of what the table says, as 57P01 for a session that is cut */
export function errorResponse(
  error: unknown,
  severity: Severity = 'ERROR',
  overrides: { readonly exchange?: string; readonly sqlstate?: string } = {},
): Buffer {
  const { sqlstate, text, routine, detail, position } = told(error, overrides.exchange)
  return response(type.error, [
    ['S', severity],
    ['V', severity],
    ['C', overrides.sqlstate ?? sqlstate],
    ['M', text],
    ['D', detail],
    ['P', position?.toString()],
    ['R', routine],
  ])
}

export const noticeResponse = (text: string, detail?: string): Buffer =>
  response(type.notice, [
    ['S', 'NOTICE'],
    ['V', 'NOTICE'],
    ['C', '00000'],
    ['M', text],
    ['D', detail],
  ])

function response(of: number, fields: readonly (readonly [string, string | undefined])[]): Buffer {
  const present = fields.filter(([, value]) => value !== undefined)
  return message(of, ...present.map(([name, value]) => `${name}${value!.replaceAll('\0', '')}`), Buffer.from([0]))
}

/** The fields of an ErrorResponse or NoticeResponse, by their letter. */
export function errorFields(bytes: Buffer): Map<string, string> {
  const fields = new Fields(bytes)
  const found = new Map<string, string>()
  for (let name = fields.byte(); name !== 0; name = fields.byte()) found.set(String.fromCharCode(name), fields.string())
  return found
}

export const sqlstateOf = (bytes: Buffer): string => errorFields(bytes).get('C') ?? 'XX000'

/** SQLSTATE classes whose primary message names objects and states of the server, and never a stored value. */
const nameless = new Set(['23', '25', '26', '2B', '34', '3B', '40', '53', '55', '57'])
/** Of other classes: permission denied, and names that a definition takes twice. */
const namelessStates = new Set(['42501', '42701', '42710', '42723', '42P04', '42P06', '42P07'])
/** Classes that quote the statement where it is analysed, and then say at which position; and stored values where it runs. */
const quoting = new Set(['0A', '3D', '3F', '42', '54'])

/** The statement itself was parsed before it was sent: what cannot be parsed then is a value, as the name of a type. */
const syntaxError = '42601'

/** Fields that never quote a stored value, unless code in the database chose them. */
const structural = ['s', 't', 'c', 'd', 'n', 'P']

/**
 * A server's error or notice as it may be shown while a mask is in force: Detail, Hint, Where and the internal query can carry
 * values (`Key (email)=(...) already exists`), and so can the messages of most classes.
 * @param opaque whether code of the database's own may have chosen its words (`RAISE`): then only the SQLSTATE is kept
 */
export function withoutValues(bytes: Buffer, opaque: boolean): Buffer {
  const fields = errorFields(bytes)
  const sqlstate = fields.get('C') ?? 'XX000'
  const family = sqlstate.slice(0, 2)
  const quotesText = quoting.has(family) && sqlstate !== syntaxError && fields.has('P')
  const keep = !opaque && (nameless.has(family) || namelessStates.has(sqlstate) || quotesText)
  const text = keep ? fields.get('M') : 'the text is withheld: it may quote masked values'
  // Where a value is at fault, so is the position in it.
  const told = keep ? structural : structural.filter(name => name !== 'P')
  const kept = opaque ? [] : told.map(name => [name, fields.get(name)] as const)
  return response(bytes[0]!, [['S', fields.get('S')], ['V', fields.get('V')], ['C', sqlstate], ['M', text], ...kept])
}
