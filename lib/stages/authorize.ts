/**
 * In: policy permits or denies; what it obliges the guard to do is learned either way, so that a denial cites its controls. What is in
 * flight when the policy changes is judged again.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Stage } from '../compose.ts'
import { Fault, isOurs, Refusal } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Access } from '../operation.ts'
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
    throw denial(exchange, policy)
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
      exchange.abort(denial(exchange, policy, 'the policy has changed: no right any more to'))
    } else if (!isDeepStrictEqual(policy.obligations(operation), conditions)) {
      exchange.abort(
        new Refusal('ERR_OBLIGATION_UNMET', 'the controls have changed while this was under way: ask again'),
      )
    }
  } catch (error) {
    exchange.abort(unjudged(error))
  }
}

/** What is not there is said to be not there, to those who may see what is; to others it is denied as what is there would be. */
function denial(exchange: Exchange, policy: Policy, what = 'no right to'): Refusal {
  const { accesses, absent = [] } = exchange.operation
  const known = accesses.filter(access => !absent.some(one => isSame(one.access, access)))
  const told = [...known, ...absent.map(({ seenBy }) => seenBy)]
  if (absent.length > 0 && policy.decide(exchange.fact('subject'), told).permit) {
    const names = absent.map(({ name }) => name)
    return new Refusal('ERR_ACCESS_DENIED', `not known here: ${names.join(', ')}`, { accesses, absent: names })
  }
  const shown = accesses.map(access => {
    const as = absent.find(one => isSame(one.access, access))?.as
    return as === undefined ? access : { ...access, resource: as }
  })
  const denied = shown.map(({ action, resource }) => `${action} ${resource}`).join(', ')
  return new Refusal('ERR_ACCESS_DENIED', `${what} ${denied}`, { accesses: shown })
}

const isSame = (one: Access, other: Access) => one.action === other.action && one.resource === other.resource

const unjudged = (error: unknown) =>
  isOurs(error) ? error : new Fault('ERR_POLICY_UNAVAILABLE', 'the policy could not be evaluated', {}, error)
