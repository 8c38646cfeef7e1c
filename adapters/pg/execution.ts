/** One execution as a reply: what the server answers from its turn to its end, in frames. Lazy: nothing is sent before it is pulled. */
import type { Exchange } from '../../lib/exchange.ts'
import type { Frame, Head } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import type { Part } from './analysis.ts'
import { type Described, describedFields, rowsForm } from './columns.ts'
import type { Demultiplexer } from './demultiplexer.ts'
import { sqlstateOf, withoutValues } from './errors.ts'
import type { Message } from './messages.ts'
import type { Names } from './names.ts'
import type { Transactions } from './transaction.ts'
import { ProtocolViolation } from './violation.ts'
import { Fields, type TransactionStatus, type as types } from './wire.ts'

export interface Execution {
  /** Undefined where the catalog may not know what the server sees: then no column's origin is known. */
  readonly names: Names | undefined
  readonly parts: readonly Part[]
  /** Code of the database's own may choose the words of its errors. */
  readonly opaque: boolean
  /** Sends it. @returns the columns, where they are known by the time that rows come, and whether a ReadyForQuery ends it */
  send(
    exchange: Exchange,
  ): Promise<{ readonly described?: () => readonly Described[] | 'none' | undefined; readonly untilReady: boolean }>
  /** A statement of the text was completed. */
  completed(part: Part | undefined, tag: string): void
}

/** What the generator leaves behind for its session. */
export interface Trace {
  sent: boolean
  /** The ReadyForQuery that ended it, to be shown after the end. */
  ready?: Buffer
}

const empty: Head = { type: 'head', form: { kind: 'empty' } }
const opaque: Head = { type: 'head', form: { kind: 'opaque' } }

export async function* reply(
  exchange: Exchange,
  execution: Execution,
  on: Demultiplexer,
  transactions: Transactions,
  trace: Trace,
): AsyncGenerator<Frame> {
  const { names, parts } = execution
  const { signal } = exchange
  // Said before anything is sent, so that under a mask nothing is.
  if (parts.some(part => part.copy === 'out')) yield opaque
  signal.throwIfAborted()
  trace.sent = true
  const before = transactions.inTransaction
  const { described, untilReady } = await execution.send(exchange)
  transactions.busy = true
  // At its end, a transaction does what was put off in it.
  const quote = (bytes: Buffer) =>
    isMasked(exchange) || transactions.masked ? withoutValues(bytes, execution.opaque) : bytes
  const changes = !exchange.operation.read
  let head: Head | undefined
  let finished = 0
  let failure: string | undefined
  let last: Buffer | undefined
  let tag = ''

  while (on.turn !== undefined && on.turn.of !== 'execution') {
    const message = await on.next(signal)
    await on.relay(message)
    if (message.type === types.error) {
      // Something sent before failed, and was answered: this never ran.
      yield empty
      yield {
        type: 'end',
        result: 'failed',
        code: sqlstateOf(message.bytes),
        settled: changes ? 'rolled-back' : 'nothing',
      }
      return
    }
  }
  transactions.busy = true
  // Not before its turn: until then it is the end of another that comes.
  if (isMasked(exchange)) transactions.masked = true
  for (;;) {
    const message = await nextUnlessOver(on, signal, failure !== undefined)
    if (message === undefined) break
    const { bytes, type: of } = message
    if (of === types.ready) {
      if (on.turn?.of === 'execution') on.done()
      on.ready(bytes)
      trace.ready = bytes
      break
    }
    if (of === types.parameterStatus || of === types.notification) {
      await on.relay(message)
      continue
    }
    // What was complete is not the end: something follows.
    if (last !== undefined) yield { type: 'data', channel: 'command', bytes: last, items: 0 }
    last = undefined
    const next = headOf(message, head, parts.length === 1 ? parts[0] : parts[finished], described?.(), names)
    if (next !== undefined) {
      head = next
      yield head
    }
    if (of === types.copyIn) await copyIn(on, signal)
    else if (of === types.dataRow) yield { type: 'data', channel: 'rows', bytes, items: message.count }
    else if (of === types.copyData) yield { type: 'data', channel: 'copy', bytes, items: message.count }
    else if (of === types.notice) yield { type: 'data', channel: 'notice', bytes: quote(bytes), items: 0 }
    else if (of === types.error) {
      failure = sqlstateOf(bytes)
      last = quote(bytes)
      on.abandon()
      if (!untilReady) break
    } else if (isCompletion(of)) {
      last = bytes
      tag = of === types.commandComplete ? new Fields(bytes).string() : ''
      execution.completed(parts[finished++], tag)
      if (untilReady) continue
      on.done()
      break
    } else if (next?.bytes === undefined) yield { type: 'data', channel: 'command', bytes, items: 0 }
  }
  const status = trace.ready === undefined ? undefined : (String.fromCharCode(trace.ready[5]!) as TransactionStatus)
  const ended: Ended = { before, status, failure, tag, code: execution.opaque }
  const settled = changes ? settledBy(parts, ended) : 'nothing'
  if (changes && settled === undefined) transactions.add(exchange.id)
  yield {
    type: 'end',
    result: failure === undefined ? 'completed' : 'failed',
    ...(failure === undefined ? {} : { code: failure }),
    ...(settled === undefined ? {} : { settled }),
    ...(last === undefined ? {} : { bytes: last }),
  }
}

/** @returns undefined where the server has closed after an error: that error is the end */
async function nextUnlessOver(on: Demultiplexer, signal: AbortSignal, failed: boolean): Promise<Message | undefined> {
  try {
    return await on.next(signal)
  } catch (error) {
    if (failed && !signal.aborted) return undefined
    throw error
  }
}

const isCompletion = (of: number) =>
  of === types.commandComplete || of === types.emptyQuery || of === types.portalSuspended

/** Whoever shows the recording again must know the columns. */
export const isRecorded = (exchange: Exchange): boolean => exchange.perhaps('obligations')?.record.response === 'masked'

/** Where no mask is known to be in force, one may be. */
export const isMasked = (exchange: Exchange): boolean => exchange.perhaps('obligations')?.masks.length !== 0

/** @returns a head that the message needs before it; undefined where the one in force will do */
function headOf(
  { type: of, bytes }: Message,
  head: Head | undefined,
  part: Part | undefined,
  described: readonly Described[] | 'none' | undefined,
  names: Names | undefined,
): Head | undefined {
  if (of === types.rowDescription) {
    return { type: 'head', form: rowsForm(describedFields(bytes), names, part?.harmless), bytes }
  }
  if (of === types.copyOut) return { ...opaque, bytes }
  if (of === types.copyIn) return { ...empty, bytes }
  if (of === types.dataRow && head?.form.kind !== 'rows') {
    // Rows that nothing described cannot be masked, and under a mask they are not shown.
    if (described === undefined || described === 'none') return head === opaque ? undefined : opaque
    return { type: 'head', form: rowsForm(described, names, part?.harmless) }
  }
  // A result without rows, whose columns were described before: it is one all the same.
  if (isCompletion(of) && head?.form.kind !== 'rows' && Array.isArray(described))
    return { type: 'head', form: rowsForm(described, names, part?.harmless) }
  return head === undefined ? empty : undefined
}

interface Ended {
  /** A transaction was open when it was sent. */
  readonly before: boolean
  /** Where its own ReadyForQuery has come. */
  readonly status: TransactionStatus | undefined
  readonly failure: string | undefined
  readonly tag: string
  readonly code: boolean
}

/** What is known at the end of one exchange of whether its changes stand; undefined where a transaction still decides. */
function settledBy(parts: readonly Part[], { before, status, failure, tag, code }: Ended) {
  const controls = parts.some(part => part.transaction !== undefined)
  if (controls && parts.length === 1) {
    if (failure !== undefined || tag === 'ROLLBACK') return 'rolled-back'
    return tag === 'COMMIT' || tag === 'COMMIT PREPARED' ? 'committed' : 'unknown'
  }
  if (before || status !== 'I') return undefined
  if (failure === undefined) return 'committed'
  // Code can commit a part of its work before it fails.
  return controls || code ? 'unknown' : 'rolled-back'
}

/** The client's rows go upstream until it says that they are all, or the server says that it wants no more. */
async function copyIn(on: Demultiplexer, signal: AbortSignal): Promise<void> {
  const { messages } = on.client
  const { upstream } = on
  for (;;) {
    if (upstream.messages.peek() !== undefined || upstream.messages.ended) return
    if (upstream.socket.writableNeedDrain) {
      // The server may be waiting to tell us something before it reads on.
      await eitherDrained(upstream, signal)
      continue
    }
    const message = messages.take()
    if (message === undefined) {
      if (messages.ended) throw new ProtocolViolation('08P01', 'the client closed in the middle of a COPY')
      await race(Promise.race([upstream.messages.wait(), messages.wait()]), signal)
      continue
    }
    // Flush and Sync mean nothing in here: libpq has sent them with the Execute.
    if (message.type === types.flush || message.type === types.sync) continue
    if (![types.copyData, types.copyDone, types.copyFail].some(of => of === message.type)) {
      throw new ProtocolViolation('08P01', 'an unexpected message in the middle of a COPY')
    }
    upstream.socket.write(message.bytes)
    if (message.type !== types.copyData) return
  }
}

async function eitherDrained({ socket, messages }: Demultiplexer['upstream'], signal: AbortSignal): Promise<void> {
  let drained: () => void = () => undefined
  const room = new Promise<void>(resolve => {
    drained = resolve
  })
  socket.once('drain', drained)
  try {
    await race(Promise.race([messages.wait(), room]), signal)
  } finally {
    socket.off('drain', drained)
  }
}
