/** The public face of Counterfoil: the guard, its parts, and the words that adapters and users of the library share. */
export { type Clock, systemClock } from './clock.ts'
export type { Next, Origin, Stage } from './compose.ts'
export type { Control, MaskRule, Obligations, Strategy } from './control.ts'
export type { Desk, GrantRequest, Pending } from './desk.ts'
export type { Diagnostics } from './diagnostics.ts'
export {
  type AnyError,
  type ErrorCode,
  Fault,
  type FaultCode,
  isOurs,
  type LedgerCode,
  LedgerError,
  Misuse,
  type MisuseCode,
  Refusal,
  type RefusalCode,
} from './errors.ts'
export { Exchange, type Facts, type Session } from './exchange.ts'
export type { Json } from './format/canonical.ts'
export type { Gate, OpenSession, SessionParts } from './gate.ts'
export type { Guard, GuardParts } from './guard.ts'
export type { Credential, IdentityProvider, Subject } from './identity/subject.ts'
export type { Draft, Ledger, Stored } from './ledger/ledger.ts'
export { type ConfiguredGuard, guard } from './open.ts'
export type { Access, Operation } from './operation.ts'
export { casbinPolicy, type Policy, type PolicySource } from './policy/policy.ts'
export type { Column, Data, End, Form, Frame, Head, Reply, RowsForm } from './reply.ts'
export { race, run, type Sink } from './run.ts'
