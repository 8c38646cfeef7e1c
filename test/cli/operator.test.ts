/** What an operator's slip meets: each command says what is wrong, where, and what to do next. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as openpgp from 'openpgp'
import { expect, it, onTestFinished, vi } from 'vitest'
import { loadConfig } from '../../lib/config/config.ts'
import { openGuard } from '../../lib/open.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { aside, placeOfTwo, run } from '../support/commands.ts'

it('a ledger that is not there is named by every command alike, and is not taken for an empty one', async () => {
  const { at, edit, config } = await placeOfTwo()
  edit('./ledger', './legder')
  const missing = `there is no ledger in ${at('legder')}`
  const both = ['--key', 'env:A', '--approver', 'env:B', '--basis', 'x'] as const
  edit('ledger:\n', 'ledger:\n  retention: 1d\n')
  for (const args of [
    ['anchor', 'git', '--repository', at('.')],
    ['bundle', '--from', '2026-01-01', '--to', '2027-01-01', '--out', at('bundle')],
    ['dispose', ...both],
    ['erase', '--principal', 'alice@crm.example', ...both],
    ['hold', 'list'],
    ['hold', 'place', '--everything', '--reason', 'x', '--key', 'env:A'],
    ['keys', 'revoke', 'seal', '--former', 'A'.repeat(40), '--reason', 'superseded'],
    ['keys', 'rotate', 'note'],
    ['replay', 'x'],
    ['rollover'],
    ['show', '1'],
    ['tail', '--no-follow'],
    ['vault', 'rotate', '--to', at('keys/next.key')],
  ]) {
    const found = expect(run(...args, ...config), args.join(' ')).rejects
    await found.toMatchObject({ code: 'ERR_LEDGER_MISSING', message: missing })
  }
  for (const args of [
    ['keys', 'show', at('legder')],
    ['replay', 'x', '--ledger', at('legder'), '--fingerprint', at('keys/ledger.pub.asc')],
  ])
    await expect(run(...args), args.join(' ')).rejects.toMatchObject({ code: 'ERR_LEDGER_MISSING', message: missing })
})

/** A ledger in which the user had a session. @returns its id */
async function used(file: string): Promise<string> {
  const config = await loadConfig(file, { evidence: true })
  const guard = await openGuard(config, { software: 'x', placement: 'gateway' })
  const subject = await guard.identify({ kind: 'bearer', secret: process.env.A! })
  const session = await guard.openSession({ protocol: 'ssh', target: 'web1', tls: true, subject })
  await session.close('client')
  await guard.close()
  return session.id
}

it('a csvlog of a listener that there is not makes no bundle; which there are is said', async () => {
  const { at, made, config } = await placeOfTwo()
  await used(made.config)
  writeFileSync(at('server.csv'), '')
  const bundle = (target: string) => {
    const log = ['--csvlog', `${target}=${at('server.csv')}`, '--user', 'gateway']
    return run('bundle', '--from', '2026-01-01', '--to', '2027-01-01', '--out', at('bundle'), ...log, ...config)
  }
  await expect(bundle('crmx')).rejects.toMatchObject({
    code: 'ERR_OPTION_INVALID',
    message: 'no listener crmx; there are: crm',
  })
  expect(await bundle('crm')).toContain('reconciled with crm-csvlog')
})

it('check names the keys that the ledger is not under any more, and what to do', async () => {
  const { at, made, edit, config } = await placeOfTwo()
  vi.stubEnv('DATABASE_URL', 'postgres://gateway@127.0.0.1/crm')
  expect(await run('check', ...config)).toContain('the configuration is sound')
  await used(made.config)
  await run('vault', 'rotate', '--to', at('keys/next.key'), ...config)
  for (const args of [
    ['erase', '--principal', 'x', '--approver', 'env:B', '--basis', 'x'],
    ['hold', 'place', '--everything', '--reason', 'x'],
  ])
    await expect(run(...args, '--key', 'env:A', ...config)).rejects.toThrow(
      /\(ledger\.keys\.vault\).* the one of its --to/,
    )
  const [before] = (await run('keys', 'show', at('ledger'), '--note')).split('\n')
  await expect(run('check', ...config)).rejects.toThrow(/\(ledger\.keys\.vault\)/)
  edit('vault.key', 'next.key')
  expect(await run('check', ...config)).toContain('the configuration is sound')
  const [kept] = /\S+until-\S+/.exec(await run('keys', 'rotate', 'note', ...config)) ?? []
  const [now] = (await run('keys', 'show', at('ledger'), '--note')).split('\n')
  expect(now).not.toBe(before)
  edit('file:./keys/note.key', `file:${kept!.replace(/:$/, '')}`)
  await expect(run('check', ...config)).rejects.toMatchObject({
    code: 'ERR_OPTION_INVALID',
    message: expect.stringContaining(
      `ledger.keys.note is not the key that speaks for ${at('ledger')} now, which is ${now}`,
    ),
  })
})

it('an OpenPGP key that expires soon is told by check, and where the ledger is opened', async () => {
  const { at, made, config } = await placeOfTwo()
  vi.stubEnv('DATABASE_URL', 'postgres://gateway@127.0.0.1/crm')
  const passphrase = readFileSync(at('keys/seal.passphrase'), 'utf8').trim()
  const { privateKey, fingerprint } = await generateKey({ name: 'seal', passphrase, lifetime: 20 * 86_400 })
  writeFileSync(at('keys/seal.key.asc'), privateKey)
  const events: string[] = []
  const loaded = await loadConfig(made.config, { evidence: true })
  const onEvent = (what: string) => void events.push(what)
  const guard = await openGuard(loaded, { software: 'x', placement: 'gateway', onEvent })
  await guard.close()
  const soon = new RegExp(`the OpenPGP key ${fingerprint} expires at .*gpg --quick-set-expire`)
  expect(events).toEqual([expect.stringMatching(soon)])
  expect(await run('check', ...config)).toMatch(soon)
})

it('an OpenPGP key that expired stops what signs, and says how to extend it; what only reads goes on, and says so too', async () => {
  vi.useFakeTimers({ now: new Date('2026-01-01'), toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
  const { at, made, config } = await placeOfTwo()
  const passphrase = readFileSync(at('keys/seal.passphrase'), 'utf8').trim()
  const { privateKey, fingerprint } = await generateKey({
    name: 'seal',
    passphrase,
    lifetime: 86_400,
    date: new Date(),
  })
  writeFileSync(at('keys/seal.key.asc'), privateKey)
  const session = await used(made.config)
  await run('hold', 'place', '--everything', '--reason', 'a claim', '--key', 'env:A', ...config)
  vi.setSystemTime(new Date('2026-06-01'))
  const expired = new RegExp(
    `the OpenPGP key ${fingerprint} expired at 2026-01-02T00:00:00.000Z, and signs nothing more, not even its rotation to another key: ` +
      `extend it \\(gpg --quick-set-expire ${fingerprint} 2y\\).*--export-secret-keys ${fingerprint}`,
  )
  for (const args of [
    ['keys', 'rotate', 'seal'],
    ['keys', 'rotate', 'note'],
    ['hold', 'place', '--everything', '--reason', 'x', '--key', 'env:A'],
  ])
    await expect(run(...args, ...config), args.join(' ')).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringMatching(expired),
    })
  for (const [args, shown] of [
    [['show', '0'], 'opened'],
    [['replay', session], 'closed: client'],
    [['hold', 'list'], 'stands'],
  ] as const) {
    aside.length = 0
    expect(await run(...args, ...config), args.join(' ')).toContain(shown)
    expect(aside, args.join(' ')).toEqual([expect.stringMatching(expired)])
  }
  // As gpg leaves it, with the same passphrase; only then is it rotated.
  const { key } = await readPrivateKey(privateKey, passphrase)
  const again = await openpgp.reformatKey({
    ...{ privateKey: key, userIDs: [{ name: 'seal' }], format: 'armored', date: new Date(), passphrase },
    keyExpirationTime: 10 * 365 * 86_400,
  })
  writeFileSync(at('keys/seal.key.asc'), again.privateKey)
  expect(await run('keys', 'rotate', 'seal', ...config)).toContain(`was  ${fingerprint}`)
})

it('a hold is placed beside the processes that share a ledger; what they must be stopped for says so of all of them', async () => {
  const { at, made, edit, config } = await placeOfTwo()
  edit('ledger:\n', 'ledger:\n  shared: true\n  writer: g1\n')
  const loaded = await loadConfig(made.config, { evidence: true })
  const gateway = await openGuard(loaded, { software: 'x', placement: 'gateway' })
  onTestFinished(() => gateway.close())
  const held = await run('hold', 'place', '--everything', '--reason', 'a claim', '--key', 'env:A', ...config)
  expect(held).toMatch(/^held: /)
  for (const args of [['rollover'], ['keys', 'rotate', 'note'], ['vault', 'rotate', '--to', at('keys/next.key')]])
    await expect(run(...args, ...config)).rejects.toMatchObject({
      code: 'ERR_LEDGER_LOCKED',
      message: expect.stringContaining('stop what writes to it first, and every other process that shares it'),
    })
})

it('hold list says when a hold was placed, by whom and why, also after a rollover; and that it was before, where that is gone', async () => {
  const { at, made, edit, people, config } = await placeOfTwo()
  await used(made.config)
  const why = (reason: string, key: string) => ['--reason', reason, '--key', `env:${key}`, ...config]
  const [, held] = /held: (\S+);/.exec(await run('hold', 'place', '--principal', people.user, ...why('a claim', 'B')))!
  const listed = async () => JSON.parse(await run('hold', 'list', '--json', ...config)).holds
  const [before] = await listed()
  expect(before).toMatchObject({ hold: held, name: people.user, by: people.approver, reason: 'a claim' })
  await run('rollover', ...config)
  expect(await listed()).toEqual([before])
  await run('hold', 'release', held!, ...why('it is settled', 'A'))
  const released = { releasedBy: people.user, releasedReason: 'it is settled', released: expect.any(String) }
  expect(await listed()).toEqual([{ ...before, ...released }])
  edit('ledger:\n', 'ledger:\n  retention: 1s\n')
  const both = ['--key', 'env:B', '--approver', 'env:A', '--basis', 'kept for long enough'] as const
  await vi.waitFor(() => run('dispose', ...both, ...config), { timeout: 20_000 })
  expect(readdirSync(at('ledger'))).not.toContain('tile')
  const [after] = await listed()
  expect(after).toEqual({ ...before, ...released, carried: true, placed: expect.any(String) })
  expect(after.placed > before.placed).toBe(true)
  expect(await run('hold', 'list', ...config)).toContain(
    `  placed before ${after.placed} by ${people.approver}: a claim`,
  )
})
