/** The extended protocol: Parse and Bind are noted and kept back, each Execute is an exchange, Sync ends a pipeline. */
import type { Json } from '../../lib/format/canonical.ts'
import type { Described } from './columns.ts'
import type { Expectation } from './demultiplexer.ts'
import { errorResponse } from './errors.ts'
import { isMasked, isRecorded } from './execution.ts'
import type { Session } from './session.ts'
import type { Portal } from './state.ts'
import { refuseUnjudged } from './unjudged.ts'
import { ProtocolViolation } from './violation.ts'
import { closeStatement, describePortal, Fields, flush, sync, text, type } from './wire.ts'

export async function parse(session: Session, bytes: Buffer): Promise<void> {
  const { prepared, generation } = session.state
  try {
    const fields = new Fields(bytes)
    const name = fields.string()
    const statement = fields.string()
    const types = Array.from({ length: fields.int16() }, () => fields.uint32())
    fields.end()
    const analysed = await session.parts.analyser.analyse(statement, session.state)
    const before = prepared.get(name)
    prepared.set(name, { analysed, parse: bytes, types, generation })
    const undo = () => restore(prepared, name, before)
    session.pending.push({ bytes, expect: { of: 'parse', undo } })
  } catch (error) {
    if (!(error instanceof ProtocolViolation)) throw error
    await session.poison(await refuseUnjudged(session, { unreadable: 'parse', bytes: bytes.length }, error))
  }
}

export async function bind(session: Session, bytes: Buffer): Promise<void> {
  const { prepared, portals, generation } = session.state
  const fields = new Fields(bytes)
  const name = fields.string()
  const statementName = fields.string()
  const formats = int16s(fields)
  const values = Array.from({ length: fields.int16() }, (_, i) =>
    value(fields, formats.length > 1 ? formats[i] : formats[0]),
  )
  const results = int16s(fields)
  fields.end()
  const statement = prepared.get(statementName)
  await session.reread(statement)
  if (statement !== undefined && statement.generation !== generation && statement.parse !== undefined) {
    // Code has run since it was parsed, and may have put another statement under its name.
    const swallow = true
    session.pending.push(
      { bytes: closeStatement(statementName), expect: { of: 'close', swallow } },
      { bytes: statement.parse, expect: { of: 'parse', swallow } },
    )
    statement.generation = generation
  }
  const before = portals.get(name)
  if (statement === undefined) portals.delete(name)
  else {
    const { analysed, types, generation: parsed } = statement
    portals.set(name, { analysed, types, values, formats: results, generation: parsed, cursor: false })
  }
  const opaque = statement === undefined || statement.analysed.analysis.code
  session.pending.push({ bytes, expect: { of: 'bind', opaque, undo: () => restore(portals, name, before) } })
}

/** A parameter as an approver sees it: text as it is, bytes in base64. */
function value(fields: Fields, format = 0): Json {
  const length = fields.int32()
  if (length < 0) return null
  const bytes = fields.bytes(length)
  return format === 0 ? text(bytes) : { base64: bytes.toString('base64') }
}

const int16s = (fields: Fields) => Array.from({ length: fields.int16() }, () => fields.int16())

function restore<T>(map: Map<string, T>, name: string, before: T | undefined): void {
  if (before === undefined) map.delete(name)
  else map.set(name, before)
}

export function describe(session: Session, bytes: Buffer): void {
  const { name, what } = named(bytes)
  const portal = what === 'P' ? session.state.portals.get(name) : undefined
  const describes = portal === undefined ? {} : { describes: portal }
  session.pending.push({ bytes, expect: { of: 'describe', ...describes } })
}

export function close(session: Session, bytes: Buffer): void {
  const { name, what } = named(bytes)
  const { prepared, portals } = session.state
  if (what === 'P') forget(portals)
  else forget(prepared)

  function forget<T>(map: Map<string, T>): void {
    const before = map.get(name)
    map.delete(name)
    session.pending.push({ bytes, expect: { of: 'close', undo: () => restore(map, name, before) } })
  }
}

function named(bytes: Buffer): { readonly what: string; readonly name: string } {
  const fields = new Fields(bytes)
  const what = String.fromCharCode(fields.byte())
  const name = fields.string()
  fields.end()
  return { what, name }
}

export async function executePortal(session: Session, bytes: Buffer): Promise<void> {
  const fields = new Fields(bytes)
  const name = fields.string()
  fields.int32()
  fields.end()
  const portal = session.state.portals.get(name)
  if (portal === undefined) {
    // Never ours: the server says so too, or would show what nobody has decided.
    return session.poison(errorResponse(new ProtocolViolation('34000', 'this portal does not exist')))
  }
  const { analysed, types, values, generation } = portal
  const typed = types.some(of => of !== 0) ? { types } : {}
  await session.execute({
    analysed,
    bound: values.length > 0 ? { values, ...typed } : {},
    tainted: generation !== session.state.generation,
    send: async exchange => {
      const asks = portal.described === undefined && (isMasked(exchange) || isRecorded(exchange))
      const copies = analysed.analysis.parts.some(part => part.copy === 'in')
      // What follows it at once goes with it; not into a COPY, where a Sync would mean nothing.
      const { messages } = session.server.client
      const ending = !copies && messages.peek()?.type === type.sync
      if (ending) messages.take()
      const own: Expectation = { of: 'describe', swallow: true, describes: portal }
      session.flush(
        [
          ...(asks ? [{ bytes: describePortal(name), expect: own }] : []),
          { bytes, expect: { of: 'execution' } },
          ...(ending ? [{ bytes: sync, expect: { of: 'sync' } as const }] : []),
        ],
        ...(ending ? [] : [flush]),
      )
      return { described: () => columnsOf(portal), untilReady: ending }
    },
    refuse: error => {
      withdrawBind(session, portal, name)
      return session.poison(error)
    },
  })
}

/** Formats are the Bind's: a portal is described with them already. */
const columnsOf = (portal: Portal): readonly Described[] | 'none' | undefined => portal.described

/** What is refused is not even planned: from its Bind on, nothing that waits is sent. */
function withdrawBind(session: Session, portal: Portal, name: string): void {
  if (session.state.portals.get(name) !== portal) return
  const at = session.pending.findLastIndex(({ bytes }) => bytes[0] === type.bind && new Fields(bytes).string() === name)
  if (at < 0) return
  for (const { expect } of session.pending.splice(at).reverse()) expect.undo?.()
}
