/**
 * Out: appends what happened, before the end is shown and on every failure. Outermost, so that refusals are sealed too. Nothing
 * of a reply leaves before the decision is durable; a short reply of a proven read is held back, so that one sync releases all,
 * unless its upstream falls silent.
 */
import type { Next, Stage } from '../compose.ts'
import { appendDenial, codeOf, durabilityOf, isMalformed, slotOf, wordOf } from '../entries.ts'
import { isOurs, Misuse } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { type CommitmentStream, commitmentStream, randomSalt } from '../format/disclosure.ts'
import type { Draft, DraftOf, Ledger } from '../ledger/ledger.ts'
import { withPauses } from '../pauses.ts'
import type { End, Frame } from '../reply.ts'

const holdBack = 64 * 1024
/** Milliseconds of silence after which what is held back is released all the same: a stream of events is no short reply. */
const holdFor = 50

export function seal({ ledger }: { readonly ledger: Ledger }): Stage {
  return (exchange, next) => sealed(ledger, exchange, next)
}

async function* sealed(ledger: Ledger, exchange: Exchange, next: Next): AsyncGenerator<Frame> {
  const tally = new Tally()
  const append = async (...drafts: Draft[]) => {
    await ledger.append(drafts, { level: durabilityOf(exchange) })
  }
  /** What was recorded stands before the outcome. */
  const attached = () => exchange.perhaps('attachments') ?? []
  /** The decision of a read, until it has been appended. */
  const owed = () => {
    const decision = exchange.perhaps('decision')
    return decision === undefined || decision.durable || tally.decided ? [] : [decision.draft]
  }
  try {
    const reply = await next()
    const held: Frame[] = []
    let holding = owed().length > 0
    let heldBytes = 0
    async function* release(): AsyncGenerator<Frame> {
      await append(...owed())
      tally.decided = true
      holding = false
      for (const kept of held.splice(0)) {
        tally.add(kept)
        yield kept
      }
    }
    for await (const frame of withPauses(reply, () => (held.length > 0 ? holdFor : undefined))) {
      if (frame === undefined) {
        yield* release()
      } else if (frame.type === 'end') {
        // Offered only once they are released: an append that fails releases nothing.
        const offered = holding ? new Tally() : tally
        for (const kept of held) offered.add(kept)
        await append(...owed(), ...attached(), outcome(exchange, offered, frame))
        tally.closed = true
        yield* held
        yield frame
        return
      } else if (holding) {
        held.push(frame)
        heldBytes += frame.bytes?.length ?? 0
        if (heldBytes > holdBack) yield* release()
      } else {
        tally.add(frame)
        yield frame
      }
    }
    throw new Misuse('ERR_REPLY_TRUNCATED', 'a reply stopped without an end')
  } catch (error) {
    if (!tally.closed) {
      tally.closed = true
      // A decision that is no entry was never made: nothing of the reply has left, so it is a refusal.
      const refused = !exchange.knows('decision') || (owed().length > 0 && isMalformed(error))
      if (refused) await appendDenial(ledger, exchange, error)
      else await append(...owed(), ...attached(), failure(exchange, tally, error))
    }
    throw error
  } finally {
    // The subject hung up between two frames: return() was called on us.
    if (!tally.closed && exchange.knows('decision')) {
      await append(...owed(), ...attached(), failure(exchange, tally, exchange.signal.reason))
    }
  }
}

/** What has been given to the client so far. */
class Tally {
  items = 0
  bytes = 0
  decided = false
  closed = false
  readonly salt = randomSalt()
  #offered: CommitmentStream | undefined
  #digest: string | undefined

  add(frame: Frame): void {
    if (frame.type !== 'data') return
    this.items += frame.items
    this.bytes += frame.bytes.length
    this.#offered ??= commitmentStream(this.salt)
    this.#offered.update(frame.bytes)
  }

  offered(): string | undefined {
    // Asked for again where an append failed; a hash gives its digest once.
    this.#digest ??= this.#offered?.digest()
    return this.#digest
  }
}

function outcome(exchange: Exchange, tally: Tally, end: Pick<End, 'result' | 'code' | 'settled'>): DraftOf<'outcome'> {
  return {
    ...common(exchange, tally),
    result: end.result,
    code: end.code === undefined ? undefined : wordOf(end.code),
    settled: end.settled,
  }
}

function failure(exchange: Exchange, tally: Tally, error: unknown): DraftOf<'outcome'> {
  const result = exchange.signal.aborted && !isFault(error) ? 'aborted' : 'failed'
  return { ...common(exchange, tally), result, code: error === undefined ? undefined : codeOf(error) }
}

const isFault = (error: unknown) => isOurs(error) && error.name === 'Fault'

function common(exchange: Exchange, tally: Tally) {
  const masked = [...(exchange.perhaps('masked') ?? [])].sort()
  const offered = tally.offered()
  return {
    kind: 'outcome' as const,
    exchange: exchange.id,
    items: tally.items,
    bytes: tally.bytes,
    offered,
    masked: masked.length > 0 ? masked : undefined,
    disclose: offered === undefined ? {} : { offeredSalt: tally.salt },
    slot: slotOf(exchange),
  }
}
