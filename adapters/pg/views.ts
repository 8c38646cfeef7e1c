/**
 * Definitions of views. The server takes a lock on every table under a view to print it, so they are asked for only where
 * something changed, and never waited for: a session in the middle of an ALTER TABLE may be waiting for us.
 */
import { hash } from 'node:crypto'
import type pg from 'pg'

/** What must be the same for a definition that was read before to be still as it is printed. */
export interface ViewRow {
  readonly oid: string
  /** xmin of its rule; null where it is no view, or one of the system's. */
  readonly rule: string | null
}

const waitMs = 100

export class Views {
  #known = new Map<string, string>()
  #names = ''

  /**
   * @param names every name in the catalog: the definition of a view changes with the names of what it reads
   * @returns definitions by oid; absent where it cannot be printed now
   */
  async read(client: pg.Client, rows: readonly ViewRow[], names: unknown): Promise<ReadonlyMap<string, string>> {
    const fingerprint = hash('sha256', JSON.stringify(names))
    if (fingerprint !== this.#names) this.#known.clear()
    this.#names = fingerprint
    const views = rows.filter(({ rule }) => rule !== null)
    const keyOf = ({ oid, rule }: ViewRow) => `${oid} ${rule}`
    const kept = new Map(
      views.flatMap(view => (this.#known.has(keyOf(view)) ? [[keyOf(view), this.#known.get(keyOf(view))!]] : [])),
    )
    this.#known = kept as Map<string, string>
    const asked = views.filter(view => !this.#known.has(keyOf(view)))
    if (asked.length > 0) {
      const printed = await print(
        client,
        asked.map(({ oid }) => oid),
      )
      for (const view of asked) {
        const definition = printed.get(view.oid)
        if (definition !== undefined) this.#known.set(keyOf(view), definition)
      }
    }
    return new Map(
      views.flatMap(view => {
        const definition = this.#known.get(keyOf(view))
        return definition === undefined ? [] : [[view.oid, definition] as const]
      }),
    )
  }
}

/** All at once; where one of them is locked, each alone. */
async function print(client: pg.Client, oids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  await client.query(`set lock_timeout = ${waitMs}`)
  const found = new Map<string, string>()
  const ask = async (some: readonly string[]) => {
    const sql = 'select o.oid, pg_get_viewdef(o.oid::oid) as definition from unnest($1::text[]) o (oid)'
    const { rows } = await client.query<{ oid: string; definition: string | null }>(sql, [some])
    for (const { oid, definition } of rows) if (definition !== null) found.set(oid, definition)
  }
  try {
    await ask(oids)
  } catch (error) {
    if (!isLocked(error)) throw error
    for (const oid of oids) {
      await ask([oid]).catch((reason: unknown) => {
        if (!isLocked(reason)) throw reason
      })
    }
  }
  return found
}

/** lock_not_available; or it was dropped meanwhile. */
const isLocked = (error: unknown) => ['55P03', '42P01', 'XX000'].includes(String((error as { code?: unknown }).code))
