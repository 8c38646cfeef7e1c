/** In: another person's approval of this exact action, where a control asks for one; held for a while, then refused with its id. */
import type { Approval } from '../approvals/approval.ts'
import type { Approvalbook } from '../approvals/approvalbook.ts'
import type { Clock } from '../clock.ts'
import type { Stage } from '../compose.ts'
import type { Obligations } from '../control.ts'
import { Refusal } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { actionCommitment, randomSalt } from '../format/disclosure.ts'
import { timestamp } from '../format/entry.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { newId, Requests } from '../requests.ts'

interface Parts {
  readonly approvals: Approvalbook
  readonly ledger: Ledger
  readonly clock: Clock
}

type Terms = NonNullable<Obligations['approval']>

export function approve({ approvals, ledger, clock }: Parts): Stage {
  const requests = new Requests(approvals)
  return async (exchange, next) => {
    const { action } = exchange.operation
    const { approval: terms } = exchange.fact('obligations')
    if (terms === undefined) {
      const salt = randomSalt()
      exchange.learn('commitment', { salt, action: actionCommitment(salt, action) })
      return next()
    }
    if (exchange.operation.unbound) {
      throw new Refusal(
        'ERR_OBLIGATION_UNMET',
        'an approval binds the whole action, and a part of this one is not known yet',
      )
    }
    const actors = exchange.fact('actors')
    const asked = (await approvals.find(actors, exchange.operation, terms)) ?? (await ask(exchange, terms))
    const { id } = asked.approval
    if (approvals.get(id)?.status === 'pending' && exchange.operation.holdable) {
      const until = Math.min(clock.now() + terms.waitMs, asked.approval.until)
      exchange.onHeld?.({ approval: id, until })
      await approvals.decided(id, until, exchange.signal)
      exchange.signal.throwIfAborted()
    }
    if (!approvals.take(id)) throw refusal(id, approvals.get(id) ?? asked.approval)
    // Taken, but not used unless the decision that cites it is written.
    exchange.defer(() => approvals.giveBack(id))
    exchange.learn('commitment', asked.commitment)
    exchange.learn('approval', { id })
    return next()
  }

  async function ask(exchange: Exchange, terms: Terms) {
    const salt = randomSalt()
    const commitment = { salt, action: actionCommitment(salt, exchange.operation.action) }
    const id = newId('a')
    const actors = exchange.fact('actors')
    const draft = {
      ...{ kind: 'approval-requested' as const, approval: id, exchange: exchange.id, ...actors },
      action: commitment.action,
      accesses: exchange.operation.accesses,
      controls: terms.controls,
      people: terms.people,
      roles: terms.roles,
      until: timestamp(clock.now() + terms.withinMs),
      disclose: { action: exchange.operation.shown ?? exchange.operation.action, actionSalt: salt },
      slot: exchange.session === undefined ? `principal:${actors.subject}` : `session:${exchange.session.id}`,
    }
    await requests.make(actors.subject, id, () => ledger.append([draft]))
    return { approval: approvals.get(id)!, commitment }
  }
}

function refusal(id: string, { status, until }: Pick<Approval, 'status' | 'until'>): Refusal {
  if (status === 'pending') {
    return new Refusal(
      'ERR_APPROVAL_PENDING',
      `another person must approve this first: ${id}; send the same again once it is approved (counterfoil approve ${id})`,
      { approval: id },
    )
  }
  const what =
    status === 'denied'
      ? `was denied: the same is refused until ${timestamp(until)}; something else can be asked for`
      : 'is used or over: send the same again to ask for another'
  return new Refusal('ERR_APPROVAL_REJECTED', `the approval ${id} ${what}`, { approval: id })
}
