import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as openpgp from 'openpgp'
import { describe, expect, test } from 'vitest'
import { Secret } from '../../lib/config/secrets.ts'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import {
  armorSignature,
  DetachedVerifier,
  expiresSoon,
  generateKey,
  readCertificate,
  readPrivateKey,
  revoke,
  revokeOwn,
  signDetached,
  verifyDetached,
} from '../../lib/openpgp.ts'
import { configuredSealer } from '../../lib/sealing.ts'
import { interop } from '../support/interop.ts'

const data = Buffer.from('ledger.example\n3\nroot\n')
const make = async () => {
  const files = await generateKey({ name: 'Test key', email: 'ledger@crm.example' })
  const key = await readPrivateKey(files.privateKey)
  return { files, key, signature: await signDetached(key, data) }
}

describe('openpgp', () => {
  test('a detached signature verifies, binary and armored', async () => {
    const { files, signature } = await make()
    const { certificate, fingerprint } = files
    await verifyDetached({ data, signature, certificate, fingerprint })
    await verifyDetached({ data, signature: armorSignature(signature), certificate, fingerprint })
    expect(fingerprint).toMatch(/^[0-9A-F]{40}$/)
  })

  test('a passphrase is needed, and the right one', async () => {
    const files = await generateKey({ name: 'Test key', passphrase: 'correct' })
    await expect(readPrivateKey(files.privateKey)).rejects.toThrow(Misuse)
    await expect(readPrivateKey(files.privateKey, 'wrong')).rejects.toThrow('does not open')
    expect((await readPrivateKey(files.privateKey, 'correct')).fingerprint).toBe(files.fingerprint)
  })

  test('a signature with any one bit changed is refused, as an error of ours', async () => {
    const { files, signature } = await make()
    const { certificate, fingerprint } = files
    const accepted: number[] = []
    for (let bit = 0; bit < signature.length * 8; bit += 1) {
      const changed = Buffer.from(signature)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      const verified = await verifyDetached({ data, signature: changed, certificate, fingerprint }).then(
        () => 'verified',
        (error: unknown) => (error instanceof LedgerError ? error.code : String(error)),
      )
      if (verified === 'verified') accepted.push(bit)
      else expect(verified, `bit ${bit}`).toBe('ERR_CHECKPOINT_SIGNATURE')
    }
    expect(accepted).toEqual([])
  })

  test('other data, another line end, another pinned fingerprint and another key are refused', async () => {
    const { files, signature } = await make()
    const other = await make()
    const { certificate, fingerprint } = files
    const refused = (parts: Partial<Parameters<typeof verifyDetached>[0]>) =>
      expect(verifyDetached({ data, signature, certificate, fingerprint, ...parts })).rejects.toMatchObject({
        code: 'ERR_CHECKPOINT_SIGNATURE',
      })
    await refused({ data: Buffer.from('ledger.example\n4\nroot\n') })
    await refused({ data: Buffer.from('ledger.example\r\n3\r\nroot\r\n') })
    await refused({ fingerprint: other.files.fingerprint })
    await refused({ certificate: other.files.certificate })
    await refused({ signature: other.signature })
    await refused({ signature: Buffer.concat([signature, other.signature]) })
    await refused({ signature: Buffer.from('garbage') })
    await refused({ signature: 'garbage' })
    await refused({ certificate: 'garbage' })
    await refused({ certificate: files.privateKey })
  })

  test('a revoked key and an expired key are refused', async () => {
    const { files, signature } = await make()
    const certificate = await revoke(files.certificate, files.revocation)
    expect((await readCertificate(certificate)).revoked).toBe(true)
    await expect(verifyDetached({ data, signature, certificate, fingerprint: files.fingerprint })).rejects.toThrow(
      'revoked',
    )
    const date = new Date('2026-01-01T00:00:00Z')
    const short = await generateKey({ name: 'Short', date, lifetime: 60 })
    const key = await readPrivateKey(short.privateKey)
    const early = await signDetached(key, data, new Date('2026-01-01T00:00:30Z'))
    const parts = { data, signature: early, certificate: short.certificate, fingerprint: short.fingerprint }
    await expect(verifyDetached({ ...parts, at: new Date('2026-01-01T00:05:00Z') })).rejects.toThrow('expired')
    await verifyDetached({ ...parts, at: new Date('2026-01-01T00:00:40Z') })
  })

  test('a revocation says why and from when on; one without a reason counts as compromised', async () => {
    const { files, key, signature } = await make()
    const { certificate, fingerprint } = files
    const at = new Date('2099-01-01T00:00:00Z')
    expect((await readCertificate(certificate)).revocation).toBeUndefined()
    const bare = await revoke(certificate, files.revocation)
    expect((await readCertificate(bare)).revocation).toMatchObject({ reason: 'compromised' })
    for (const reason of ['compromised', 'superseded', 'retired'] as const) {
      const revoked = await revokeOwn(key, reason)
      expect((await readCertificate(revoked)).revocation).toMatchObject({ reason })
      const parts = { data, signature, certificate: revoked, fingerprint }
      await expect(verifyDetached(parts)).rejects.toThrow('revoked')
      const made = await verifyDetached({ ...parts, revoked: 'judged elsewhere' })
      expect(made.getTime()).toBeLessThan(at.getTime())
    }
  })

  test('a key that has expired since has signed what it signed, and seals nothing more', async () => {
    const date = new Date('2026-01-01T00:00:00Z')
    const { privateKey, certificate, fingerprint } = await generateKey({ name: 'Short', date, lifetime: 60 })
    const early = await signDetached(await readPrivateKey(privateKey), data, new Date('2026-01-01T00:00:30Z'))
    const parts = { data, signature: early, certificate, fingerprint }
    await expect(verifyDetached(parts)).rejects.toThrow('expired')
    expect(await verifyDetached({ ...parts, at: 'signed' })).toEqual(new Date('2026-01-01T00:00:30Z'))
    await expect(configuredSealer({ armored: new Secret(privateKey) })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringContaining('expired at 2026-01-01T00:01:00'),
    })
  })

  test('what a certificate says anew of its key stands for the time before it, and for none in which the key was past its lifetime', async () => {
    const day = (n: number) => new Date(Date.parse('2026-01-01') + n * 86_400_000)
    const made = await generateKey({ name: 'Short', date: day(0), lifetime: 20 * 86_400 })
    const { key, fingerprint } = await readPrivateKey(made.privateKey)
    const anew = async (date: Date, days: number) => {
      const keyExpirationTime = days * 86_400
      const options = {
        privateKey: key,
        userIDs: [{ name: 'Short' }],
        date,
        keyExpirationTime,
        format: 'armored' as const,
      }
      return readPrivateKey((await openpgp.reformatKey(options)).privateKey)
    }
    const [extended, cut] = [await anew(day(10), 40), await anew(day(10), 5)]
    const [first, last] = [
      await signDetached(await readPrivateKey(made.privateKey), data, day(7)),
      await signDetached(extended, data, day(30)),
    ]
    const by = (certificate: string, signature: Uint8Array) =>
      verifyDetached({ data, signature, certificate, fingerprint, at: 'signed' })
    expect(await by(made.certificate, first)).toEqual(day(7))
    expect(await by(extended.certificate, first)).toEqual(day(7))
    expect(await by(extended.certificate, last)).toEqual(day(30))
    await expect(by(made.certificate, last)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_SIGNATURE' })
    await expect(by(cut.certificate, first)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_SIGNATURE' })
  })

  test('a key is said to expire soon when it has less than a month left, with how to extend it', async () => {
    const lifetime = 100 * 86_400
    const date = new Date('2026-01-01T00:00:00Z')
    const { certificate, fingerprint } = await generateKey({ name: 'Short', date, lifetime })
    const left = (days: number) => expiresSoon(certificate, new Date(date.getTime() + days * 86_400_000))
    expect(await left(69)).toBeUndefined()
    expect(await left(71)).toMatch(`${fingerprint} expires at 2026-04-11T00:00:00.000Z`)
    expect(await left(71)).toMatch(`gpg --quick-set-expire ${fingerprint}`)
    expect(await expiresSoon((await generateKey({ name: 'Long' })).certificate)).toBeUndefined()
  })

  test('a subkey that signs and ends before its key is what is told of, and to be extended', async () => {
    const date = new Date('2026-01-01T00:00:00Z')
    const day = (n: number) => new Date(date.getTime() + n * 86_400_000)
    const made = await openpgp.generateKey({
      ...{ type: 'ecc', curve: 'ed25519Legacy', userIDs: [{ name: 'Parted' }], format: 'object', date },
      ...{ keyExpirationTime: 1000 * 86_400, subkeys: [{ sign: true, keyExpirationTime: 100 * 86_400 }] },
    })
    const fingerprint = made.publicKey.getFingerprint().toUpperCase()
    const subkey = made.privateKey.subkeys[0]!.getFingerprint().toUpperCase()
    const certificate = made.publicKey.armor()
    expect(await expiresSoon(certificate, day(69))).toBeUndefined()
    const soon = await expiresSoon(certificate, day(71))
    expect(soon).toMatch(
      `the subkey ${subkey}, which signs for the OpenPGP key ${fingerprint}, expires at 2026-04-11T00:00:00.000Z`,
    )
    expect(soon).toMatch(`gpg --quick-set-expire ${fingerprint} 2y ${subkey})`)
    // The key itself signs from then on, where it may: until it ends too.
    expect(await expiresSoon(certificate, day(101))).toBeUndefined()
    expect(await expiresSoon(certificate, day(971))).toMatch(`the OpenPGP key ${fingerprint} expires at 2028-09-27`)
    // One that is only to certify does not.
    const offline = await readPrivateKey(made.privateKey.armor())
    offline.key.users[0]!.selfCertifications[0]!.keyFlags = Uint8Array.of(openpgp.enums.keyFlags.certifyKeys)
    await signDetached(offline, data, day(99))
    await expect(signDetached(offline, data, day(101))).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
      message: expect.stringMatching(`${subkey}, .* expired at 2026-04-11T00:00:00.000Z, and signs nothing more`),
    })
  })

  // biome-ignore format: a table
  test.each<[string, (key: openpgp.PrivateKey) => unknown]>([
    ['is only to certify',                          key => { key.users[0]!.selfCertifications[0]!.keyFlags = Uint8Array.of(openpgp.enums.keyFlags.certifyKeys) }],
    ['is kept elsewhere',                           key => { (key.keyPacket as openpgp.SecretKeyPacket).makeDummy() }],
    ['is kept elsewhere, the subkey being revoked', async key => {
      key.subkeys[0] = await key.subkeys[0]!.revoke(key.keyPacket as openpgp.SecretKeyPacket)
      ;(key.keyPacket as openpgp.SecretKeyPacket).makeDummy()
    }],
  ])('a key of which the primary key %s signs nothing, and says what to do', async (what, bend) => {
    const { privateKey } = await openpgp.generateKey({
      ...{ type: 'ecc', curve: 'ed25519Legacy', userIDs: [{ name: 'Parted' }], format: 'object' },
      subkeys: what.includes('subkey') ? [{ sign: true }] : [],
    })
    const parted = await readPrivateKey(privateKey.armor())
    await signDetached(parted, data)
    await bend(parted.key)
    await expect(signDetached(parted, data)).rejects.toMatchObject({
      ...{ name: 'Misuse', code: 'ERR_OPTION_INVALID' },
      message: expect.stringContaining(`gpg --quick-add-key ${parted.fingerprint} ed25519 sign 2y`),
    })
  })

  test('a revocation certificate of another key is refused', async () => {
    const [one, two] = [await make(), await make()]
    await expect(revoke(one.files.certificate, two.files.revocation)).rejects.toThrow(LedgerError)
  })
})

/** Runs in a directory of its own, with certificate, revoked certificate, data, and signatures of many lengths. */
async function withFiles(run: (cwd: string, fingerprint: string) => void | Promise<void>): Promise<void> {
  const cwd = await mkdtemp(join(tmpdir(), 'openpgp-'))
  try {
    const { files, key } = await make()
    await writeFile(join(cwd, 'key.asc'), files.certificate)
    await writeFile(join(cwd, 'revoked.asc'), await revoke(files.certificate, files.revocation))
    await writeFile(join(cwd, 'data'), data)
    for (let i = 0; i < 6; i += 1) {
      const signature = await signDetached(key, data)
      await writeFile(join(cwd, `data.${i}.sig`), signature)
      await writeFile(join(cwd, `data.${i}.asc`), armorSignature(signature))
    }
    await run(cwd, files.fingerprint)
  } finally {
    await rm(cwd, { recursive: true, force: true })
  }
}

const signatures = [0, 1, 2, 3, 4, 5].flatMap(i => [`data.${i}.sig`, `data.${i}.asc`])

describe('a subkey that signed', () => {
  const year = 365 * 86_400
  const name = { userIDs: [{ name: 'Test key' }], format: 'object' as const }
  const made = async () => {
    const { privateKey: key } = await openpgp.generateKey({
      ...{ ...name, type: 'ecc', curve: 'ed25519Legacy', date: new Date('2026-01-01'), keyExpirationTime: 3 * year },
      subkeys: [{ sign: true, keyExpirationTime: year }],
    })
    return {
      key,
      fingerprint: key.getFingerprint().toUpperCase(),
      subkey: key.subkeys[0]!.getFingerprint().toUpperCase(),
    }
  }
  const signedAt = async (key: openpgp.PrivateKey, day: string) => {
    const message = await openpgp.createMessage({ binary: data })
    const signature = await openpgp.sign({
      ...{ message, signingKeys: key, detached: true, format: 'binary', date: new Date(day) },
    })
    return { at: 'signed' as const, signature, data }
  }

  test('is judged by what is said of it, and the key by what is said of that, however much newer', async () => {
    const { key, fingerprint } = await made()
    const longer = await openpgp.reformatKey({
      ...{ ...name, privateKey: key, date: new Date('2027-06-01'), keyExpirationTime: 9 * year },
    })
    const before = await signedAt(key, '2026-06-01')
    const after = await signedAt(longer.privateKey, '2027-07-01')
    // As gpg leaves it: one new signature, of the key over itself.
    const extended = key.toPublic()
    extended.users = longer.publicKey.users
    const certificate = extended.armor()
    const verifier = await DetachedVerifier.of({ certificate, fingerprint })
    await expect(verifier.verify(data, after.signature, 'signed')).rejects.toThrow('a false OpenPGP signature')
    expect(await verifier.verify(data, before.signature, 'signed')).toEqual(new Date('2026-06-01'))
    // Where its own lifetime was extended, it could.
    await verifyDetached({ ...after, certificate: longer.publicKey.armor(), fingerprint })
  })

  test('and was retired, signs nothing from then on; what it signed before stays, in whichever order they are looked at', async () => {
    const { key, fingerprint, subkey } = await made()
    const [before, after] = [await signedAt(key, '2026-06-01'), await signedAt(key, '2026-09-01')]
    const revokedAs = async (flag: openpgp.enums.reasonForRevocation) => {
      const copy = await openpgp.readKey({ armoredKey: key.toPublic().armor() })
      const packet = key.keyPacket as openpgp.SecretKeyPacket
      copy.subkeys = [await copy.subkeys[0]!.revoke(packet, { flag }, new Date('2026-08-01'))]
      return DetachedVerifier.of({ certificate: copy.armor(), fingerprint })
    }
    const { keyRetired, keyCompromised } = openpgp.enums.reasonForRevocation
    const retired = await revokedAs(keyRetired)
    const refused = `the subkey ${subkey} is revoked`
    await expect(retired.verify(data, after.signature, 'signed')).rejects.toThrow(refused)
    expect(await retired.verify(data, before.signature, 'signed')).toEqual(new Date('2026-06-01'))
    const compromised = await revokedAs(keyCompromised)
    await expect(compromised.verify(data, before.signature, 'signed')).rejects.toThrow(refused)
  })
})

describe('other programs', () => {
  interop(
    'gpg',
    'gpg reads keys and signatures: GOODSIG and VALIDSIG with the fingerprint, REVKEYSIG once revoked',
    gpg =>
      withFiles((cwd, fingerprint) => {
        const run = (...args: string[]) =>
          execFileSync(gpg, ['--homedir', cwd, '--batch', '--no-autostart', ...args], {
            cwd,
            encoding: 'utf8',
            stdio: 'pipe',
          })
        run('--import', 'key.asc')
        for (const signature of signatures) {
          const status = run('--status-fd', '1', '--verify', signature, 'data')
          expect(status, signature).toContain('[GNUPG:] GOODSIG')
          expect(status, signature).toContain(`[GNUPG:] VALIDSIG ${fingerprint}`)
        }
        run('--import', 'revoked.asc')
        const status = run('--status-fd', '1', '--verify', 'data.0.asc', 'data')
        expect(status).toContain('[GNUPG:] REVKEYSIG')
        expect(status).not.toContain('[GNUPG:] GOODSIG')
      }),
  )

  interop('sqv', 'sqv accepts signatures, and refuses them once the key is revoked', sqv =>
    withFiles((cwd, fingerprint) => {
      const run = (keyring: string, signature: string) =>
        execFileSync(sqv, ['--keyring', keyring, signature, 'data'], { cwd, encoding: 'utf8', stdio: 'pipe' }).trim()
      for (const signature of signatures) expect(run('key.asc', signature), signature).toBe(fingerprint)
      expect(() => run('revoked.asc', 'data.0.asc')).toThrow()
    }),
  )
})
