/** An SSH listener: its own key, hosts.yaml, and the file of SSH keys, read strictly. */
import { describe, expect, it } from 'vitest'
import type { SshListener } from '../../lib/config/config.ts'
import { counterfoilYaml, load, problemsOf } from './support.ts'

const key = (bytes: string) =>
  Buffer.concat([Buffer.from('0000000b7373682d6564323535313900000020', 'hex'), Buffer.from(bytes.repeat(32))])
const publicKey = (bytes = 'a') => `ssh-ed25519 ${key(bytes).toString('base64')}`
const privateKey = '-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n'

const listener = `listen:
  - name: fleet
    protocol: ssh
    address: 0.0.0.0:2222
    hostKey: file:./keys/host
    upstream: ./hosts.yaml
`
const hosts = `web1:
  address: 10.0.0.5:22
  hostKey: ${publicKey()}
  logins: { deploy: file:./keys/deploy, root: { key: file:./keys/root, passphrase: env:SEAL_PASSPHRASE } }
  login: deploy
db1.internal:
  address: "[fd00::7]:2022"
  hostKey: [${publicKey('b')}, ${publicKey('c')} root@db1]
  logins: { postgres: file:./keys/deploy }
`
const withSsh = (part: Readonly<Record<string, string | undefined>> = {}, change = (text: string) => text) => ({
  'counterfoil.yaml': change(
    counterfoilYaml
      .replace(/listen:\n( .*\n)+/, listener)
      .replace('  keys: ./keys.json\n', '  keys: ./keys.json\n  sshKeys: ./ssh-keys\n'),
  ),
  'policy.csv': 'p, role:ops, fleet/**, *, allow\ng, dba@crm.example, role:ops\n',
  'controls.yaml': '- id: A\n  title: t\n  criteria: [CC6.1]\n  covers: { resource: fleet/** }\n',
  'hosts.yaml': hosts,
  'ssh-keys': `${publicKey('d')} dba@crm.example\n`,
  'keys/host': privateKey,
  'keys/deploy': privateKey,
  'keys/root': privateKey,
  ...part,
})

describe('an SSH listener', () => {
  it('cannot be under a pattern that its text would have to be there as a whole for', async () => {
    const text = `- id: A
  title: t
  criteria: [C1.1]
  covers: { resource: fleet/** }
  mask: { "*": detect }
  patterns: { badge: 'B-[0-9]{4}', desk: 'D [0-9]{4}' }
`
    expect(await problemsOf(withSsh({ 'controls.yaml': text }))).toEqual([
      'controls.yaml:6:42: this cannot be found in text that streams, as in fleet: it may match white space, or one of ? : < > ( ) [ ] , ; " & \\',
    ])
  })

  it('is read with its hosts, their pinned keys and their logins', async () => {
    const config = await load(withSsh())
    const [fleet] = config.listen as readonly SshListener[]
    expect(fleet).toMatchObject({
      ...{ name: 'fleet', protocol: 'ssh', host: '0.0.0.0', port: 2222 },
      hosts: {
        web1: { address: { host: '10.0.0.5', port: 22 }, hostKeys: [publicKey()], login: 'deploy' },
        'db1.internal': {
          address: { host: 'fd00::7', port: 2022 },
          hostKeys: [publicKey('b'), `${publicKey('c')} root@db1`],
        },
      },
    })
    expect(fleet!.hostKeys.map(of => of.reveal())).toEqual([privateKey.trimEnd()])
    expect(fleet!.hosts.web1!.logins.root!.passphrase!.reveal()).toBe('canary-passphrase')
    expect(config.identity.sshKeys).toMatch(/^\/.*\/ssh-keys$/)
    expect(JSON.stringify(config)).not.toContain('canary')
  })

  it('is left out for evidence, with everything behind it', async () => {
    const { listen } = await load(withSsh({ 'hosts.yaml': undefined, 'keys/host': undefined }), { evidence: true })
    expect(listen).toEqual([])
  })

  const inHosts = (from: string, to: string) => withSsh({ 'hosts.yaml': hosts.replace(from, to) })
  const inListener = (from: string, to: string) => withSsh({}, text => text.replace(from, to))
  // biome-ignore format: a table
  it.each([
    ['another protocol',             inListener('protocol: ssh', 'protocol: telnet'),       /^counterfoil.yaml:17:15: not supported by this version: postgres and ssh are$/],
    ['a slip',                       inListener('hostKey:', 'hostkey:'),                    /^counterfoil.yaml:19:5: unknown key "hostkey"; did you mean "hostKey"\?$/],
    ['tls, which it has no use for', inListener('    hostKey', '    tls: { key: file:k, cert: c }\n    hostKey'), /^counterfoil.yaml:19:5: unknown key "tls"/],
    ['no file of hosts',             withSsh({ 'hosts.yaml': undefined }),                  /^counterfoil.yaml:20:15: there is no such file/],
    ['no key of its own',            withSsh({ 'keys/host': undefined }),                   /^counterfoil.yaml:19:14: listen\[0\]\.hostKey: there is no such file: .*keys\/host;/],
    ['a public key for its own',     withSsh({ 'keys/host': publicKey() }),                 /^counterfoil.yaml:19:14: not a private key/],
    ['a variable that is no name',   inListener('upstream:', 'environment: ["A B"]\n    upstream:'), /^counterfoil.yaml:20:19: not a name of a variable/],
    ['a host that is no name',       inHosts('web1:', 'Web_1:'),                            /^hosts.yaml:1:\d+: .*not a host/],
    ['a host without a pinned key',  inHosts(`  hostKey: ${publicKey()}\n`, ''),            /^hosts.yaml:2:3: missing key "hostKey"$/],
    ['a pinned key that is none',    inHosts(publicKey(), 'ssh-ed25519 AAAA'),              /^hosts.yaml:3:12: not a public key of this type; write TYPE KEY/],
    ['a secret in clear',            inHosts('file:./keys/deploy, root', 'canary, root'),   /^hosts.yaml:4:21: /],
    ['a login that there is not',    inHosts('login: deploy', 'login: admin'),              /^hosts.yaml:5:10: this is none of the logins; known are deploy, root$/],
    ['a login by a public key',      withSsh({ 'keys/root': publicKey() }),                 /^hosts.yaml:4:54: not a private key/],
    ['an unknown key of a host',     inHosts('  login: deploy', '  logon: deploy'),         /^hosts.yaml:5:3: unknown key "logon"; did you mean "login"\?$/],
    ['a malformed file of SSH keys', withSsh({ 'ssh-keys': `${publicKey()} DBA@crm.example\n` }), /^ssh-keys:1:1: not a name that policy can use/],
  ])('is refused for %s', async (_, files, expected) => {
    const problems = await problemsOf(files)
    expect(problems).toEqual([expect.stringMatching(expected)])
    expect(problems.join()).not.toContain('canary')
  })
})
