/**
 * What every adapter must do, whatever its protocol, as cases for any test runner. An adapter of your own passes them by a `Door`, which
 * says how each kind of work is asked for on its wire. The guard, policy and ledger behind it are real.
 */
import { approvals } from './cases/approvals.ts'
import type { Case } from './cases/case.ts'
import { clients } from './cases/clients.ts'
import { failures } from './cases/failures.ts'
import { grants } from './cases/grants.ts'
import { identity } from './cases/identity.ts'
import { replies } from './cases/replies.ts'
import { secrets } from './cases/secrets.ts'
import type { Door } from './door.ts'
import { inWorld } from './world.ts'

export type { Answer, Call, Door, OpenDoor, Work } from './door.ts'
export { canary, credentialOf, personal } from './people.ts'

export interface ConformanceCase {
  /** A sentence. */
  readonly title: string
  /** Opens the door, tries it, closes it. @throws AssertionError where the adapter does not hold to it */
  run(): Promise<void>
}

const all: readonly Case[] = [...replies, ...identity, ...grants, ...approvals, ...clients, ...failures, ...secrets]

export interface ConformanceOptions {
  /** A case that is not over by then has failed. Default: 20 000. */
  readonly withinMs?: number
}

/**
 * The cases that a door must pass: `for (const { title, run } of adapterConformance(door)) test(title, run)`. One at a time: a case
 * listens to what the process writes, and looks at the memory that it holds.
 */
export function adapterConformance(door: Door, options: ConformanceOptions = {}): readonly ConformanceCase[] {
  const { withinMs = 20_000 } = options
  return all
    .filter(({ applies }) => applies?.(door) ?? true)
    .map(({ title, controls, test }) => ({ title, run: () => inWorld(door, controls?.(door) ?? [], test, withinMs) }))
}
