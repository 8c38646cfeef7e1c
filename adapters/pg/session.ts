/** One connection after its login: takes the client's messages in order, and answers each, until either side has gone. */
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { Refusal } from '../../lib/errors.ts'
import type { Exchange, Held } from '../../lib/exchange.ts'
import type { Json } from '../../lib/format/canonical.ts'
import type { Gate } from '../../lib/gate.ts'
import type { Operation } from '../../lib/operation.ts'
import type { Frame } from '../../lib/reply.ts'
import { race } from '../../lib/run.ts'
import type { Analysed, Analyser } from './analyser.ts'
import type { Analysis, Part } from './analysis.ts'
import type { Askers } from './asker.ts'
import type { Catalog } from './catalog.ts'
import type { Asked, Demultiplexer } from './demultiplexer.ts'
import { errorResponse, noticeResponse } from './errors.ts'
import { type Execution, reply, type Trace } from './execution.ts'
import { Handover } from './handover.ts'
import { operationOf, type Whole } from './operation.ts'
import { searchPathText } from './settings.ts'
import { type Prepared, State } from './state.ts'
import type { Transactions } from './transaction.ts'
import { refuseUnjudged } from './unjudged.ts'
import { execute, flush, int16, int32, message, query, ready, sync, type } from './wire.ts'

export interface SessionParts {
  readonly gate: Gate
  readonly target: string
  readonly searchPath: readonly string[]
  readonly catalog: Catalog
  readonly analyser: Analyser
  readonly holdNotice: (approval: string) => string
  readonly onHeld?: (held: Held) => void
  readonly askers: Askers
  readonly demultiplexer: Demultiplexer
  readonly transactions: Transactions
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal
}

/** What an execution is asked as, and how it is sent once it may be. */
export interface Plan {
  readonly analysed: Analysed
  readonly bound: { readonly [name: string]: Json }
  /** The names that it was made under may mean something else by now. */
  readonly tainted?: boolean
  readonly send: Execution['send']
  /** Puts our error where the server's would be. */
  readonly refuse: (error: Buffer) => Promise<void>
}

export class Session {
  readonly parts: SessionParts
  readonly state: State
  readonly handover: Handover
  /** Messages of the extended protocol that nothing has forced out yet. */
  readonly pending: Asked[] = []
  /** Aborts when either side has gone, or the session is cut. */
  readonly over: AbortSignal
  #defined = false
  #regrouped = false
  #running: { readonly exchange: Exchange; held: boolean; cancelled: boolean } | undefined

  constructor(parts: SessionParts) {
    this.parts = parts
    this.state = new State(parts.searchPath)
    this.over = AbortSignal.any([parts.gone, parts.askers.signal])
    this.handover = new Handover(this)
  }

  get server(): Demultiplexer {
    return this.parts.demultiplexer
  }

  get inTransaction(): boolean {
    return this.parts.transactions.inTransaction
  }

  /** Waits for whichever comes first, a message of the client or of the server. @returns which of them has something */
  async next(): Promise<'client' | 'server'> {
    const { client, upstream } = this.server
    for (;;) {
      if (upstream.messages.peek() !== undefined || upstream.messages.ended) return 'server'
      if (client.messages.peek() !== undefined || client.messages.ended) return 'client'
      await race(Promise.race([upstream.messages.wait(), client.messages.wait()]), this.over)
    }
  }

  /** A CancelRequest with our key: what is held stops waiting; what runs is stopped by the server. */
  cancel(): void {
    const running = this.#running
    if (running?.held) {
      running.cancelled = true
      running.exchange.abort(new Refusal('ERR_APPROVAL_PENDING', 'canceling statement due to user request'))
    } else this.server.upstream.cancel()
  }

  /** Sends what waits, pinning the settings first where code may have moved them. */
  flush(asked: readonly Asked[] = [], ...more: readonly Buffer[]): void {
    const waiting = [...this.handover.take(), ...this.#pins(), ...this.pending.splice(0), ...asked]
    this.server.send(waiting, ...more)
  }

  #pins(): readonly Asked[] {
    const { transactions } = this.parts
    if (!this.state.unpinned || transactions.status === 'E' || transactions.failed) return []
    this.state.unpinned = false
    const name = `counterfoil_${randomBytes(12).toString('hex')}`
    const swallow = true
    const undo = () => {
      this.state.unpinned = true
    }
    const asked: Asked[] = [
      { bytes: message(type.parse, name, pinText, int16(0)), expect: { of: 'parse', swallow, undo } },
      {
        bytes: message(type.bind, name, name, int16(0), ...values(this.parts.searchPath), int16(0)),
        expect: { of: 'bind', swallow },
      },
      { bytes: execute(name), expect: { of: 'own', swallow } },
      { bytes: message(type.close, Buffer.from('P'), name), expect: { of: 'close', swallow } },
      { bytes: message(type.close, Buffer.from('S'), name), expect: { of: 'close', swallow } },
    ]
    // Outside a transaction it must stand whatever becomes of the next statement.
    const alone = !transactions.inTransaction && this.server.idle
    return alone ? [...asked, { bytes: sync, expect: { of: 'sync', swallow } }] : asked
  }

  /** Runs one execution through the gate. Whatever happens has been answered to the client when this resolves. */
  async execute(plan: Plan): Promise<void> {
    const { gate, transactions, askers } = this.parts
    const used = plan.tainted === true ? { ...plan.analysed, analysis: remade(plan.analysed) } : plan.analysed
    const whole = await this.whole(used, plan.bound)
    if (Buffer.isBuffer(whole)) return plan.refuse(whole)
    const { operation, code, redefines } = whole
    const exchange = this.exchange(operation)
    const { parts } = redefines ? certainly(used.analysis) : used.analysis
    const refused = plan.analysed.analysis.refused ?? this.handover.refusal(operation)
    if (refused !== undefined) {
      const error = new Refusal('ERR_ACCESS_DENIED', refused)
      await gate.refuse(exchange, error)
      return plan.refuse(errorResponse(error, 'ERROR', { exchange: exchange.id }))
    }
    const trace: Trace = { sent: false }
    const running = { exchange, held: false, cancelled: false }
    this.#running = running
    const execution: Execution = {
      names: redefines ? undefined : plan.analysed.names,
      parts,
      opaque: code,
      send: taken => {
        running.held = false
        for (const part of parts) this.state.creates(part)
        return plan.send(taken)
      },
      completed: (part, tag) => this.#completed(part, tag, plan.analysed),
    }
    try {
      const origin = (taken: Exchange) => reply(taken, execution, this.server, transactions, trace)
      await gate.handle(exchange, origin, frame => this.#show(frame))
    } catch (error) {
      // In the middle of an answer there is no telling what the client has; the connection ends with it.
      if (this.over.aborted || trace.sent) throw error
      const over = running.cancelled || askers.current?.signal?.aborted === true
      const sqlstate = over ? { sqlstate: '57014' } : {}
      return plan.refuse(errorResponse(error, 'ERROR', { exchange: exchange.id, ...sqlstate }))
    } finally {
      this.#running = undefined
      if (trace.sent && code) this.state.taint()
      if (trace.sent && parts.some(part => part.defines)) this.#defined = true
      if (trace.sent && parts.some(part => part.regroups)) this.#regrouped = true
      if (trace.sent && this.inTransaction) askers.keep(exchange)
    }
    if (trace.ready !== undefined) await this.ready(trace.ready)
  }

  /** What a text does, as it is judged. @returns the error to be shown, where that cannot be recorded */
  async whole(analysed: Analysed, bound: Plan['bound']): Promise<Whole | Buffer> {
    const { target, transactions } = this.parts
    const redefined = (await this.#outdated(analysed)) || this.#defined
    const circumstances = {
      ...{ target, inTransaction: this.inTransaction },
      ...{ redefined, regrouped: this.#regrouped, unsettled: transactions.unsettled },
    }
    try {
      return operationOf(analysed, bound, this.state, circumstances)
    } catch (error) {
      return refuseUnjudged(this, { unrecordable: 'accesses', characters: analysed.text.length }, error as Error)
    }
  }

  /** On behalf of whoever asks now. */
  exchange(operation: Operation): Exchange {
    const { gate, askers, gone } = this.parts
    const { signal, ...asker } = askers.current ?? {}
    const onHeld = (held: Held) => this.#held(held)
    const exchange = gate.exchange({ operation, ...asker, onHeld, signal: gone })
    if (signal !== undefined) exchange.heed(signal)
    return exchange
  }

  /** What is prepared is planned anew where definitions have changed: it is read anew, too. */
  async reread(prepared: Prepared | undefined): Promise<void> {
    if (prepared !== undefined) prepared.analysed = await this.parts.analyser.again(prepared.analysed, this.state)
  }

  /** Whether definitions have changed under a portal or cursor, which was planned under the old ones. */
  async #outdated(analysed: Analysed): Promise<boolean> {
    const { analyser } = this.parts
    const open = [analysed]
    for (const { uses } of analysed.analysis.parts) {
      if (uses?.kind === 'prepared') await this.reread(this.state.prepared.get(uses.name))
      const cursor = uses?.kind === 'cursor' ? this.state.portals.get(uses.name) : undefined
      if (cursor !== undefined) open.push(cursor.analysed)
    }
    for (const one of open) {
      const again = await analyser.again(one, this.state)
      if (again !== one && !isDeepStrictEqual(shows(again), shows(one))) return true
    }
    return false
  }

  async ready(bytes: Buffer): Promise<void> {
    this.transactionMayHaveEnded()
    this.parts.askers.answered()
    await this.server.client.write(bytes)
  }

  /** Definitions are seen by others once they are committed; and before, whoever reads them may have to wait for us. */
  transactionMayHaveEnded(): void {
    if (this.inTransaction) return
    this.parts.askers.release()
    this.state.transactionEnded()
    if (this.#defined) this.parts.catalog.invalidate()
    this.#defined = false
    this.#regrouped = false
  }

  #held(held: Held): void {
    const { approval } = held
    this.parts.onHeld?.(held)
    if (this.#running !== undefined) this.#running.held = true
    this.server.client.write(noticeResponse(this.parts.holdNotice(approval))).catch(() => undefined)
  }

  #completed(part: Part | undefined, tag: string, analysed: Plan['analysed']): void {
    if (part === undefined) return
    this.parts.transactions.completed(part, tag)
    this.state.completed(part, analysed)
  }

  #show(frame: Frame): void | Promise<void> {
    return frame.bytes === undefined ? undefined : this.server.client.write(frame.bytes)
  }

  /** The server itself fails here, so that transaction and pipeline are in the state of its own errors; ours is shown. */
  async poison(error: Buffer): Promise<void> {
    const portal = `refused_${randomBytes(12).toString('hex')}`
    this.flush([{ bytes: execute(portal), expect: { of: 'poison', instead: error } }], flush)
    await this.server.settle(this.over)
  }

  /** As poison, for a simple Query: outside a transaction there is nothing upstream to be failed. */
  async refuseQuery(error: Buffer): Promise<void> {
    if (!this.inTransaction && this.pending.length === 0 && this.server.idle) {
      await this.server.client.write(Buffer.concat([error, ready('I')]))
      return
    }
    this.flush([
      { bytes: query('refused by the gateway'), expect: { of: 'poison', instead: error } },
      { bytes: Buffer.alloc(0), expect: { of: 'sync' } },
    ])
    await this.server.settle(this.over)
    this.transactionMayHaveEnded()
  }
}

/** What a reading says of where the data is from. */
const shows = ({ analysis: { accesses, reaches, moves, opaque, code } }: Analysed) => ({
  ...{ accesses, reaches, moves, opaque, code },
})

/** Under names that code may have remade, what a text does is unknown. */
function remade({ analysis }: Plan['analysed']): Analysis {
  const parts = analysis.parts.map(part => ({ ...part, harmless: undefined, certain: undefined }))
  return { ...analysis, parts, opaque: true, code: true, read: false, risk: 'high' }
}

/** While names may mean something else, only what none of them can change is proved. */
function certainly(analysis: Analysis): Analysis {
  return { ...analysis, parts: analysis.parts.map(part => ({ ...part, harmless: part.certain })) }
}

const pinText =
  "select pg_catalog.set_config('search_path', $1, false), pg_catalog.set_config('standard_conforming_strings', 'on', false), " +
  "pg_catalog.set_config('backslash_quote', 'safe_encoding', false), pg_catalog.set_config('client_encoding', 'UTF8', false)"

function values(searchPath: readonly string[]): readonly Buffer[] {
  const path = Buffer.from(searchPathText(searchPath))
  return [int16(1), int32(path.length), path]
}
