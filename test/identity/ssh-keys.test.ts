/** SSH public keys: a file in authorized_keys lines, read strictly; its expiries and removals count at once. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { isOurs } from '../../lib/errors.ts'
import { parseSshKeys, type SshKeyRecord } from '../../lib/identity/ssh-keyfile.ts'
import { sshKeys } from '../../lib/identity/ssh-keys.ts'
import { replaced } from '../support/replaced.ts'

const string = (bytes: Uint8Array | string) => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, Buffer.from(bytes)])
}
const wire = (...fields: (Uint8Array | string)[]) => Buffer.concat(fields.map(string))
const field = (of: string | undefined) => Buffer.from(of!, 'base64url')

function ed25519(): Buffer {
  const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  return wire('ssh-ed25519', field(x))
}
function rsa(modulusLength: number): Buffer {
  const { e, n } = generateKeyPairSync('rsa', { modulusLength }).publicKey.export({ format: 'jwk' })
  return wire('ssh-rsa', field(e), Buffer.concat([Buffer.from([0]), field(n)]))
}
function ecdsa(): Buffer {
  const { x, y } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })
  return wire('ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.from([4]), field(x), field(y)]))
}
const typeOf = (blob: Buffer) => blob.toString('utf8', 4, 4 + blob.readUInt32BE())
const line = (blob: Buffer, subject = 'dba@crm.example', options = '') =>
  `${options}${options === '' ? '' : ' '}${typeOf(blob)} ${blob.toString('base64')} ${subject}\n`

const parse = (text: string): readonly SshKeyRecord[] => parseSshKeys(text, 'ssh-keys')
const problemOf = (text: string): string => {
  try {
    parse(text)
  } catch (error) {
    if (isOurs(error) && error.code === 'ERR_OPTION_INVALID') return error.message
    throw error
  }
  return 'none'
}

const folders: string[] = []
afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true })
})
async function file(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'counterfoil-ssh-keys-'))
  folders.push(folder)
  const path = join(folder, 'ssh-keys')
  await writeFile(path, text)
  return path
}

describe('the file of SSH keys', () => {
  it('takes ed25519, ECDSA and RSA keys of 2048 bits, comments and empty lines', () => {
    const text = `# people\n\n${line(ed25519())}${line(ecdsa(), 'second@crm.example')}${line(rsa(2048), 'third@crm.example')}`
    expect(parse(text).map(({ subject, type }) => [subject, type])).toEqual([
      ['dba@crm.example', 'person'],
      ['second@crm.example', 'person'],
      ['third@crm.example', 'person'],
    ])
  })

  it('reads the options of an agent, a service, and an expiry', () => {
    const [agent, service] = parse(
      line(
        ed25519(),
        'agent:deployer',
        'owner="owner@crm.example",principal="dba@crm.example",expires="2030-01-31T12:00:00Z"',
      ) + line(ed25519(), 'backup', 'service'),
    )
    expect(agent).toMatchObject({
      ...{ type: 'agent', owner: 'owner@crm.example', principal: 'dba@crm.example' },
      expires: Date.parse('2030-01-31T12:00:00Z'),
    })
    expect(service).toMatchObject({ type: 'service', subject: 'backup' })
  })

  const blob = ed25519()
  // biome-ignore format: a table
  it.each([
    ['an unknown option',             line(blob, 'dba@crm.example', 'no-pty'),                       /ssh-keys:1:1: unknown option "no-pty"/],
    ['an option twice',               line(blob, 'agent:a', 'owner="a@b.example",owner="c@b.example"'), /option "owner" stands here twice/],
    ['an option without a value',     line(blob, 'agent:a', 'owner'),                                /option "owner" needs a value/],
    ['a flag with a value',           line(blob, 'backup', 'service="yes"'),                         /option "service" takes no value/],
    ['an expiry that is no time',     line(blob, 'dba@crm.example', 'expires="20300131"'),           /not a time/],
    ['a day that there is not',       line(blob, 'dba@crm.example', 'expires="2030-02-31T12:00:00Z"'), /not a time/],
    ['no subject',                    `ssh-ed25519 ${blob.toString('base64')}\n`,                    /whose key this is/],
    ['two words as a subject',        line(blob, 'dba at crm'),                                      /whose key this is/],
    ['a shouted address',             line(blob, 'DBA@crm.example'),                                 /not a name that policy can use/],
    ['an agent without an owner',     line(blob, 'agent:deployer'),                                  /an agent needs owner=/],
    ["a person's owner",              line(blob, 'dba@crm.example', 'owner="o@crm.example"'),        /only an agent has/],
    ['an agent as an owner',          line(blob, 'agent:a', 'owner="agent:b"'),                      /a person/],
    ['an agent that is a service',    line(blob, 'agent:a', 'service,owner="o@crm.example"'),        /an agent is no service/],
    ['another type than the key has', line(blob).replace('ssh-ed25519', 'ssh-rsa'),                  /not a public key of this type/],
    ['a short RSA key',               line(rsa(1024)),                                               /2048 bits at least/],
    ['a type not supported',          line(wire('ssh-dss', 'x')),                                    /not supported/],
    ['bytes behind the key',          line(Buffer.concat([blob, Buffer.from([0])])),                 /not a public key of this type/],
    ['base64 that is none',           'ssh-ed25519 !!!! dba@crm.example\n',                          /not a public key of this type/],
    ['the same key twice',            line(blob) + line(blob, 'second@crm.example'),                 /ssh-keys:2:1: the same key as in line 1/],
    ['a private key',                 '-----BEGIN OPENSSH PRIVATE KEY-----\n',                       /not supported|unknown option|malformed/],
  ])('refuses %s, and says where', (_, text, expected) => {
    expect(problemOf(text)).toMatch(expected)
  })

  it('names every problem at once, and quotes no key', () => {
    const text = line(blob, 'DBA@crm.example') + line(ed25519(), 'agent:a')
    const message = problemOf(text)
    expect(message.split('\n')).toHaveLength(2)
    expect(message).not.toContain(blob.toString('base64').slice(20, 40))
  })
})

describe('an SSH key', () => {
  const now = Date.parse('2026-06-01T12:00:00Z')
  const clock = { now: () => now }

  it('identifies whom it is registered for, and is named by its fingerprint', async () => {
    const blob = ed25519()
    const keys = sshKeys({ file: await file(line(blob)), clock })
    expect(await keys.identify(blob)).toMatchObject({
      ...{ id: 'dba@crm.example', type: 'person', issuer: 'local', method: 'ssh-key' },
      credential: expect.stringMatching(/^SHA256:[A-Za-z0-9+/]{43}$/),
    })
  })

  it('that nobody registered identifies nobody', async () => {
    const keys = sshKeys({ file: await file(line(ed25519())), clock })
    await expect(keys.identify(ed25519())).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })

  it('that has expired identifies nobody', async () => {
    const blob = ed25519()
    const keys = sshKeys({ file: await file(line(blob, 'dba@crm.example', 'expires="2026-06-01T12:00:00Z"')), clock })
    await expect(keys.identify(blob)).rejects.toMatchObject({ code: 'ERR_UNIDENTIFIED', message: /expired/ })
  })

  it('identifies nobody where the file cannot be read, or is malformed', async () => {
    const blob = ed25519()
    const path = await file(line(blob))
    const keys = sshKeys({ file: path, clock })
    await keys.identify(blob)
    await writeFile(path, `${line(blob)}nonsense\n`)
    await expect(keys.identify(blob)).rejects.toMatchObject({ code: 'ERR_IDENTITY_UNAVAILABLE' })
    await rm(path)
    await expect(keys.identify(blob)).rejects.toMatchObject({ code: 'ERR_IDENTITY_UNAVAILABLE' })
  })

  it.each([
    ['taken out of the file', () => line(ed25519())],
    ["made another one's", (blob: Buffer) => line(blob, 'second@crm.example')],
  ])('that is %s ends what it opened', async (_, after) => {
    const blob = ed25519()
    const path = await file(line(blob))
    const { withdrawn } = await sshKeys({ file: path, clock }).identify(blob)
    const cut = new Promise<{ code: string }>(resolve => void withdrawn!(resolve))
    await replaced(path, after(blob))
    expect(await cut).toMatchObject({ code: 'ERR_UNIDENTIFIED' })
  })
})
