import { describe, expect, test } from 'vitest'
import { LedgerError, Misuse } from '../../lib/errors.ts'
import {
  armorSignature,
  generateKey,
  readCertificate,
  readPrivateKey,
  revoke,
  signDetached,
  verifyDetached,
} from '../../lib/openpgp.ts'

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

  test('a revocation certificate of another key is refused', async () => {
    const [one, two] = [await make(), await make()]
    await expect(revoke(one.files.certificate, two.files.revocation)).rejects.toThrow(LedgerError)
  })
})
