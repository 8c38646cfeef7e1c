/** A series of ledgers as an operator has it: rolled over, verified, its keys and its vault rotated, its oldest disposed of, bundled. */
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { exitStatusOf } from '../../cli/exit.ts'
import { loadConfig } from '../../lib/config/config.ts'
import { openGuard } from '../../lib/open.ts'
import { aside, placeOfTwo, printed, run } from '../support/commands.ts'

const verdicts = (text: string) => text.match(/^(OK|TAMPERED|INCOMPLETE) {2}\S+/gm)?.map(line => line.replace(/,$/, ''))

it('is rolled over, verified with one pin, rotated, bundled and disposed of', async () => {
  const { at, made, people, edit, config } = await placeOfTwo()
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
  const rolled = await run('rollover', ...config)
  expect(rolled).toContain('concluded: crm; it goes on as crm/2')
  expect(rolled).toMatch(/--key [0-9A-F]{40} --pin FILE/)
  expect(verdicts(await run(...check, at('keys/vault.key')))).toEqual(['OK  crm', 'OK  crm/2'])
  await expect(run(...check, at('keys/vault.key'), '--first')).rejects.toThrow('there is a pin already')

  expect(await run('show', session.id, ...config)).toContain('session-opened')
  expect(await run('replay', session.id, ...config)).toContain(`session ${session.id}`)

  // Whoever names the first is told of the newest; what is looked for by id is found in either.
  const newest = join(at('ledger'), 'series/2')
  for (const args of [
    ['keys', 'show', at('ledger')],
    ['prove', at('ledger'), '1'],
    ['tail', at('ledger'), '--no-follow'],
  ]) {
    aside.length = 0
    await run(...args)
    expect(aside, args.join(' ')).toEqual([expect.stringContaining(`was concluded, and goes on in ${newest}`)])
    await run(...args.map(arg => (arg === at('ledger') ? newest : arg)))
    expect(aside).toHaveLength(1)
  }

  // While one of them is open nothing is begun in the others, and no file is left that is of no use.
  const open = await opened()
  const later = await open.openSession({ protocol: 'ssh', target: 'web2', tls: true, subject })
  await later.close('client')
  for (const args of [['keys', 'rotate', 'note'], ['vault', 'rotate', '--to', at('keys/next.key')], ['rollover']])
    await expect(run(...args, ...config), args.join(' ')).rejects.toThrow('stop what writes to it first')
  expect(readdirSync(at('keys')).filter(name => name.includes('next'))).toEqual([])
  await open.close()
  const copy = ['--ledger', at('ledger'), '--fingerprint', at('keys/ledger.pub.asc')]
  for (const { id } of [session, later]) expect(await run('replay', id, ...copy)).toContain(`session ${id}`)
  expect(verdicts(await run(...check, at('keys/vault.key')))).toEqual(['OK  crm', 'OK  crm/2'])

  copyFileSync(at('keys/ledger.pub.asc'), at('former.pub.asc'))
  await run('keys', 'rotate', 'seal', ...config)
  await run('vault', 'rotate', '--to', at('keys/next.key'), ...config)
  expect(await run(...check, at('keys/vault.key'))).toMatch(/VAULT_KEY {2}the vault is under another key \(\w+\)/)
  expect(process.exitCode).toBe(4)
  edit('keys/vault.key', 'keys/next.key')
  expect(verdicts(await run(...check, at('keys/next.key')))).toEqual(['OK  crm', 'OK  crm/2'])

  aside.length = 0
  const why = ['--reason', 'a claim', '--key', 'env:B', ...config]
  const [, held] = /held: (\S+);/.exec(await run('hold', 'place', '--principal', people.user, ...why))!
  expect(await run('hold', 'list', ...config)).toMatch(
    new RegExp(`^${held}  principal ${people.user}  stands\n  placed \\S+Z by ${people.approver}: a claim\n`),
  )
  await run('hold', 'release', held!, ...why)
  expect(await run('tail', '--no-follow', ...config)).toMatch(new RegExp(`${people.approver} +hold +${held}`))

  const tailing = run('tail', ...config)
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
  await vi.waitFor(() => expect(aside.join('')).toContain(`goes on in ${join(at('ledger'), 'series/3')}`), {
    timeout: 20_000,
  })
  await vi.waitFor(() => expect(printed.join('')).toContain(' begins: crm/3'), { timeout: 20_000 })
  process.stdout.emit('error', new Error('whoever reads has seen enough'))
  expect(await tailing).toMatch(/concluded: it goes on as crm\/3[\s\S]* begins: crm\/3/)
  const period = ['--from', new Date().toISOString().slice(0, 10), '--to', '2099-01-01']
  const never = ['--from', '2026-02-30', '--to', '2026-12-31', '--out', at('never')]
  await expect(run('bundle', ...never, ...config)).rejects.toThrow('is no date')
  await run('bundle', ...period, '--out', at('bundle'), ...config)
  expect(readdirSync(at('bundle'))).toEqual(['1', '2', '3'])
  await verifiedTogether(at)

  await expect(run('dispose', ...both)).rejects.toThrow('does not say for how long ledgers are kept')
  edit('directory: ./ledger', 'directory: ./ledger\n  retention: 1000d')
  await expect(run('dispose', ...both)).rejects.toThrow(/kept for as long .*: it may be disposed of from 20\d\d-/)
  edit('retention: 1000d', 'retention: 1s')
  const disposed = await run('dispose', ...both)
  expect(disposed).toMatch(
    /disposed of: crm, \d+ entries; entry #\d+ says so, by alice@crm\.example, approved by bob@crm\.example/,
  )
  await expect(run('keys', 'show', at('ledger'))).rejects.toThrow(
    /^crm was disposed of, or its entries are lost: its last/,
  )
  expect(readdirSync(at('ledger')).sort()).toEqual(['checkpoint', 'checkpoint.d', 'keys', 'series'])
  expect(verdicts(await run(...check, at('keys/next.key')))).toEqual(['OK  crm/2', 'OK  crm/3'])
  await bundledAgain(at, [...period, ...config], held!)

  // In this one the key was rotated that the next begins with.
  aside.length = 0
  await vi.waitFor(() => run('dispose', ...both), { timeout: 20_000 })
  expect(aside.join('')).toMatch(
    /whoever pinned the OpenPGP key [0-9A-F]{40} must be given the new fingerprint, [0-9A-F]{40}: what leads to it goes with crm\/2/,
  )
  // Nobody is accused then, and nothing is OK.
  await run('bundle', ...period, '--out', at('newest'), ...config)
  const former = ['--key', at('former.pub.asc')]
  for (const args of [
    ['verify-bundle', at('newest')],
    ['verify', at('ledger')],
    ['keys', 'show', at('ledger/series/3')],
  ]) {
    process.exitCode = undefined
    const told = await run(...args, ...former).catch(error => {
      process.exitCode = exitStatusOf(error)
      return String(error)
    })
    expect([process.exitCode, told.match(/^(TAMPERED|OK) .*$/m)], args.join(' ')).toEqual([4, null])
    expect(told.replaceAll(/\s+/g, ' ')).toContain('that was in a ledger that was disposed of')
  }
})

/** What is left, once the first is gone. @param at a path in the folder of the ledger. @param held the hold that was placed in the second */
async function bundledAgain(at: (name: string) => string, options: readonly string[], held: string): Promise<void> {
  await run('bundle', ...options, '--out', at('left'))
  expect(readdirSync(at('left'))).toEqual(['2', '3'])
  const text = (number: number, file: string) => readFileSync(at(`left/${number}/${file}`), 'utf8')
  const lines = (number: number, file: string) => text(number, file).trim().split('\n').slice(1)
  // It was carried out in the third; what the second says of it, no more than that it follows the first.
  expect(lines(2, 'log/disposals.csv')).toEqual([])
  expect(lines(3, 'log/disposals.csv')).toEqual([expect.stringMatching(/,crm,\d+,.*kept for long enough/)])
  expect(text(3, 'report/report.html')).toMatch(/<h3>Disposals<\/h3>[\s\S]*kept for long enough/)
  expect(text(3, 'statements/limitations.txt')).toContain('1 earlier ledger of the series was disposed of')
  for (const file of ['README.html', 'report/report.html', 'statements/completeness.txt'])
    expect(text(2, file).replace(/\s+/g, ' '), file).toMatch(/[Tt]he ledger follows crm, at \d+ entries/)
  // Placed and released in the second: in the third a rollover says both again.
  expect(lines(2, 'views/holds.jsonl').concat(text(2, 'views/holds.jsonl')).join('')).toContain('"placed_again":false')
  const again = JSON.parse(text(3, 'views/holds.jsonl')) as Record<string, unknown>
  expect(again).toMatchObject({ hold: held, placed_again: true, released_again: true })
  expect(text(3, 'report/report.html')).toMatch(/<td>before [^<]*<\/td>[\s\S]*<td>before /)
  const check = ['verify-bundle', at('left'), '--key', at('keys/ledger.pub.asc')] as const
  expect(await run(...check)).toMatch(/^OK {2}2 bundles/m)
}

/** The bundles of a series, in one folder; and what is done to it. @param at a path in the folder of the ledger */
async function verifiedTogether(at: (name: string) => string): Promise<void> {
  const check = async (...more: string[]) => {
    const text = await run('verify-bundle', at('bundle'), '--key', at('keys/ledger.pub.asc'), ...more)
    return { text, last: text.trim().split('\n').at(-1), status: process.exitCode }
  }
  const whole = await check('--pin', at('pin'), '--junit', at('bundle.xml'))
  expect(whole.text.match(/^OK {2}the bundle is what it was$/gm)).toHaveLength(3)
  expect(whole.text.match(/^ok {4}pin: agrees/gm)).toHaveLength(1)
  expect(whole).toMatchObject({ last: 'OK  3 bundles, each what it was, one after another', status: 0 })
  const report = readFileSync(at('bundle.xml'), 'utf8')
  expect(report.match(/<testsuite /g)).toHaveLength(4)
  expect(report).toContain('<testsuites name="counterfoil verify-bundle" tests="43" failures="0">')

  // Whoever pinned the key of before is led on from ledger to ledger; of the last by itself nothing leads there.
  const former = ['--key', at('former.pub.asc')] as const
  expect(await run('verify-bundle', at('bundle'), ...former)).toMatch(/^OK {2}3 bundles, each what it was/m)
  expect(await run('verify-bundle', at('bundle/3'), ...former)).toMatch(
    /^TAMPERED {2}.* It continues crm\/2: verify it with the bundle of that one, in one folder/m,
  )

  await expect(run('keys', 'show', at('ledger/series/3'), ...former)).rejects.toThrow(
    /it continues crm\/2: if the key was/,
  )

  // The worst of them is the status, and said last.
  writeFileSync(at('bundle/2/SHA256SUMS'), readFileSync(at('bundle/2/SHA256SUMS'), 'utf8').replace('a', 'b'))
  writeFileSync(at('bundle/notes'), '')
  const altered = await check()
  expect(altered.last).toMatch(
    /^TAMPERED {2}3 bundles: 2 is TAMPERED; of them together: notes is of none of the bundles$/,
  )
  expect([altered.text.match(/^OK {2}/gm)?.length, altered.status]).toEqual([2, 3])
  rmSync(at('bundle/notes'))

  // Those at either end are missed too: each says how many were made with it.
  for (const number of [1, 3]) {
    renameSync(at(`bundle/${number}`), at('aside'))
    expect((await check()).text).toContain(
      `BUNDLE_MISSING  there is no bundle of ledger ${number}, and one was made with`,
    )
    renameSync(at('aside'), at(`bundle/${number}`))
  }

  // One that is missing, or stands in another's place, hides nothing; nor is a pin of something else any use.
  rmSync(at('bundle/2'), { recursive: true })
  const { verdict, findings, bundles } = JSON.parse((await check('--json')).text)
  expect([verdict, findings[0].what, bundles.length]).toEqual(['INCOMPLETE', 'there is no bundle of ledger 2', 2])
  renameSync(at('bundle/3'), at('bundle/2'))
  const other = at('other.pin')
  writeFileSync(other, readFileSync(at('pin'), 'utf8').replaceAll('"crm', '"erp'))
  const moved = await check('--pin', other)
  for (const what of [
    '2 holds the bundle of crm/3, and none of ledger 2: that would be crm/2',
    'the pinned checkpoint is within none of',
  ])
    expect(moved.text).toContain(`BUNDLE_MISSING  ${what}`)
  expect(moved.status).toBe(4)
}
