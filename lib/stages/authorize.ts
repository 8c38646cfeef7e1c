/**
 * In: policy permits or denies; what it obliges the guard to do is learned either way, so that a denial cites its controls. What is in
 * flight when the policy changes is judged again.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Stage } from '../compose.ts'
import { Fault, isOurs, Refusal } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Policy } from '../policy/policy.ts'

export function authorize({ policy }: { readonly policy: Policy }): Stage {
  const decide = (exchange: Exchange) => {
    try {
      exchange.learn('obligations', policy.obligations(exchange.operation))
      const decision = policy.decide(exchange.fact('subject'), exchange.operation.accesses)
      exchange.learn('policy', decision.policy)
      return decision.permit
    } catch (error) {
      throw unjudged(error)
    }
  }
  return (exchange, next) => {
    if (decide(exchange)) return next()
    throw denial('no right to', exchange)
  }
}

/** Cuts an exchange that today's policy would not let through, or not on the conditions that it runs under. */
export function authorizeAnew(policy: Policy, exchange: Exchange): void {
  const conditions = exchange.perhaps('obligations')
  // Not judged yet: it will be by today's.
  if (conditions === undefined) return
  const { operation } = exchange
  try {
    if (!policy.decide(exchange.fact('subject'), operation.accesses).permit) {
      exchange.abort(denial('the policy has changed: no right any more to', exchange))
    } else if (!isDeepStrictEqual(policy.obligations(operation), conditions)) {
      exchange.abort(
        new Refusal('ERR_OBLIGATION_UNMET', 'the controls have changed while this was under way: ask again'),
      )
    }
  } catch (error) {
    exchange.abort(unjudged(error))
  }
}

function denial(what: string, { operation: { accesses } }: Exchange): Refusal {
  const denied = accesses.map(({ action, resource }) => `${action} ${resource}`).join(', ')
  return new Refusal('ERR_ACCESS_DENIED', `${what} ${denied}`, { accesses })
}

const unjudged = (error: unknown) =>
  isOurs(error) ? error : new Fault('ERR_POLICY_UNAVAILABLE', 'the policy could not be evaluated', {}, error)
