/** What an append may wait for beyond being durable: a signed checkpoint that covers it, and its witnesses. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseCheckpoint } from '../../lib/format/checkpoint.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { openSharedLedger } from '../../lib/ledger/shared/open.ts'
import { ledgerOptions, settled } from '../support/directory-ledger.ts'

const published = (directory: string) => parseCheckpoint(readFileSync(join(directory, 'checkpoint'))).size

describe('an append that waits for more than the disk', () => {
  it('is signed when it resolves, and many share a checkpoint', async () => {
    const options = ledgerOptions({ publishMs: 1_000_000 })
    const ledger = await openDirectoryLedger(options)
    onTestFinished(() => ledger.close())
    await ledger.append([settled()])
    expect(published(options.directory)).toBe(2)
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const [stored] = await ledger.append([settled()], { level: 'signed' })
        expect(published(options.directory)).toBeGreaterThan(stored!.index)
      }),
    )
  })

  it('is signed through the leader too', async () => {
    const options = ledgerOptions({ publishMs: 1_000_000 })
    const leader = await openSharedLedger({ ...options, writer: 'leader' })
    onTestFinished(() => leader.close())
    const ledger = await openSharedLedger(options)
    onTestFinished(() => ledger.close())
    const [stored] = await ledger.append([settled()], { level: 'signed' })
    expect(published(options.directory)).toBeGreaterThan(stored!.index)
    await expect(ledger.append([settled()], { level: 'witnessed' })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
  })

  it('is witnessed when the witnesses have what covers it, fails where they do not, and is tried anew', async () => {
    const seen: number[] = []
    let refuse = false
    const witness = async ({ size }: { readonly size: number }) => {
      if (refuse) throw new Error('a witness that is away')
      seen.push(size)
    }
    const ledger = await openDirectoryLedger({ ...ledgerOptions(), witness })
    onTestFinished(() => ledger.close())
    const [stored] = await ledger.append([settled()], { level: 'witnessed' })
    expect(Math.max(...seen)).toBeGreaterThan(stored!.index)
    refuse = true
    await expect(ledger.append([settled()], { level: 'witnessed' })).rejects.toMatchObject({
      code: 'ERR_LEDGER_UNAVAILABLE',
    })
    refuse = false
    await ledger.append([settled()], { level: 'witnessed' })
  })

  it('is refused before anything is appended where no witness is configured', async () => {
    const ledger = await openDirectoryLedger(ledgerOptions())
    onTestFinished(() => ledger.close())
    const before = ledger.size
    await expect(ledger.append([settled()], { level: 'witnessed' })).rejects.toMatchObject({
      code: 'ERR_OPTION_INVALID',
    })
    expect(ledger.size).toBe(before)
  })
})
