/**
 * Who asks a query: whoever the exchange in flight is of, or a subject that the application gives.
 * Decided when it is asked, not when it is sent.
 */
import { setMaxListeners } from 'node:events'
import { currentExchange } from '../../../lib/current.ts'
import { Misuse } from '../../../lib/errors.ts'
import type { Subject } from '../../../lib/identity/subject.ts'
import type { Asker } from '../asker.ts'

/** What the application knows of a job beside its subject. */
export interface From {
  /** Where it came from: `127.0.0.1`. */
  readonly address?: string
  /** Aborts when the job is over: what still runs of it is cut. */
  readonly signal?: AbortSignal
}

/** Undefined where nothing is in flight: nobody. */
export function inFlight(): Asker | undefined {
  const exchange = currentExchange()
  const subject = exchange?.perhaps('subject')
  if (exchange === undefined || subject === undefined) return undefined
  const { address, signal, id: within } = exchange
  // A request may ask many things at once.
  setMaxListeners(0, signal)
  return { subject, signal, within, ...(address === undefined ? {} : { address }) }
}

/** @throws Misuse ERR_OPTION_INVALID where it is no subject: a name alone says nothing of who verified it */
export function given(subject: Subject, { address, signal }: From = {}): Asker {
  const { id, type, issuer, method } = (subject ?? {}) as Partial<Subject>
  if (![id, type, issuer, method].every(value => typeof value === 'string' && value !== '')) {
    throw new Misuse('ERR_OPTION_INVALID', 'as(subject) takes a subject that was verified: id, type, issuer and method')
  }
  if (signal !== undefined) setMaxListeners(0, signal)
  return {
    // As it is now: a job may go on to the next subject in the same object.
    subject: Object.freeze({ ...subject }),
    ...(address === undefined ? {} : { address }),
    ...(signal === undefined ? {} : { signal }),
  }
}
