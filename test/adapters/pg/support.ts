/** A gateway in front of a real server and behind a real guard, with clients that log in by their subject's id. */
import pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { type PostgresGateway, type PostgresOptions, postgresGateway } from '../../../adapters/pg/index.ts'
import type { Control } from '../../../lib/control.ts'
import type { GuardParts } from '../../../lib/guard.ts'
import { casbinPolicy } from '../../../lib/policy/policy.ts'
import { type Fixture, fixture } from '../../support/guard.ts'
import { crm, postgres, type Served } from '../../support/postgres.ts'

export const requesterId = 'requester@crm.example'

export interface Setup extends Served, Fixture {
  readonly gateway: PostgresGateway
  readonly port: number
  /** A client that is logged in, and ended after the tests. */
  client(password?: string, config?: pg.ClientConfig): Promise<pg.Client>
}

export function gateway(
  controls: readonly Control[] = [],
  options: {
    readonly rules?: string
    readonly sql?: string
    readonly parts?: Partial<GuardParts>
    readonly gateway?: Partial<PostgresOptions>
  } = {},
): () => Setup {
  const served = postgres(options.sql ?? crm)
  const clients: pg.Client[] = []
  let setup: Setup | undefined
  beforeAll(async () => {
    const policy = options.rules === undefined ? {} : { policy: await casbinPolicy({ rules: options.rules, controls }) }
    const guarded = await fixture(controls, { ...policy, ...options.parts })
    const { guard } = guarded
    const upstream = served().server.url()
    const made = await postgresGateway({ gate: guard, target: 'crm', upstream, ...options.gateway })
    const { port } = await made.listen(0, '127.0.0.1')
    const client = async (password = requesterId, config: pg.ClientConfig = {}) => {
      const of = new pg.Client({ host: '127.0.0.1', port, user: 'anyone', database: 'crm', password, ...config })
      of.on('error', () => undefined)
      await of.connect()
      clients.push(of)
      return of
    }
    setup = { ...served(), ...guarded, gateway: made, port, client }
  })
  afterAll(async () => {
    await Promise.allSettled(clients.map(client => client.end()))
    await setup?.gateway.close()
    await setup?.guard.close()
  })
  return () => setup!
}

/** What a rejected query said: SQLSTATE, and our code where it is ours. */
export async function failure(wait: Promise<unknown>): Promise<{ code: string; ours: string; message: string }> {
  try {
    await wait
  } catch (error) {
    const { code, routine, message } = error as { code: string; routine?: string; message: string }
    return { code, ours: routine ?? '', message }
  }
  throw new Error('it succeeded')
}
