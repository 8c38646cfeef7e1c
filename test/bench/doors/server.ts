/**
 * A process of its own that is one door, bare or guarded, so that its processor time and its memory are its own.
 * Started with what it is as JSON; says `{ port }`, and answers `usage` with the
 * most memory that it has held since it was last asked, and its processor time so far.
 */
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import express from 'express'
import Koa from 'koa'
import { controlled as expressControlled } from '../../../adapters/express/index.ts'
import { controlled as koaControlled } from '../../../adapters/koa/index.ts'
import { postgresGateway } from '../../../adapters/pg/index.ts'
import { type SshHost, sshGateway } from '../../../adapters/ssh/index.ts'
import { sshKeys } from '../../../lib/identity/ssh-keys.ts'
import { maskControl } from '../../support/guard.ts'
import { flood } from './flood.ts'
import { benchGuard } from './guard.ts'
import { relay } from './relay.ts'

export interface Asked {
  readonly door: 'express' | 'koa' | 'ssh' | 'postgres'
  /** `guarded`: controls, none of which matches what is asked for. `masked`: one masks it. */
  readonly way: 'bare' | 'guarded' | 'masked'
  /** For the ledger. */
  readonly directory: string
  readonly ssh?: { readonly host: SshHost; readonly hostKey: string; readonly keys: string }
  readonly postgres?: { readonly upstream: string }
}

/** About a kilobyte, as a record of a customer is. */
const customer = {
  ...{ id: 1, name: 'Customer 0001', ssn: '123-45-0001', email: 'c1@customer.example' },
  orders: Array.from({ length: 12 }, (_, i) => ({ id: i, note: 'an order of some goods', total: 100 + i })),
}

const asked = JSON.parse(process.argv[2]!) as Asked

/** A command of SSH may reach anything of its target: every mask there applies to it. */
const gate = () =>
  benchGuard(asked.directory, [
    ...(asked.door === 'ssh' ? [] : [{ ...maskControl, covers: { resource: 'crm/elsewhere/**' } }]),
    ...(asked.way === 'masked' ? [{ ...maskControl, id: 'CF-02', covers: { resource: 'crm/customers/**' } }] : []),
  ])

// biome-ignore format: a table
const doors: Readonly<Record<Asked['door'], () => Promise<number>>> = {
  express: async () => {
    const app = express()
    if (asked.way !== 'bare') app.use(expressControlled(await gate()))
    app.get('/customers/1', (_, response) => void response.json(customer))
    app.get('/flood', (_, response) => void Readable.from(flood(), { objectMode: false }).pipe(response))
    return listening(app.listen(0, '127.0.0.1'))
  },
  koa: async () => {
    const app = new Koa()
    if (asked.way !== 'bare') app.use(koaControlled(await gate()))
    app.use(context => {
      context.body = context.path === '/flood' ? Readable.from(flood(), { objectMode: false }) : customer
    })
    return listening(app.listen(0, '127.0.0.1'))
  },
  ssh: async () => {
    const { host, hostKey, keys } = asked.ssh!
    if (asked.way === 'bare') return relay(host, hostKey)
    const gateway = await sshGateway({
      ...{ gate: await gate(), target: 'crm', hosts: { web1: host }, hostKeys: [hostKey], keys: sshKeys({ file: keys }) },
    })
    return (await gateway.listen(0, '127.0.0.1')).port
  },
  postgres: async () => {
    const gateway = await postgresGateway({ gate: await gate(), target: 'crm', upstream: asked.postgres!.upstream })
    return (await gateway.listen(0, '127.0.0.1')).port
  },
}

async function listening(server: import('node:http').Server): Promise<number> {
  await new Promise(resolve => server.once('listening', resolve))
  return (server.address() as AddressInfo).port
}

let peak = 0
setInterval(() => {
  peak = Math.max(peak, process.memoryUsage.rss())
}, 20).unref()
process.on('message', message => {
  if (message !== 'usage') return
  const { user, system } = process.cpuUsage()
  process.send!({ peak: Math.max(peak, process.memoryUsage.rss()), cpu: user + system })
  peak = 0
})
process.on('disconnect', () => process.exit())
process.send!({ port: await doors[asked.door]() })
