/** In: policy permits or denies; what it obliges the guard to do is learned either way, so that a denial cites its controls. */
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
      if (isOurs(error)) throw error
      throw new Fault('ERR_POLICY_UNAVAILABLE', 'the policy could not be evaluated', {}, error)
    }
  }
  return (exchange, next) => {
    if (decide(exchange)) return next()
    const denied = exchange.operation.accesses.map(a => `${a.action} ${a.resource}`).join(', ')
    throw new Refusal('ERR_ACCESS_DENIED', `no right to ${denied}`, { accesses: exchange.operation.accesses })
  }
}
