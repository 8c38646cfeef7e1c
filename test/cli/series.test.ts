/** A series of ledgers as an operator has it: rolled over, verified, its keys and its vault rotated, its oldest disposed of, bundled. */
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { expect, it, onTestFinished, vi } from 'vitest'
import { bundle } from '../../cli/commands/bundle.ts'
import { dispose } from '../../cli/commands/dispose.ts'
import { keys } from '../../cli/commands/keys.ts'
import { replay } from '../../cli/commands/replay.ts'
import { rollover } from '../../cli/commands/rollover.ts'
import { show } from '../../cli/commands/show.ts'
import { vault } from '../../cli/commands/vault.ts'
import { verify } from '../../cli/commands/verify.ts'
import { verifyBundle } from '../../cli/commands/verify-bundle.ts'
import { initialise } from '../../cli/initialise.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { openGuard } from '../../lib/open.ts'
import { temporaryDirectory } from '../support/directory-ledger.ts'

/** Runs a command of ours here. @returns what it printed; its exit status is the process's */
async function run(...args: string[]): Promise<string> {
  const program = new Command().exitOverride()
  for (const register of [bundle, dispose, keys, replay, rollover, show, vault, verify, verifyBundle]) register(program)
  const lines: string[] = []
  const print = vi.spyOn(process.stdout, 'write').mockImplementation(text => lines.push(String(text)) > 0)
  try {
    await program.parseAsync(args, { from: 'user' })
  } finally {
    print.mockRestore()
  }
  return lines.join('')
}

const verdicts = (text: string) => text.match(/^(OK|TAMPERED|INCOMPLETE) {2}\S+/gm)?.map(line => line.replace(/,$/, ''))

it('is rolled over, verified with one pin, rotated, bundled and disposed of', async () => {
  const folder = temporaryDirectory()
  const at = (name: string) => join(folder, name)
  onTestFinished(() => {
    process.exitCode = undefined
    vi.unstubAllEnvs()
  })
  const people = { user: 'alice@crm.example', approver: 'bob@crm.example' }
  const made = await initialise({ folder, name: 'crm', upstream: 'env:DATABASE_URL', ...people })
  for (const { person, key } of made.keys) vi.stubEnv(person === people.user ? 'A' : 'B', key)
  const rights = ['erase', 'dispose', 'approve'].map(action => `p, role:custody, ledger/vault, ${action}, allow`)
  const members = Object.values(people).map(person => `g, ${person}, role:custody`)
  appendFileSync(at('policy.csv'), `${[...rights, ...members].join('\n')}\n`)
  const edit = (from: string, to: string) =>
    writeFileSync(made.config, readFileSync(made.config, 'utf8').replace(from, to))
  const config = ['--config', made.config] as const
  const check = ['verify', at('ledger'), '--key', at('keys/ledger.pub.asc'), '--pin', at('pin'), '--vault'] as const
  const both = ['--key', 'env:A', '--approver', 'env:B', '--basis', 'kept for long enough', ...config] as const

  await expect(run('rollover', ...config)).rejects.toThrow('there is no ledger in')
  const opened = async () =>
    openGuard(await loadConfig(made.config, { evidence: true }), { software: 'x', placement: 'gateway' })
  const guard = await opened()
  const subject = await guard.identify({ kind: 'bearer', secret: process.env.A! })
  const session = await guard.openSession({ protocol: 'ssh', target: 'web1', tls: true, subject })
  await session.close('client')
  await guard.close()
  expect(verdicts(await run(...check, at('keys/vault.key'), '--first'))).toEqual(['OK  crm'])
  expect(await run('rollover', ...config)).toContain('concluded: crm; it goes on as crm/2')
  expect(verdicts(await run(...check, at('keys/vault.key')))).toEqual(['OK  crm', 'OK  crm/2'])
  await expect(run(...check, at('keys/vault.key'), '--first')).rejects.toThrow('there is a pin already')

  expect(await run('show', session.id, ...config)).toContain('session-opened')
  expect(await run('replay', session.id, ...config)).toContain(`session ${session.id}`)

  await run('keys', 'rotate', 'seal', ...config)
  await run('vault', 'rotate', '--to', at('keys/next.key'), ...config)
  expect(await run(...check, at('keys/vault.key'))).toMatch(/VAULT_KEY {2}the vault is under another key \(\w+\)/)
  expect(process.exitCode).toBe(4)
  edit('keys/vault.key', 'keys/next.key')
  expect(verdicts(await run(...check, at('keys/next.key')))).toEqual(['OK  crm', 'OK  crm/2'])

  edit('directory: ./ledger', 'directory: ./ledger\n  rollover: { every: 1s }')
  await vi.waitFor(
    async () => {
      const guard = await opened()
      await guard.close()
      expect(guard.ledger.origin).toBe('crm/3')
    },
    { timeout: 20_000 },
  )
  edit('  rollover: { every: 1s }\n', '')
  const period = ['--from', new Date().toISOString().slice(0, 10), '--to', '2099-01-01']
  const never = ['--from', '2026-02-30', '--to', '2026-12-31', '--out', at('never')]
  await expect(run('bundle', ...never, ...config)).rejects.toThrow('is no date')
  await run('bundle', ...period, '--out', at('bundle'), ...config)
  expect(readdirSync(at('bundle'))).toEqual(['1', '2', '3'])
  for (const one of ['1', '2', '3']) {
    const key = at('keys/ledger.pub.asc')
    expect(await run('verify-bundle', at(`bundle/${one}`), '--key', key)).toContain('the bundle is what it was')
  }

  await expect(run('dispose', ...both)).rejects.toThrow('does not say for how long ledgers are kept')
  edit('directory: ./ledger', 'directory: ./ledger\n  retention: 1000d')
  await expect(run('dispose', ...both)).rejects.toThrow('it has not been kept for as long')
  edit('retention: 1000d', 'retention: 1s')
  const said = await run('dispose', ...both)
  expect(said).toMatch(
    /disposed of: crm, \d+ entries; entry #\d+ says so, by alice@crm\.example, approved by bob@crm\.example/,
  )
  expect(readdirSync(at('ledger')).sort()).toEqual(['checkpoint', 'checkpoint.d', 'keys', 'series'])
  expect(verdicts(await run(...check, at('keys/next.key')))).toEqual(['OK  crm/2', 'OK  crm/3'])
})
