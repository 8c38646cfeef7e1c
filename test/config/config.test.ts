/** counterfoil.yaml: what is valid is read whole; what is not is named with its place and what to do. */
import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { PostgresListener } from '../../lib/config/config.ts'
import { generateKey } from '../../lib/openpgp.ts'
import { casbinPolicy } from '../../lib/policy/policy.ts'
import { reader } from '../support/reader.ts'
import { agentsYaml, counterfoilYaml, edited, env, load, problemsOf } from './support.ts'
import { testCertificate, testKey } from './tls.ts'

describe('a valid configuration', () => {
  it('is read whole, with paths beside the file and secrets resolved', async () => {
    const config = await load()
    expect(config).toMatchObject({
      name: 'crm-gateway',
      ledger: { directory: expect.stringMatching(/^\/.*\/ledger$/), heartbeatMs: 30_000 },
      identity: {
        people: [{ issuer: 'https://id.example.com', audience: 'counterfoil' }],
        agents: [{ id: 'agent:crm-assistant', owner: 'owner@crm.example' }],
        keys: expect.stringMatching(/^\/.*\/keys\.json$/),
      },
      listen: [{ name: 'crm', protocol: 'postgres', host: '127.0.0.1', port: 6432 }],
      embedded: ['api'],
      admin: { host: '127.0.0.1', port: 9090 },
    })
    expect(config.ledger.noteKey.asymmetricKeyType).toBe('ed25519')
    const { sealKey, keyFiles } = config.ledger
    expect('passphrase' in sealKey && sealKey.passphrase?.reveal()).toBe('canary-passphrase')
    expect(keyFiles.seal).toMatch(/^\/.*\/keys\/seal\.asc$/)
    expect(Buffer.from(config.ledger.vaultKey.reveal(), 'base64url')).toHaveLength(32)
    expect((config.listen[0] as PostgresListener).upstream.reveal()).toBe(env.CRM_URL)
    expect(config.policy.controls.map(({ id }) => id)).toEqual(['AC-03', 'AC-07', 'CF-01', 'CF-02'])
  })

  it('gives a policy that can be put in force as it is', async () => {
    const policy = await casbinPolicy((await load()).policy)
    expect(policy.hasRole('dba@crm.example', 'role:dba')).toBe(true)
  })

  it('prints no secret, however it is printed', async () => {
    const config = await load()
    const printed = [
      JSON.stringify(config),
      inspect(config, { depth: 9, showHidden: true }),
      `${(config.listen[0] as PostgresListener).upstream}`,
    ].join('\n')
    expect(printed).toContain('[secret]')
    expect(printed).not.toContain('canary')
    expect(printed).not.toContain(config.ledger.vaultKey.reveal())
  })

  it('is read for evidence without the secrets of what is behind the listeners', async () => {
    const without = { ...env, CRM_URL: undefined }
    await expect(load({}, { env: without })).rejects.toMatchObject({ code: 'ERR_OPTION_INVALID' })
    expect((await load({}, { env: without, evidence: true })).listen).toEqual([])
  })

  it('may name to whom recordings are encrypted: certificates that can be encrypted to', async () => {
    const { certificate } = await reader()
    const files = (to: string) => edited('  heartbeat: 30s', `  heartbeat: 30s\n  recordings: { to: ${to} }`)
    const given = { 'one.asc': certificate, 'seal.asc': (await generateKey({ name: 'seal' })).certificate }
    expect((await load({ ...files('./one.asc'), ...given })).ledger.readers).toEqual([certificate])
    expect((await load({ ...files('[./one.asc]'), ...given })).ledger.readers).toEqual([certificate])
    // Who makes evidence records nothing.
    expect((await load({ ...files('./none.asc'), ...given }, { evidence: true })).ledger.readers).toBeUndefined()
    expect(await problemsOf({ ...files('[./one.asc, ./seal.asc, ./none.asc]'), ...given })).toEqual([
      expect.stringContaining('nothing can be encrypted to the OpenPGP certificate'),
      expect.stringContaining('there is no such file'),
    ])
  })

  it('may have several issuers, where each says whom it may name', async () => {
    const { identity } = await load(
      edited(
        "names: ['*@crm.example'] }]",
        `names: ['*@crm.example'] },
    { oidc: https://id.partner.example, audience: counterfoil, names: ['*@partner.example'] }]`,
      ),
    )
    expect(identity.people.map(({ names }) => names)).toEqual([['*@crm.example'], ['*@partner.example']])
  })

  it('may name a key to hash with, and then a control may hash', async () => {
    const files = {
      'counterfoil.yaml': `${counterfoilYaml}masking: { key: env:MASK_KEY }\n`,
      'controls.yaml':
        '- { id: A, title: t, criteria: [C1.1], covers: { resource: crm/public.customers }, mask: { ssn: hash } }\n',
    }
    const key = randomBytes(32).toString('base64url')
    const config = await load(files, { env: { ...env, MASK_KEY: key } })
    expect(config.masking?.key?.reveal()).toBe(key)
    expect(config.policy.controls[0]?.mask).toEqual({ ssn: 'hash' })
    expect(await problemsOf(files, { env: { ...env, MASK_KEY: 'canary-short' } })).toEqual([
      'counterfoil.yaml:22:17: not 32 bytes in base64url',
    ])
    // Whoever makes evidence needs no key.
    expect((await load(files, { env: { ...env, CRM_URL: undefined }, evidence: true })).masking).toEqual({})
  })

  it('may name a seal key without a passphrase', async () => {
    const config = await load(
      edited('{ key: file:./keys/seal.asc, passphrase: env:SEAL_PASSPHRASE }', 'file:./keys/seal.asc'),
    )
    expect('passphrase' in config.ledger.sealKey).toBe(false)
  })

  it('may name a seal key that gpg holds, its fingerprint with or without spaces', async () => {
    const spaced = 'ABCD 1234 '.repeat(5).trim()
    const config = await load(
      edited('{ key: file:./keys/seal.asc, passphrase: env:SEAL_PASSPHRASE }', `{ gpg: ${spaced}, home: ./gpg }`),
    )
    expect(config.ledger.sealKey).toEqual({
      gpg: { fingerprint: 'ABCD1234'.repeat(5), home: expect.stringMatching(/^\/.*\/gpg$/) },
    })
    expect(config.ledger.keyFiles).not.toHaveProperty('seal')
  })
})

describe('a configuration is refused', () => {
  // biome-ignore format: a table
  const table: [what: string, from: string, to: string, problem: string][] = [
    ['a slip in a key',                'listen:', 'lisen:',                            'counterfoil.yaml:14:1: unknown key "lisen"; did you mean "listen"?'],
    ['a slip in an inner key',         'heartbeat:', 'hartbeat:',                      'counterfoil.yaml:8:3: unknown key "hartbeat"; did you mean "heartbeat"?'],
    ['a slip in a list',               '    address: 127', '    adress: 127',          'counterfoil.yaml:17:5: unknown key "adress"; did you mean "address"?'],
    ['a slip within a seal key',       'passphrase:', 'pasphrase:',                    'counterfoil.yaml:6:40: unknown key "pasphrase"; did you mean "passphrase"?'],
    ['what comes in a later version',  'heartbeat: 30s', 'anchors: []',                'counterfoil.yaml:8:3: unknown key "anchors"; not supported by this version'],
    ['a protocol of a later version',  'protocol: postgres', 'protocol: kubernetes',   'counterfoil.yaml:16:15: not supported by this version: postgres and ssh are'],
    ['a key that stands twice',        'embedded: [api]', 'embedded: [api]\nname: b',  'counterfoil.yaml:20:1: this key stands here twice'],
    ['a missing key',                  'name: crm-gateway\n', '',                      'counterfoil.yaml:1:1: missing key "name"'],
    ['a missing inner key',            '    upstream: env:CRM_URL\n', '',               'counterfoil.yaml:15:5: missing key "upstream"'],
    ['a number for text',              'crm-gateway', '7',                             'counterfoil.yaml:1:7: not a name: lower case letters, digits, . _ / and -, 63 at most'],
    ['a number for a path',            './ledger', '7',                                'counterfoil.yaml:3:14: expected text; in quotes this is text'],
    ['nothing for a path',             ' ./controls.yaml', '',                         'counterfoil.yaml:21:10: expected text; nothing stands here'],
    ['a text for true or false',       'heartbeat: 30s', 'shared: "true"',             'counterfoil.yaml:8:11: expected true or false'],
    ['what is of no kind that it may be', 'heartbeat: 30s', 'recordings: { to: 7 }',   'counterfoil.yaml:8:21: expected text; or expected a list'],
    ['a number for a seal key',        '{ key: file:./keys/seal.asc, passphrase: env:SEAL_PASSPHRASE }', '7', 'counterfoil.yaml:6:11: a secret is never written here: write env:NAME or file:PATH; or expected a map'],
    ['keys of two kinds of ledger',    'heartbeat: 30s', 'gateway: 5',                 'counterfoil.yaml:8:3: "gateway" does not go with the other keys here; leave it out, or them'],
    ['a text for a list',              '[api]', 'api',                                 'counterfoil.yaml:19:11: expected a list; a list of one is written [ONE]'],
    ['a list for a map',               '{ address: 127.0.0.1:9090 }', '[]',            'counterfoil.yaml:20:8: expected a map'],
    ['a literal secret',               'env:CRM_URL', 'canary-secret',                 'counterfoil.yaml:18:15: a secret is never written here: write env:NAME or file:PATH'],
    ['a variable that is not set',     'env:CRM_URL', 'env:MISSING',                   'counterfoil.yaml:18:15: listen[0].upstream: the environment variable MISSING is not set; set it before starting'],
    ['a variable named as a built-in', 'env:CRM_URL', 'env:constructor',               'counterfoil.yaml:18:15: listen[0].upstream: the environment variable constructor is not set; set it before starting'],
    ['a secret whose file is missing', 'note.key', 'none.key',                         'counterfoil.yaml:5:11: ledger.keys.note: there is no such file: ./keys/none.key; paths are relative to counterfoil.yaml; those of a new ledger `counterfoil init` makes, and those of one that there is come from a copy'],
    ['a secret whose file is a folder', 'file:./keys/note.key', 'file:./keys',         'counterfoil.yaml:5:11: ledger.keys.note: the file of this secret cannot be read (EISDIR): ./keys; paths are relative to counterfoil.yaml; those of a new ledger `counterfoil init` makes, and those of one that there is come from a copy'],
    ['another key for the note key',   'file:./keys/note.key', 'file:./keys/seal.asc', 'counterfoil.yaml:5:11: not an Ed25519 private key in PEM'],
    ['another key for the seal key',   'file:./keys/seal.asc', 'file:./keys/note.key', 'counterfoil.yaml:6:18: not an armored OpenPGP private key'],
    ['another key for the vault key',  'file:./keys/vault.key', 'env:SEAL_PASSPHRASE', 'counterfoil.yaml:7:12: not 32 bytes in base64url'],
    ['an upstream that is no URL',     'env:CRM_URL', 'env:SEAL_PASSPHRASE',           'counterfoil.yaml:18:15: not a connection URL: postgres://USER@HOST:PORT/DATABASE'],
    ['a duration that is a number',    '30s', '30',                                    'counterfoil.yaml:8:14: not a duration: a whole number and one unit, as 30s, 15m, 8h, 30d'],
    ['a duration without a unit',      '30s', '"30"',                                  'counterfoil.yaml:8:14: not a duration: a whole number and one unit, as 30s, 15m, 8h, 30d'],
    ['an address without a port',      '127.0.0.1:6432', 'localhost',                  'counterfoil.yaml:17:14: not an address: write HOST:PORT'],
    ['a port that is none',            '127.0.0.1:6432', '127.0.0.1:65536',            'counterfoil.yaml:17:14: there is no such port'],
    ['a public address without tls',   '127.0.0.1:6432', '0.0.0.0:6432',               'counterfoil.yaml:17:14: beyond loopback, tls is required; add tls: { key, cert }'],
    ['a public admin without tls',     '127.0.0.1:9090', '"[::]:9090"',                  'counterfoil.yaml:20:19: beyond loopback, tls is required; add tls: { key, cert }'],
    ['a plain http issuer',            'https://id', 'http://id',                      'counterfoil.yaml:10:20: not an issuer: an https URL, or http on loopback'],
    ['an issuer that could name anybody', ", names: ['*@crm.example']", '', `counterfoil.yaml:10:12: beside other issuers or local keys, this one could name their people; say whom it may name: names: ['*@crm.example']`],
    ['a pattern of names with a star within', '*@crm.example', 'd*@crm.example', 'counterfoil.yaml:10:75: not a name: write dba@crm.example, or *@crm.example for all that end so'],
    ['a name that is taken',           '[api]', '[crm]',                               'counterfoil.yaml:19:12: this name is taken already'],
    ['a name with a border in it',     'name: crm\n', 'name: crm.main\n',              'counterfoil.yaml:15:11: not a name: lower case letters, digits and -, a letter first, 32 at most'],
    ['a rules file that is missing',   './policy.csv', './rules.csv',                  'counterfoil.yaml:13:34: there is no such file: ./rules.csv; paths are relative to this file'],
    ['a controls file that is missing', './controls.yaml', './promises.yaml',          'counterfoil.yaml:21:11: there is no such file: ./promises.yaml; paths are relative to this file'],
    ['an alias',                       '[api]', '&a [api]',                            'counterfoil.yaml:19:14: an anchor; write the value out where it is used'],
    ['a tag',                          '[api]', '!!seq [api]',                         'counterfoil.yaml:19:17: a tag; leave it out'],
    ['a word that was once a boolean', 'crm-gateway', 'no',                            'counterfoil.yaml:1:7: a YAML 1.1 reader would take this for true or false; put it in quotes'],
    ['the key on',                     'embedded:', 'on: x\nembedded:',                'counterfoil.yaml:19:1: a YAML 1.1 reader would take this for true or false; put it in quotes'],
    ['an octal number',                'crm-gateway', '0755',                          'counterfoil.yaml:1:7: a YAML 1.1 reader would take this for an octal number; put it in quotes'],
    ['a second document',              'controls:', '---\ncontrols:',                  'counterfoil.yaml:21:1: a second document: one file holds one'],
    ['an unclosed bracket',            '[api]', '[api',                                'counterfoil.yaml:20:1: '],
  ]

  it.each(table)('for %s', async (_, from, to, problem) => {
    const lines = await problemsOf(edited(from, to))
    expect(lines[0]?.slice(0, problem.endsWith(' ') ? problem.length : undefined)).toBe(problem)
    expect(lines.join('\n')).not.toContain('canary')
  })

  it('for a file that is missing', async () => {
    expect(await problemsOf({ 'counterfoil.yaml': undefined })).toEqual([
      'counterfoil.yaml:1:1: there is no such file; `counterfoil init` writes one',
    ])
  })

  it.each([
    ['nothing', ''],
    ['a text', 'hello'],
    ['a list', '[]'],
    ['no YAML at all', '\u0000\u0001{'],
    [
      'a bomb of aliases',
      `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i ? `b${i - 1}` : 'a'}, *${i ? `b${i - 1}` : 'a'}]`).join('\n')}`,
    ],
    ['nesting without end', '['.repeat(200_000)],
    ['over a mebibyte', `name: ${'x'.repeat(1024 * 1024)}`],
  ])('for %s', async (_, text) => {
    const lines = await problemsOf({ 'counterfoil.yaml': text })
    expect(lines.length).toBeGreaterThan(0)
    expect(lines[0]).toMatch(/^counterfoil\.yaml:\d+:\d+: ./)
  })

  it('for all that is wrong in all of its files, at once', async () => {
    const lines = await problemsOf({
      'counterfoil.yaml': counterfoilYaml.replace('env:CRM_URL', 'env:MISSING').replace('9090', '99999'),
      'policy.csv': 'p, role:a, cmr/**, select, allow\nx',
      'controls.yaml': '- id: A\n  title: t\n  criteria: [CC6.9]\n  covers: { resource: crm/** }\n',
      'agents.yaml': agentsYaml.replace('azp', 'email'),
    })
    expect(lines.map(line => line.split(': ')[0])).toEqual([
      'counterfoil.yaml:18:15',
      'counterfoil.yaml:20:19',
      'policy.csv:1:12',
      'policy.csv:2:1',
      'controls.yaml:3:14',
      'agents.yaml:2:55',
    ])
  })

  it('where nobody could log in, or nothing is guarded', async () => {
    expect(
      await problemsOf({ 'counterfoil.yaml': counterfoilYaml.replace(/ {2}people.*\n.*\n.*\n/, '  people: []\n') }),
    ).toEqual(
      ['counterfoil.yaml:9:1: nobody could log in; add people (oidc) or keys'].map(line => line.replace('9:1', '10:3')),
    )
    const none = counterfoilYaml.replace(/listen:[\s\S]*embedded: \[api\]\n/, '')
    expect((await problemsOf({ 'counterfoil.yaml': none }))[0]).toMatch(/nothing is guarded; add a listener/)
  })
})

describe('tls', () => {
  const listener = (tls: string) => ({
    ...edited('127.0.0.1:6432', `0.0.0.0:6432\n    tls: ${tls}`),
    ...{ 'tls.key': testKey, 'tls.crt': testCertificate },
  })

  it('lets a listener face the world', async () => {
    const { listen } = await load(listener('{ key: file:tls.key, cert: tls.crt }'))
    expect(listen[0]).toMatchObject({ host: '0.0.0.0', tls: { cert: testCertificate.trim() } })
    expect((listen[0] as PostgresListener).tls?.key.reveal()).toBe(testKey.trim())
  })

  it('is refused where key and certificate do not belong together, or are missing', async () => {
    expect(await problemsOf(listener('{ key: file:keys/note.key, cert: tls.crt }'))).toEqual([
      'counterfoil.yaml:18:10: not a private key and its certificate, both in PEM',
    ])
    expect((await problemsOf(listener('{ key: file:tls.key, cert: none.crt }')))[0]).toMatch(
      /^counterfoil.yaml:18:37: listen\[0\]\.tls\.cert: there is no such file: none\.crt;/,
    )
  })
})

describe('agents', () => {
  // biome-ignore format: a table
  const table: [string, string, string, string][] = [
    ['an id of another kind',             'id: agent:crm-assistant', 'id: crm-assistant', 'agents.yaml:1:7: not an id: write agent:NAME, in lower case'],
    ['an issuer that nobody logs in by',  'https://id', 'https://other',                  'agents.yaml:2:24: this agent can never be recognised; name an issuer of identity.people'],
    ['an owner that is an agent',         'owner@crm.example', 'agent:other',             'agents.yaml:3:10: not a person as policy names them; as owner@crm.example, in lower case'],
    ['an owner in capitals',              'owner@crm', 'OWNER@crm',                       'agents.yaml:3:10: not a person as policy names them; as owner@crm.example, in lower case'],
    ['a missing owner',                   '  owner: owner@crm.example\n', '',             'agents.yaml:1:3: missing key "owner"'],
  ]
  it.each(table)('are refused for %s', async (_, from, to, problem) => {
    expect(await problemsOf({ 'agents.yaml': agentsYaml.replace(from, to) })).toEqual([problem])
  })

  it('are refused where two are recognised by the same', async () => {
    expect(
      await problemsOf({ 'agents.yaml': agentsYaml + agentsYaml.replace('agent:crm-assistant', 'agent:two') }),
    ).toEqual(['agents.yaml:7:14: another agent is recognised by the same'])
  })
})
