/**
 * In: the decision, written ahead. No receipt, no operation; only a proven read whose reply can be held back may go before its record
 * is durable. What rests on an approval waits for its record, since that is where the approval is used, once.
 */
import type { Approvalbook } from '../approvals/approvalbook.ts'
import type { Stage } from '../compose.ts'
import { decisionDraft, durabilityOf } from '../entries.ts'
import { Refusal } from '../errors.ts'
import type { Ledger } from '../ledger/ledger.ts'

interface Parts {
  readonly ledger: Ledger
  readonly approvals: Approvalbook
}

export function record({ ledger, approvals }: Parts): Stage {
  return async (exchange, next) => {
    exchange.signal.throwIfAborted()
    const draft = decisionDraft(exchange, { verdict: 'permit' })
    const approval = exchange.perhaps('approval')
    if (approval === undefined && exchange.operation.read && exchange.operation.piecemeal !== true) {
      exchange.learn('decision', { draft, durable: false })
    } else {
      await ledger.append([draft], { level: durabilityOf(exchange) })
      exchange.learn('decision', { draft, durable: true })
      // Another process that shares the ledger took it at the same time, and its decision stands before ours.
      if (approval !== undefined && approvals.get(approval.id)?.usedBy !== exchange.id) {
        throw new Refusal('ERR_APPROVAL_REJECTED', `the approval ${approval.id} was used for another exchange`, {
          approval: approval.id,
        })
      }
      // Cut while it was being written: the outcome will say that nothing came of it.
      exchange.signal.throwIfAborted()
    }
    return next()
  }
}
