/** A guarded pool in front of a real server and behind a real guard. */
import pg from 'pg'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { type GuardedOptions, type GuardedPool, guardedPool } from '../../../adapters/pg/pool/index.ts'
import type { Control } from '../../../lib/control.ts'
import type { EntryOf } from '../../../lib/format/entry.ts'
import type { GuardParts } from '../../../lib/guard.ts'
import { casbinPolicy } from '../../../lib/policy/policy.ts'
import { type Fixture, fixture } from '../../support/guard.ts'
import { crm, postgres, type Served } from '../../support/postgres.ts'

export interface PoolSetup extends Served, Fixture {
  /** A guarded pool, ended after the test. */
  pool(config?: pg.PoolConfig, options?: GuardedOptions): GuardedPool
  lastDecision(): Promise<EntryOf<'decision'>>
  /** What is disclosed of the decision on this exchange. */
  disclosedOf(exchange: string): Promise<Readonly<Record<string, unknown>>>
}

export function pools(
  controls: readonly Control[] = [],
  options: { readonly rules?: string; readonly sql?: string; readonly parts?: Partial<GuardParts> } = {},
): () => PoolSetup {
  const served = postgres(options.sql ?? crm)
  const made: pg.Pool[] = []
  let setup: PoolSetup | undefined
  beforeAll(async () => {
    const policy = options.rules === undefined ? {} : { policy: await casbinPolicy({ rules: options.rules, controls }) }
    const guarded = await fixture(controls, { ...policy, ...options.parts })
    setup = {
      ...served(),
      ...guarded,
      pool: (config = {}, given) => {
        const raw = new pg.Pool({ connectionString: served().server.url(), ...config })
        raw.on('error', () => undefined)
        made.push(raw)
        return guardedPool(guarded.guard, raw, given)
      },
      lastDecision: async () => (await guarded.of('decision')).at(-1)!,
      disclosedOf: async exchange => {
        for await (const { index, entry } of guarded.ledger.entries()) {
          if (entry.kind === 'decision' && entry.exchange === exchange) return guarded.ledger.disclosures(index)
        }
        return {}
      },
    }
  })
  afterEach(async () => {
    await Promise.all(made.splice(0).map(pool => (pool.ending ? undefined : pool.end())))
  })
  afterAll(async () => {
    await setup?.guard.close()
  })
  return () => setup!
}
