/**
 * The policy in force: model, rules and controls as one version with one digest, replaced whole or not at all. Whatever an
 * older version remembered goes with it.
 */
import { hash } from 'node:crypto'
import { type Clock, systemClock } from '../clock.ts'
import type { Control, Obligations } from '../control.ts'
import { canonical, type Json } from '../format/canonical.ts'
import type { Subject } from '../identity/subject.ts'
import type { Access, Operation } from '../operation.ts'
import { type Problem, refuseProblems } from '../problem.ts'
import { casbinEnforcer, type Enforcer } from './casbin.ts'
import type { Decision, DecisionPoint } from './decision.ts'
import { checkModel, defaultModel } from './model.ts'
import { grantActions, grantTerms, uniteObligations } from './obligations.ts'
import { isSubjectId, readRules } from './rules.ts'

export interface PolicySource {
  /** A Casbin model's text; the shipped one where left out. */
  readonly model?: string | undefined
  /** The rules file's text. */
  readonly rules: string
  readonly controls: readonly Control[]
  /** The text that the controls were read from; their canonical JSON where left out. */
  readonly controlsText?: string | undefined
  /** Names of all targets: where given, a rule that reaches none of them is refused. */
  readonly targets?: readonly string[] | undefined
  /** As problems name the files. */
  readonly files?: { readonly model?: string | undefined; readonly rules?: string | undefined } | undefined
}

/** Texts and their base64url SHA-256. */
export interface PolicyTexts {
  readonly model: string
  readonly rules: string
  readonly controls: string
}

interface Version {
  readonly enforcer: Enforcer
  readonly controls: readonly Control[]
  readonly texts: PolicyTexts
  readonly digests: PolicyTexts
  readonly digest: string
}

/** A version as it is recorded: the digest that decisions cite, and what it is over. */
export type PolicyVersion = Pick<Version, 'digest' | 'digests' | 'texts'>

/** Whoever must know of a change: the guard, for its ledger and for what it has in flight. */
export interface PolicyFollower {
  /** Before a version comes into force. Where it throws, nothing changes. */
  record(next: PolicyVersion): Promise<void>
  /** As soon as it has. */
  changed(): void
}

/**
 * Rights by Casbin, obligations by controls.
 * @throws Misuse ERR_OPTION_INVALID with every problem's file, line and column
 */
export async function casbinPolicy(source: PolicySource, clock: Clock = systemClock): Promise<Policy> {
  return new Policy(await build(source), clock)
}

/** @returns every problem in the model and the rules. */
export function checkPolicy(source: Omit<PolicySource, 'controls'>): Problem[] {
  const model = source.model === undefined ? [] : checkModel(source.model, source.files?.model ?? 'model.conf')
  const file = source.files?.rules ?? 'policy.csv'
  return [...model, ...readRules(source.rules, { file, targets: source.targets }).problems]
}

export class Policy implements DecisionPoint {
  #version: Version
  #reloading: Promise<unknown> = Promise.resolve()
  readonly #followers = new Set<PolicyFollower>()
  readonly #clock: Clock

  /** @internal See casbinPolicy. */
  constructor(version: Version, clock: Clock) {
    this.#version = version
    this.#clock = clock
  }

  /** One digest over all, as decisions cite it. */
  get digest(): string {
    return this.#version.digest
  }

  get digests(): PolicyTexts {
    return this.#version.digests
  }

  get texts(): PolicyTexts {
    return this.#version.texts
  }

  get controls(): readonly Control[] {
    return this.#version.controls
  }

  /**
   * Replaces everything at once, recorded before it counts, or throws and changes nothing. In order, where several are asked for.
   * What is in flight is judged anew, and cut where it is no longer permitted, or no longer under the same conditions.
   * @throws Misuse ERR_OPTION_INVALID. @throws Fault ERR_LEDGER_UNAVAILABLE where the change cannot be recorded
   */
  async reload(source: PolicySource): Promise<void> {
    const turn = this.#reloading.then(async () => {
      const next = await build(source)
      if (next.digest === this.digest) return
      for (const follower of this.#followers) await follower.record(next)
      this.#version = next
      for (const follower of this.#followers) follower.changed()
    })
    this.#reloading = turn.catch(() => undefined)
    return turn
  }

  /** @returns a function that ends it */
  follow(follower: PolicyFollower): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  decide(subject: Subject, accesses: readonly Access[]): Decision {
    const { enforcer, digest } = this.#version
    // Whoever acts for another needs both rights: its own, and that person's.
    const acting = subject.principal === undefined ? [subject.id] : [subject.id, subject.principal]
    const permit =
      accesses.length > 0 &&
      acting.every(id => accesses.every(({ action, resource }) => enforcer.permits(id, action, resource)))
    return { permit, policy: digest }
  }

  /** As `can`, of a glob of resources: all that it could mean must be permitted. */
  canThroughout(subjectId: string, action: string, resources: string): boolean {
    return this.#version.enforcer.permitsThroughout(subjectId, action, resources)
  }

  can(subjectId: string, action: string, resource: string): boolean {
    return this.#version.enforcer.permits(subjectId, action, resource)
  }

  hasRole(subjectId: string, role: string): boolean {
    return isSubjectId(subjectId) && this.#version.enforcer.names(subjectId).has(role)
  }

  obligations(operation: Operation): Obligations {
    return uniteObligations(this.#version.controls, operation, this.#clock.now())
  }

  /** Actions for which this subject could ask for a grant there, as far as controls name them: what a slip is held against. */
  grantActions(subject: Subject, resource: string): readonly string[] {
    const named = grantActions(this.#version.controls, resource, this.#clock.now())
    return named.filter(action => this.decide(subject, [{ action, resource }]).permit)
  }

  /** @returns what a grant for these accesses must hold to; undefined where none is asked for. Resources may be globs. */
  grantTerms(accesses: readonly Access[]): Obligations['grant'] {
    return grantTerms(this.#version.controls, accesses, this.#clock.now())
  }
}

async function build(source: PolicySource): Promise<Version> {
  refuseProblems(checkPolicy(source))
  const model = source.model ?? defaultModel
  const { rules } = readRules(source.rules, { file: source.files?.rules ?? 'policy.csv' })
  const controlsText = source.controlsText ?? canonical(source.controls as unknown as Json)
  const texts = { model, rules: source.rules, controls: controlsText }
  const digests = { model: sha256(model), rules: sha256(source.rules), controls: sha256(controlsText) }
  return {
    enforcer: await casbinEnforcer(model, rules),
    controls: structuredClone(source.controls),
    texts,
    digests,
    digest: policyDigest(digests),
  }
}

const sha256 = (text: string) => hash('sha256', text, 'base64url' as 'hex')

/** Over the three digests, a line each, in this order: re-performed with sha256sum. */
export const policyDigest = ({ model, rules, controls }: PolicyTexts): string =>
  sha256(`counterfoil policy\n${model}\n${rules}\n${controls}\n`)
