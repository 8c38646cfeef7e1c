/**
 * In: the decision, written ahead. No receipt, no operation; only a proven read whose reply can be held back may go before its record
 * is durable.
 */
import type { Stage } from '../compose.ts'
import { decisionDraft, durabilityOf } from '../entries.ts'
import type { Ledger } from '../ledger/ledger.ts'

export function record({ ledger }: { readonly ledger: Ledger }): Stage {
  return async (exchange, next) => {
    exchange.signal.throwIfAborted()
    const draft = decisionDraft(exchange, { verdict: 'permit' })
    if (exchange.operation.read && exchange.operation.piecemeal !== true) {
      exchange.learn('decision', { draft, durable: false })
    } else {
      await ledger.append([draft], { level: durabilityOf(exchange) })
      exchange.learn('decision', { draft, durable: true })
      // Cut while it was being written: the outcome will say that nothing came of it.
      exchange.signal.throwIfAborted()
    }
    return next()
  }
}
