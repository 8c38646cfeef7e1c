/** What the demo sets up: a PostgreSQL with a CRM, an identity provider, the gateway, and a web service, all on loopback. */
import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { type AdminClient, adminClient } from '../../adapters/admin/client.ts'
import { controlled } from '../../adapters/express/index.ts'
import { type Config, loadConfig } from '../../lib/config/config.ts'
import { diagnostics } from '../../lib/diagnostics.ts'
import { Misuse } from '../../lib/errors.ts'
import { nameAndLedger, writeKeys } from '../initialise.ts'
import { type Running, start } from '../start.ts'
import { customerRoutes, logins, schema } from './crm.ts'
import { type RunningIdentityProvider, startIdentityProvider } from './identity-provider.ts'
import { type RunningPostgres, startPostgres } from './postgres.ts'

// People are named by what they do here.
export const people = {
  requester: 'requester@crm.example',
  owner: 'owner@crm.example',
  dba: 'dba@crm.example',
} as const
export const assistant = 'agent:crm-assistant'

export interface Company {
  readonly folder: string
  readonly config: Config
  readonly fingerprint: string
  readonly certificateFile: string
  readonly postgres: RunningPostgres
  readonly provider: RunningIdentityProvider
  readonly running: Running
  readonly gatewayPort: number
  readonly serviceUrl: string
  /** Password of every database login. */
  readonly password: string
  /** The desk, as somebody. */
  desk(token: string): AdminClient
  stopServing(): Promise<void>
  stop(): Promise<void>
}

/** @throws Misuse ERR_OPTION_INVALID where the folder holds something that is no demo's; ERR_PACKAGE_MISSING */
export async function openCompany(folder: string): Promise<Company> {
  await requireFree(folder)
  const undo: (() => Promise<unknown>)[] = []
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step()
  }
  try {
    const { fingerprint } = await writeKeys(folder, 'crm-demo')
    const password = randomBytes(18).toString('base64url')
    const postgres = await startPostgres()
    undo.push(() => postgres.stop())
    await populate(postgres, password)
    const provider = await startIdentityProvider({ people: Object.values(people), agents: ['crm-assistant'] })
    undo.push(() => provider.close())
    await writeFiles(folder, { issuer: provider.issuer, upstream: urlOf(postgres, logins.gateway, password) })

    const config = await loadConfig(join(folder, 'counterfoil.yaml'))
    const log = createWriteStream(join(folder, 'gateway.log'))
    const running = await start(config, diagnostics('info', log))
    undo.push(async () => {
      await running.close()
      await new Promise(resolve => log.end(resolve))
    })
    const service = await openService(running, postgres, password)
    undo.push(() => service.close())
    const stopServing = undo.splice(-2)
    let served = true
    const endServing = async () => {
      if (!served) return
      served = false
      for (const step of stopServing.reverse()) await step()
    }
    undo.push(endServing)
    const admin = `http://127.0.0.1:${running.admin!.port}`
    return {
      ...{ folder, config, fingerprint, postgres, provider, running, password, stop },
      certificateFile: join(folder, 'keys', 'ledger.pub.asc'),
      gatewayPort: running.listeners[0]!.port,
      serviceUrl: service.url,
      desk: token => adminClient(admin, token),
      stopServing: endServing,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Left in the folder, so that the next demo may take its place. */
const marker = '.counterfoil-demo'

async function requireFree(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const names = await readdir(folder)
  if (names.length > 0 && !names.includes(marker)) {
    throw new Misuse('ERR_OPTION_INVALID', `${folder} is not empty, and no earlier demo's: name another with --out`)
  }
  for (const name of names) await rm(join(folder, name), { recursive: true })
  await writeFile(join(folder, marker), '')
}

async function populate(postgres: RunningPostgres, password: string): Promise<void> {
  const { default: pg } = await import('pg')
  const setUp = async (url: string, sql: string) => {
    const client = new pg.Client(url)
    await client.connect()
    await client.query(sql)
    await client.end()
  }
  await setUp(postgres.url(), 'create database crm')
  await setUp(postgres.url('crm'), schema(password))
}

const urlOf = (postgres: RunningPostgres, login: string, password: string) =>
  `postgres://${login}:${password}@127.0.0.1:${postgres.port}/crm`

/** The web service: its own database login, and the guard in front of its routes. */
async function openService(running: Running, postgres: RunningPostgres, password: string) {
  const [{ default: express }, { default: pg }] = await Promise.all([import('express'), import('pg')])
  const pool: Pool = new pg.Pool({
    connectionString: urlOf(postgres, logins.service, password),
    application_name: logins.service,
  })
  // Its database may end before it does.
  pool.on('error', () => undefined)
  const app = express()
  app.use('/customers', controlled(running.guard, { target: 'api' }), customerRoutes(express.Router(), pool))
  const server = app.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      await pool.end()
    },
  }
}

async function writeFiles(folder: string, { issuer, upstream }: { issuer: string; upstream: string }): Promise<void> {
  const files: Record<string, string> = {
    'keys/upstream.url': `${upstream}\n`,
    'counterfoil.yaml': `${nameAndLedger('crm-demo')}identity:
  people: [{ oidc: "${issuer}", audience: counterfoil }]
  agents: ./agents.yaml
policy: { model: default, rules: ./policy.csv }
listen:
  - { name: crm, protocol: postgres, address: 127.0.0.1:0, upstream: file:./keys/upstream.url }
embedded: [api]
admin: { address: 127.0.0.1:0 }
controls: ./controls.yaml
`,
    'agents.yaml': `- id: ${assistant}
  recognise: { issuer: "${issuer}", claim: client_id, value: crm-assistant }
  owner: ${people.owner}
  model: demo-model-1
  purpose: keeps customer records in order
`,
    // Whoever may not approve is stopped by separation of duties, not by a missing right: all three hold the role.
    'policy.csv': `p, role:support, crm/public.**, *, allow
p, role:support, crm/session, session, allow
p, role:support, crm/unknown.**, drop, allow
p, role:support, api/customers/**, get, allow
p, role:dba, crm/**, approve, allow
p, role:dba, crm/**, revoke, allow
g, ${assistant}, role:support
g, ${people.requester}, role:support
g, ${people.requester}, role:dba
g, ${people.owner}, role:dba
g, ${people.dba}, role:dba
`,
    'controls.yaml': `- id: AC-03
  title: Changes to the CRM need a live grant
  owner: platform-security
  criteria: [CC6.1, CC6.3]
  covers: { resource: crm/public.**, action: [insert, update, delete] }
  require: { grant: { longest: 30m, reason: required } }
- id: AC-07
  title: Destructive operations need another person first
  owner: platform-security
  criteria: [CC6.1, CC8.1]
  covers: { resource: crm/**, risk: high }
  require: { approval: { people: 1, from: role:dba, within: 15m, wait: 2s } }
- id: LG-01
  title: What is asked of the CRM, and what it shows, is recorded without a gap
  owner: platform-security
  criteria: [CC7.2, CC2.1]
  covers: { resource: crm/public.** }
  record: { response: masked }
- id: CF-01
  title: Personal data is masked in SQL
  owner: platform-security
  criteria: [C1.1]
  covers: { resource: crm/public.customers }
  mask: { ssn: last4, email: redact }
- id: CF-02
  title: Personal data is masked in the web service
  owner: platform-security
  criteria: [C1.1]
  covers: { resource: api/customers/** }
  mask: { ssn: last4, email: redact }
`,
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { mode: 0o600 })
}
