/** The port of a decision point: may this subject do all of this? Rights only; what else is required, controls say. */
import type { Subject } from '../identity/subject.ts'
import type { Access } from '../operation.ts'

export interface Decision {
  readonly permit: boolean
  /** Digest of the policy that decided: base64url SHA-256. */
  readonly policy: string
}

export interface DecisionPoint {
  /**
   * Permits only where every access is permitted: to the subject, and to the principal on whose behalf it acts.
   * @throws Fault ERR_POLICY_UNAVAILABLE where it cannot be decided
   */
  decide(subject: Subject, accesses: readonly Access[]): Decision
  /** @throws Fault ERR_POLICY_UNAVAILABLE */
  can(subjectId: string, action: string, resource: string): boolean
  /** Directly, or through other roles. */
  hasRole(subjectId: string, role: string): boolean
}
