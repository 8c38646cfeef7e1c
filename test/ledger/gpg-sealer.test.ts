/** Seals by a real gpg and its agent: the key never in this process; and what is refused of a gpg that does not do its work. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished } from 'vitest'
import { verifyLedger } from '../../evidence/index.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { gpgSealer } from '../../lib/ledger/gpg-sealer.ts'
import { generateKey } from '../../lib/openpgp.ts'
import { ledgerOptions, temporaryDirectory } from '../support/directory-ledger.ts'
import { findTool, interop } from '../support/interop.ts'

/** A home with one key in it, its agent ended with the test. Sockets want a short path. */
async function homeWithKey(gpg: string, passphrase?: string): Promise<{ home: string; fingerprint: string }> {
  const home = mkdtempSync(join(tmpdir(), 'cf-gpg-'))
  chmodSync(home, 0o700)
  onTestFinished(() => {
    execFileSync(findTool('gpgconf')!, ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  })
  const files = await generateKey({ name: 'Test ledger', ...(passphrase === undefined ? {} : { passphrase }) })
  const loopback = passphrase === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase', passphrase]
  execFileSync(gpg, ['--homedir', home, '--batch', ...loopback, '--import'], { input: files.privateKey, stdio: 'pipe' })
  return { home, fingerprint: files.fingerprint }
}

/** A program in gpg's place. */
function pretender(script: string): string {
  const program = join(temporaryDirectory(), 'gpg')
  writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return program
}

describe('a seal key that gpg holds', () => {
  interop(['gpg', 'gpg-agent', 'gpgconf'], 'seals a ledger, which verifies with its fingerprint', async gpg => {
    const { home, fingerprint } = await homeWithKey(gpg)
    const options = ledgerOptions({ sealer: await gpgSealer({ home, fingerprint, program: gpg }) })
    const ledger = await openDirectoryLedger(options)
    await ledger.close()
    const { verdict, findings, seal } = await verifyLedger({ directory: options.directory, fingerprint })
    expect([verdict, findings, seal?.size]).toEqual(['OK', [], 3])
  })

  interop(['gpg', 'gpg-agent', 'gpgconf'], 'that the agent may not use leaves the ledger unharmed', async gpg => {
    const { home, fingerprint } = await homeWithKey(gpg, 'not told to the agent')
    const held = await gpgSealer({ home, fingerprint, program: gpg, timeoutMs: 10_000 })
    await expect(held.sign(Buffer.from('text'))).rejects.toMatchObject({ code: 'ERR_LEDGER_UNAVAILABLE' })
    await expect(gpgSealer({ home, fingerprint: 'A'.repeat(40), program: gpg })).rejects.toThrow(/gpg has no key/)
  })

  interop(['gpg', 'gpg-agent', 'gpgconf'], 'is taken at its word for nothing', async gpg => {
    const { home, fingerprint } = await homeWithKey(gpg)
    const other = await homeWithKey(gpg)
    const real = `exec ${gpg} "$@"`
    const signing = (script: string) => pretender(`case "$*" in *--export*) ${real} ;; esac\n${script}`)
    const liars: [string, RegExp][] = [
      ['exit 0', /gpg made no signature/],
      ["echo '[GNUPG:] SIG_CREATED D 22 10 00 1 AA' >&3", /gpg made no signature/],
      [`echo '[GNUPG:] SIG_CREATED D 22 10 00 1 ${fingerprint}' >&3; echo nothing`, /did not sign with/],
      [`exec ${gpg} --homedir ${other.home} --batch --status-fd 3 --detach-sign --no-armor`, /did not sign with/],
      ['exec sleep 60', /not done within 2000 ms/],
    ]
    for (const [script, says] of liars) {
      const timeoutMs = script.includes('sleep') ? 2000 : 20_000
      const sealer = await gpgSealer({ home, fingerprint, program: signing(script), timeoutMs })
      await expect(sealer.sign(Buffer.from('text'))).rejects.toThrow(says)
    }
    const silent = await gpgSealer({ home, fingerprint, program: signing('exit 0') })
    await expect(openDirectoryLedger(ledgerOptions({ sealer: silent }))).rejects.toMatchObject({
      code: 'ERR_LEDGER_UNAVAILABLE',
    })
    await expect(gpgSealer({ home, fingerprint, program: 'no-such-gpg' })).rejects.toThrow(/cannot be run/)
  })
})
