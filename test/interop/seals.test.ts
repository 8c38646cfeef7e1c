/** A seal of a ledger, taken apart by nobody's code but this test's, verifies with OpenPGP programs of others' making; by status, never by exit code. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'

/** A folder with the body of a seal, its detached signature, and the ledger's own certificate. */
async function taken() {
  const key = await readPrivateKey((await generateKey({ name: 'Ledger' })).privateKey)
  const options = ledgerOptions({ sealer: openpgpSealer(key) })
  const ledger = await openDirectoryLedger(options)
  await ledger.append([settled()])
  const { size } = await ledger.seal()
  await ledger.close()
  const note = readFileSync(join(options.directory, `checkpoint.d/${size}`), 'utf8')
  const end = note.indexOf('\n\n') + 1
  // signed-note: a dash, the name, and base64 of four bytes of key id and the signature; the OpenPGP line is the second.
  const line = note.slice(end + 1).split('\n')[1]!
  const folder = temporaryDirectory()
  writeFileSync(join(folder, 'body'), note.slice(0, end))
  writeFileSync(join(folder, 'altered'), note.slice(0, end).replace(`\n${size}\n`, `\n${size - 1}\n`))
  writeFileSync(join(folder, 'body.sig'), Buffer.from(line.split(' ')[2]!, 'base64').subarray(4))
  writeFileSync(join(folder, 'key.asc'), readFileSync(join(options.directory, 'keys/seal.pub.asc')))
  mkdirSync(join(folder, 'home'), { mode: 0o700 })
  return { folder, fingerprint: key.fingerprint }
}

const run = (cwd: string, program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

describe('a seal', () => {
  interop('gpg', 'is good by the status that gpg gives, with the fingerprint, and bad over another body', async gpg => {
    const { folder, fingerprint } = await taken()
    const ask = (...args: string[]) => run(folder, gpg, '--homedir', 'home', '--batch', '--no-autostart', ...args).said
    ask('--import', 'key.asc')
    const good = ask('--status-fd', '1', '--verify', 'body.sig', 'body')
    expect(good).toContain('[GNUPG:] GOODSIG')
    expect(good).toContain(`[GNUPG:] VALIDSIG ${fingerprint}`)
    const bad = ask('--status-fd', '1', '--verify', 'body.sig', 'altered')
    expect(bad).toContain('[GNUPG:] BADSIG')
    expect(bad).not.toContain('GOODSIG')
  })

  interop('sqv', 'is accepted by sqv, which prints the fingerprint, and refused over another body', async sqv => {
    const { folder, fingerprint } = await taken()
    const ask = (data: string) => run(folder, sqv, '--keyring', 'key.asc', 'body.sig', data)
    expect(ask('body')).toEqual({ status: 0, said: `${fingerprint}\n` })
    expect(ask('altered').status).not.toBe(0)
  })

  interop('rnp', 'is valid for rnp, with the fingerprint’s key id, and invalid over another body', async rnp => {
    const { folder, fingerprint } = await taken()
    const ask = (data: string) => run(folder, rnp, '--keyfile', 'key.asc', '--verify', 'body.sig', '--source', data)
    const good = ask('body')
    expect(good.said).toContain('Signature(s) verified successfully')
    expect(good.said.toLowerCase()).toContain(fingerprint.slice(-16).toLowerCase())
    expect(ask('altered').said).not.toContain('verified successfully')
  })
})
