/** A ledger whose OpenPGP key expires: it is extended in time, too late, or by gpg; or nobody looks after it. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type VerifyOptions, verifyLedger } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import type { DirectoryOptions } from '../../lib/ledger/options.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey, type SigningKey } from '../../lib/openpgp.ts'
import { bundleOf, verifyOf } from '../support/bundle-of.ts'
import { ledgerOptions, settled } from '../support/directory-ledger.ts'
import { findTool, interop } from '../support/interop.ts'

const year = 365 * 86_400

/** Of this process: what is signed is of that time, and so is what is found to be past. Timers go on. */
function at(day: string): void {
  vi.useFakeTimers({ now: new Date(day), toFake: ['Date'] })
  onTestFinished(() => void vi.useRealTimers())
}

async function newKey(): Promise<SigningKey> {
  return readPrivateKey((await generateKey({ name: 'seal', date: new Date(), lifetime: year })).privateKey)
}

/** As gpg leaves it: with one signature over itself, of now. */
async function extended({ key }: SigningKey, lifetime: number): Promise<SigningKey> {
  const made = await openpgp.reformatKey({
    ...{ privateKey: key, userIDs: [{ name: 'seal' }], format: 'armored', date: new Date() },
    keyExpirationTime: lifetime,
  })
  return readPrivateKey(made.privateKey)
}

/** A gpg of its own, by the clock of this process, which goes on by as long as it takes: it refuses keys of the future. */
function gpgAt(gpg: string) {
  const home = mkdtempSync(join(tmpdir(), 'cf-gpg-'))
  chmodSync(home, 0o700)
  onTestFinished(() => {
    execFileSync(findTool('gpgconf')!, ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  })
  const fixed = ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', '--passphrase', '']
  return (args: readonly string[], input = '') => {
    const now = new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')
    const begun = performance.now()
    const as = { input, encoding: 'utf8', stdio: 'pipe' } as const
    const said = execFileSync(gpg, [...fixed, '--faked-system-time', now, ...args], as)
    vi.setSystemTime(Date.now() + performance.now() - begun + 1000)
    return said
  }
}

async function written(options: DirectoryOptions, key: SigningKey): Promise<void> {
  const ledger = await openDirectoryLedger({ ...options, sealer: openpgpSealer(key) })
  await ledger.append([settled()])
  await ledger.close()
}

async function told({ directory }: DirectoryOptions, { fingerprint }: SigningKey, more: Partial<VerifyOptions> = {}) {
  const { verdict, findings } = await verifyLedger({ directory, fingerprint, ...more })
  return [verdict, ...findings.map(({ code }) => code)]
}

describe('a ledger whose OpenPGP key is extended', () => {
  it('is what it was, by the certificate given from outside, and by its own once it was opened with that', async () => {
    at('2026-01-01')
    const key = await newKey()
    const options = ledgerOptions()
    await written(options, key)
    at('2026-12-01')
    const later = await extended(key, 3 * year)
    expect(later.fingerprint).toBe(key.fingerprint)
    const { certificate } = later
    expect(await told(options, key, { certificate })).toEqual(['OK'])
    await written(options, later)
    expect(await told(options, key)).toEqual(['OK'])
    at('2028-01-01')
    expect(await told(options, key)).toEqual(['OK'])
    // Past that too, what is of before is still what it was.
    at('2030-01-01')
    expect(await told(options, key)).toEqual(['INCOMPLETE', 'KEY_EXPIRED'])
  })

  it('is what it was where that was done too late', async () => {
    at('2026-01-01')
    const key = await newKey()
    const options = ledgerOptions()
    await written(options, key)
    at('2027-06-01')
    const later = await extended(key, 3 * year)
    expect(await told(options, key, { certificate: later.certificate })).toEqual(['OK'])
    await written(options, later)
    expect(await told(options, key)).toEqual(['OK'])
  })

  interop(['gpg', 'gpgconf'], 'is what it was, extended by gpg', async gpg => {
    at('2026-01-01')
    const run = gpgAt(gpg)
    const { privateKey, fingerprint } = await generateKey({ name: 'seal', date: new Date(), lifetime: year })
    const options = ledgerOptions()
    const key = await readPrivateKey(privateKey)
    await written(options, key)
    at('2026-12-01')
    run(['--import'], privateKey)
    run(['--quick-set-expire', fingerprint, '3y'])
    const certificate = run(['--armor', '--export', fingerprint])
    expect(await told(options, key, { certificate })).toEqual(['OK'])
    await written(options, await readPrivateKey(run(['--armor', '--export-secret-keys', fingerprint])))
    expect(await told(options, key)).toEqual(['OK'])
  })
})

describe('a ledger that a subkey signed', () => {
  /** A ledger of January 2026, by a subkey for a year of a key for three. */
  async function signedBySubkey(gpg: string) {
    at('2026-01-01')
    const run = gpgAt(gpg)
    run(['--quick-generate-key', 'seal', 'ed25519', 'cert,sign', '3y'])
    const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(run(['--with-colons', '--list-keys']))![1]!
    run(['--quick-add-key', fingerprint, 'ed25519', 'sign', '1y'])
    const secret = () => readPrivateKey(run(['--armor', '--export-secret-keys', fingerprint]))
    const certificate = () => run(['--armor', '--export', fingerprint])
    const subkey = () => run(['--with-colons', '--list-keys']).match(/(?<=^fpr:+)[0-9A-F]{40}/gm)![1]!
    const options = ledgerOptions()
    const key = await secret()
    await written(options, key)
    const check = () => told(options, key, { certificate: certificate() })
    expect(await check()).toEqual(['OK'])
    return { run, fingerprint, subkey, secret, options, key, check }
  }

  interop(
    ['gpg', 'gpgconf'],
    'is what it was, where that expired and another came, and the key itself was extended',
    async gpg => {
      const { run, fingerprint, secret, options, key, check } = await signedBySubkey(gpg)
      at('2027-06-01')
      expect(await check()).toEqual(['OK'])
      run(['--quick-add-key', fingerprint, 'ed25519', 'sign', '1y'])
      expect(await check()).toEqual(['OK'])
      run(['--quick-set-expire', fingerprint, '3y'])
      expect(await check()).toEqual(['OK'])
      await written(options, await secret())
      expect(await told(options, key)).toEqual(['OK'])
      // That nothing of it is left to sign with takes nothing from what it signed.
      at('2029-01-01')
      expect(await told(options, key)).toEqual(['OK'])
      at('2031-01-01')
      expect(await told(options, key)).toEqual(['INCOMPLETE', 'KEY_EXPIRED'])
    },
  )

  interop(
    ['gpg', 'gpgconf'],
    'is what it was, where the subkey alone was extended, and the key afterwards',
    async gpg => {
      const { run, fingerprint, subkey, check } = await signedBySubkey(gpg)
      at('2027-06-01')
      run(['--quick-set-expire', fingerprint, '1y', subkey()])
      expect(await check()).toEqual(['OK'])
      at('2028-12-01')
      run(['--quick-set-expire', fingerprint, '3y'])
      expect(await check()).toEqual(['OK'])
    },
  )

  // biome-ignore format: a table
  for (const [reason, number, expected] of [
    ['superseded',                      2, ['OK']],
    ['no longer used',                  3, ['OK']],
    // Whoever has it now may have signed what it says that it signed before.
    ['compromised',                     1, ['TAMPERED', 'KEY_SUBSTITUTED']],
  ] as const)
    interop(['gpg', 'gpgconf'], `is judged by why that was revoked: ${reason}`, async gpg => {
      const { run, fingerprint, check } = await signedBySubkey(gpg)
      at('2026-08-01')
      const revoke = ['--no-batch', '--yes', '--no-tty', '--command-fd', '0', '--edit-key', fingerprint]
      run(revoke, `key 1\nrevkey\ny\n${number}\n\ny\nsave\n`)
      expect(await check()).toEqual(expected)
      run(['--quick-set-expire', fingerprint, '9y'])
      expect(await check()).toEqual(expected)
    })

  interop(['gpg', 'gpgconf'], 'is what it was, where its key has another name since', async gpg => {
    const { run, fingerprint, check } = await signedBySubkey(gpg)
    at('2026-08-01')
    run(['--quick-add-uid', fingerprint, 'seal of the CRM'])
    run(['--quick-revoke-uid', fingerprint, 'seal'])
    expect(await check()).toEqual(['OK'])
  })
})

describe('a ledger whose OpenPGP key expired', () => {
  it('is INCOMPLETE, and says what to do; nothing is known to be altered', async () => {
    at('2026-01-01')
    const key = await newKey()
    const options = ledgerOptions()
    await written(options, key)
    at('2027-06-01')
    const { directory } = options
    const { verdict, integrity, findings } = await verifyLedger({ directory, fingerprint: key.fingerprint })
    expect([verdict, integrity.verdict]).toEqual(['INCOMPLETE', 'undetermined'])
    expect(findings).toMatchObject([{ code: 'KEY_EXPIRED', expected: key.fingerprint }])
    expect(findings[0]!.what).toContain(`expired at 2027-01-01T00:00:00.000Z`)
    expect(findings[0]!.what).toContain(`gpg --quick-set-expire ${key.fingerprint}`)
    // What is not what it was is told all the same.
    const other = await newKey()
    expect(await told(options, other)).toEqual(['TAMPERED', 'KEY_SUBSTITUTED'])
  })

  it('says so where it is opened or sealed, and how to extend it', async () => {
    at('2026-01-01')
    const key = await newKey()
    const options = ledgerOptions()
    await written(options, key)
    const ledger = await openDirectoryLedger({ ...options, sealer: openpgpSealer(key) })
    at('2027-06-01')
    const expired = {
      code: 'ERR_LEDGER_UNAVAILABLE',
      message: expect.stringMatching(/expired at 2027-01-01.*gpg --quick-set-expire .*export-secret-keys/),
    }
    await expect(ledger.seal()).rejects.toMatchObject(expired)
    await expect(ledger.close()).rejects.toMatchObject(expired)
    await expect(written(options, key)).rejects.toMatchObject(expired)
    await written(options, await extended(key, 3 * year))
    // Nobody recorded meanwhile, which is all that is amiss.
    expect(await told(options, key)).toEqual(['INCOMPLETE', 'SILENCE'])
  })

  it('has bundles that are what they were', async () => {
    at('2026-01-01')
    const key = await newKey()
    const options = ledgerOptions()
    await written(options, key)
    const source = { ...options, sealer: openpgpSealer(key), wrappingKey: options.wrappingKey! }
    const { directory } = await bundleOf(source)
    at('2027-06-01')
    expect(await verifyOf(directory, source)).toMatchObject({ verdict: 'OK', findings: [] })
  })
})
