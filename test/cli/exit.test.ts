/** The exit statuses of the command, and what it says of bad input: as a person or a script at a terminal has it. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { prove } from '../../cli/commands/prove.ts'
import { verify } from '../../cli/commands/verify.ts'
import { witness as witnessCommand } from '../../cli/commands/witness.ts'
import { exit, exitStatusOf } from '../../cli/exit.ts'
import { lockDirectory } from '../../lib/ledger/lock.ts'
import { install, shell } from '../support/samples.ts'

let where: string
const init = 'counterfoil init --people user@crm.example,approver@crm.example --upstream env:DATABASE_URL --dir crm'

beforeAll(async () => {
  where = mkdtempSync(join(tmpdir(), 'counterfoil-exit-'))
  install(where)
  expect((await shell(init, where)).status).toBe(exit.good)
  mkdirSync(join(where, 'empty'))
  mkdirSync(join(where, 'folder'))
  writeFileSync(join(where, 'folder/some.txt'), 'no ledger')
  const slip = 'name: crm\nlegder: {}\n'
  writeFileSync(join(where, 'slip.yaml'), slip)
})
afterAll(() => rmSync(where, { recursive: true, force: true }))

describe('init', () => {
  it('leaves a .gitignore as it is, and says what to add', async () => {
    mkdirSync(join(where, 'project'))
    writeFileSync(join(where, 'project/.gitignore'), 'node_modules/\n')
    const ran = await shell(init.replace('--dir crm', '--dir project'), where)
    expect(ran.status, ran.text).toBe(exit.good)
    expect(ran.text).toContain('add to your .gitignore: keys/ keys.json ledger/')
    expect(readFileSync(join(where, 'project/.gitignore'), 'utf8')).toBe('node_modules/\n')
  })
})

describe('the command', () => {
  const log = 'crm+1353c9e6+AZk/uUhPigydEKxraYLQmOlwdei023/aKgLb4QNT7JNt'
  const key = '0'.repeat(40)
  // biome-ignore format: a table
  const table: [what: string, line: string, status: number, says: RegExp][] = [
    ['a valid configuration',               'DATABASE_URL=postgres://127.0.0.1/crm counterfoil check --config crm/counterfoil.yaml', exit.good, /AC-07/],
    ['its version',                         'counterfoil --version',                                       exit.good,       /^\d+\.\d+\.\d+/],
    ['a slip in a configuration',           'counterfoil check --config slip.yaml',                        exit.usage,      /slip\.yaml:2:1: unknown key "legder"; did you mean "ledger"/],
    ['a secret that is not there',          'counterfoil check --config crm/counterfoil.yaml',             exit.usage,      /counterfoil\.yaml:\d+:\d+: listen\[0\]\.upstream: the environment variable DATABASE_URL is not set/],
    ['a configuration that is not there',   'counterfoil check --config none.yaml',                        exit.usage,      /none\.yaml:1:1: there is no such file/],
    ['a folder that is taken',              init,                                                          exit.usage,      /nothing is overwritten/],
    ['an unknown option',                   'counterfoil check --colour',                                  exit.usage,      /unknown option '--colour'/],
    ['an unknown command',                  'counterfoil chekc',                                           exit.usage,      /unknown command 'chekc'/],
    ['a ledger that is not there',          `counterfoil verify none --key ${key}`,                        exit.incomplete, /no such directory/],
    ['a folder that is no ledger',          `counterfoil verify folder --key ${key}`,                      exit.incomplete, /ledger/],
    ['a bundle that is not there',          `counterfoil verify-bundle none --key ${key}`,                 exit.incomplete, /no such directory[\s\S]*INCOMPLETE {2}no bundle$/m],
    ['an empty folder for a bundle',        `counterfoil verify-bundle empty --key ${key}`,                exit.incomplete, /is an empty folder[\s\S]*INCOMPLETE {2}no bundle$/m],
    ['a folder that is no bundle',          `counterfoil verify-bundle folder --key ${key}`,               exit.broken,     /manifest|bundle|SHA256SUMS/],
    ['a fingerprint that is none',          'counterfoil verify folder --key 12',                          exit.usage,      /fingerprint/],
    ['one person where two are needed',      'counterfoil init --dir one --people user@crm.example --upstream env:X', exit.usage, /names two: who uses it, and who approves/],
    ['three people',                         'counterfoil init --dir one --people a@x.example,b@x.example,c@x.example --upstream env:X', exit.usage, /names two/],
    ['no file of keys',                      'counterfoil credentials list',                              exit.usage,      /no file of keys at .*keys\.json: name it with --file/],
    ['a key that is not there',              'counterfoil credentials revoke 000000000000 --file crm/keys.json', exit.usage,      /no key with this id in .*crm\/keys\.json/],
    ['a gateway that is not there',         'counterfoil pending',                                         exit.usage,      /counterfoil login/],
  ]
  it.each(table)(
    'given %s',
    async (_, line, status, says) => {
      const ran = await shell(line, where)
      expect(ran.text).toMatch(says)
      expect(ran.status, ran.text).toBe(status)
      // What went wrong is for whoever runs it, never a trace for whoever wrote it.
      expect(ran.text).not.toMatch(/\n\s+at .*:\d+:\d+/)
    },
    300_000,
  )

  it('given the state of a witness that is in use says which process serves from it', async () => {
    const [key, state] = [join(where, 'used.key'), join(where, 'used.state')]
    writeFileSync(key, generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }))
    mkdirSync(state)
    const lock = lockDirectory(state)
    try {
      const line = `counterfoil witness serve --name w.example --key used.key --state used.state --origin crm=${log}`
      const ran = await shell(line, where)
      expect([ran.status, ran.text]).toEqual([
        exit.incomplete,
        expect.stringContaining(`process ${process.pid} serves from it already`),
      ])
    } finally {
      lock.release()
    }
  })

  it('given a key of the wrong kind says which kind is wanted, and which was given', async () => {
    const witness = 'w2.example+b65d793c+BIS7q/Y6Q6+A2veFVsZI5ToZAzLIFRowIQbTZ4y0rV3R'
    writeFileSync(
      join(where, 'w.key'),
      generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }),
    )
    const serve = [
      'witness',
      'serve',
      '--name',
      'w.example',
      '--key',
      join(where, 'w.key'),
      '--state',
      'none',
      '--first',
      '--origin',
    ]
    // biome-ignore format: a table
    const table: [args: string[], wants: RegExp, given: string][] = [
      [['prove', '--check', join(where, 'slip.yaml'), '--key', key],     /--key wants a ledger's verifier key/,      'an OpenPGP fingerprint'],
      [['prove', '--check', join(where, 'slip.yaml'), '--key', witness], /--key wants a ledger's verifier key/,      "a witness's verifier key"],
      [['prove', '--check', join(where, 'slip.yaml'), '--key', log, '--witness', log], /--witness wants a witness's/, "a ledger's verifier key"],
      [['verify', 'none', '--key', key, '--witness', key],               /--witness wants a witness's verifier key/, 'an OpenPGP fingerprint'],
      [['witness', 'add', '--url', 'http://127.0.0.1:1', '--key', key],  /--key wants a witness's verifier key/,     'an OpenPGP fingerprint'],
      [['witness', 'add', '--url', 'http://127.0.0.1:1', '--key', log],  /--key wants a witness's verifier key/,     "a ledger's verifier key"],
      [[...serve, `crm=${key}`],                                         /--origin ORIGIN=VKEY wants a ledger's/,    'an OpenPGP fingerprint'],
      [['verify', 'none', '--key', log],                                 /--key wants the OpenPGP fingerprint/,      "a ledger's verifier key"],
      [['verify', 'none', '--key', 'nowhere.asc'],                       /--key wants the OpenPGP fingerprint/,      'no key that is known here'],
      [['verify', 'none', '--key', join(where, 'crm/keys/seal.key.asc')], /--key wants the OpenPGP fingerprint/,     'a private key'],
    ]
    for (const [args, wants, given] of table) {
      const program = new Command().exitOverride()
      for (const register of [verify, prove, witnessCommand]) register(program)
      const error: unknown = await program.parseAsync(args, { from: 'user' }).catch(error => error)
      expect(exitStatusOf(error), args.join(' ')).toBe(exit.usage)
      expect(error).toMatchObject({ message: expect.stringMatching(wants) })
      expect(error).toMatchObject({ message: expect.stringContaining(`; what was given is ${given}`) })
      expect(String(error)).not.toContain('BEGIN')
    }
  })
})
