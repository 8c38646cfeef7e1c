/** What is refused before it can be judged, because it cannot be read: recorded all the same, as code that could do anything. */
import type { Json } from '../../lib/format/canonical.ts'
import { errorResponse } from './errors.ts'
import type { Session } from './session.ts'

/**
 * @param action what is known of it; never its text, which nobody could read, and which may hold anything
 * @returns the error to be shown in its place
 */
export async function refuseUnjudged(session: Session, action: Json, error: Error): Promise<Buffer> {
  const { gate, target } = session.parts
  const operation = {
    ...{ protocol: 'postgres', target, action, accesses: [{ action: 'execute', resource: `${target}/code` }] },
    ...{ reaches: [], opaque: true, risk: 'high' as const, read: false, holdable: false },
  }
  const exchange = session.exchange(operation)
  await gate.refuse(exchange, error)
  return errorResponse(error, 'ERROR', { exchange: exchange.id })
}
