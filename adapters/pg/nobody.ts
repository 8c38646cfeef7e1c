/** What is asked on nobody's behalf: refused before any part of it is forwarded, and recorded with what it was, where that is known. */
import { Refusal } from '../../lib/errors.ts'
import type { Analysed } from './analyser.ts'
import { errorResponse } from './errors.ts'
import type { Message } from './messages.ts'
import type { Session } from './session.ts'
import { refuseUnjudged } from './unjudged.ts'
import { ProtocolViolation } from './violation.ts'
import { Fields, type } from './wire.ts'

/** What could show, change or plan something. Close, Flush, Sync and rows of a COPY that is over do none of it. */
const asking = new Set<number>([type.query, type.parse, type.bind, type.describe, type.execute, type.functionCall])

export const isAsking = ({ type: of }: Message): boolean => asking.has(of)

export async function refuseNobody(session: Session, message: Message): Promise<void> {
  const error = new Refusal(
    'ERR_UNIDENTIFIED',
    "on nobody's behalf: no exchange is in flight here, and no subject was given (use as(subject))",
  )
  const analysed = await read(session, message)
  const told =
    analysed === undefined
      ? await refuseUnjudged(session, { unidentified: true, bytes: message.bytes.length }, error)
      : await recorded(session, analysed, error)
  return message.type === type.query ? session.refuseQuery(told) : session.poison(told)
}

async function recorded(session: Session, analysed: Analysed, error: Refusal): Promise<Buffer> {
  const whole = await session.whole(analysed, {})
  if (Buffer.isBuffer(whole)) return whole
  const exchange = session.exchange(whole.operation)
  await session.parts.gate.refuse(exchange, error)
  return errorResponse(error, 'ERROR', { exchange: exchange.id })
}

/** @returns undefined where there is nothing that could be read */
async function read(session: Session, { type: of, bytes }: Message): Promise<Analysed | undefined> {
  const { analyser } = session.parts
  try {
    const fields = new Fields(bytes)
    if (of === type.query) return await analyser.analyse(fields.string(), session.state)
    // Parse: a name, then the text. Bind: a portal, then the statement's name.
    fields.string()
    if (of === type.parse) return await analyser.analyse(fields.string(), session.state)
    return of === type.bind ? session.state.prepared.get(fields.string())?.analysed : undefined
  } catch (error) {
    if (error instanceof ProtocolViolation) return undefined
    throw error
  }
}
