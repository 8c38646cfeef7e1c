/** The simple protocol: one Query, all its statements decided as one before any of them is forwarded. */
import type { Session } from './session.ts'
import { refuseUnjudged } from './unjudged.ts'
import { ProtocolViolation } from './violation.ts'
import { Fields, query } from './wire.ts'

export async function simpleQuery(session: Session, bytes: Buffer): Promise<void> {
  const refuse = (error: Buffer) => session.refuseQuery(error)
  let text: string
  let analysed: Awaited<ReturnType<Session['parts']['analyser']['analyse']>>
  try {
    const fields = new Fields(bytes)
    text = fields.string()
    fields.end()
    analysed = await session.parts.analyser.analyse(text, session.state)
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error
    return refuse(await refuseUnjudged(session, { unreadable: 'query', bytes: bytes.length }, error))
  }
  await session.execute({
    analysed,
    bound: {},
    send: async () => {
      session.flush([
        { bytes: query(text), expect: { of: 'execution' } },
        { bytes: Buffer.alloc(0), expect: { of: 'sync' } },
      ])
      return { untilReady: true }
    },
    refuse,
  })
}
