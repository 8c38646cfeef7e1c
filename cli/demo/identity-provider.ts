/**
 * An OpenID provider in process, for the demo and for tests: people log in without a browser, agents get tokens of their own, or
 * exchange a person's token for one to act on their behalf (RFC 8693). The provider is real; only these people are made up.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { withoutNotices } from './notices.ts'

export interface IdentityProviderOptions {
  /** Addresses of the people who can log in. */
  readonly people: readonly string[]
  /** Client ids of agents: `crm-assistant`. */
  readonly agents: readonly string[]
  readonly audience?: string
  /** How long tokens last. */
  readonly seconds?: number
}

export interface RunningIdentityProvider {
  readonly issuer: string
  /** @returns an access token of the person */
  login(person: string): Promise<string>
  /** @returns a token with which the agent acts for the person whose token it was given: `act` names the agent */
  exchange(token: string, agent: string): Promise<string>
  /** @returns a token of the agent alone */
  agentToken(agent: string): Promise<string>
  close(): Promise<void>
}

const loginGrant = 'urn:counterfoil:demo:login'
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const loginClient = 'crm-login'
const resource = 'urn:counterfoil:demo'

export async function startIdentityProvider(options: IdentityProviderOptions): Promise<RunningIdentityProvider> {
  const { people, agents, audience = 'counterfoil', seconds = 600 } = options
  let handle: Handler = (_, response) => void response.writeHead(503).end()
  const server = createServer((request, response) => handle(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  const secrets = new Map([loginClient, ...agents].map(id => [id, randomBytes(24).toString('base64url')]))
  const provider = await withoutNotices(() => createProvider(issuer, secrets, { audience, seconds }))
  const issued = new Map<string, string>()
  provider.registerGrantType(
    loginGrant,
    async ctx => {
      const person = people.find(known => known === ctx.oidc.params.username)
      if (person === undefined) return refuse(ctx)
      const token = await personalToken(provider, ctx, person, { audience, seconds })
      issued.set(token, person)
      ctx.body = { access_token: token, token_type: 'Bearer', expires_in: seconds }
    },
    ['username'],
  )
  provider.registerGrantType(
    exchangeGrant,
    async ctx => {
      // Only a token that this provider issued to a person, to a client that is an agent.
      const person = issued.get(String(ctx.oidc.params.subject_token))
      if (person === undefined || !agents.includes(ctx.oidc.client.clientId)) return refuse(ctx)
      const token = await personalToken(provider, ctx, person, { audience, seconds })
      ctx.body = { access_token: token, token_type: 'Bearer', expires_in: seconds, issued_token_type: accessTokenType }
    },
    ['subject_token', 'subject_token_type'],
  )
  handle = provider.callback()

  const ask = async (client: string, parameters: Record<string, string>): Promise<string> => {
    const response = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${client}:${secrets.get(client)}`).toString('base64')}` },
      body: new URLSearchParams(parameters),
    })
    const answer = (await response.json()) as { access_token?: string; error?: string }
    if (answer.access_token === undefined) throw new Error(`the identity provider refused: ${answer.error}`)
    return answer.access_token
  }
  return {
    issuer,
    login: person => ask(loginClient, { grant_type: loginGrant, username: person }),
    exchange: (token, agent) =>
      ask(agent, { grant_type: exchangeGrant, subject_token: token, subject_token_type: accessTokenType }),
    agentToken: agent => ask(agent, { grant_type: 'client_credentials', resource }),
    close: () => stop(server),
  }
}

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

function stop(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** The parts of oidc-provider that are used here: it ships no types. */
interface Provider {
  registerGrantType(name: string, handler: (ctx: Context) => Promise<void>, parameters: string[]): void
  callback(): Handler
  readonly AccessToken: new (parts: object) => { resourceServer: unknown; save(): Promise<string> }
  readonly ResourceServer: new (identifier: string, data: object) => unknown
}

interface Context {
  status: number
  body: unknown
  readonly oidc: { readonly params: Readonly<Record<string, unknown>>; readonly client: { readonly clientId: string } }
}

function refuse(ctx: Context): void {
  ctx.status = 400
  ctx.body = { error: 'invalid_grant' }
}

interface TokenOptions {
  readonly audience: string
  readonly seconds: number
}

const resourceServer = ({ audience, seconds }: TokenOptions) => ({
  ...{ audience, scope: '', accessTokenFormat: 'jwt', accessTokenTTL: seconds },
  jwt: { sign: { alg: 'ES256' } },
})

async function personalToken(provider: Provider, ctx: Context, person: string, options: TokenOptions): Promise<string> {
  const token = new provider.AccessToken({
    ...{ accountId: person, client: ctx.oidc.client, gty: 'demo', expiresIn: options.seconds },
  })
  token.resourceServer = new provider.ResourceServer(resource, resourceServer(options))
  return token.save()
}

async function createProvider(
  issuer: string,
  secrets: ReadonlyMap<string, string>,
  options: TokenOptions,
): Promise<Provider> {
  // Imported by a name that is not checked: there are no types for it.
  const name: string = 'oidc-provider'
  const { default: Provider } = (await import(name)) as {
    default: new (issuer: string, configuration: object) => Provider
  }
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return new Provider(issuer, {
    jwks: { keys: [{ ...key, use: 'sig', alg: 'ES256' }] },
    cookies: { keys: [randomBytes(24).toString('base64url')] },
    clients: [...secrets].map(([client_id, client_secret]) => ({
      ...{ client_id, client_secret, redirect_uris: [], response_types: [], id_token_signed_response_alg: 'ES256' },
      grant_types: client_id === loginClient ? [loginGrant] : ['client_credentials', exchangeGrant],
    })),
    ttl: { AccessToken: options.seconds, ClientCredentials: options.seconds },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: () => resourceServer(options) },
    },
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (ctx: Context, token: { readonly accountId?: string }) => ({
      ...(token.accountId === undefined ? {} : { email: token.accountId, email_verified: true, acr: 'demo' }),
      ...(ctx.oidc.params.grant_type === exchangeGrant ? { act: { sub: ctx.oidc.client.clientId } } : {}),
    }),
  })
}
