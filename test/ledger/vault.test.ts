import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { slotBytes } from '../../lib/format/vault.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { crashImage, ledgerOptions, settled } from '../support/directory-ledger.ts'

const named = (name: string, slot: string) => [{ ...settled(), disclose: { name }, slot }] as const
const slots = (directory: string) => join(directory, 'vault/slots/000')

describe('the vault', () => {
  it('opens disclosures from memory, from published bundles, after a close, and after a kill', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const numbers = Array.from({ length: 598 }, (_, i) => i + 2)
    await Promise.all(numbers.map(i => ledger.append(named(`Customer ${i}`, `session:${i % 100}`))))
    await ledger.publish()
    const image = crashImage(options)
    for (const index of [2, 255, 256, 300, 599]) {
      expect(await ledger.disclosures(index)).toEqual({ name: `Customer ${index}` })
    }
    await ledger.close()
    for (const each of [options, image]) {
      const again = await openDirectoryLedger(each)
      for (const index of [2, 255, 256, 300, 599]) {
        expect(await again.disclosures(index)).toEqual({ name: `Customer ${index}` })
      }
      await again.close()
    }
  })

  it('gives each name a slot of its own, makes more when they run out, and begins afresh at each opening', async () => {
    const options = ledgerOptions()
    for (let opening = 0; opening < 2; opening += 1) {
      const ledger = await openDirectoryLedger(options)
      await Promise.all(Array.from({ length: 200 }, (_, i) => ledger.append(named('x', `session:${opening}-${i}`))))
      expect(await ledger.disclosures(ledger.size - 1)).toEqual({ name: 'x' })
      await ledger.close()
    }
    const files = readdirSync(join(options.directory, 'vault/slots')).sort()
    expect(files.length).toBeGreaterThanOrEqual(8)
    expect(files).toEqual(files.map((_, i) => String(i).padStart(3, '0')))
    const whole = files.map(file => readFileSync(join(options.directory, 'vault/slots', file)))
    const wrapped = whole.flatMap(bytes =>
      Array.from({ length: 64 }, (_, i) => bytes.subarray(i * 64, i * 64 + 64).toString('hex')),
    )
    expect(new Set(wrapped).size).toBe(wrapped.length)
  })

  it('no longer knows the names whose slot was erased, and still knows the others', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const [one] = await ledger.append(named('Customer 0001', 'principal:one'))
    const [two] = await ledger.append(named('Customer 0002', 'principal:two'))
    await ledger.close()
    const bytes = readFileSync(slots(options.directory))
    writeFileSync(slots(options.directory), bytes.fill(0, 0, slotBytes))
    const again = await openDirectoryLedger(options)
    expect(await again.disclosures(one!.index)).toEqual({})
    expect(await again.disclosures(two!.index)).toEqual({ name: 'Customer 0002' })
    await again.close()
  })

  it('says that a disclosure does not match under another wrapping key, an altered slot, or none', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    const [stored] = await ledger.append(named('Customer 0001', 'principal:one'))
    await ledger.close()
    const mismatch = { code: 'ERR_DISCLOSURE_MISMATCH' }
    const other = openDirectoryLedger({ ...options, wrappingKey: new Uint8Array(32).fill(8) })
    await expect(other).rejects.toMatchObject(mismatch)
    const again = await openDirectoryLedger(options)
    const bytes = readFileSync(slots(options.directory))
    bytes[20]! ^= 1
    writeFileSync(slots(options.directory), bytes)
    await expect(again.disclosures(stored!.index)).rejects.toMatchObject(mismatch)
    rmSync(slots(options.directory))
    await expect(again.disclosures(stored!.index)).rejects.toMatchObject(mismatch)
    await again.close()
  })

  it('writes no disclosed value, and no key, in clear anywhere in the directory', async () => {
    const options = ledgerOptions()
    const ledger = await openDirectoryLedger(options)
    await ledger.append(named('canary-078-05-1120', 'principal:one'))
    await ledger.publish()
    const image = crashImage(options)
    await ledger.close()
    for (const { directory } of [options, image]) {
      const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(file => file.isFile())
      for (const file of files) {
        const bytes = readFileSync(join(file.parentPath, file.name))
        expect(bytes.includes('canary'), file.name).toBe(false)
        expect(bytes.includes(Buffer.from('canary').toString('base64url')), file.name).toBe(false)
        expect(bytes.includes(Buffer.from(options.wrappingKey)), file.name).toBe(false)
      }
    }
  })
})
