/** What a verification says: findings with their evidence, named steps, and two verdicts that are never merged. */
import { isOurs } from '../lib/errors.ts'

export type FindingCode =
  // Integrity: what was recorded is not what stands here.
  | 'KEY_SUBSTITUTED'
  | 'KEY_REVOKED'
  | 'ROTATION_INVALID'
  | 'CERTIFICATION_INVALID'
  | 'CHECKPOINT_SIGNATURE'
  | 'CHECKPOINT_MALFORMED'
  | 'ORIGIN'
  | 'ROLLBACK'
  | 'FORK'
  | 'FILE_MISSING'
  | 'FILE_UNREADABLE'
  | 'ENTRY_ALTERED'
  | 'ENTRY_MOVED'
  | 'ENTRY_MALFORMED'
  | 'TILE_ALTERED'
  | 'LEDGER_ROOT'
  | 'SEAL_INVALID'
  | 'SNAPSHOT_INVALID'
  | 'EPOCH_INVALID'
  | 'DISCLOSURE_MISSING'
  | 'DISCLOSURE_MISMATCH'
  | 'ATTACHMENT_MISSING'
  | 'ATTACHMENT_MISMATCH'
  | 'ERASURE_UNAUTHORISED'
  | 'ANCHOR_INVALID'
  | 'ANCHOR_MISSING'
  | 'SUCCESSION_INVALID'
  // Not told: the verification could not know.
  | 'KEY_COMPROMISED'
  | 'KEY_UNPROVEN'
  | 'KEY_EXPIRED'
  | 'LEDGER_MISSING'
  | 'LEDGER_UNREACHABLE'
  | 'PIN_MISSING'
  | 'PIN_UNREADABLE'
  | 'ERASURE_UNDONE'
  | 'ANCHOR_ABSENT'
  | 'ANCHOR_STALE'
  | 'SUCCESSOR_MISSING'
  | 'VAULT_KEY'
  // Completeness: what was never recorded.
  | 'SEQUENCE_GAP'
  | 'SEQUENCE_REPEATED'
  | 'SILENCE'
  | 'TIME_ORDER'
  | 'ENTRY_REPEATED'
  | 'OUTCOME_ORPHAN'
  | 'OUTCOME_BY_ANOTHER'

export interface Finding {
  readonly code: FindingCode
  readonly what: string
  /** The entry's index in the tree. */
  readonly index?: number
  readonly expected?: string
  readonly actual?: string
  /** Relative to the ledger's directory. */
  readonly file?: string
}

export type StepStatus = 'ok' | 'failed' | 'not-examined'

export interface Step {
  readonly name: string
  readonly status: StepStatus
  readonly detail: string
}

export type Verdict = 'OK' | 'TAMPERED' | 'INCOMPLETE'

export interface Integrity {
  /** `undetermined`: something needed to tell is missing; what was looked at holds. */
  readonly verdict: 'whole' | 'broken' | 'undetermined'
  readonly detail: string
}

export interface Completeness {
  readonly verdict: 'continuous' | 'gaps' | 'undetermined'
  readonly detail: string
}

const untold: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'LEDGER_MISSING',
  'LEDGER_UNREACHABLE',
  'PIN_MISSING',
  'PIN_UNREADABLE',
  'ERASURE_UNDONE',
  'KEY_COMPROMISED',
  'KEY_UNPROVEN',
  'KEY_EXPIRED',
  'ANCHOR_ABSENT',
  'ANCHOR_STALE',
  'SUCCESSOR_MISSING',
  'VAULT_KEY',
])
const unrecorded: ReadonlySet<FindingCode> = new Set<FindingCode>([
  'SEQUENCE_GAP',
  'SEQUENCE_REPEATED',
  'SILENCE',
  'TIME_ORDER',
  'ENTRY_REPEATED',
  'OUTCOME_ORPHAN',
  'OUTCOME_BY_ANOTHER',
])

export type Family = 'integrity' | 'untold' | 'completeness'

export const familyOf = (code: FindingCode): Family =>
  untold.has(code) ? 'untold' : unrecorded.has(code) ? 'completeness' : 'integrity'

/** Whether the network failed, and not the ledger: no step may make more of it than that it could not tell. */
export const isUnreachable = (error: unknown): boolean => isOurs(error) && error.code === 'ERR_LEDGER_UNAVAILABLE'

/** For what may be missing: whatever is wrong with it, but that the network failed. */
export const unlessUnreachable = (error: unknown): undefined => {
  if (isUnreachable(error)) throw error
}

/** A finding for a file that is missing or cannot be read; anything else is a fault of this program, and thrown. */
export function unreadable(error: unknown, file: string): Finding {
  if (!isOurs(error)) throw error
  // What the network did says nothing of the ledger.
  if (isUnreachable(error)) return { code: 'LEDGER_UNREACHABLE', what: error.message, file }
  const code = error.code === 'ERR_LEDGER_MISSING' ? 'FILE_MISSING' : 'FILE_UNREADABLE'
  return { code, what: error.message, file }
}
