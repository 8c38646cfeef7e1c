/** Files that cannot be read while a ledger is open: whoever asks gets an error of ours, and the ledger goes on. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { attachmentFile, entryBundle, slotFile, vaultBundle } from '../../lib/format/layout.ts'
import { openDirectoryLedger } from '../../lib/ledger/directory.ts'
import { allEntries, settled } from '../support/directory-ledger.ts'
import { erasableLedger } from '../support/erasable-ledger.ts'

const unavailable = { code: 'ERR_LEDGER_UNAVAILABLE' }

// A folder in a file's place: the system refuses to read it, whoever asks (EISDIR).
// biome-ignore format: a table
it.each([
  ['a folder', (path: string) => mkdirSync(path), { entries: unavailable, vault: unavailable, attachment: unavailable }],
  ['nothing',  () => undefined, { entries: { code: 'ERR_LEDGER_CORRUPT' }, vault: { code: 'ERR_LEDGER_CORRUPT' }, attachment: { code: 'ERR_LEDGER_MISSING' } }],
] as const)('where %s is in the place of a file, reading it fails with an error of ours', async (_, put, expected) => {
  const { options } = await erasableLedger()
  const ledger = await openDirectoryLedger(options)
  const attachments = join(options.directory, 'vault/attachments')
  const [file] = readdirSync(attachments, { recursive: true, withFileTypes: true }).filter(each => each.isFile())
  const id = file!.name
  const replace = (path: string) => {
    rmSync(join(options.directory, path))
    put(join(options.directory, path))
  }
  const attachment = async () => {
    for await (const part of ledger.attachment(id)) expect(part.toString()).toBe('what was shown')
  }
  await attachment()
  expect(await ledger.disclosures(2)).toMatchObject({ name: 'customer@crm.example' })
  replace(attachmentFile(id))
  await expect(attachment()).rejects.toMatchObject(expected.attachment)
  replace(vaultBundle(0))
  await expect(ledger.disclosures(2)).rejects.toMatchObject(expected.vault)
  replace(entryBundle(0))
  await expect(allEntries(ledger)).rejects.toMatchObject(expected.entries)
  await expect(ledger.append([settled()])).resolves.toHaveLength(1)
  await ledger.close()
})

it('where the slots of a disclosure cannot be read, reading it fails with an error of ours', async () => {
  const { options } = await erasableLedger()
  const ledger = await openDirectoryLedger(options)
  const path = join(options.directory, slotFile(0))
  rmSync(path)
  mkdirSync(path)
  await expect(ledger.disclosures(2)).rejects.toMatchObject(unavailable)
  await ledger.close()
})
