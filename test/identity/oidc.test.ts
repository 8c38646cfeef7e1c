/** Access tokens of a real provider, and forged, stale and misdirected ones: who is let in, and who is not. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningIdentityProvider, startIdentityProvider } from '../../cli/demo/identity-provider.ts'
import { identifier } from '../../lib/identity/identify.ts'
import { oidcProvider } from '../../lib/identity/oidc.ts'

const bearer = (secret: string) => ({ kind: 'bearer' as const, secret })
const agentOf = (issuer: string, claim: 'azp' | 'client_id' | 'sub' = 'client_id') => ({
  id: 'agent:crm-assistant',
  recognise: { issuer, claim, value: 'crm-assistant' },
  owner: 'owner@crm.example',
})

describe('tokens of a real provider', () => {
  let idp: RunningIdentityProvider
  beforeAll(async () => {
    idp = await startIdentityProvider({ people: ['requester@crm.example'], agents: ['crm-assistant', 'stranger'] })
  })
  afterAll(() => idp.close())
  const identify = (token: string, audience = 'counterfoil') =>
    identifier([oidcProvider({ issuer: idp.issuer, audience, agents: [agentOf(idp.issuer)] })])(bearer(token))

  it('identify a person', async () => {
    expect(await identify(await idp.login('requester@crm.example'))).toMatchObject({
      ...{ id: 'requester@crm.example', type: 'person', issuer: idp.issuer, method: 'oidc', strength: 'demo' },
      ...{ credential: expect.any(String), expires: expect.any(Number) },
    })
  })

  it('identify an agent that acts for itself', async () => {
    const subject = await identify(await idp.agentToken('crm-assistant'))
    expect(subject).toMatchObject({ id: 'agent:crm-assistant', type: 'agent', owner: 'owner@crm.example' })
    expect(subject.principal).toBeUndefined()
  })

  it('identify an agent that acts for a person', async () => {
    const token = await idp.exchange(await idp.login('requester@crm.example'), 'crm-assistant')
    expect(await identify(token)).toMatchObject({
      ...{ id: 'agent:crm-assistant', type: 'agent', owner: 'owner@crm.example', principal: 'requester@crm.example' },
    })
  })

  it('do not make a person of an agent that nobody registered', async () => {
    const token = await idp.exchange(await idp.login('requester@crm.example'), 'stranger')
    await expect(identify(token)).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })

  it('are refused where another audience is asked for', async () => {
    await expect(identify(await idp.login('requester@crm.example'), 'another')).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
    })
  })

  it('are not given to strangers, nor exchanged when made up', async () => {
    await expect(idp.login('stranger@crm.example')).rejects.toThrow(/invalid_grant/)
    await expect(idp.exchange('made-up', 'crm-assistant')).rejects.toThrow(/invalid_grant/)
  })
})

describe('a token', () => {
  const now = Date.parse('2026-02-01T12:00:00Z')
  const seconds = now / 1000
  let server: Server
  let issuer: string
  let keys: Awaited<ReturnType<typeof generateKeyPair>>
  let published: object
  let discovery: object | undefined
  beforeAll(async () => {
    keys = await generateKeyPair('ES256', { extractable: true })
    published = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'ES256' }] }
    server = createServer((request, response) => {
      const body = request.url === '/jwks' ? published : discovery
      response
        .writeHead(body === undefined ? 500 : 200, { 'content-type': 'application/json' })
        .end(JSON.stringify(body))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    discovery = { issuer, jwks_uri: `${issuer}/jwks` }
  })
  afterAll(() => void server.close())

  const claims = (): JWTPayload => ({
    ...{ iss: issuer, aud: 'counterfoil', sub: 'user-17', email: 'Requester@CRM.example', email_verified: true },
    ...{ exp: seconds + 60, iat: seconds, jti: 'token-1', client_id: 'crm-login' },
  })
  const sign = (
    changed: JWTPayload = {},
    header: object = {},
    key: typeof keys.privateKey | Uint8Array = keys.privateKey,
  ) =>
    new SignJWT({ ...claims(), ...changed })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'at+jwt', ...header })
      .sign(key)
  const identify = (
    token: string,
    parts: { subject?: string; names?: string[]; claim?: 'azp' | 'client_id' | 'sub' } = {},
  ) => {
    const { claim, ...options } = parts
    const provider = oidcProvider({
      issuer,
      audience: 'counterfoil',
      agents: [agentOf(issuer, claim)],
      clock: { now: () => now },
      ...options,
    })
    return identifier([provider], { now: () => now })(bearer(token))
  }

  it('names a person by a verified address, in lower case', async () => {
    expect(await identify(await sign())).toEqual({
      ...{
        id: 'requester@crm.example',
        type: 'person',
        issuer,
        method: 'oidc',
        credential: 'token-1',
        expires: now + 90_000,
      },
    })
  })

  it('names a person by its sub where no address is verified, unless that looks like one', async () => {
    expect((await identify(await sign({ email_verified: false }))).id).toBe('user-17')
    await expect(identify(await sign({ email_verified: false, sub: 'dba@crm.example' }))).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
    })
    await expect(identify(await sign({ email_verified: 'true', sub: 'dba@crm.example' }))).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
    })
  })

  it('names a person by the claim that is configured, and by no other', async () => {
    expect((await identify(await sign({ upn: 'DBA@crm.example' }), { subject: 'upn' })).id).toBe('dba@crm.example')
    await expect(identify(await sign(), { subject: 'upn' })).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
    await expect(identify(await sign({ email_verified: false }), { subject: 'email' })).rejects.toMatchObject({
      code: 'ERR_UNIDENTIFIED',
    })
  })

  it.each([
    ['*@crm.example', true],
    ['requester@crm.example', true],
    ['*', true],
    ['*@partner.example', false],
    ['requester@crm.example.evil', false],
    ['dba@crm.example', false],
  ])('names a person only whom its issuer may name: %s, %s', async (name, may) => {
    const asked = identify(await sign(), { names: [name] })
    if (may) expect(await asked).toMatchObject({ id: 'requester@crm.example' })
    else
      await expect(asked).rejects.toMatchObject({
        code: 'ERR_UNIDENTIFIED',
        message: expect.stringMatching(/may not name/),
      })
  })

  it('of an agent names the person behind it only where its issuer may', async () => {
    const asked = identify(await sign({ client_id: 'crm-assistant' }), { names: ['*@partner.example'] })
    await expect(asked).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })

  it('gives the strength that the provider vouches for', async () => {
    expect((await identify(await sign({ amr: ['pwd', 'mfa'] }))).strength).toBe('mfa+pwd')
    expect((await identify(await sign({ acr: 'phr', amr: ['pwd'] }))).strength).toBe('phr')
  })

  it("of an agent's client shows the person behind it", async () => {
    expect(await identify(await sign({ azp: 'crm-assistant' }), { claim: 'azp' })).toMatchObject({
      ...{ id: 'agent:crm-assistant', type: 'agent', owner: 'owner@crm.example', principal: 'requester@crm.example' },
    })
  })

  // biome-ignore format: a table
  const adverse: [string, () => Promise<string>][] = [
    ['expired, beyond the skew',          () => sign({ exp: seconds - 31 })],
    ['not valid yet, beyond the skew',    () => sign({ nbf: seconds + 31 })],
    ['without an end',                    () => sign({ exp: undefined as unknown as number })],
    ['without a subject',                 () => sign({ sub: undefined as unknown as string })],
    ['for another audience',              () => sign({ aud: 'another' })],
    ['for no audience',                   () => sign({ aud: undefined as unknown as string })],
    ['of an unknown key',                 async () => sign({}, { kid: 'two' }, (await generateKeyPair('ES256')).privateKey)],
    ['of another key under a known name', async () => sign({}, {}, (await generateKeyPair('ES256')).privateKey)],
    ['with alg none',                     async () => `${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claims())}.`],
    ['signed with the public key as a secret', async () => sign({}, { alg: 'HS256' }, new TextEncoder().encode(JSON.stringify(published)))],
    ['whose claims were changed',         async () => (await sign()).replace(/\.[^.]+\./, `.${encode({ ...claims(), email: 'dba@crm.example' })}.`)],
    ['whose signature was cut off',       async () => (await sign()).replace(/[^.]+$/, '')],
    ['of another kind',                   () => sign({}, { typ: 'logout+jwt' })],
    ['with an unknown critical header',   () => sign({}, { crit: ['x'], x: 1 }).catch(async () => `${encode({ alg: 'ES256', kid: 'one', crit: ['x'], x: 1 })}.${encode(claims())}.${(await sign()).split('.')[2]}`)],
    ['bound to a key',                    () => sign({ cnf: { jkt: 'x' } } as JWTPayload)],
    ['naming a person like a role',       () => sign({ email: 'role:dba' })],
    ['naming a person like an agent',     () => sign({ email: 'agent:crm-assistant' })],
    ['naming a person with a comma',      () => sign({ email: 'a@crm.example,role:dba' })],
    ['naming a person in another script', () => sign({ email: 'dbа@crm.example' })],
    ['whose actor is unknown',            () => sign({ act: { sub: 'stranger' } })],
    ['whose actor is malformed',          () => sign({ act: 'crm-assistant' })],
    ['that was passed on twice',          () => sign({ act: { sub: 'crm-assistant', act: { sub: 'other' } } })],
  ]
  it.each(adverse)('is refused %s, and not quoted', async (_, make) => {
    const token = await make()
    const error: unknown = await identify(token).then(
      subject => subject,
      (reason: unknown) => reason,
    )
    expect(error).toMatchObject({ name: 'Refusal', code: 'ERR_UNIDENTIFIED' })
    for (const part of token.split('.')) if (part !== '') expect((error as Error).message).not.toContain(part)
    expect((error as Error).message).not.toMatch(/example/)
  })

  it('is accepted within the skew', async () => {
    expect((await identify(await sign({ exp: seconds - 29, nbf: seconds + 29 }))).id).toBe('requester@crm.example')
  })

  it.each(['', 'a.b.c', 'x', 'é', '..', 'e30.e30.', 'x'.repeat(20_000)])('that is none is refused: %#', async text => {
    await expect(identify(text)).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })

  it('of another issuer is left to whoever knows that issuer', async () => {
    const provider = oidcProvider({ issuer, audience: 'counterfoil' })
    expect(await provider.identify(bearer(await sign({ iss: 'https://other.example' })))).toBeUndefined()
  })

  it("is the operator's fault where the issuer is down, describes another, or moves its keys to plain http elsewhere", async () => {
    const whole = discovery
    for (const broken of [
      undefined,
      { issuer: 'https://other.example', jwks_uri: `${issuer}/jwks` },
      { issuer, jwks_uri: 'http://127.0.0.1:1/jwks' },
      { issuer },
      null,
      [],
    ]) {
      discovery = broken as object
      await expect(identify(await sign())).rejects.toMatchObject({ name: 'Fault', code: 'ERR_IDENTITY_UNAVAILABLE' })
    }
    discovery = whole
  })

  it('is verified again by one provider once its issuer is back', async () => {
    const whole = discovery
    discovery = undefined
    const provider = oidcProvider({ issuer, audience: 'counterfoil', clock: { now: () => now } })
    const token = await sign()
    await expect(provider.identify(bearer(token))).rejects.toMatchObject({ code: 'ERR_IDENTITY_UNAVAILABLE' })
    discovery = whole
    expect((await provider.identify(bearer(token)))?.id).toBe('requester@crm.example')
  })
})

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
