/**
 * A seal of a ledger, taken apart by nobody's code but this test's, verifies with OpenPGP programs of others' making;
 * by status, never by exit code.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect } from 'vitest'
import { certificateOf } from '../../lib/format/layout.ts'
import { noteKeyOf } from '../../lib/ledger/checkpoint.ts'
import { openForKeys, publishCertificate } from '../../lib/ledger/directory.ts'
import { keyHistory, rotationDraft } from '../../lib/ledger/rotation.ts'
import { openpgpSealer } from '../../lib/ledger/sealer.ts'
import { generateKey, readPrivateKey } from '../../lib/openpgp.ts'
import { ledgerOptions, settled, temporaryDirectory } from '../support/directory-ledger.ts'
import { interop } from '../support/interop.ts'

const newKey = async (name: string) => readPrivateKey((await generateKey({ name })).privateKey)

/**
 * A folder with the body of a seal, its detached signature, and the certificate. @param
 * rotated with a second OpenPGP key, before the seal
 */
async function taken(rotated: boolean) {
  const first = await newKey('Ledger')
  const options = ledgerOptions({ sealer: openpgpSealer(first) })
  const ledger = await openForKeys(options)
  let key = first
  if (rotated) {
    key = await newKey('Ledger, second')
    const before = { noteKey: noteKeyOf(options.noteKey, options.origin), sealer: options.sealer! }
    const after = { ...before, sealer: openpgpSealer(key) }
    const history = await keyHistory(ledger.entries())
    await ledger.rotate([await rotationDraft({ origin: options.origin, history, before, after })], after)
    await publishCertificate(options.directory, after.sealer)
  }
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
  writeFileSync(join(folder, 'key.asc'), readFileSync(join(options.directory, certificateOf(key.fingerprint))))
  writeFileSync(join(folder, 'other.asc'), (rotated ? first : await newKey('Another')).certificate)
  mkdirSync(join(folder, 'home'), { mode: 0o700 })
  return { folder, fingerprint: key.fingerprint }
}

const run = (cwd: string, program: string, ...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' })
  return { status, said: `${stdout}${stderr}` }
}

describe.each([
  ['a seal', false],
  ['a seal after the OpenPGP key was rotated', true],
] as const)('%s', (_, rotated) => {
  interop('gpg', 'is good by the status that gpg gives, with the fingerprint, and bad over another body', async gpg => {
    const { folder, fingerprint } = await taken(rotated)
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
    const { folder, fingerprint } = await taken(rotated)
    const ask = (data: string, keyring = 'key.asc') => run(folder, sqv, '--keyring', keyring, 'body.sig', data)
    expect(ask('body')).toEqual({ status: 0, said: `${fingerprint}\n` })
    expect(ask('altered').status).not.toBe(0)
    expect(ask('body', 'other.asc').status).not.toBe(0)
  })

  interop('rnp', 'is valid for rnp, with the fingerprint’s key id, and invalid over another body', async rnp => {
    const { folder, fingerprint } = await taken(rotated)
    const ask = (data: string, key = 'key.asc') =>
      run(folder, rnp, '--keyfile', key, '--verify', 'body.sig', '--source', data)
    const good = ask('body')
    expect(good.said).toContain('Signature(s) verified successfully')
    expect(good.said.toLowerCase()).toContain(fingerprint.slice(-16).toLowerCase())
    for (const bad of [ask('altered'), ask('body', 'other.asc')])
      expect(bad.said).not.toContain('verified successfully')
  })
})
