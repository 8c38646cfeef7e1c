/**
 * A connection passes from one subject to another: what the first may have left on it is cleared before anything of the second is
 * forwarded. What a transaction holds stays until its end: whoever shares a transaction shares that.
 */
import { Fault } from '../../lib/errors.ts'
import type { Operation } from '../../lib/operation.ts'
import { type Asker, type Turn, whoIs } from './asker.ts'
import type { Asked } from './demultiplexer.ts'
import type { Session } from './session.ts'
import { query } from './wire.ts'

/** As DISCARD ALL, which may not stand in a text of several: but for plans, and for statements that the protocol has prepared. */
const cleared = [
  'set session authorization default',
  'reset role',
  'reset all',
  'close all',
  'unlisten *',
  'select pg_catalog.pg_advisory_unlock_all()',
  'discard sequences',
  'discard temp',
]
/** Where statements were prepared in SQL, or code has run: it may have prepared any, under any name. */
const prepared = 'deallocate all'

export class Handover {
  readonly #session: Session
  /** Who may have left something. */
  readonly #owners = new Set<string>()
  #lease: object | undefined
  #pending: readonly string[] = []
  #generation = 0

  constructor(session: Session) {
    this.#session = session
  }

  /** Temporary tables are one subject's: who shares a transaction has rights of their own to everything else in it. */
  refusal({ target, accesses }: Operation): string | undefined {
    const temporary = accesses.some(({ resource }) => resource.startsWith(`${target}/pg_temp.`))
    return this.#owners.size > 1 && temporary ? 'a temporary table in a transaction that several share' : undefined
  }

  /** @throws Fault ERR_UPSTREAM where whoever had the connection before has left a transaction open on it */
  async to({ asker, lease }: Turn): Promise<void> {
    const open = this.#session.inTransaction
    if (open && this.#lease !== undefined && lease !== this.#lease) {
      throw new Fault('ERR_UPSTREAM', 'a transaction was left open on this connection by whoever had it before')
    }
    this.#lease = lease
    if (asker === undefined) return
    await this.#admit(asker, open)
  }

  async #admit(asker: Asker, open: boolean): Promise<void> {
    const who = whoIs(asker)
    const others = [...this.#owners].some(owner => owner !== who)
    if (others && !open) {
      await this.#clear()
      this.#owners.clear()
    }
    this.#owners.add(who)
  }

  async #clear(): Promise<void> {
    const { state, parts } = this.#session
    const wholly = [...state.prepared.values()].some(({ parse }) => parse === undefined)
    const moved = state.generation !== this.#generation || state.temporary.size > 0 || state.created.size > 0
    // Where the subject before was refused, what was to be cleared for them was not.
    const unprepared = wholly || moved || this.#pending.includes(prepared)
    this.#pending = unprepared ? [...cleared, prepared] : cleared
    state.handedOver(wholly || moved)
    this.#generation = state.generation
    if (!wholly && !moved) return
    // What a name meant to the one before may be something else now.
    for (const statement of state.prepared.values()) {
      statement.analysed = await parts.analyser.analyse(statement.analysed.text, state)
    }
  }

  /** What must be sent before anything else is. */
  take(): readonly Asked[] {
    if (this.#pending.length === 0) return []
    const statements = this.#pending
    this.#pending = []
    const own = { of: 'own', swallow: true, required: true } as const
    return [
      { bytes: query(statements.join('; ')), expect: own },
      ...statements.slice(1).map(() => ({ bytes: Buffer.alloc(0), expect: own })),
      { bytes: Buffer.alloc(0), expect: { of: 'sync', swallow: true } },
    ]
  }
}
