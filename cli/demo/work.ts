/** The six acts: an agent's work on a real database and web service, through the controls, into the ledger, out as evidence. */
import { join } from 'node:path'
import type { Client, DatabaseError } from 'pg'
import { type BundleResult, verifyBundle, verifyLedger } from '../../evidence/index.ts'
import { parseControls } from '../../lib/config/controls.ts'
import { isOurs } from '../../lib/errors.ts'
import { bundleOf } from '../evidence.ts'
import { type Company, people } from './company.ts'
import { logins } from './crm.ts'
import { DemoFailure, type Narrator } from './narrator.ts'

export interface Tokens {
  readonly agent: string
  readonly requester: string
  readonly owner: string
  readonly dba: string
}

export async function logIn({ provider }: Company): Promise<Tokens> {
  const requester = await provider.login(people.requester)
  const [owner, dba, agent] = await Promise.all([
    provider.login(people.owner),
    provider.login(people.dba),
    // RFC 8693: the agent gets a token of its own, on the requester's behalf.
    provider.exchange(requester, 'crm-assistant'),
  ])
  return { agent, requester, owner, dba }
}

/** An ordinary PostgreSQL client: all that is special is where it connects, and that the token is the password. */
export async function connect({ gatewayPort }: Company, token: string): Promise<Client> {
  const { default: pg } = await import('pg')
  const client = new pg.Client({
    host: '127.0.0.1',
    port: gatewayPort,
    user: 'agent',
    password: token,
    database: 'crm',
  })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

export async function reads(company: Company, tokens: Tokens, tell: Narrator): Promise<void> {
  tell.act('1  An agent reads customers, by SQL and by HTTP')
  const client = await connect(company, tokens.agent)
  const { rows } = await client.query('select id, name, email, ssn as number from customers order by id')
  for (const row of rows) tell.line(JSON.stringify(row))
  tell.claim(
    rows.length === 2 && !/900-\d\d/.test(JSON.stringify(rows)),
    'masked by the column they come from, alias or not',
  )
  await client.end()
  const headers = { authorization: `Bearer ${tokens.agent}` }
  const answer = await fetch(`${company.serviceUrl}/customers/1`, { headers })
  const text = await answer.text()
  tell.line(text)
  tell.claim(answer.status === 200 && !/900-\d\d/.test(text), 'the web service answers masked too')
  const stranger = await fetch(`${company.serviceUrl}/customers/1`)
  tell.claim(stranger.status === 401, 'without a token: 401, and an entry in the ledger')
}

const raise = "update customers set tier = 'gold' where id = 1"

export async function needsGrant(company: Company, tokens: Tokens, tell: Narrator): Promise<void> {
  tell.act('2  It updates without a grant')
  const client = await connect(company, tokens.agent)
  const refused = await refusal(client.query(raise))
  tell.line(`${refused.code}: ${refused.message}`)
  tell.claim(
    refused.code === '42501' && refused.message.includes('counterfoil request'),
    'refused, and told what to ask for',
  )
  await client.end()
}

/** @returns the agent's client, whose session has used the grant, and the grant's id */
export async function getsGrant(
  company: Company,
  tokens: Tokens,
  tell: Narrator,
): Promise<{ client: Client; grant: string }> {
  tell.act('3  The grant is asked for, and approved by another person')
  const request = { resource: 'crm/public.customers', actions: ['update'], seconds: 900, reason: 'ticket 4711' }
  const { id } = await company.desk(tokens.agent).post('/v1/grants', request)
  const grant = String(id)
  tell.line(`asked for ${grant}`)
  for (const [who, token] of [
    ['the agent itself', tokens.agent],
    [`${people.requester}, for whom it acts,`, tokens.requester],
    [`${people.owner}, accountable for it,`, tokens.owner],
  ] as const) {
    const why = await company
      .desk(token)
      .post(`/v1/items/${grant}/approve`)
      .then(() => undefined)
      .catch((error: unknown) => (isOurs(error) ? error.message : undefined))
    tell.claim(why !== undefined, `${who} cannot approve: ${why}`)
  }
  await company.desk(tokens.dba).post(`/v1/items/${grant}/approve`)
  tell.claim(true, `${people.dba} can`)
  const client = await connect(company, tokens.agent)
  const { rowCount } = await client.query(raise)
  tell.claim(rowCount === 1, 'the update runs')
  return { client, grant }
}

export async function dropsOnce(company: Company, tokens: Tokens, tell: Narrator): Promise<void> {
  tell.act('4  A table is dropped: held, approved, run once')
  const client = await connect(company, tokens.agent)
  const approved = new Promise<string>((resolve, reject) => {
    client.on('notice', notice => {
      const id = /\ba-[0-9a-z]+/.exec(notice.message ?? '')?.[0]
      if (id === undefined) return
      tell.line(`NOTICE: ${notice.message}`)
      company
        .desk(tokens.dba)
        .post(`/v1/items/${id}/approve`)
        .then(() => resolve(id), reject)
    })
  })
  const [, id] = await Promise.all([client.query('drop table legacy_import'), approved])
  tell.claim(true, `${people.dba} approved ${id} for exactly this statement: it ran`)
  client.removeAllListeners('notice')
  const again = await refusal(client.query('drop table legacy_import'))
  tell.claim(/approve/.test(again.message), `the same again: ${again.message}`)
  await client.end()
}

export async function losesGrant(
  company: Company,
  tokens: Tokens,
  tell: Narrator,
  client: Client,
  grant: string,
): Promise<void> {
  tell.act('5  The grant is revoked in mid-session')
  const closed = new Promise<number>(resolve => client.once('end', () => resolve(performance.now())))
  await client.query('select 1')
  const revoked = performance.now()
  await company.desk(tokens.dba).post(`/v1/items/${grant}/revoke`, { reason: 'done' })
  const latency = (await closed) - revoked
  tell.claim(latency < 1000, `its socket closed ${latency.toFixed(0)} ms later, and the ledger says why`)
}

export interface Evidence {
  readonly bundle: BundleResult
  readonly pin: string
}

export async function sealed(company: Company, csvlog: string, tell: Narrator): Promise<Evidence> {
  tell.act('6  Sealed, verified, bundled')
  const pin = join(company.folder, 'pin')
  const trust = { directory: company.config.ledger.directory, fingerprint: company.fingerprint }
  const verification = await verifyLedger({ ...trust, pin, first: true })
  tell.claim(
    verification.verdict === 'OK',
    `verified against ${company.fingerprint}: ${verification.size} entries, pin kept`,
  )

  const day = 86_400_000
  // The day on which it began, should midnight have passed meanwhile.
  const today = Math.floor((Date.now() - 600_000) / day) * day
  const bundle = await bundleOf(company.config, {
    out: join(company.folder, 'bundle'),
    pin,
    from: new Date(today).toISOString(),
    to: new Date(today + 2 * day).toISOString(),
    organisation: 'CRM demo',
    demo: true,
    recordings: true,
    imports: [
      {
        name: 'crm-csvlog',
        text: csvlog,
        target: 'crm',
        user: logins.gateway,
        explained: [
          { user: 'postgres', why: 'the demo sets up its schema' },
          { user: logins.service, why: 'the web service, guarded at its own door' },
        ],
      },
    ],
  })
  for (const control of new Set(bundle.results.map(result => result.control))) {
    const own = bundle.results.filter(result => result.control === control)
    tell.line(control)
    for (const { test, word, population, exceptions } of own)
      tell.line(`  ${test.padEnd(20)} ${word.padEnd(20)} ${exceptions} of ${population}`)
  }
  const kinds = new Set(bundle.results.map(result => result.test)).size
  tell.claim(
    kinds >= 10 && bundle.results.every(({ word, population }) => word === 'no-exceptions-noted' && population > 0),
    `${kinds} tests of controls, ${bundle.results.length} results: each over a population that is not empty, with no exception`,
  )
  const whole = await verifyBundle({ ...trust, directory: bundle.directory, pin, readControls: parseControls })
  tell.claim(
    whole.verdict === 'OK',
    `bundled in ${bundle.count} files, each verified and derived again; stamped DEMO and PROVISIONAL`,
  )
  return { bundle, pin }
}

/** @returns the refusal. @throws DemoFailure where there was none */
async function refusal(query: Promise<unknown>): Promise<DatabaseError> {
  try {
    await query
  } catch (error) {
    return error as DatabaseError
  }
  throw new DemoFailure('a statement should have been refused, and ran')
}
