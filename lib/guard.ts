/** Builds the guard: the books folded from the ledger, the stack of stages, and the gate that adapters go through. */
import { Approvalbook } from './approvals/approvalbook.ts'
import { type Clock, systemClock } from './clock.ts'
import { compose, type Stage } from './compose.ts'
import { Custodian } from './custody/custodian.ts'
import { Holds } from './custody/holds.ts'
import { Desk } from './desk.ts'
import { appendDenial, askedOfUs } from './entries.ts'
import { Fault } from './errors.ts'
import { Exchange } from './exchange.ts'
import { uuidv7 } from './format/entry.ts'
import type { Gate } from './gate.ts'
import { Grantbook } from './grants/grantbook.ts'
import { refuseExpired, watchIdentity } from './identity/lapse.ts'
import type { Credential, Subject } from './identity/subject.ts'
import type { Earlier } from './ledger/earlier.ts'
import type { DraftOf, Ledger, Stored } from './ledger/ledger.ts'
import type { MaskTools } from './masking/strategies.ts'
import type { Policy, PolicyVersion } from './policy/policy.ts'
import { Principals } from './principals.ts'
import { run } from './run.ts'
import { Sessions } from './sessions.ts'
import { approve } from './stages/approve.ts'
import { authorize, authorizeAnew } from './stages/authorize.ts'
import { capture } from './stages/capture.ts'
import { grant } from './stages/grant.ts'
import { identify } from './stages/identify.ts'
import { mask } from './stages/mask.ts'
import { record } from './stages/record.ts'
import { seal } from './stages/seal.ts'

export interface GuardParts {
  readonly name: string
  readonly ledger: Ledger
  /** Those before it in its series, where they can be reached from here. */
  readonly earlier?: Earlier
  readonly policy: Policy
  /** @throws Refusal ERR_UNIDENTIFIED */
  readonly identify: (credential: Credential) => Promise<Subject>
  readonly clock?: Clock
  /** A key, where a control hashes: without one its replies fail. */
  readonly masking?: MaskTools
  /** Extra stages, run between `approve` and `record`. */
  readonly stages?: readonly Stage[]
}

export interface Guard extends Gate {
  readonly ledger: Ledger
  readonly policy: Policy
  readonly principals: Principals
  readonly desk: Desk
  /** Erasures and legal holds. */
  readonly custodian: Custodian
  /** Cuts live sessions, waits for what is in flight, and closes the ledger. */
  close(): Promise<void>
}

export async function buildGuard(parts: GuardParts): Promise<Guard> {
  const { name, ledger, policy, clock = systemClock } = parts
  const earlier = parts.earlier === undefined ? {} : { earlier: parts.earlier }
  const principals = new Principals(ledger)
  const grants = new Grantbook(clock)
  const approvals = new Approvalbook(ledger, clock)
  const holds = new Holds()
  const fold = (stored: Stored) => {
    holds.fold(stored.entry)
    grants.fold(stored)
    approvals.fold(stored)
  }
  // Where the ledger is shared, others append meanwhile: what comes while its past is read is
  // folded after it, but for what that had of it.
  let later: Stored[] | undefined = []
  let last = -1
  const live = (stored: Stored) => {
    if (stored.index <= last) return
    principals.follow(stored)
    fold(stored)
    if (stored.entry.kind === 'erasure') principals.forget(stored.entry.of)
  }
  ledger.follow(stored => (later === undefined ? live(stored) : void later.push(stored)))
  let recorded = await replay(ledger, stored => {
    last = stored.index
    fold(stored)
    return principals.fold(stored)
  })
  for (const stored of later) live(stored)
  later = undefined
  // Reloaded while that was being written, it is yet another.
  while (recorded !== policy.digest) {
    recorded = policy.digest
    await ledger.append([policyDraft(policy)])
  }
  const sessions = new Sessions({ ledger, principals, grants, clock })

  // biome-ignore format: a table
  const stack: readonly Stage[] = [
    seal({ ledger }),                                                        // out: the outcome, and every refusal
    capture({ ledger, clock }),                                              // out: attachments
    identify({ identify: parts.identify, principals, clock }),               // in:  subject, actors
    authorize({ policy }),                                                   // in:  policy, obligations
    grant({ grants, bind: (session, id) => sessions.bind(session, id) }),    // in:  grant, observed
    approve({ approvals, ledger, clock }),                                   // in:  approval, commitment
    ...(parts.stages ?? []),
    record({ ledger, approvals }),                                           // in:  decision
    mask(parts.masking),                                                        // out: masked
  ]
  const enter = compose(stack)
  const inFlight = new Map<Exchange, Promise<unknown>>()
  const unfollow = policy.follow({
    record: async next => void (await ledger.append([policyDraft(next)])),
    changed: () => {
      for (const exchange of inFlight.keys()) authorizeAnew(policy, exchange)
    },
  })
  const newExchange: Gate['exchange'] = of => new Exchange({ ...of, id: uuidv7(clock.now()) })

  return {
    name,
    ledger,
    policy,
    principals,
    desk: new Desk({ ledger, grants, approvals, principals, policy, clock }),
    custodian: new Custodian({ ledger, ...earlier, grants, approvals, holds, principals, policy, clock }),
    async identify(credential) {
      const subject = await parts.identify(credential)
      refuseExpired(subject, clock)
      return subject
    },
    openSession: session => sessions.open(session),
    exchange: newExchange,

    async handle(exchange, origin, sink) {
      const work = (async () => {
        try {
          return await run(exchange, await enter(exchange, origin), sink)
        } finally {
          exchange.finish()
        }
      })()
      inFlight.set(exchange, work)
      const done = () => inFlight.delete(exchange)
      work.then(done, done)
      return work
    },

    async recordFailedLogin({ protocol, target, address, error }) {
      const accesses = [{ action: 'connect', resource: target }]
      const operation = askedOfUs({ protocol, target, action: { login: protocol }, accesses })
      const exchange = newExchange({ operation, ...(address === undefined ? {} : { address }) })
      await appendDenial(ledger, exchange, error)
      exchange.finish()
    },

    async refuse(exchange, error) {
      try {
        await appendDenial(ledger, exchange, error)
      } finally {
        exchange.finish()
      }
    },

    watch(exchange, cut) {
      const [subject, used] = [exchange.perhaps('subject'), exchange.perhaps('grant')]
      const ends = [
        subject === undefined ? undefined : watchIdentity(subject, clock, cut),
        used === undefined ? undefined : grants.watch(used.id, cut),
      ]
      return () => {
        for (const end of ends) end?.()
      }
    },

    async settle(exchanges, result) {
      const most = 512
      for (let at = 0; at < exchanges.length; at += most) {
        await ledger.append([{ kind: 'settled', exchanges: exchanges.slice(at, at + most), result }])
      }
    },

    async close() {
      sessions.cut(new Fault('ERR_UPSTREAM', 'the guard is stopping'))
      await Promise.allSettled(inFlight.values())
      unfollow()
      await ledger.close()
    },
  }
}

/** Folds what the ledger's past has left. @returns the digest of the policy that was recorded last */
async function replay(ledger: Ledger, fold: (stored: Stored) => void | Promise<void>): Promise<string | undefined> {
  let recorded: string | undefined
  for await (const stored of ledger.state()) {
    await fold(stored)
    if (stored.entry.kind === 'policy') recorded = stored.entry.digest
  }
  return recorded
}

const policyDraft = ({ digest, digests, texts }: PolicyVersion): DraftOf<'policy'> => ({
  ...{ kind: 'policy', digest, model: digests.model, rules: digests.rules, controls: digests.controls },
  ...{ disclose: { ...texts }, slot: 'policy' },
})
