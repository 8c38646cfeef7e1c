/** The upstream's catalog over a connection of our own: one snapshot of names, read again on a miss and after definitions change. */
import type pg from 'pg'
import { Fault } from '../../lib/errors.ts'
import {
  actionsSql,
  functionsSql,
  indexesSql,
  inheritsSql,
  operatorsSql,
  type Rows,
  relationsSql,
  typesSql,
} from './catalog-queries.ts'
import { trustedExtensions, trustedFunctions } from './functions.ts'
import { Snapshot } from './snapshot.ts'
import { Views } from './views.ts'

export interface CatalogOptions {
  readonly target: string
  readonly searchPath: readonly string[]
  /** A client, not yet connected, for each connection that is needed. */
  readonly connect: () => pg.Client
}

/** How long a snapshot is used before it is read again behind the scenes: definitions may change past the gateway. */
const freshMs = 10_000
const settledMs = 50

export class Catalog {
  readonly #options: CatalogOptions
  readonly #views = new Views()
  #client: pg.Client | undefined
  #snapshot: Snapshot | undefined
  #reading: Promise<Snapshot> | undefined
  #readAt = 0
  #version = 0
  #stale = false
  #closed = false

  constructor(options: CatalogOptions) {
    this.#options = options
  }

  /** Definitions have changed: the next to ask waits for a new reading. */
  invalidate(): void {
    this.#stale = true
  }

  /** Whether a reading now could know more: not straight after the last, or unknown names would keep us reading. */
  mayBeBehind(): boolean {
    return performance.now() - this.#readAt > settledMs
  }

  /** @throws Fault ERR_UPSTREAM where it cannot be read */
  async current(): Promise<Snapshot> {
    if (this.#snapshot === undefined || this.#stale) return this.refresh()
    if (performance.now() - this.#readAt > freshMs && this.#reading === undefined) {
      this.refresh().catch(() => this.invalidate())
    }
    return this.#snapshot
  }

  /** Reads anew. Those who ask while a reading has not begun share it. @throws Fault ERR_UPSTREAM */
  async refresh(): Promise<Snapshot> {
    const running = this.#reading
    // A reading under way may have begun before the change that the caller knows of.
    if (running !== undefined) await running.catch(() => undefined)
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<Snapshot> {
    this.#readAt = performance.now()
    this.#stale = false
    try {
      const client = await this.#connected()
      const ask = async <T>(sql: string, values: unknown[] = []) => (await client.query(sql, values)).rows as T
      await client.query('begin isolation level repeatable read read only')
      const extensions = [trustedExtensions]
      const rows = {
        relations: await ask<Rows['relations']>(relationsSql),
        inherits: await ask<Rows['inherits']>(inheritsSql),
        indexes: await ask<Rows['indexes']>(indexesSql),
        actions: await ask<Rows['actions']>(actionsSql),
        functions: await ask<Rows['functions']>(functionsSql, [...extensions, trustedFunctions]),
        operators: await ask<Rows['operators']>(operatorsSql, extensions),
        types: await ask<Rows['types']>(typesSql, extensions),
      }
      await client.query('commit')
      const named = rows.relations.map(({ oid, schema, name }) => [oid, schema, name])
      const definitions = await this.#views.read(client, rows.relations, [named, rows.functions, rows.operators])
      const { target, searchPath } = this.#options
      this.#snapshot = new Snapshot(target, searchPath, ++this.#version, { ...rows, definitions })
      return this.#snapshot
    } catch (error) {
      this.#stale = true
      this.#client?.end().catch(() => undefined)
      this.#client = undefined
      throw new Fault('ERR_UPSTREAM', 'the catalog of the upstream could not be read', {}, error)
    }
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client
    if (this.#closed) throw new Fault('ERR_UPSTREAM', 'the gateway is closed')
    const client = this.#options.connect()
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    await client.connect()
    // So that views' definitions come with every name qualified.
    await client.query(`set search_path = ''; set statement_timeout = 10000`)
    this.#client = client
    return client
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#reading?.catch(() => undefined)
    await this.#client?.end().catch(() => undefined)
    this.#client = undefined
  }
}
